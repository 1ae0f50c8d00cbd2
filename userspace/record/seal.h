/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seals: an Ed25519 signature (RFC 8032) over the head of the chain. A hash chain alone proves
 * nothing against someone who can write the file anew; he cannot make the seals again without the
 * key.
 */
#pragma once

#include <scram/journal.h>

#include <sodium.h>

#define SC_SEAL_KEY_NAME "seal.key"
#define SC_SEAL_PUB_NAME "seal.pub"

struct sc_seal_key {
	unsigned char secret[crypto_sign_SECRETKEYBYTES];
	unsigned char public[crypto_sign_PUBLICKEYBYTES];
	char id[SC_KEY_ID_TEXT_MAX]; /* the first 16 hex digits of the public key's SHA-256 */
};

/*
 * Reads <state-dir>/seal.key, or makes it (0600) and seal.pub at the first start. Returns 0,
 * -EBADMSG when the file is not a key, or another -errno.
 */
int sc_seal_key_load(int state_fd, struct sc_seal_key *key);
/* Reads a public key file; the secret part is left zero. Returns 0, -EBADMSG or another -errno. */
int sc_seal_pub_load(int dirfd, const char *path, struct sc_seal_key *key);

/* What a seal states: the record `seq` of this host has the hash `head`. */
struct sc_seal {
	uint64_t seq;
	uint64_t segment;
	const char *host_id;
	const char *head;
	const char *time;
};

/* Adds the body of a seal record to out. */
void sc_seal_body(struct sc_str *out, const struct sc_seal *seal, const struct sc_seal_key *key);

enum sc_seal_check {
	SC_SEAL_VALID,
	SC_SEAL_FALSE,       /* not a seal, or its signature is not by the key it names */
	SC_SEAL_UNKNOWN_KEY, /* names another key */
};

/* Checks the n bytes of a seal's body against the key and against what it has to state (time
 * aside). */
enum sc_seal_check sc_seal_verify(const char *body, size_t n, const struct sc_seal *expected,
				  const struct sc_seal_key *key);
