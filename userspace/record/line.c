/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash covers the bytes as stored, not their meaning: a verifier that parsed and wrote them
 * anew would accept every change that JSON calls equal.
 */
#include "record/line.h"

#include "base/clock.h"
#include "base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define HASH_TEXT_LEN (SC_HASH_TEXT_MAX - 1)

static const char before_prev[] = ",\"prev\":\"";
static const char before_hash[] = "\",\"hash\":\"";
static const char after_hash[] = "\"}";

/* The quote that ends prev is hashed, what follows is not. */
#define TAIL_LEN     (sizeof(before_hash) - 2 + HASH_TEXT_LEN + sizeof(after_hash) - 1)
#define PREV_LEN     (sizeof(before_prev) - 1 + HASH_TEXT_LEN + 1)
#define KIND_MAX     32
#define LINE_LEN_MIN (PREV_LEN + TAIL_LEN)

void sc_hash_hex(const void *data, size_t n, char out[static SC_HASH_TEXT_MAX])
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, data, n);
	sodium_bin2hex(out, SC_HASH_TEXT_MAX, hash, sizeof(hash));
}

size_t sc_line_format(char out[static SC_RECORD_BYTES_MAX], const struct sc_envelope *envelope,
		      const char *body, size_t n, char hash[static SC_HASH_TEXT_MAX])
{
	char time[SC_TIME_TEXT_MAX];
	struct sc_str s;

	SC_ASSERT(n <= SC_RECORD_BODY_MAX);
	sc_time_text(envelope->real_ns, time);
	sc_str_init(&s, out, SC_RECORD_BYTES_MAX);
	sc_str_addf(&s,
		    "{\"seq\":%" PRIu64
		    ",\"time\":\"%s\",\"boot\":\"%s\",\"kind\":\"%s\",\"body\":",
		    envelope->seq, time, envelope->boot_id, sc_record_kind_name(envelope->kind));
	sc_str_addn(&s, body, n);
	sc_str_add(&s, before_prev);
	sc_str_add(&s, envelope->prev);
	sc_str_addn(&s, "\"", 1);
	sc_hash_hex(s.data, s.len, hash);
	sc_str_add(&s, before_hash + 1);
	sc_str_add(&s, hash);
	sc_str_add(&s, after_hash);
	sc_str_addn(&s, "\n", 1);
	SC_ASSERT(!s.truncated);
	return s.len;
}

/* Moves *at behind text if it stands there, within end. */
static bool skip(const char **at, const char *end, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(end - *at) < n || memcmp(*at, text, n))
		return false;
	*at += n;
	return true;
}

/* Copies what stands up to the next quote; the values of our envelope hold no escapes. */
static bool take_text(const char **at, const char *end, char *out, size_t size)
{
	const char *quote = memchr(*at, '"', (size_t)(end - *at));
	size_t n = quote ? (size_t)(quote - *at) : size;

	if (n >= size)
		return false;
	memcpy(out, *at, n);
	out[n] = '\0';
	*at = quote;
	return true;
}

static bool take_seq(const char **at, const char *end, uint64_t *out)
{
	uint64_t v = 0;
	const char *p = *at;

	while (p < end && *p >= '0' && *p <= '9' && p - *at < 19)
		v = v * 10 + (uint64_t)(*p++ - '0');
	if (p == *at || (**at == '0'))
		return false;
	*at = p;
	*out = v;
	return true;
}

static bool take_hash(const char *at, char out[static SC_HASH_TEXT_MAX])
{
	memcpy(out, at, HASH_TEXT_LEN);
	out[HASH_TEXT_LEN] = '\0';
	return strspn(out, "0123456789abcdef") == HASH_TEXT_LEN;
}

static bool parse_front(const char *at, const char *end, struct sc_record *record)
{
	char kind[KIND_MAX];
	int k;

	if (!skip(&at, end, "{\"seq\":") || !take_seq(&at, end, &record->seq) ||
	    !skip(&at, end, ",\"time\":\"") ||
	    !take_text(&at, end, record->time, sizeof(record->time)) ||
	    !skip(&at, end, "\",\"boot\":\"") ||
	    !take_text(&at, end, record->boot_id, sizeof(record->boot_id)) ||
	    !skip(&at, end, "\",\"kind\":\"") || !take_text(&at, end, kind, sizeof(kind)) ||
	    !skip(&at, end, "\",\"body\":"))
		return false;
	if (end - at < 2 || at[0] != '{' || end[-1] != '}')
		return false;
	k = sc_record_kind_find(kind);
	record->kind = k < 0 ? SC_RECORD_KIND_COUNT : (enum sc_record_kind)k;
	record->body = at;
	record->body_len = (size_t)(end - at);
	return true;
}

int sc_line_parse(const char *text, size_t n, struct sc_line *line)
{
	char hash[SC_HASH_TEXT_MAX];
	const char *prev;
	const char *tail;

	if (n < LINE_LEN_MIN || n >= SC_RECORD_BYTES_MAX)
		return -EBADMSG;
	tail = text + n - TAIL_LEN;
	prev = tail - PREV_LEN;
	if (memcmp(prev, before_prev, sizeof(before_prev) - 1) || tail[-1] != '"' ||
	    memcmp(tail, before_hash + 1, sizeof(before_hash) - 2) ||
	    memcmp(text + n - sizeof(after_hash) + 1, after_hash, sizeof(after_hash) - 1))
		return -EBADMSG;
	if (!take_hash(prev + sizeof(before_prev) - 1, line->prev) ||
	    !take_hash(tail + sizeof(before_hash) - 2, line->hash))
		return -EBADMSG;
	sc_hash_hex(text, n - TAIL_LEN, hash);
	if (memcmp(hash, line->hash, sizeof(hash)) || !parse_front(text, prev, &line->record))
		return -EBADMSG;
	line->record.line = text;
	line->record.line_len = n;
	return 0;
}
