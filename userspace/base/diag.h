/* SPDX-License-Identifier: Apache-2.0 */
/* Why an input was refused, and where: what check prints as FILE:LINE:COLUMN: what; hint. */
#pragma once

#include "base/mem.h"

#define SC_DIAG_TEXT_MAX 320

struct sc_diag {
	unsigned int line;   /* from 1; 0 = no place in the text */
	unsigned int column; /* from 1, in bytes */
	char text[SC_DIAG_TEXT_MAX];
};

/* Fills diag (NULL is allowed) and returns err, so that a refusal is one statement. Printable only.
 */
int sc_diag_set(struct sc_diag *diag, int err, unsigned int line, unsigned int column,
		const char *fmt, ...) _printf_(5, 6);
