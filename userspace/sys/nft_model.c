/* SPDX-License-Identifier: Apache-2.0 */
/* The table as a function of what is wanted, and what lies between two of them. Pure. */
#include "sys/nft_impl.h"

#include <errno.h>
#include <string.h>

#define ELEMENTS_MIN 1024
#define CHANGES_MIN  64

void sc_nft_model_done(struct sc_nft_model *m)
{
	free(m->elements);
	free(m->counts);
	m->elements = NULL;
	m->counts = NULL;
	m->n = m->cap = 0;
}

int sc_nft_model_reserve(struct sc_nft_model *m, uint32_t n)
{
	uint32_t cap = SC_MAX(m->cap, (uint32_t)ELEMENTS_MIN);
	struct sc_nft_element *elements;
	struct sc_nft_counts *counts;

	if (n <= m->cap)
		return 0;
	while (cap < n)
		cap *= 2;
	elements = realloc(m->elements, cap * sizeof(*elements));
	if (!elements)
		return -ENOMEM;
	m->elements = elements;
	counts = realloc(m->counts, cap * sizeof(*counts));
	if (!counts)
		return -ENOMEM;
	m->counts = counts;
	m->cap = cap;
	return 0;
}

static int check_try(const struct sc_nft_model *m, const struct sc_nft_element *e,
		     struct sc_diag *diag)
{
	const struct sc_nft_try *try;

	if (e->number >= SC_NFT_TRIES_MAX || !e->tries || e->tries > SC_NFT_TRY_MAX)
		return sc_diag_set(diag, -EINVAL, 0, 0,
				   "an allowance of %u tries with number %u is out of range",
				   e->tries, e->number);
	try = &m->tries[e->number];
	if (try->tries && (try->tries != e->tries || try->attempt != e->attempt))
		return sc_diag_set(diag, -EINVAL, 0, 0,
				   "two cgroups tell different allowances with number %u",
				   e->number);
	return 0;
}

static int check(const struct sc_nft_model *m, const struct sc_nft_want *want, uint32_t i,
		 struct sc_diag *diag)
{
	const struct sc_nft_element *e = &want->elements[i];

	if (i > 0 && e[-1].cgroup_id >= e->cgroup_id)
		return sc_diag_set(diag, -EINVAL, 0, 0, "cgroup ids are not ascending");
	if (e->level < 1 || e->level > SC_NFT_LEVEL_MAX)
		return sc_diag_set(diag, -EINVAL, 0, 0,
				   "a cgroup of level %u; only 1 to %d can be cut", e->level,
				   SC_NFT_LEVEL_MAX);
	if (e->verdict >= SC_NFT_VERDICT_COUNT)
		return sc_diag_set(diag, -EINVAL, 0, 0, "no verdict has number %d",
				   (int)e->verdict);
	return e->verdict == SC_NFT_TRY ? check_try(m, e, diag) : 0;
}

int sc_nft_model_of(struct sc_nft_model *m, const struct sc_nft_want *want, struct sc_diag *diag)
{
	int r;

	if (want->n > SC_NFT_ELEMENTS_MAX)
		return sc_diag_set(diag, -EINVAL, 0, 0, "%u cgroups; at most %d can be cut",
				   want->n, SC_NFT_ELEMENTS_MAX);
	r = sc_nft_model_reserve(m, want->n);
	if (r < 0)
		return r;
	memset(m->levels, 0, sizeof(m->levels));
	memset(m->tries, 0, sizeof(m->tries));
	for (uint32_t i = 0; i < want->n; i++) {
		const struct sc_nft_element *e = &want->elements[i];

		r = check(m, want, i, diag);
		if (r < 0)
			return r;
		m->levels[e->verdict] |= 1U << e->level;
		if (e->verdict == SC_NFT_TRY)
			m->tries[e->number] = (struct sc_nft_try){e->tries, e->attempt, 0};
		m->elements[i] = *e;
	}
	m->n = want->n;
	m->has_table = true;
	m->is_damaged = false;
	/* Without such elements nothing in the rules tells it. */
	m->has_gate = want->has_gate && m->levels[SC_NFT_DROP];
	return 0;
}

bool sc_nft_model_has_hooks(const struct sc_nft_model *m)
{
	return m->levels[SC_NFT_REFUSE_ALL] || m->levels[SC_NFT_REFUSE_NEW] ||
	       m->levels[SC_NFT_TRY] || (m->levels[SC_NFT_DROP] && !m->has_gate);
}

bool sc_nft_element_same(const struct sc_nft_element *a, const struct sc_nft_element *b)
{
	return a->level == b->level && a->verdict == b->verdict &&
	       (a->verdict != SC_NFT_TRY || a->number == b->number);
}

static int add_change(struct sc_nft_changes *c, const struct sc_nft_element *was,
		      const struct sc_nft_element *is)
{
	if (c->n == c->cap) {
		uint32_t cap = SC_MAX(2 * c->cap, (uint32_t)CHANGES_MIN);
		struct sc_nft_change *list = realloc(c->list, cap * sizeof(*list));

		if (!list)
			return -ENOMEM;
		c->list = list;
		c->cap = cap;
	}
	c->list[c->n++] = (struct sc_nft_change){was, is};
	return 0;
}

static bool has_same_tries(const struct sc_nft_model *a, const struct sc_nft_model *b)
{
	for (uint32_t i = 0; i < SC_NFT_TRIES_MAX; i++)
		if (a->tries[i].tries != b->tries[i].tries ||
		    (a->tries[i].tries && a->tries[i].attempt != b->tries[i].attempt))
			return false;
	return true;
}

int sc_nft_changes_between(struct sc_nft_changes *c, const struct sc_nft_model *was,
			   const struct sc_nft_model *is)
{
	uint32_t i = 0, k = 0;
	int r = 0;

	c->n = 0;
	c->has_structure = was->has_table != is->has_table || was->has_gate != is->has_gate ||
			   memcmp(was->levels, is->levels, sizeof(is->levels)) != 0 ||
			   !has_same_tries(was, is);
	while (!r && (i < was->n || k < is->n)) {
		const struct sc_nft_element *old = i < was->n ? &was->elements[i] : NULL;
		const struct sc_nft_element *new = k < is->n ? &is->elements[k] : NULL;

		if (old && (!new || old->cgroup_id < new->cgroup_id)) {
			r = add_change(c, old, NULL);
			i++;
		} else if (!old || new->cgroup_id < old->cgroup_id) {
			r = add_change(c, NULL, new);
			k++;
		} else {
			if (!sc_nft_element_same(old, new))
				r = add_change(c, old, new);
			i++;
			k++;
		}
	}
	return r;
}

void sc_nft_changes_done(struct sc_nft_changes *c)
{
	free(c->list);
	c->list = NULL;
	c->n = c->cap = 0;
}
