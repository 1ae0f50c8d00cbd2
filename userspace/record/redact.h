/* SPDX-License-Identifier: Apache-2.0 */
/* Takes secrets out of error texts before they reach disk, log or API. */
#pragma once

#include "base/str.h"

#define SC_REDACTED "[redacted]"

/*
 * Adds text to out with SC_REDACTED in place of: the password of a URL (scheme://user:PASSWORD@),
 * what follows Bearer or Basic, and the value of any name that contains password, passwd, secret,
 * token, api_key, apikey, private_key, credential or authorization, in the forms name=value, name:
 * value and "name":"value".
 */
void sc_redact(struct sc_str *out, const char *text);
