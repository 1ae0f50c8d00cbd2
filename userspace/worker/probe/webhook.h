/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes around the JSON of a webhook, and what the answer means. The receiver checks:
 * Scram-Signature is "v1=" and the HMAC-SHA256, in hex, of the bytes of Scram-Timestamp, a dot, and
 * the body, with the shared secret; the timestamp is recent; Idempotency-Key was not seen before.
 */
#pragma once

#include "worker/probe/notify_event.h"

#include <stdint.h>

struct sc_http_result;

#define SC_WEBHOOK_HEADERS  6
#define SC_WEBHOOK_LINE_MAX 160

enum sc_delivery {
	SC_DELIVERED,
	SC_DELIVERY_REFUSED, /* for good: trying again would not help */
	SC_DELIVERY_RETRY,
	SC_DELIVERY_COUNT
};

struct sc_webhook_head {
	char line[SC_WEBHOOK_HEADERS][SC_WEBHOOK_LINE_MAX];
	const char *list[SC_WEBHOOK_HEADERS + 1]; /* of the lines, NULL-ended */
};

/* Fills the header lines but the signature; sink is the name of who is told, unix_s the time of
 * sending. */
void sc_webhook_head(struct sc_webhook_head *head, const struct sc_notification *n,
		     const struct sc_notify_origin *origin, const char *sink, int64_t unix_s);
/* Adds the signature; a secret of any length will do. */
void sc_webhook_sign(struct sc_webhook_head *head, const struct sc_notification *n,
		     const void *secret, size_t secret_size, int64_t unix_s);

/* 2xx: delivered; 4xx but 408, 425 and 429, and redirects: refused; else again. `why` says what is
 * wrong, one printable line; empty when delivered. */
enum sc_delivery sc_webhook_judge(const struct sc_http_result *result, char *why, size_t size);
