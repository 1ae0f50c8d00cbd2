/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idempotency-Key: a client that did not get its answer asks again with the same key, and is given
 * the answer of then instead of a second fire. Kept in memory for a day; the oldest gives way.
 */
#include "worker/api/api.h"

#include "base/clock.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define ENTRIES   1024
#define KEY_MAX   128
#define KEEP_NS   (24 * 3600 * SC_NS_PER_S)
#define HASH_SIZE 16

struct sc_idempotent {
	unsigned char key[HASH_SIZE], body[HASH_SIZE];
	uint64_t since_ns; /* 0 = free */
	char *answer;      /* NULL = still under way */
	unsigned int status;
};

struct sc_idempotency {
	struct sc_idempotent entries[ENTRIES];
};

int sc_idempotency_init(struct sc_api *api)
{
	api->idempotency = calloc(1, sizeof(*api->idempotency));
	return api->idempotency ? 0 : -ENOMEM;
}

static void forget(struct sc_idempotent *e)
{
	free(e->answer);
	*e = (struct sc_idempotent){.since_ns = 0};
}

void sc_idempotency_done(struct sc_api *api)
{
	for (size_t i = 0; api->idempotency && i < ENTRIES; i++)
		forget(&api->idempotency->entries[i]);
	free(api->idempotency);
	api->idempotency = NULL;
}

static void hash(unsigned char out[HASH_SIZE], const char *data, size_t n)
{
	crypto_generichash(out, HASH_SIZE, (const unsigned char *)data, n, NULL, 0);
}

/* The entry of that key, or the place for it: free, or the oldest that is not under way. */
static struct sc_idempotent *find(struct sc_api *api, const unsigned char key[HASH_SIZE])
{
	struct sc_idempotent *place = NULL;
	uint64_t now_ns = sc_mono_ns();

	for (size_t i = 0; i < ENTRIES; i++) {
		struct sc_idempotent *e = &api->idempotency->entries[i];

		if (e->answer && now_ns - e->since_ns > KEEP_NS)
			forget(e);
		if (e->since_ns && memcmp(e->key, key, HASH_SIZE) == 0)
			return e;
		if ((!e->since_ns || e->answer) && (!place || e->since_ns < place->since_ns))
			place = e;
	}
	if (place && place->since_ns)
		api->counters.idempotent_dropped++;
	return place;
}

static void answer_again(struct sc_call *call, const struct sc_idempotent *e)
{
	_cleanup_str_ struct sc_str body;

	sc_str_init_heap(&body);
	sc_str_add(&body, e->answer);
	call->api->counters.idempotent_hits++;
	sc_call_answer(call, e->status, "application/json", &body);
}

bool sc_idempotency_begin(struct sc_call *call)
{
	const char *text = sc_call_header(call, "Idempotency-Key");
	unsigned char key[HASH_SIZE], body[HASH_SIZE];
	struct sc_idempotent *e;

	if (!text)
		return true;
	if (!text[0] || strlen(text) > KEY_MAX) {
		sc_call_fail(call, 422, "Idempotency-Key has 1 to %d bytes", KEY_MAX);
		return false;
	}
	hash(key, text, strlen(text));
	hash(body, call->body, call->body_size);
	e = find(call->api, key);
	if (!e) {
		sc_call_fail(call, 503, "too many fires are under way");
		return false;
	}
	if (e->since_ns && memcmp(e->key, key, HASH_SIZE) == 0) {
		if (memcmp(e->body, body, HASH_SIZE) != 0)
			sc_call_fail(call, 422,
				     "this Idempotency-Key was used for another request");
		else if (!e->answer)
			sc_call_fail(call, 409, "the request of this Idempotency-Key is under way");
		else
			answer_again(call, e);
		return false;
	}
	forget(e);
	memcpy(e->key, key, HASH_SIZE);
	memcpy(e->body, body, HASH_SIZE);
	e->since_ns = sc_mono_ns();
	call->kept = e;
	return true;
}

void sc_idempotency_keep(struct sc_call *call, unsigned int status, const struct sc_str *body)
{
	struct sc_idempotent *e = SC_TAKE_PTR(call->kept);

	if (!e)
		return;
	/* A refusal fired nothing: the next try is a try of its own. */
	if (status == 200 && !body->truncated)
		e->answer = strdup(body->data);
	e->status = status;
	if (!e->answer)
		forget(e);
}
