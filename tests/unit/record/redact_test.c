/* SPDX-License-Identifier: Apache-2.0 */
#include "record/redact.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <string.h>

/* B5 */
Test(redact, takes_secrets_out_and_leaves_the_rest)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{"", ""},
		{"nothing to hide", "nothing to hide"},
		{"postgres://scram:hunter2@db:5432/x failed",
		 "postgres://scram:[redacted]@db:5432/x failed"},
		{"http://a:p@ss:w@host/", "http://a:[redacted]@host/"},
		{"http://host:80/user:x@y", "http://host:80/user:x@y"},
		{"http://user@host/", "http://user@host/"},
		{"Authorization: Bearer abc.def-123", "Authorization: Bearer [redacted]"},
		{"sent bearer abc, got 401", "sent bearer [redacted], got 401"},
		{"authorization=Basic dXNlcjpwdw==", "authorization=Basic [redacted]"},
		{"password=hunter2 host=db", "password=[redacted] host=db"},
		{"PGPASSWORD='two words' host=db", "PGPASSWORD='[redacted]' host=db"},
		{"{\"api_key\":\"k\\\"ey\",\"n\":1}", "{\"api_key\":\"[redacted]\",\"n\":1}"},
		{"db_secret: s3cret; next", "db_secret: [redacted]; next"},
		{"https://h/?token=t1&x=2", "https://h/?token=[redacted]&x=2"},
		{"the token was refused", "the token was refused"},
		{"password=", "password="},
		{"a basic mistake", "a basic [redacted]"}, /* rather one word too many */
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		_cleanup_str_ struct sc_str out;

		sc_str_init_heap(&out);
		sc_str_add(&out, "");
		sc_redact(&out, cases[i].in);
		cr_expect_str_eq(out.data, cases[i].out);
	}
}

Test(redact, never_passes_the_secret_whatever_stands_around_it)
{
	static const char *const around[] = {
		"password=%s",
		"\"password\":\"%s\"",
		"password: %s",
		"token = %s",
		"Bearer %s",
		"x://u:%s@h",
		"MY_API_KEY=%s\n",
		"{'secret':'%s'}",
		"authorization: bearer %s",
		"passwd=%s,next=1",
		"a=1&credential=%s&b=2",
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(around); i++) {
		_cleanup_str_ struct sc_str out;
		char text[128];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text), around[i], "S3CR3T");
#pragma GCC diagnostic pop
		sc_str_init_heap(&out);
		sc_redact(&out, text);
		cr_expect_null(strstr(out.data, "S3CR3T"), "%s", out.data);
	}
}
