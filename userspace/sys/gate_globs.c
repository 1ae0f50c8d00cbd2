/* SPDX-License-Identifier: Apache-2.0 */
/* Which paths of new cgroups belong to which cut, as the kernel's trie of prefixes is told it. */
#include "sys/gate_impl.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

/*
 * The key of a glob that the kernel can compare; false for others. Everything below a match is cut
 * with it, so a `*` that ends the glob is a prefix as good as `**`.
 */
static bool path_of_glob(const char *glob, struct sc_gate_path *path)
{
	size_t literal = strcspn(glob, "*?"), stars = strspn(glob + literal, "*");
	size_t bytes = literal + (stars == 0); /* exact: with its NUL */

	/* A path that fills the whole buffer may have been cut off. */
	if (glob[0] != '/' || glob[literal + stars] != '\0' || bytes >= SC_GATE_PATH_MAX)
		return false;
	memset(path, 0, sizeof(*path));
	memcpy(path->data, glob, literal);
	path->bits = (uint32_t)bytes * 8;
	return true;
}

static bool is_same(const struct sc_gate_path *a, const struct sc_gate_path *b)
{
	return a->bits == b->bits && memcmp(a->data, b->data, a->bits / 8) == 0;
}

/* Makes the kernel find the strongest of the cuts with that pattern, or nothing. */
static int publish(const struct sc_gate *g, const struct sc_gate_path *path)
{
	const struct sc_gate_pattern *best = NULL;
	struct sc_gate_glob value;

	for (size_t i = 0; i < g->patterns_n; i++) {
		const struct sc_gate_pattern *p = &g->patterns[i];

		if (is_same(&p->path, path) &&
		    (!best || g->cuts[p->cut].mode > g->cuts[best->cut].mode))
			best = p;
	}
	if (!best)
		return bpf_map_delete_elem(g->fds[SC_GATE_MAP_GLOBS], path) < 0 && errno != ENOENT
			       ? -errno
			       : 0;
	value = (struct sc_gate_glob){
		.cut = best->cut,
		.serial = g->cuts[best->cut].serial,
		.bits = path->bits,
	};
	return bpf_map_update_elem(g->fds[SC_GATE_MAP_GLOBS], path, &value, BPF_ANY) < 0 ? -errno
											 : 0;
}

static void count_globs(struct sc_gate *g)
{
	__atomic_store_n(&g->state->globs, (uint32_t)g->patterns_n, __ATOMIC_RELEASE);
}

static bool is_wanted(const struct sc_gate_path *path, const char *const *globs, size_t n)
{
	struct sc_gate_path wanted;

	for (size_t i = 0; i < n; i++)
		if (path_of_glob(globs[i], &wanted) && is_same(&wanted, path))
			return true;
	return false;
}

/* Forgets what the cut has and does not want any more. */
static int forget(struct sc_gate *g, uint32_t number, const char *const *globs, size_t n)
{
	struct sc_gate_path path;
	int err = 0, failed;

	for (size_t i = 0; i < g->patterns_n;) {
		if (g->patterns[i].cut != number || is_wanted(&g->patterns[i].path, globs, n)) {
			i++;
			continue;
		}
		path = g->patterns[i].path;
		g->patterns[i] = g->patterns[--g->patterns_n];
		failed = publish(g, &path);
		err = err ? err : failed;
	}
	count_globs(g);
	return err;
}

static bool has_pattern(const struct sc_gate *g, uint32_t number, const struct sc_gate_path *path)
{
	for (size_t i = 0; i < g->patterns_n; i++)
		if (g->patterns[i].cut == number && is_same(&g->patterns[i].path, path))
			return true;
	return false;
}

static int add(struct sc_gate *g, uint32_t number, const struct sc_gate_path *path)
{
	int err;

	if (g->patterns_n == SC_GATE_GLOBS_MAX)
		return -ENOSPC;
	g->patterns[g->patterns_n++] = (struct sc_gate_pattern){*path, number};
	count_globs(g);
	err = publish(g, path);
	if (err) {
		g->patterns_n--;
		count_globs(g);
	}
	return err;
}

int sc_gate_set_globs(struct sc_gate *g, uint32_t number, const char *const *globs, size_t n)
{
	struct sc_gate_path path;
	int taken = 0, err;

	if (number >= SC_GATE_CUTS_MAX || !sc_gate_stands(g, number))
		return -EINVAL;
	if (g->globs_reason[0])
		return 0;
	err = forget(g, number, globs, n);
	for (size_t i = 0; !err && i < n; i++) {
		if (!path_of_glob(globs[i], &path))
			continue;
		if (!has_pattern(g, number, &path))
			err = add(g, number, &path);
		taken += !err;
	}
	return err ? err : taken;
}

int sc_gate_globs_end(struct sc_gate *g, uint32_t number)
{
	return forget(g, number, NULL, 0);
}

int sc_gate_globs_republish(struct sc_gate *g, uint32_t number)
{
	int err = 0;

	for (size_t i = 0; !err && i < g->patterns_n; i++)
		if (g->patterns[i].cut == number)
			err = publish(g, &g->patterns[i].path);
	return err;
}

int sc_gate_globs_adopt(struct sc_gate *g)
{
	struct sc_gate_path path, *after = NULL;
	struct sc_gate_glob glob;

	while (g->patterns_n < SC_GATE_GLOBS_MAX) {
		memset(&path, 0, sizeof(path));
		if (bpf_map_get_next_key(g->fds[SC_GATE_MAP_GLOBS], after, &path) < 0)
			return errno == ENOENT ? 0 : -errno;
		if (bpf_map_lookup_elem(g->fds[SC_GATE_MAP_GLOBS], &path, &glob) < 0)
			return -errno;
		if (glob.cut >= SC_GATE_CUTS_MAX)
			return -EBADMSG;
		g->patterns[g->patterns_n] = (struct sc_gate_pattern){path, glob.cut};
		after = &g->patterns[g->patterns_n++].path;
	}
	return 0;
}
