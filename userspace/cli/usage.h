/* SPDX-License-Identifier: Apache-2.0 */
/* The help texts, printed from the table of verbs. */
#pragma once

#include "base/str.h"
#include "cli/verb.h"

/* All verbs, one line each. */
void sc_usage_all(struct sc_str *out);
/* "scram fire CONDITION --operator NAME ... [--force] ..." without a newline. */
void sc_usage_line(struct sc_str *out, const struct sc_verb *verb);
/* The usage line, the paragraph, the options. */
void sc_usage_verb(struct sc_str *out, const struct sc_verb *verb);
/* "--limit N" or "--wait". */
void sc_usage_option(struct sc_str *out, const struct sc_option *option);
/* Adds text wrapped at 78 columns, every line after indent spaces. */
void sc_usage_wrap(struct sc_str *out, const char *text, unsigned int indent);
