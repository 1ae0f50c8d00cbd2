/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the rules of a cut, in our own network namespace and in every other in which its processes
 * were seen. The namespaces themselves are not held: each is entered through one of its processes
 * and left again, so that it can end with them.
 */
#include "wire/traffic_impl.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

/* Namespaces entered in one call, about a millisecond each; the next call goes on with the others.
 */
#define VISITS_MAX 128

struct visit {
	struct sc_traffic_wire *w;
	struct sc_cut_report *report;
	bool knows_host; /* the list holds all namespaces of the host now */
};

static const enum sc_nft_verdict verdicts[] = {
	[SC_CUT_NONE] = SC_NFT_VERDICT_COUNT,
	[SC_CUT_TRY] = SC_NFT_TRY,
	[SC_CUT_REFUSE_NEW] = SC_NFT_REFUSE_NEW,
	[SC_CUT_REFUSE_ALL] = SC_NFT_REFUSE_ALL,
	[SC_CUT_DROP] = SC_NFT_DROP,
};
_Static_assert(SC_ARRAY_SIZE(verdicts) == SC_CUT_MODE_COUNT, "one verdict each");

struct sc_nft_element sc_traffic_element(const struct sc_cut_entry *entry)
{
	struct sc_nft_element element = {.cgroup_id = entry->cgroup_id,
					 .level = entry->level,
					 .verdict = verdicts[entry->mode]};

	SC_ASSERT(entry->mode != SC_CUT_NONE);
	if (entry->mode != SC_CUT_TRY)
		return element;
	element.number = entry->number;
	element.tries = SC_MIN(entry->tries, (uint32_t)SC_NFT_TRY_MAX);
	element.attempt = entry->attempt;
	if (element.tries == 0)
		element.verdict = SC_NFT_REFUSE_NEW;
	return element;
}

/* Both are by cgroup id ascending. */
static void merge_changes(struct sc_traffic_hand *h, int n)
{
	struct sc_nft_element *next = h->spare;
	uint32_t at = 0, out = 0;

	for (int i = 0; i < n; i++) {
		const struct sc_cut_entry *after = &h->changes[i].after;

		while (at < h->n_elements && h->elements[at].cgroup_id < after->cgroup_id)
			next[out++] = h->elements[at++];
		if (at < h->n_elements && h->elements[at].cgroup_id == after->cgroup_id)
			at++;
		if (after->mode != SC_CUT_NONE)
			next[out++] = sc_traffic_element(after);
	}
	while (at < h->n_elements)
		next[out++] = h->elements[at++];
	h->spare = h->elements;
	h->elements = next;
	h->n_elements = out;
}

/* A gate that was detached holds nothing. */
static bool has_gate(const struct sc_traffic_wire *w)
{
	return atomic_load(&w->gate) && !atomic_load(&w->is_gate_lost);
}

static bool is_needed(const struct sc_traffic_space *space)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(space->cuts); i++)
		if (space->cuts[i])
			return true;
	return false;
}

/* Which namespaces are to be looked at because of this cut: those that hold it, those where its
 * processes are now; and when one ends, what a predecessor left where nobody is cut. */
static int note_spaces(struct visit *v, const struct sc_cut *cut)
{
	struct sc_traffic_hand *h = &v->w->hand;
	uint32_t word = cut->number / 32, bit = 1U << cut->number % 32;
	bool is_end = cut->mode == SC_CUT_NONE;
	int r = is_end ? 0 : sc_traffic_note_spaces(v->w, cut, &h->list, &h->spaces);

	for (uint32_t i = 0; i < h->spaces.n; i++) {
		struct sc_traffic_space *space = &h->spaces.item[i];

		space->is_due |= space->cuts[word] & bit || (is_end && space->is_orphan);
		if (is_end)
			space->cuts[word] &= ~bit;
	}
	if (r == -E2BIG)
		return sc_traffic_fail(v->report, r,
				       "rules: more processes or network namespaces than can be "
				       "looked at");
	return r < 0 ? sc_traffic_fail(v->report, r, "rules: cannot list network namespaces: %s",
				       strerror(-r))
		     : 0;
}

/* A descriptor of the namespace, through another process when the one known has gone. -ESTALE when
 * there is none in it any more. */
static int enter(struct visit *v, struct sc_traffic_space *space)
{
	struct sc_netns_list *list = &v->w->hand.list;
	int fd = sc_netns_open(space->pid, space->inode), r;

	if (fd != -ESRCH && fd != -ESTALE)
		return fd;
	if (!v->knows_host) {
		sc_netns_list_init(list);
		r = sc_netns_list_host(list);
		if (r < 0)
			return r;
		v->knows_host = true;
	}
	for (uint32_t i = 0; i < list->n; i++) {
		if (list->found[i].inode != space->inode)
			continue;
		space->pid = list->found[i].pid;
		return sc_netns_open(space->pid, space->inode);
	}
	return list->is_all ? -ESTALE : -E2BIG;
}

