/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the world with the cuts, for the collector: it works from the cuts it is handed, over
 * netlink sockets of its own, and shares nothing with the hand but the gate, which allows it. The
 * cuts handed may be some of all, so what is there beyond them is no difference.
 */
#include "wire/traffic_impl.h"

#include "base/str.h"

#include <errno.h>
#include <string.h>

#define TRIES 3 /* of a comparison while others change the rules */

static int by_id(const void *a, const void *b)
{
	const struct sc_cut_entry *x = a, *y = b;

	return (x->cgroup_id > y->cgroup_id) - (x->cgroup_id < y->cgroup_id);
}

/* What shall be held, from the cuts alone. */
static int compute(struct sc_traffic_auditor *a, const struct sc_cut *cuts, uint32_t n)
{
	sc_cuts_clear(a->cuts);
	for (uint32_t i = 0; i < n; i++) {
		int r = sc_cuts_set(a->cuts, &cuts[i], NULL);

		if (r < 0)
			return r;
	}
	a->n = sc_cuts_entries(a->cuts, a->entries);
	qsort(a->entries, a->n, sizeof(*a->entries), by_id);
	for (uint32_t i = 0; i < a->n; i++)
		a->elements[i] = sc_traffic_element(&a->entries[i]);
	return 0;
}

static void note(struct sc_cut_audit *out, const char *where, const char *what)
{
	struct sc_str s;

	if (out->text[0])
		return;
	sc_str_init(&s, out->text, sizeof(out->text));
	sc_str_addf(&s, "%s: %s", where, what);
}

/* One of the cuts that were not handed may hold the cgroup as hard, or harder. */
static bool is_held_by(const struct sc_gate *gate, const struct sc_cut_entry *entry,
		       const struct sc_gate_entry *there)
{
	return there->cut == entry->number ||
	       sc_gate_cut(gate, there->cut)->mode >= (uint32_t)entry->mode;
}
_Static_assert((int)SC_GATE_DROP == (int)SC_CUT_DROP, "both order modes alike");

static int audit_gate(struct sc_traffic_wire *w, const struct sc_gate *gate,
		      struct sc_cut_audit *out)
{
	struct sc_traffic_auditor *a = &w->auditor;
	struct sc_gate_health health = {0};
	int r = sc_gate_audit(gate, &health);

	if (r < 0)
		return r;
	if (health.lost > 0) {
		out->is_gate_lost = true;
		atomic_store(&w->is_gate_lost, true);
		note(out, "gate", health.what);
	}
	for (uint32_t i = 0; i < a->n; i++) {
		struct sc_gate_entry entry;
		char what[48];

		r = sc_gate_look(gate, a->entries[i].cgroup_id, &entry);
		if (r == 0 && is_held_by(gate, &a->entries[i], &entry))
			continue;
		if (r < 0 && r != -ENOENT)
			return r;
		out->missing++;
		snprintf(what, sizeof(what), "cgroup %llu has no entry",
			 (unsigned long long)a->entries[i].cgroup_id);
		note(out, "gate", what);
	}
	return 0;
}

static void add(struct sc_nft_counts *sum, const struct sc_nft_counts *more)
{
	sum->packets_in += more->packets_in;
	sum->bytes_in += more->bytes_in;
	sum->packets_out += more->packets_out;
	sum->bytes_out += more->bytes_out;
	/* All elements of a cut tell the same. */
	sum->passed = SC_MAX(sum->passed, more->passed);
}

/* How the rules of one namespace differ from these elements; a->counts has what they counted. */
static int compare(struct sc_traffic_wire *w, struct sc_nft *nft,
		   const struct sc_nft_element *elements, uint32_t n, struct sc_nft_audit *rules)
{
	struct sc_nft_want want = {
		.elements = elements,
		.n = n,
		.has_gate = atomic_load(&w->gate) && !atomic_load(&w->is_gate_lost),
	};
	struct sc_diag diag = {0};
	int r = -EBUSY;

	*rules = (struct sc_nft_audit){0};
	/* A set that goes between two questions is not found. */
	for (int i = 0; i < TRIES && (r == -EBUSY || r == -ENOENT); i++)
		r = sc_nft_compare(nft, &want, w->auditor.counts, rules, &diag);
	if (r < 0)
		sc_strcopy(rules->text, sizeof(rules->text),
			   diag.text[0] ? diag.text : strerror(-r));
	/* What other cuts need beside their elements looks like damage too, and so does a gate that
	 * is being repaired: neither shall be told as somebody's doing. */
	else if (rules->is_damaged && !rules->foreign && !atomic_load(&w->is_gate_lost))
		rules->missing = SC_MAX(rules->missing, 1U);
	return r;
}

