/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing the gate, and what a fire changes in it. */
#include "sys/gate_impl.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int gate_new(struct sc_gate **out, const char *pin_dir, char *reason)
{
	struct sc_gate *g = calloc(1, sizeof(*g));
	int err;

	if (!g)
		return -ENOMEM;
	g->root_fd = -1;
	for (unsigned int m = 0; m < SC_GATE_MAP_COUNT; m++)
		g->fds[m] = -1;
	for (unsigned int l = 0; l < SC_GATE_LINK_COUNT; l++)
		g->links[l] = -1;
	g->patterns = calloc(SC_GATE_GLOBS_MAX, sizeof(*g->patterns));
	err = g->patterns ? sc_gate_dir(pin_dir, g->dir) : -ENOMEM;
	if (err) {
		snprintf(reason, SC_GATE_REASON_MAX, "%s: %s", pin_dir, strerror(-err));
		free(g->patterns);
		free(g);
		return err;
	}
	*out = g;
	return 0;
}

/* A predecessor may have died between a cut's end and the removal of what it held. */
static int end_leftovers(struct sc_gate *g)
{
	int err = 0;

	for (size_t i = 0; !err && i < g->patterns_n;) {
		uint32_t cut = g->patterns[i].cut;

		if (sc_gate_stands(g, cut))
			i++;
		else
			err = sc_gate_globs_end(g, cut);
	}
	return err;
}

static int maps_adopt(struct sc_gate *g, char *reason)
{
	int err = sc_gate_maps_open(g, reason);

	if (err)
		return err;
	err = sc_gate_globs_adopt(g);
	if (!err)
		err = end_leftovers(g);
	if (err)
		snprintf(reason, SC_GATE_REASON_MAX, "reading the pinned globs: %s",
			 strerror(-err));
	return err;
}

int sc_gate_open(struct sc_gate **out, const struct sc_gate_options *options, char *reason)
{
	_cleanup_(sc_gate_close) struct sc_gate *g = NULL;
	int err;

	reason[0] = '\0';
	err = gate_new(&g, options->pin_dir, reason);
	if (err)
		return err;
	g->root_fd = fcntl(options->root_fd, F_DUPFD_CLOEXEC, 0);
	err = sc_mkdir_p(g->dir, 0700);
	if (err) {
		snprintf(reason, SC_GATE_REASON_MAX, "%s: %s", g->dir, strerror(-err));
		return err;
	}
	err = sc_gate_load(g, reason);
	if (!err)
		err = maps_adopt(g, reason);
	if (!err)
		err = sc_gate_attach(g, reason);
	if (err)
		return err;
	*out = SC_TAKE_PTR(g);
	return 0;
}

int sc_gate_open_pinned(struct sc_gate **out, const char *pin_dir, char *reason)
{
	struct sc_gate *g = NULL;
	int err;

	reason[0] = '\0';
	err = gate_new(&g, pin_dir, reason);
	if (err)
		return err;
	err = maps_adopt(g, reason);
	if (err) {
		/* Half of it pinned: nothing here may take that away. */
		sc_gate_maps_close(g);
		free(g->patterns);
		free(g);
		return err;
	}
	*out = g;
	return 0;
}

static bool is_any_standing(const struct sc_gate *g)
{
	for (uint32_t number = 0; number < SC_GATE_CUTS_MAX; number++)
		if (sc_gate_stands(g, number))
			return true;
	return false;
}

void sc_gate_close(struct sc_gate **gp)
{
	struct sc_gate *g = *gp;

	if (!g)
		return;
	/* Without the maps it is not known what stands. */
	if (g->cuts && !is_any_standing(g))
		sc_gate_unpin(g);
	sc_gate_unload(g);
	sc_gate_maps_close(g);
	free(g->patterns);
	free(g);
	*gp = NULL;
}

const char *sc_gate_globs_reason(const struct sc_gate *g)
{
	return g->globs_reason;
}

const char *sc_gate_packet_reason(const struct sc_gate *g)
{
	return g->packet_reason;
}

const struct sc_gate_cut *sc_gate_cut(const struct sc_gate *g, uint32_t number)
{
	SC_ASSERT(number < SC_GATE_CUTS_MAX);
	return &g->cuts[number];
}

/* A cut that did not stand: what an older one with this number left is void. */
static void begin(struct sc_gate_cut *cut)
{
	uint32_t serial = cut->serial + 1;

	*cut = (struct sc_gate_cut){.serial = serial ? serial : 1, .since_ns = sc_mono_ns()};
}

