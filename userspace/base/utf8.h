/* SPDX-License-Identifier: Apache-2.0 */
/* Text that people must be able to trust their eyes with. */
#pragma once

#include <stddef.h>

enum sc_text_fault {
	SC_TEXT_OK,
	SC_TEXT_NOT_UTF8,  /* RFC 3629: also surrogates and overlong forms */
	SC_TEXT_CONTROL,   /* C0 but tab, newline and carriage return before a newline; DEL; C1; NUL
			    */
	SC_TEXT_INVISIBLE, /* zero width, byte order mark, bidirectional marks, other line breaks */
	SC_TEXT_FAULT_COUNT
};

/* Looks for the first fault in text[0..n); *at is its offset, n when there is none. */
enum sc_text_fault sc_text_scan(const char *text, size_t n, size_t *at);