/* Notes what is missing, or why it cannot be known; returns r. */
static int take(int r, const struct sc_nft_audit *rules, const char *where,
		struct sc_cut_audit *out)
{
	if (r < 0 || rules->missing)
		note(out, where, rules->text[0] ? rules->text : "rules are missing");
	out->missing += r < 0 ? 0 : rules->missing;
	return r;
}

static void add_counts(struct sc_traffic_auditor *a, const struct sc_nft_element *elements,
		       uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t number = sc_cuts_entry(a->cuts, elements[i].cgroup_id).number;

		add(&a->seen[number], &a->counts[i]);
	}
}

static int audit_own(struct sc_traffic_wire *w, struct sc_cut_audit *out)
{
	struct sc_traffic_auditor *a = &w->auditor;
	struct sc_nft_audit rules;
	struct sc_diag diag = {0};
	int r = a->nft ? 0 : sc_nft_open(&a->nft, -1, w->table, &diag);

	if (r < 0) {
		note(out, "rules", diag.text);
		return r;
	}
	r = compare(w, a->nft, a->elements, a->n, &rules);
	if (r == 0)
		add_counts(a, a->elements, a->n);
	return take(r, &rules, "rules", out);
}

/*
 * What is not there for a cut that was not known in this namespace is nobody's doing: its processes
 * came lately. For the others, it is.
 */
static int judge_space(struct sc_traffic_wire *w, struct sc_nft *nft,
		       const struct sc_traffic_space *space, const char *where,
		       struct sc_cut_audit *out)
{
	struct sc_traffic_auditor *a = &w->auditor;
	uint32_t n = sc_traffic_pick(a->cuts, space, a->picked);
	struct sc_traffic_space *known = sc_traffic_space_of(&a->known, space->inode);
	struct sc_nft_audit rules;
	int r = compare(w, nft, a->picked, n, &rules);

	if (r < 0)
		return take(r, &rules, where, out);
	add_counts(a, a->picked, n);
	if (rules.missing == 0) {
		if (known)
			memcpy(known->cuts, space->cuts, sizeof(known->cuts));
		return 0;
	}
	for (size_t i = 0; known && i < SC_ARRAY_SIZE(known->cuts); i++)
		known->cuts[i] &= space->cuts[i];
	n = known ? sc_traffic_pick(a->cuts, known, a->picked) : 0;
	if (n > 0)
		r = compare(w, nft, a->picked, n, &rules);
	if (n == 0 || (r == 0 && rules.missing == 0)) {
		out->new_spaces++;
		return 0;
	}
	return take(r, &rules, where, out);
}

static int audit_space(struct sc_traffic_wire *w, const struct sc_traffic_space *space,
		       struct sc_cut_audit *out)
{
	_cleanup_nft_ struct sc_nft *nft = NULL;
	_cleanup_close_ int fd = sc_netns_open(space->pid, space->inode);
	struct sc_diag diag = {0};
	char where[48];
	int r = fd;

	if (fd == -ESRCH || fd == -ESTALE)
		return 0;
	snprintf(where, sizeof(where), "rules in net:[%llu]", (unsigned long long)space->inode);
	if (r >= 0)
		r = sc_nft_open(&nft, fd, w->table, &diag);
	if (r < 0) {
		note(out, where, diag.text[0] ? diag.text : strerror(-r));
		return r;
	}
	return judge_space(w, nft, space, where, out);
}

/* Forgets what was known of namespaces that have gone or that no cut is in: a number may pass to
 * another one. */
static void forget_known(struct sc_traffic_auditor *a)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < a->known.n; i++)
		if (sc_traffic_space_find(&a->spaces, a->known.item[i].inode))
			a->known.item[kept++] = a->known.item[i];
	a->known.n = kept;
}