/* 1 when the namespace needs no place any more, 0 when it holds what it shall, or -errno. */
static int visit_space(struct visit *v, struct sc_traffic_space *space)
{
	struct sc_traffic_hand *h = &v->w->hand;
	_cleanup_nft_ struct sc_nft *nft = NULL;
	_cleanup_close_ int fd = enter(v, space);
	struct sc_nft_want want = {.elements = h->spare, .has_gate = has_gate(v->w)};
	struct sc_diag diag = {0};
	int r;

	if (fd == -ESTALE || fd == -ESRCH)
		return 1;
	want.n = sc_traffic_pick(h->ruled, space, h->spare);
	r = fd < 0 ? fd : sc_nft_open(&nft, fd, v->w->table, &diag);
	if (r == 0 && is_needed(space))
		r = sc_nft_set(nft, &want, &diag);
	else if (r == 0)
		r = sc_nft_delete(nft, &diag);
	if (r < 0)
		return sc_traffic_fail(v->report, r, "rules in net:[%llu]: %s",
				       (unsigned long long)space->inode,
				       diag.text[0] ? diag.text : strerror(-r));
	space->is_due = false;
	return !is_needed(space);
}

/* Brings those that are due up to date. 0 when all are, 1 when some are left for the next call, or
 * the first -errno. */
static int visit_spaces(struct visit *v)
{
	struct sc_traffic_spaces *spaces = &v->w->hand.spaces;
	uint32_t visits = 0, left = 0, kept = 0;
	int first = 0;

	for (uint32_t i = 0; i < spaces->n; i++) {
		bool is_now = spaces->item[i].is_due && visits < VISITS_MAX;
		int r = is_now ? visit_space(v, &spaces->item[i]) : 0;

		visits += is_now;
		left += spaces->item[i].is_due && !is_now;
		first = r < 0 && first == 0 ? r : first;
		if (r != 1)
			spaces->item[kept++] = spaces->item[i];
	}
	spaces->n = kept;
	if (left && !v->report->text[0])
		snprintf(v->report->text, sizeof(v->report->text),
			 "rules: %u network namespaces are left for the next time", left);
	return first < 0 ? first : left > 0;
}

static int set_own(struct sc_traffic_wire *w, struct sc_cut_report *report)
{
	struct sc_nft_want want = {
		.elements = w->hand.elements, .n = w->hand.n_elements, .has_gate = has_gate(w)};
	struct sc_diag diag = {0};
	int r = sc_nft_set(w->hand.nft, &want, &diag);

	return r < 0 ? sc_traffic_fail(report, r, "rules: %s",
				       diag.text[0] ? diag.text : strerror(-r))
		     : 0;
}

/* Of any cut. */
static uint32_t count_holders(const struct sc_traffic_wire *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->hand.spaces.n; i++)
		n += is_needed(&w->hand.spaces.item[i]);
	return n;
}

int sc_traffic_set_rules(void *ctx, const struct sc_cut *cut, struct sc_cut_report *report)
{
	struct sc_traffic_wire *w = ctx;
	struct visit v = {.w = w, .report = report};
	int n = sc_cuts_set(w->hand.ruled, cut, w->hand.changes), own, noted, others;

	if (n < 0)
		return sc_traffic_fail(report, n, "rules: %s", strerror(-n));
	merge_changes(&w->hand, n);
	if (!atomic_load(&w->has_nft))
		return cut->mode == SC_CUT_NONE
			       ? 0
			       : sc_traffic_fail(report, -EOPNOTSUPP,
						 "rules: nf_tables cannot be used here");
	report->rules_begin_ns = sc_mono_ns();
	own = set_own(w, report);
	noted = note_spaces(&v, cut);
	others = visit_spaces(&v);
	report->rules_end_ns = sc_mono_ns();
	report->has_rules = cut->mode != SC_CUT_NONE && own == 0 && noted == 0 && others == 0;
	report->namespaces = 1 + count_holders(w);
	if (own < 0 || noted < 0)
		return own < 0 ? own : noted;
	return SC_MIN(others, 0);
}

int sc_traffic_adopt_spaces(struct sc_traffic_wire *w)
{
	struct sc_traffic_hand *h = &w->hand;
	int r;

	sc_netns_list_init(&h->list);
	r = sc_netns_list_host(&h->list);
	for (uint32_t i = 0; i < h->list.n && r == 0; i++) {
		const struct sc_netns_found *found = &h->list.found[i];
		_cleanup_nft_ struct sc_nft *nft = NULL;
		_cleanup_close_ int fd = -1;
		struct sc_traffic_space *space;

		if (found->inode == w->own_space)
			continue;
		fd = sc_netns_open(found->pid, found->inode);
		if (fd < 0 || sc_nft_open(&nft, fd, w->table, NULL) < 0 || sc_nft_exists(nft) != 1)
			continue;
		space = sc_traffic_space_of(&h->spaces, found->inode);
		if (!space)
			return -E2BIG;
		space->pid = found->pid;
		space->is_orphan = true;
	}
	return r;
}

int sc_traffic_delete_tables(struct sc_traffic_wire *w, struct sc_cut_report *report)
{
	struct visit v = {.w = w, .report = report};
	struct sc_traffic_hand *h = &w->hand;
	struct sc_diag diag = {0};
	int first = sc_nft_delete(h->nft, &diag), r = 1;

	if (first < 0)
		sc_traffic_fail(report, first, "rules: %s", diag.text);
	for (uint32_t i = 0; i < h->spaces.n; i++) {
		memset(h->spaces.item[i].cuts, 0, sizeof(h->spaces.item[i].cuts));
		h->spaces.item[i].is_due = true;
	}
	/* Each round leaves fewer that are due, or fails. */
	while (r == 1)
		r = visit_spaces(&v);
	return first < 0 ? first : r;
}
