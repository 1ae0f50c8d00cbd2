/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/diag.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#define DISTANCE_MAX 32
/* Edits up to which a wrong name is taken for a slip. */
#define NEAR_MAX 4

void sc_str_init(struct sc_str *s, char *buf, size_t size)
{
	SC_ASSERT(size >= 1);
	*s = (struct sc_str){.data = buf, .cap = size};
	buf[0] = '\0';
}

void sc_str_init_heap(struct sc_str *s)
{
	static char empty[1];

	*s = (struct sc_str){.data = empty, .cap = 0, .heap = true};
}

void sc_str_done(struct sc_str *s)
{
	if (s->heap && s->cap)
		free(s->data);
	*s = (struct sc_str){0};
}

void sc_str_reset(struct sc_str *s)
{
	s->len = 0;
	s->truncated = false;
	if (s->cap)
		s->data[0] = '\0';
}

static bool make_room(struct sc_str *s, size_t n)
{
	size_t want = s->len + n + 1;
	size_t cap;
	char *data;

	if (want <= s->cap)
		return true;
	if (!s->heap)
		return false;
	cap = SC_MAX(s->cap * 2, (size_t)256);
	cap = SC_MAX(cap, want);
	data = realloc(s->cap ? s->data : NULL, cap);
	if (!data)
		return false;
	data[s->len] = '\0';
	s->data = data;
	s->cap = cap;
	return true;
}

void sc_str_addn(struct sc_str *s, const char *text, size_t n)
{
	if (s->truncated)
		return;
	if (!make_room(s, n)) {
		s->truncated = true;
		n = s->cap ? s->cap - 1 - s->len : 0;
	}
	if (n == 0)
		return;
	memcpy(s->data + s->len, text, n);
	s->len += n;
	s->data[s->len] = '\0';
}

void sc_str_add(struct sc_str *s, const char *text)
{
	sc_str_addn(s, text, strlen(text));
}

void sc_str_addf(struct sc_str *s, const char *fmt, ...)
{
	char small[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	SC_ASSERT(n >= 0);
	if ((size_t)n < sizeof(small)) {
		sc_str_addn(s, small, (size_t)n);
		return;
	}
	if (!make_room(s, (size_t)n)) {
		sc_str_addn(s, small, sizeof(small) - 1);
		s->truncated = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(s->data + s->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	s->len += (size_t)n;
}

/* How many bytes at the start of text are shown as they are, by a terminal and in JSON alike. */
static size_t plain_run(const char *text, size_t n)
{
	size_t i = 0;

	while (i < n && text[i] >= 0x20 && text[i] < 0x7f && text[i] != '"' && text[i] != '\\')
		i++;
	return i;
}

void sc_str_add_printable(struct sc_str *s, const char *text, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t run = plain_run(text + i, n - i);

		sc_str_addn(s, text + i, run);
		i += run;
		if (i == n)
			return;
		if (text[i] == '\\')
			sc_str_addn(s, "\\\\", 2);
		else if (text[i] == '"')
			sc_str_addn(s, "\"", 1);
		else
			sc_str_addf(s, "\\x%02x", (unsigned char)text[i]);
		i++;
	}
}

/* Adds one character that is no plain byte; returns how many bytes of text it took. */
static size_t add_json_char(struct sc_str *s, const char *text, size_t n)
{
	uint32_t code = 0;
	size_t len = sc_utf8_decode(text, n, &code);

	if (len == 0) {
		sc_str_addf(s, "\\u%04x", (unsigned char)*text);
		return 1;
	}
	if (sc_utf8_is_control(code) || sc_utf8_is_invisible(code)) {
		sc_str_addf(s, "\\u%04x", code);
		return len;
	}
	if (code == '"' || code == '\\')
		sc_str_addn(s, "\\", 1);
	sc_str_addn(s, text, len);
	return len;
}

void sc_str_add_json(struct sc_str *s, const char *text, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t run = plain_run(text + i, n - i);

		sc_str_addn(s, text + i, run);
		i += run;
		if (i < n)
			i += add_json_char(s, text + i, n - i);
	}
}

bool sc_strcopy(char *dst, size_t size, const char *src)
{
	size_t n = strnlen(src, size);

	SC_ASSERT(size >= 1);
	if (n == size)
		n = size - 1;
	memcpy(dst, src, n);
	dst[n] = '\0';
	return src[n] == '\0';
}

/* Edit distance; at most DISTANCE_MAX bytes of each side are looked at. */
static unsigned int distance_of(const char *a, const char *b)
{
	unsigned int row[DISTANCE_MAX + 1];
	size_t la = strnlen(a, DISTANCE_MAX);
	size_t lb = strnlen(b, DISTANCE_MAX);

	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned int above = row[j];
			unsigned int best = diagonal + (a[i - 1] != b[j - 1]);

			best = SC_MIN(best, above + 1);
			best = SC_MIN(best, row[j - 1] + 1);
			row[j] = best;
			diagonal = above;
		}
	}
	return row[lb];
}

void sc_nearest_init(struct sc_nearest *n, const char *wrong, size_t len)
{
	*n = (struct sc_nearest){.distance = NEAR_MAX + 1};
	n->len = SC_MIN(len, sizeof(n->wrong) - 1);
	memcpy(n->wrong, wrong, n->len);
}

bool sc_nearest_offer(struct sc_nearest *n, const char *name)
{
	unsigned int distance = distance_of(n->wrong, name);

	if (distance >= n->distance || distance * 2 > n->len || distance * 2 > strlen(name))
		return false;
	n->distance = distance;
	n->best = name;
	return true;
}

int sc_diag_set(struct sc_diag *diag, int err, unsigned int line, unsigned int column,
		const char *fmt, ...)
{
	char raw[SC_DIAG_TEXT_MAX];
	struct sc_str text;
	va_list ap;

	if (!diag)
		return err;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	diag->line = line;
	diag->column = column;
	sc_str_init(&text, diag->text, sizeof(diag->text));
	sc_str_add_printable(&text, raw, strlen(raw));
	return err;
}
