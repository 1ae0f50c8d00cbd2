/* SPDX-License-Identifier: Apache-2.0 */
/* Text that people must be able to trust their eyes with. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Length of the valid UTF-8 sequence at the start of text[0..n), n >= 1, and its code point; 0 when
 * it is not one (RFC 3629: no surrogates, no overlong form).
 */
size_t sc_utf8_decode(const char *text, size_t n, uint32_t *code);
/* Changes how the rest of a line is shown, without being seen: zero width, byte order mark,
 * bidirectional marks, other line breaks. */
bool sc_utf8_is_invisible(uint32_t code);
/* C0, DEL and C1. */
bool sc_utf8_is_control(uint32_t code);

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
