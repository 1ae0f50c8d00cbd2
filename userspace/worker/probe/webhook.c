/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe/webhook.h"

#include "worker/probe/http.h"

#include "base/mem.h"
#include "base/str.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>

#define STATUS_OK        200
#define STATUS_REDIRECT  300
#define STATUS_TIMEOUT   408
#define STATUS_TOO_EARLY 425
#define STATUS_TOO_MANY  429
#define STATUS_SERVER    500

static void _printf_(2, 3) add(struct sc_webhook_head *h, const char *fmt, ...)
{
	size_t n = 0;
	va_list ap;

	while (h->list[n])
		n++;
	SC_ASSERT(n < SC_WEBHOOK_HEADERS);
	va_start(ap, fmt);
	vsnprintf(h->line[n], sizeof(h->line[n]), fmt, ap);
	va_end(ap);
	h->list[n] = h->line[n];
}

void sc_webhook_head(struct sc_webhook_head *head, const struct sc_notification *n,
		     const struct sc_notify_origin *origin, const char *sink, int64_t unix_s)
{
	*head = (struct sc_webhook_head){0};
	add(head, "Content-Type: application/json");
	add(head, "User-Agent: scram/%s", origin->version);
	add(head, "Idempotency-Key: %s-%" PRIu64 "-%s", origin->host, n->seq, sink);
	add(head, "Scram-Event: %s", n->message->name);
	add(head, "Scram-Timestamp: %" PRId64, unix_s);
}

void sc_webhook_sign(struct sc_webhook_head *head, const struct sc_notification *n,
		     const void *secret, size_t secret_size, int64_t unix_s)
{
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	char hex[2 * sizeof(mac) + 1], stamp[32];
	crypto_auth_hmacsha256_state state;
	int len = snprintf(stamp, sizeof(stamp), "%" PRId64 ".", unix_s);

	crypto_auth_hmacsha256_init(&state, secret, secret_size);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)stamp,
				      (unsigned long long)len);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)n->body, n->size);
	crypto_auth_hmacsha256_final(&state, mac);
	sodium_memzero(&state, sizeof(state));
	add(head, "Scram-Signature: v1=%s", sodium_bin2hex(hex, sizeof(hex), mac, sizeof(mac)));
}

enum sc_delivery sc_webhook_judge(const struct sc_http_result *result, char *why, size_t size)
{
	long status = result->status;
	/* What it says is of no interest, that it has taken it is. */
	bool is_answered = result->end == SC_HTTP_ANSWERED || result->end == SC_HTTP_OVER_ANSWER;

	why[0] = '\0';
	if (!is_answered) {
		sc_strcopy(why, size, result->why);
		return SC_DELIVERY_RETRY;
	}
	if (status >= STATUS_OK && status < STATUS_REDIRECT)
		return SC_DELIVERED;
	snprintf(why, size, "HTTP status %ld", status);
	if (status == STATUS_TIMEOUT || status == STATUS_TOO_EARLY || status == STATUS_TOO_MANY)
		return SC_DELIVERY_RETRY;
	return status >= STATUS_REDIRECT && status < STATUS_SERVER ? SC_DELIVERY_REFUSED
								   : SC_DELIVERY_RETRY;
}
