/* SPDX-License-Identifier: Apache-2.0 */
/* The completion scripts, printed from the table of verbs. */
#pragma once

#include "base/str.h"

void sc_completion_bash(struct sc_str *out);
void sc_completion_zsh(struct sc_str *out);
