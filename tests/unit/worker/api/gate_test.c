/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/api/gate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES (64 * 1024)
#define SPLITS_MAX     400

static const char good[] = "GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n";

/* What the gate says when the bytes come in two pieces; passed: how many it lets through. */
static unsigned int status_of(const char *data, size_t n, size_t split, size_t *passed)
{
	static struct sc_gate g;

	sc_gate_init(&g);
	*passed = sc_gate_feed(&g, data, split);
	if (g.status == 0)
		*passed = split + sc_gate_feed(&g, data + split, n - split);
	return g.status;
}

static size_t unescape(char *text)
{
	char *out = text;

	for (char *p = text; *p; p++) {
		if (*p != '\\') {
			*out++ = *p;
			continue;
		}
		p++;
		if (*p == 'x') {
			const char hex[] = {p[1], p[2], '\0'};

			*out++ = (char)strtoul(hex, NULL, 16);
			p += 2;
		} else {
			*out++ = (char)(*p == 'r'   ? '\r'
					: *p == 'n' ? '\n'
					: *p == 't' ? '\t'
						    : *p);
		}
	}
	return (size_t)(out - text);
}

/* Statuses that only the gate gives; the others are of what comes after it. */
static bool is_of_gate(unsigned int status)
{
	return status == 400 || status == 411 || status == 413 || status == 414 || status == 417 ||
	       status == 431 || status == 501 || status == 505;
}

static void check_row(char *row)
{
	char *end;
	unsigned int want = (unsigned int)strtoul(row, &end, 10);
	char *name = end + 1;
	char *data = strchr(name, '\t');
	size_t n, passed;

	*data++ = '\0';
	data[strcspn(data, "\n")] = '\0';
	n = unescape(data);
	want = is_of_gate(want) ? want : 0;
	for (size_t split = 0; split <= n && split < SPLITS_MAX; split++)
		cr_assert_eq(status_of(data, n, split, &passed), want, "%s, split at %zu", name,
			     split);
}

Test(gate, corpus_has_its_verdict_however_the_bytes_arrive)
{
	static char row[LINE_MAX_BYTES];
	FILE *f = fopen("tests/corpus/http/requests.tsv", "re");
	unsigned int rows = 0;

	cr_assert_not_null(f);
	while (fgets(row, sizeof(row), f)) {
		if (row[0] == '#')
			continue;
		check_row(row);
		rows++;
	}
	fclose(f);
	cr_assert_geq(rows, 300);
}

Test(gate, lets_the_good_requests_before_a_bad_one_pass)
{
	char data[256];
	size_t n = (size_t)snprintf(data, sizeof(data), "%s%sGET /\n\n", good, good);
	size_t passed;

	cr_assert_eq(status_of(data, n, 0, &passed), 400);
	cr_assert_eq(passed, 2 * strlen(good));
}

Test(gate, counts_whole_heads_and_knows_when_a_request_is_under_way)
{
	static struct sc_gate g;
	const char post[] = "POST /v1/fire HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n{}";

	sc_gate_init(&g);
	cr_assert_eq(sc_gate_feed(&g, good, strlen(good)), strlen(good));
	cr_assert_eq(g.heads, 1);
	cr_assert_not(g.has_begun);
	cr_assert_eq(sc_gate_feed(&g, post, strlen(post)), strlen(post));
	cr_assert_eq(g.heads, 2);
	cr_assert(g.has_begun, "two bytes of the body are missing");
	cr_assert_eq(sc_gate_feed(&g, "{}", 2), 2);
	cr_assert_not(g.has_begun);
}

Test(gate, takes_a_head_and_a_body_of_just_the_limit)
{
	static char data[SC_GATE_HEAD_MAX + 2];
	static struct sc_gate g;
	size_t passed;
	int n = snprintf(data, sizeof(data), "GET / HTTP/1.1\r\nHost: h\r\nX: ");

	memset(data + n, 'a', sizeof(data) - (size_t)n);
	memcpy(data + SC_GATE_HEAD_MAX - 4, "\r\n\r\n", 4);
	cr_assert_eq(status_of(data, SC_GATE_HEAD_MAX, 0, &passed), 0);
	memcpy(data + SC_GATE_HEAD_MAX - 4, "a\r\n\r\n", 5);
	cr_assert_eq(status_of(data, SC_GATE_HEAD_MAX + 1, 0, &passed), 431);
	n = snprintf(data, sizeof(data), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n",
		     SC_GATE_BODY_MAX);
	sc_gate_init(&g);
	cr_assert_eq(sc_gate_feed(&g, data, (size_t)n), (size_t)n);
	cr_assert_eq(g.body_left, SC_GATE_BODY_MAX);
}

Test(gate, lets_nothing_pass_after_a_refusal)
{
	static struct sc_gate g;

	sc_gate_init(&g);
	cr_assert_eq(sc_gate_feed(&g, "\n", 1), 0);
	cr_assert_eq(g.status, 400);
	cr_assert_eq(sc_gate_feed(&g, good, strlen(good)), 0);
}