static int audit_spaces(struct sc_traffic_wire *w, const struct sc_cut *cuts, uint32_t n,
			struct sc_cut_audit *out)
{
	struct sc_traffic_auditor *a = &w->auditor;
	int r = 0;

	a->spaces.n = 0;
	/* More than can be looked at is told by the set. */
	for (uint32_t i = 0; i < n && (r == 0 || r == -E2BIG); i++)
		r = sc_traffic_note_spaces(w, &cuts[i], &a->list, &a->spaces);
	if (r < 0 && r != -E2BIG)
		return r;
	forget_known(a);
	r = 0;
	for (uint32_t i = 0; i < a->spaces.n && r == 0; i++)
		r = audit_space(w, &a->spaces.item[i], out);
	return r;
}

/* What was counted since the last look: a number that went back began again from zero. */
static void carry(uint64_t *sum, uint64_t *last, uint64_t now, bool counts)
{
	if (counts)
		*sum += now >= *last ? now - *last : now;
	*last = now;
}

static void tell_counts(struct sc_traffic_wire *w, const struct sc_gate *gate,
			const struct sc_cut *cut, struct sc_cut_counts *out)
{
	struct sc_traffic_carry *c = &w->auditor.carries[cut->number];
	const struct sc_nft_counts *now = &w->auditor.seen[cut->number];
	/* What the rules only pass on to the gate is counted there. */
	bool counts = cut->mode != SC_CUT_DROP || !gate;

	if (strcmp(c->fire_id, cut->fire_id) != 0) {
		*c = (struct sc_traffic_carry){0};
		sc_strcopy(c->fire_id, sizeof(c->fire_id), cut->fire_id);
	}
	carry(&c->sum.packets_in, &c->seen.packets_in, now->packets_in, counts);
	carry(&c->sum.bytes_in, &c->seen.bytes_in, now->bytes_in, counts);
	carry(&c->sum.packets_out, &c->seen.packets_out, now->packets_out, counts);
	carry(&c->sum.bytes_out, &c->seen.bytes_out, now->bytes_out, counts);
	sc_traffic_count(w, cut->number, out);
	out->packets_in += c->sum.packets_in;
	out->bytes_in += c->sum.bytes_in;
	out->packets_out += c->sum.packets_out;
	out->bytes_out += c->sum.bytes_out;
	if (!gate)
		out->passed = now->passed;
	else if (w->auditor.tops[cut->number].packets) {
		out->top_packets = w->auditor.tops[cut->number].packets;
		sc_gate_peer_text(&w->auditor.tops[cut->number].peer, out->top);
	}
}
_Static_assert(sizeof(((struct sc_cut_counts *)0)->top) >= SC_GATE_PEER_TEXT_MAX, "it fits");

int sc_traffic_audit(void *ctx, const struct sc_cut *cuts, uint32_t n, struct sc_cut_counts *counts,
		     struct sc_cut_audit *out)
{
	struct sc_traffic_wire *w = ctx;
	struct sc_traffic_auditor *a = &w->auditor;
	const struct sc_gate *gate = atomic_load(&w->gate);
	int r;

	*out = (struct sc_cut_audit){0};
	memset(a->seen, 0, sizeof(a->seen));
	memset(a->tops, 0, sizeof(a->tops));
	r = compute(a, cuts, n);
	if (r == 0 && gate)
		r = audit_gate(w, gate, out);
	if (r == 0 && gate)
		r = sc_gate_tops(gate, a->tops);
	if (r == 0 && atomic_load(&w->has_nft))
		r = audit_own(w, out);
	if (r == 0 && atomic_load(&w->has_nft))
		r = audit_spaces(w, cuts, n, out);
	if (r < 0) {
		note(out, "audit", strerror(-r));
		return r;
	}
	for (uint32_t i = 0; i < n; i++)
		tell_counts(w, gate, &cuts[i], &counts[cuts[i].number]);
	out->differs = out->missing > 0 || out->is_gate_lost;
	if (!out->differs && out->new_spaces)
		snprintf(out->text, sizeof(out->text), "network namespaces without rules: %u",
			 out->new_spaces);
	return 0;
}
