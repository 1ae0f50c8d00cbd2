/* SPDX-License-Identifier: Apache-2.0 */
#include "record/seal.h"

#include "base/io.h"
#include "base/json.h"
#include "record/line.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define SIGNATURE_TEXT_MAX (2 * crypto_sign_BYTES + 1)
#define STATEMENT_MAX      512

static void key_id(struct sc_seal_key *key)
{
	char hash[SC_HASH_TEXT_MAX];

	sc_hash_hex(key->public, sizeof(key->public), hash);
	memcpy(key->id, hash, SC_KEY_ID_TEXT_MAX - 1);
	key->id[SC_KEY_ID_TEXT_MAX - 1] = '\0';
}

/* Reads a file that holds exactly n bytes as hex and a newline. */
static int read_hex(int dirfd, const char *path, unsigned char *out, size_t n)
{
	char text[2 * crypto_sign_SECRETKEYBYTES + 4];
	size_t got = 0;
	const char *end;
	ssize_t len = sc_read_file_at(dirfd, path, text, sizeof(text));
	int r = 0;

	if (len < 0)
		return len == -EFBIG ? -EBADMSG : (int)len;
	if (sodium_hex2bin(out, n, text, (size_t)len, NULL, &got, &end) != 0 || got != n ||
	    strcmp(end, "\n") != 0)
		r = -EBADMSG;
	sodium_memzero(text, sizeof(text));
	return r;
}

static int write_hex(int dirfd, const char *name, const unsigned char *data, size_t n, mode_t mode)
{
	char text[2 * crypto_sign_SECRETKEYBYTES + 2];
	int r;

	sodium_bin2hex(text, sizeof(text), data, n);
	sc_strcopy(text + 2 * n, 2, "\n");
	r = sc_write_file_atomic(dirfd, name, text, 2 * n + 1, mode | SC_WRITE_DURABLE);
	sodium_memzero(text, sizeof(text));
	return r;
}

int sc_seal_key_load(int state_fd, struct sc_seal_key *key)
{
	struct sc_seal_key k = {0};
	unsigned char public[sizeof(k.public)];
	int r = read_hex(state_fd, SC_SEAL_KEY_NAME, k.secret, sizeof(k.secret));

	if (r == -ENOENT) {
		crypto_sign_keypair(k.public, k.secret);
		r = write_hex(state_fd, SC_SEAL_KEY_NAME, k.secret, sizeof(k.secret), 0600);
	}
	if (r == 0)
		crypto_sign_ed25519_sk_to_pk(k.public, k.secret);
	/* Also when a crash came between the two files. */
	if (r == 0 && (read_hex(state_fd, SC_SEAL_PUB_NAME, public, sizeof(public)) < 0 ||
		       memcmp(public, k.public, sizeof(public)) != 0))
		r = write_hex(state_fd, SC_SEAL_PUB_NAME, k.public, sizeof(k.public), 0644);
	if (r == 0) {
		key_id(&k);
		*key = k;
	}
	sodium_memzero(&k, sizeof(k));
	return r;
}

int sc_seal_pub_load(int dirfd, const char *path, struct sc_seal_key *key)
{
	struct sc_seal_key k = {0};
	int r = read_hex(dirfd, path, k.public, sizeof(k.public));

	if (r < 0)
		return r;
	key_id(&k);
	*key = k;
	return 0;
}

/* The bytes that are signed: every field of the statement, one a line, under a name of its own. */
static size_t statement(const struct sc_seal *seal, const char *key, char out[static STATEMENT_MAX])
{
	struct sc_str s;

	sc_str_init(&s, out, STATEMENT_MAX);
	sc_str_addf(&s, "scram seal 1\n%s\n%" PRIu64 "\n%s\n%s\n%" PRIu64 "\n%s\n", seal->host_id,
		    seal->seq, seal->head, seal->time, seal->segment, key);
	return s.truncated ? 0 : s.len;
}

void sc_seal_body(struct sc_str *out, const struct sc_seal *seal, const struct sc_seal_key *key)
{
	unsigned char signature[crypto_sign_BYTES];
	char text[SIGNATURE_TEXT_MAX];
	char signed_text[STATEMENT_MAX];
	size_t n = statement(seal, key->id, signed_text);
	struct sc_json j;

	SC_ASSERT(n > 0);
	crypto_sign_detached(signature, NULL, (const unsigned char *)signed_text, n, key->secret);
	sodium_bin2hex(text, sizeof(text), signature, sizeof(signature));
	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "host", seal->host_id);
	sc_json_member_u64(&j, "seq", seal->seq);
	sc_json_member_text(&j, "head", seal->head);
	sc_json_member_text(&j, "time", seal->time);
	sc_json_member_u64(&j, "segment", seal->segment);
	sc_json_member_text(&j, "key", key->id);
	sc_json_member_text(&j, "signature", text);
	sc_json_object_end(&j);
}

static enum sc_seal_check check(json_t *root, const struct sc_seal *expected,
				const struct sc_seal_key *key)
{
	unsigned char signature[crypto_sign_BYTES];
	char text[STATEMENT_MAX];
	json_int_t seq = -1, segment = -1;
	const char *key_name, *signature_text;
	struct sc_seal seal = {0};
	size_t got = 0;
	size_t n;

	if (json_unpack(root, "{s:s,s:I,s:s,s:s,s:I,s:s,s:s!}", "host", &seal.host_id, "seq", &seq,
			"head", &seal.head, "time", &seal.time, "segment", &segment, "key",
			&key_name, "signature", &signature_text) < 0 ||
	    seq < 0 || segment < 0)
		return SC_SEAL_FALSE;
	if (strcmp(key_name, key->id) != 0)
		return SC_SEAL_UNKNOWN_KEY;
	seal.seq = (uint64_t)seq;
	seal.segment = (uint64_t)segment;
	n = statement(&seal, key_name, text);
	if (n == 0 || strlen(signature_text) != SIGNATURE_TEXT_MAX - 1 ||
	    sodium_hex2bin(signature, sizeof(signature), signature_text, SIGNATURE_TEXT_MAX - 1,
			   NULL, &got, NULL) != 0 ||
	    got != sizeof(signature) ||
	    crypto_sign_verify_detached(signature, (const unsigned char *)text, n, key->public))
		return SC_SEAL_FALSE;
	if (seal.seq != expected->seq || seal.segment != expected->segment ||
	    strcmp(seal.head, expected->head) != 0 || strcmp(seal.host_id, expected->host_id) != 0)
		return SC_SEAL_FALSE;
	return SC_SEAL_VALID;
}

enum sc_seal_check sc_seal_verify(const char *body, size_t n, const struct sc_seal *expected,
				  const struct sc_seal_key *key)
{
	json_t *root = json_loadb(body, n, JSON_REJECT_DUPLICATES, NULL);
	enum sc_seal_check result = root ? check(root, expected, key) : SC_SEAL_FALSE;

	json_decref(root);
	return result;
}
