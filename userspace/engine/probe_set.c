/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of each probe: answers, counters, reasons. No clock, no engine: time is given. */
#include "engine/probe_set.h"

#include "base/mem.h"
#include "record/redact.h"

#include <string.h>

_Static_assert(SC_CONFIG_NAMES_MAX <= SC_PROBES_MAX, "a plan takes every probe that is declared");

static const char *const fault_names[] = {
	[SC_PROBE_FAULT_BUDGET] = "budget", [SC_PROBE_FAULT_START] = "start",
	[SC_PROBE_FAULT_EXIT] = "exit",     [SC_PROBE_FAULT_OUTPUT] = "output",
	[SC_PROBE_FAULT_ANSWER] = "answer", [SC_PROBE_FAULT_CONNECT] = "connect",
	[SC_PROBE_FAULT_HTTP] = "http",     [SC_PROBE_FAULT_OTHER] = "other",
};
_Static_assert(SC_ARRAY_SIZE(fault_names) == SC_PROBE_FAULT_COUNT, "a name for each");

const char *sc_probe_fault_name(enum sc_probe_fault fault)
{
	SC_ASSERT((unsigned int)fault < SC_PROBE_FAULT_COUNT);
	return fault_names[fault];
}

enum sc_probe_fault sc_probe_fault_find(const char *name)
{
	for (int i = 0; name && i < SC_PROBE_FAULT_COUNT; i++)
		if (strcmp(fault_names[i], name) == 0)
			return (enum sc_probe_fault)i;
	return SC_PROBE_FAULT_OTHER;
}

static bool are_same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool are_equal(const struct sc_probe *a, const struct sc_probe *b)
{
	return strcmp(a->name, b->name) == 0 && a->kind == b->kind &&
	       are_same_text(a->url, b->url) && are_same_text(a->token_file, b->token_file) &&
	       sc_texts_equal(&a->command, &b->command) && a->budget_ns == b->budget_ns &&
	       a->every_ns == b->every_ns;
}

static const struct sc_probe_state *find_equal(const struct sc_probe_set *old,
					       const struct sc_probe *probe, size_t *at)
{
	for (size_t i = 0; old && i < old->n; i++) {
		if (!are_equal(&old->probe[i], probe))
			continue;
		*at = i;
		return &old->state[i];
	}
	return NULL;
}

/* True when it was there before, as it is. */
static bool add(struct sc_probe_set *set, size_t i, const struct sc_probe_set *old, uint64_t now_ns)
{
	const struct sc_probe *probe = &set->probe[i];
	size_t at = 0;
	const struct sc_probe_state *known = find_equal(old, probe, &at);

	if (known) {
		set->state[i] = *known;
		set->answer[i] = old->answer[at];
		return at == i;
	}
	set->state[i] = (struct sc_probe_state){.unknown_ns = now_ns};
	set->answer[i] = (struct sc_probe_answer){
		.truth = SC_UNKNOWN,
		.valid_ns = 2 * probe->every_ns + probe->budget_ns,
	};
	return false;
}

struct sc_probe_set *sc_probe_set_new(const struct sc_config *config,
				      const struct sc_probe_set *old, uint64_t now_ns)
{
	_cleanup_(sc_probe_set_free) struct sc_probe_set *set = calloc(1, sizeof(*set));
	bool is_same;

	if (!set)
		return NULL;
	set->n = config->probe_count;
	set->probe = config->probes;
	set->state = calloc(set->n + 1, sizeof(*set->state));
	set->answer = calloc(set->n + 1, sizeof(*set->answer));
	if (!set->state || !set->answer)
		return NULL;
	is_same = old && old->n == set->n;
	for (size_t i = 0; i < set->n; i++)
		is_same = add(set, i, old, now_ns) && is_same;
	set->generation = (old ? old->generation : 0) + !is_same;
	return SC_TAKE_PTR(set);
}

void sc_probe_set_free(struct sc_probe_set **set)
{
	struct sc_probe_set *s = SC_TAKE_PTR(*set);

	if (!s)
		return;
	free(s->state);
	free(s->answer);
	free(s);
}

static int find(const struct sc_probe_set *set, const char *name)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->probe[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* A secret in it must not reach people, nor a byte that their terminal obeys. */
static void keep_why(struct sc_probe_state *s, const char *why)
{
	char room[sizeof(s->why)];
	struct sc_str clean, shown;

	sc_str_init(&clean, room, sizeof(room));
	sc_redact(&clean, why ? why : "the worker says no reason");
	sc_str_init(&shown, s->why, sizeof(s->why));
	sc_str_add_printable(&shown, clean.data, clean.len);
}

bool sc_probe_set_take(struct sc_probe_set *set, const struct sc_probe_report *report,
		       uint64_t now_ns)
{
	int i = report->generation == set->generation ? find(set, report->name) : -1;
	struct sc_probe_answer *answer;
	struct sc_probe_state *s;

	if (i < 0)
		return false;
	s = &set->state[i];
	answer = &set->answer[i];
	s->runs++;
	s->took_us = report->took_us;
	s->took_us_max = SC_MAX(s->took_us_max, report->took_us);
	if (report->truth == SC_UNKNOWN) {
		s->unknown[report->fault]++;
		if (!sc_probe_answer_is_unknown(answer, now_ns))
			s->unknown_ns = now_ns;
		else if (answer->truth != SC_UNKNOWN) /* it was too old already */
			s->unknown_ns = answer->at_ns + answer->valid_ns;
		keep_why(s, report->why);
	} else {
		s->answers[report->truth]++;
	}
	answer->truth = report->truth;
	answer->at_ns = now_ns;
	return true;
}

bool sc_probe_answer_is_unknown(const struct sc_probe_answer *answer, uint64_t now_ns)
{
	return answer->truth == SC_UNKNOWN || answer->at_ns == 0 ||
	       (now_ns > answer->at_ns && now_ns - answer->at_ns > answer->valid_ns);
}

uint64_t sc_probe_set_unknown_for_ns(const struct sc_probe_set *set, size_t i, uint64_t now_ns)
{
	const struct sc_probe_answer *answer = &set->answer[i];
	uint64_t since_ns = set->state[i].unknown_ns;

	if (!sc_probe_answer_is_unknown(answer, now_ns))
		return 0;
	if (answer->truth != SC_UNKNOWN)
		since_ns = answer->at_ns + answer->valid_ns;
	return now_ns > since_ns ? now_ns - since_ns : 0;
}
