/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idempotency-Key: a client that did not get its answer asks again with the same key, and is told
 * of the fire of then instead of causing a second. The core compares, and keeps the key in the
 * fire's record, so that neither an end of this process nor one of the agent makes a fire double.
 */
#include "worker/api/api.h"

#include <scram/fire.h>

#include <sodium.h>
#include <string.h>

#define KEY_MAX   128
#define HASH_SIZE (SC_FIRE_KEY_HALF / 2)

/* The keys are other people's secrets or texts: only their hash is recorded. */
static void add_hash(char out[static SC_FIRE_KEY_HALF + 1], const char *data, size_t n)
{
	unsigned char hash[crypto_generichash_BYTES_MIN];

	crypto_generichash(hash, sizeof(hash), (const unsigned char *)data, n, NULL, 0);
	_Static_assert(HASH_SIZE <= sizeof(hash), "a hash is cut, not made longer");
	sodium_bin2hex(out, SC_FIRE_KEY_HALF + 1, hash, HASH_SIZE);
}

bool sc_idempotency_add(struct sc_call *call, json_t *request)
{
	const char *text = sc_call_header(call, "Idempotency-Key");
	char key[2 * SC_FIRE_KEY_HALF + 1];

	if (!text)
		return true;
	if (!text[0] || strlen(text) > KEY_MAX) {
		sc_call_fail(call, 422, "Idempotency-Key has 1 to %d bytes", KEY_MAX);
		return false;
	}
	add_hash(key, text, strlen(text));
	add_hash(key + SC_FIRE_KEY_HALF, call->body, call->body_size);
	json_object_set_new(request, "key", json_string(key));
	return true;
}
