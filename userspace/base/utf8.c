/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

size_t sc_utf8_decode(const char *text, size_t n, uint32_t *code)
{
	const unsigned char *p = (const unsigned char *)text;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80       ? 1
		     : p[0] >> 5 == 6  ? 2
		     : p[0] >> 4 == 14 ? 3
		     : p[0] >> 3 == 30 ? 4
				       : 0;

	if (len == 0 || len > n)
		return 0;
	*code = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		*code = *code << 6 | (p[i] & 0x3f);
	}
	if (*code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return len;
}

bool sc_utf8_is_invisible(uint32_t c)
{
	return c == 0x85 || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) || c == 0xfeff;
}

bool sc_utf8_is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f);
}

enum sc_text_fault sc_text_scan(const char *text, size_t n, size_t *at)
{
	uint32_t c = 0;
	size_t len;

	for (*at = 0; *at < n; *at += len) {
		len = sc_utf8_decode(text + *at, n - *at, &c);
		if (len == 0)
			return SC_TEXT_NOT_UTF8;
		if (c == '\t' || c == '\n' || (c == '\r' && *at + 1 < n && text[*at + 1] == '\n'))
			continue;
		if (sc_utf8_is_invisible(c))
			return SC_TEXT_INVISIBLE;
		if (sc_utf8_is_control(c))
			return SC_TEXT_CONTROL;
	}
	return SC_TEXT_OK;
}
