/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a component's breaker, and how hard something is cut. */
#include "config/keys.h"

#define COUNT_MAX 1000000

void sc_read_cut_mode(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		      void *field)
{
	static const char *const words[] = {"new", "all", NULL};
	unsigned int word;

	if (sc_read_word(r, v, key, words, &word))
		*(enum sc_cut_mode *)field = word ? SC_CUT_REFUSE_ALL : SC_CUT_REFUSE_NEW;
}

/* Faults stand at the key that can be changed, or where it would be. */
static const struct sc_value *place(const struct sc_value *v, const char *key)
{
	const struct sc_value *at = sc_value_find(v, key);

	return at ? at : v;
}

static void check_waits(struct sc_reader *r, const struct sc_value *v,
			const struct sc_breaker_spec *b)
{
	char buf[64];
	struct sc_str max;

	if (b->open_ns <= b->open_max_ns)
		return;
	sc_str_init(&max, buf, sizeof(buf));
	sc_condition_duration(&max, b->open_max_ns);
	sc_fault(r, place(v, "open"), "open is longer than open_max, which is %s; raise open_max",
		 buf);
}

void sc_read_breaker(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		     void *field)
{
	struct sc_component *component = field;
	struct sc_breaker_spec *b = &component->breaker;
	size_t faults = r->faults->n;

	(void)key;
	sc_breaker_spec_init(b);
	component->has_breaker = true;
	sc_keys_read(r, v, &sc_breaker_keys, component, false);
	if (r->faults->n > faults)
		return;
	check_waits(r, v, b);
	if (b->successes > b->tries)
		sc_fault(r, place(v, "successes"),
			 "%u successes of %u tries can never be; raise tries", b->successes,
			 b->tries);
}

#define BREAKER(member) offsetof(struct sc_component, breaker.member)

/* clang-format off */
static const struct sc_key breaker_keys[] = {
	{.name = "live", .read = sc_read_bool, .offset = BREAKER(live), .type = "true or false", .fallback = "false", .text = "false: it goes through its states and cuts nothing (metrics-only)"},
	{.name = "mode", .read = sc_read_cut_mode, .offset = BREAKER(mode), .type = "new or all", .fallback = "new", .text = "open: new TCP connections are refused, or all traffic"},
	{.name = "failures", .read = sc_read_number, .offset = BREAKER(failures), .min = 1, .max = COUNT_MAX, .type = "number", .fallback = "5", .text = "failures in a row that open it: connections from inside that fail, unexpected exits"},
	{.name = "open", .read = sc_read_wait, .offset = BREAKER(open_ns), .type = "duration", .fallback = "30s", .text = "how long it is open before it is half-open; doubles with each half-open that fails"},
	{.name = "open_max", .read = sc_read_wait, .offset = BREAKER(open_max_ns), .type = "duration", .fallback = "300s", .text = "the longest it is open at one time"},
	{.name = "tries", .read = sc_read_number, .offset = BREAKER(tries), .min = 1, .max = COUNT_MAX, .type = "number", .fallback = "3", .text = "new connections let through while half-open"},
	{.name = "half_open", .read = sc_read_wait, .offset = BREAKER(half_open_ns), .type = "duration", .fallback = "30s", .text = "how long it waits for them to come to something; then it is open again"},
	{.name = "successes", .read = sc_read_number, .offset = BREAKER(successes), .min = 1, .max = COUNT_MAX, .type = "number", .fallback = "1", .text = "of these connections that must be established to close it"},
	{.name = "failure", .read = sc_read_text, .offset = offsetof(struct sc_component, failure), .type = "predicate", .fallback = "the counters", .text = "instead of them: true in a tick is one failure, but not while half-open; judged on the host, so name the cgroups in any() or count()"},
	{.name = "success", .read = sc_read_text, .offset = offsetof(struct sc_component, success), .type = "predicate", .fallback = "the counters", .text = "likewise, one success"},
};
/* clang-format on */

const struct sc_key_table sc_breaker_keys = {"a breaker", breaker_keys,
					     SC_ARRAY_SIZE(breaker_keys)};
