/* SPDX-License-Identifier: Apache-2.0 */
/* What a webhook is signed with, and what its answer means. */
#include "worker/probe/webhook.h"

#include "worker/probe/http.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct sc_message message = {.name = "fire-verified"};
static const struct sc_notify_origin origin = {.host = "h", .version = "9"};

static const char *line_of(const struct sc_webhook_head *head, const char *name)
{
	for (size_t i = 0; head->list[i]; i++)
		if (!strncmp(head->list[i], name, strlen(name)))
			return head->list[i] + strlen(name) + 2;
	return NULL;
}

/* By: printf 1700000000.BODY | openssl dgst -sha256 -hmac SECRET */
Test(webhook, is_signed_as_openssl_does_it)
{
	char long_secret[201];
	char body[] = "{\"a\":1}";
	const struct sc_notification n = {
		.message = &message, .seq = 42, .body = body, .size = sizeof(body) - 1};
	const struct {
		const char *secret, *signature;
	} rows[] = {
		{"secret", "v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"},
		{"x", "v1=06f525779f6c0be94526d09ff5d17e640df38590f860bd91662d7b2e131368f7"},
		{long_secret,
		 "v1=5bb84448ab342ddecf612578a90cf93375be38884bd67e216d19615bdf20e423"},
	};

	memset(long_secret, 'k', sizeof(long_secret) - 1);
	long_secret[sizeof(long_secret) - 1] = '\0';
	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		struct sc_webhook_head head;

		sc_webhook_head(&head, &n, &origin, "webhook-1", 1700000000);
		cr_expect_null(line_of(&head, "Scram-Signature"));
		sc_webhook_sign(&head, &n, rows[i].secret, strlen(rows[i].secret), 1700000000);
		cr_expect_str_eq(line_of(&head, "Scram-Timestamp"), "1700000000");
		cr_expect_str_eq(line_of(&head, "Idempotency-Key"), "h-42-webhook-1");
		cr_expect_str_eq(line_of(&head, "Scram-Event"), "fire-verified");
		cr_expect_str_eq(line_of(&head, "Scram-Signature"), rows[i].signature);
	}
}

Test(webhook, an_answer_means_delivered_refused_or_again)
{
	static const struct {
		enum sc_http_end end;
		long status;
		enum sc_delivery delivery;
	} rows[] = {
		{SC_HTTP_ANSWERED, 200, SC_DELIVERED},
		{SC_HTTP_ANSWERED, 204, SC_DELIVERED},
		{SC_HTTP_OVER_ANSWER, 200, SC_DELIVERED},
		{SC_HTTP_ANSWERED, 301, SC_DELIVERY_REFUSED},
		{SC_HTTP_ANSWERED, 400, SC_DELIVERY_REFUSED},
		{SC_HTTP_ANSWERED, 404, SC_DELIVERY_REFUSED},
		{SC_HTTP_ANSWERED, 410, SC_DELIVERY_REFUSED},
		{SC_HTTP_ANSWERED, 408, SC_DELIVERY_RETRY},
		{SC_HTTP_ANSWERED, 425, SC_DELIVERY_RETRY},
		{SC_HTTP_ANSWERED, 429, SC_DELIVERY_RETRY},
		{SC_HTTP_ANSWERED, 500, SC_DELIVERY_RETRY},
		{SC_HTTP_ANSWERED, 503, SC_DELIVERY_RETRY},
		{SC_HTTP_ANSWERED, 100, SC_DELIVERY_RETRY},
		{SC_HTTP_NOT_REACHED, 0, SC_DELIVERY_RETRY},
		{SC_HTTP_NOT_TRUSTED, 0, SC_DELIVERY_RETRY},
		{SC_HTTP_OVER_BUDGET, 0, SC_DELIVERY_RETRY},
		{SC_HTTP_BROKEN, 200, SC_DELIVERY_RETRY},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		struct sc_http_result result = {
			.end = rows[i].end, .status = rows[i].status, .why = "it is so"};
		char why[64];

		cr_expect_eq(sc_webhook_judge(&result, why, sizeof(why)), rows[i].delivery,
			     "row %zu", i);
		cr_expect_eq(why[0] == '\0', rows[i].delivery == SC_DELIVERED, "row %zu", i);
	}
}