int sc_gate_set(struct sc_gate *g, const struct sc_gate_wish *wish)
{
	struct sc_gate_cut *cut;

	SC_ASSERT(wish->number < SC_GATE_CUTS_MAX && wish->mode < SC_GATE_MODE_COUNT);
	cut = &g->cuts[wish->number];
	if (wish->mode == SC_GATE_NONE)
		return sc_gate_end(g, wish->number);
	if (!sc_gate_stands(g, wish->number))
		begin(cut);
	sc_strcopy(cut->fire_id, sizeof(cut->fire_id), wish->fire_id);
	sc_strcopy(cut->name, sizeof(cut->name), wish->name);
	cut->tries = wish->tries;
	if (cut->attempt != wish->attempt)
		__atomic_store_n(&cut->passed, 0, __ATOMIC_RELAXED);
	cut->attempt = wish->attempt;
	__atomic_store_n(&cut->mode, wish->mode, __ATOMIC_RELEASE);
	return sc_gate_globs_republish(g, wish->number);
}

static int update_entry(const struct sc_gate *g, uint64_t cgroup_id, uint32_t number,
			const struct sc_gate_entry *entry)
{
	int fd = g->fds[SC_GATE_MAP_GATES];
	struct sc_gate_entry there;

	if (bpf_map_update_elem(fd, &cgroup_id, entry, BPF_NOEXIST) == 0)
		return 0;
	/* One that is there already knows when it was made, and whether it is gone. */
	if (errno == EEXIST && sc_gate_look(g, cgroup_id, &there) == 0 && there.cut == number)
		return 0;
	if (errno != E2BIG && bpf_map_update_elem(fd, &cgroup_id, entry, BPF_ANY) == 0)
		return 0;
	return errno == E2BIG ? -ENOSPC : -errno;
}

int sc_gate_put(struct sc_gate *g, uint64_t cgroup_id, uint32_t level, uint32_t number)
{
	struct sc_gate_entry entry = {
		.cut = number,
		.level = level,
		.born_ns = sc_mono_ns(),
	};

	if (number >= SC_GATE_CUTS_MAX || !sc_gate_stands(g, number) || !level ||
	    level >= SC_GATE_LEVELS)
		return -EINVAL;
	entry.serial = g->cuts[number].serial;
	/* Both before the entry: they say where to look for it. */
	__atomic_fetch_or(&g->filter->words[sc_gate_filter_word(cgroup_id)],
			  sc_gate_filter_bit(cgroup_id), __ATOMIC_RELEASE);
	__atomic_fetch_or(&g->state->levels, 1U << level, __ATOMIC_RELEASE);
	return update_entry(g, cgroup_id, number, &entry);
}

int sc_gate_drop(struct sc_gate *g, uint64_t cgroup_id)
{
	if (bpf_map_delete_elem(g->fds[SC_GATE_MAP_GATES], &cgroup_id) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int sc_gate_look(const struct sc_gate *g, uint64_t cgroup_id, struct sc_gate_entry *out)
{
	struct sc_gate_entry entry;

	if (bpf_map_lookup_elem(g->fds[SC_GATE_MAP_GATES], &cgroup_id, &entry) < 0)
		return -errno;
	if (entry.cut >= SC_GATE_CUTS_MAX || entry.serial != g->cuts[entry.cut].serial ||
	    !sc_gate_stands(g, entry.cut))
		return -ENOENT;
	*out = entry;
	return 0;
}

struct purge {
	struct sc_gate *g;
	uint32_t levels; /* of the entries that stay */
	struct sc_gate_filter filter;
};

/* Removes what belongs to no cut that stands. */
static int purge_one(void *ctx, uint64_t cgroup_id, const struct sc_gate_entry *entry)
{
	struct purge *p = ctx;
	bool is_void = entry->cut >= SC_GATE_CUTS_MAX || !sc_gate_stands(p->g, entry->cut) ||
		       entry->serial != p->g->cuts[entry->cut].serial;

	if (is_void)
		return sc_gate_drop(p->g, cgroup_id);
	p->levels |= 1U << (entry->level % SC_GATE_LEVELS);
	p->filter.words[sc_gate_filter_word(cgroup_id)] |= sc_gate_filter_bit(cgroup_id);
	return 0;
}

/* What stays is in both at any instant. */
static void narrow(struct sc_gate *g, const struct purge *p)
{
	__atomic_store_n(&g->state->levels, p->levels, __ATOMIC_RELEASE);
	for (size_t i = 0; i < SC_GATE_FILTER_WORDS; i++)
		__atomic_store_n(&g->filter->words[i], p->filter.words[i], __ATOMIC_RELEASE);
}

int sc_gate_end(struct sc_gate *g, uint32_t number)
{
	struct purge p = {.g = g};
	int err, failed;

	SC_ASSERT(number < SC_GATE_CUTS_MAX);
	__atomic_store_n(&g->cuts[number].mode, SC_GATE_NONE, __ATOMIC_RELEASE);
	err = sc_gate_globs_end(g, number);
	failed = sc_gate_walk(g, purge_one, &p);
	/* While there are globs the kernel may add to them at any time. */
	if (!failed && !g->patterns_n)
		narrow(g, &p);
	return err ? err : failed;
}
