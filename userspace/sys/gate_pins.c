/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of the gate in bpffs: what holds it together when no agent runs. */
#include "sys/gate_impl.h"

#include "base/io.h"
#include "base/str.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define BPFFS "/sys/fs/bpf"

static const char *const map_names[SC_GATE_MAP_COUNT] = {
	[SC_GATE_MAP_GATES] = "gates",      [SC_GATE_MAP_CUTS] = "gate_cuts",
	[SC_GATE_MAP_STATE] = "gate_state", [SC_GATE_MAP_FILTER] = "gate_filter",
	[SC_GATE_MAP_GLOBS] = "gate_globs", [SC_GATE_MAP_PEERS] = "gate_peers",
};

static const char *const link_names[SC_GATE_LINK_COUNT] = {
	[SC_GATE_LINK_IN] = "link_in",         [SC_GATE_LINK_OUT] = "link_out",
	[SC_GATE_LINK_MKDIR] = "link_mkdir",   [SC_GATE_LINK_RMDIR] = "link_rmdir",
	[SC_GATE_LINK_CREATE] = "link_create", [SC_GATE_LINK_SEND] = "link_send",
};

const char *sc_gate_map_name(enum sc_gate_map map)
{
	return map_names[map];
}

const char *sc_gate_link_name(enum sc_gate_link link)
{
	return link_names[link];
}

int sc_gate_dir(const char *pin_dir, char out[static SC_GATE_DIR_MAX])
{
	const char *slash = strrchr(pin_dir, '/');
	int n;

	if (!slash)
		return -EINVAL;
	n = snprintf(out, SC_GATE_DIR_MAX, "%.*s/gate%d", (int)(slash - pin_dir), pin_dir,
		     SC_GATE_SCHEMA);
	/* Room for the longest name of a pin. */
	return n > SC_GATE_DIR_MAX - 32 ? -ENAMETOOLONG : 0;
}

void sc_gate_pin_path(const struct sc_gate *g, const char *name, char out[static SC_GATE_DIR_MAX])
{
	struct sc_str path;

	sc_str_init(&path, out, SC_GATE_DIR_MAX);
	sc_str_addf(&path, "%s/%s", g->dir, name);
	SC_ASSERT(!path.truncated);
}

/* Of the maps that are mapped into memory; 0 for the others. */
static const size_t sizes[SC_GATE_MAP_COUNT] = {
	[SC_GATE_MAP_CUTS] = SC_GATE_CUTS_MAX * sizeof(struct sc_gate_cut),
	[SC_GATE_MAP_STATE] = sizeof(struct sc_gate_state),
	[SC_GATE_MAP_FILTER] = sizeof(struct sc_gate_filter),
};

static size_t mapped_size(enum sc_gate_map map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (sizes[map] + page - 1) / page * page;
}

static void *map_memory(const struct sc_gate *g, enum sc_gate_map map)
{
	void *at = mmap(NULL, mapped_size(map), PROT_READ | PROT_WRITE, MAP_SHARED, g->fds[map], 0);

	return at == MAP_FAILED ? NULL : at;
}

int sc_gate_maps_open(struct sc_gate *g, char *reason)
{
	char path[SC_GATE_DIR_MAX];

	for (unsigned int m = 0; m < SC_GATE_MAP_COUNT; m++) {
		sc_gate_pin_path(g, map_names[m], path);
		g->fds[m] = bpf_obj_get(path);
		if (g->fds[m] < 0) {
			int err = -errno;

			snprintf(reason, SC_GATE_REASON_MAX, "%s: %s", path, strerror(-err));
			return err;
		}
	}
	g->cuts = map_memory(g, SC_GATE_MAP_CUTS);
	g->state = map_memory(g, SC_GATE_MAP_STATE);
	g->filter = map_memory(g, SC_GATE_MAP_FILTER);
	if (g->cuts && g->state && g->filter)
		return 0;
	snprintf(reason, SC_GATE_REASON_MAX, "cannot map the gate's counts into memory");
	return -ENOMEM;
}

void sc_gate_maps_close(struct sc_gate *g)
{
	if (g->cuts)
		munmap(g->cuts, mapped_size(SC_GATE_MAP_CUTS));
	if (g->state)
		munmap(g->state, mapped_size(SC_GATE_MAP_STATE));
	if (g->filter)
		munmap(g->filter, mapped_size(SC_GATE_MAP_FILTER));
	for (unsigned int m = 0; m < SC_GATE_MAP_COUNT; m++)
		sc_close(&g->fds[m]);
}

int sc_gate_pin_over(const struct sc_gate *g, const char *name, int fd)
{
	char path[SC_GATE_DIR_MAX], fresh[SC_GATE_DIR_MAX];
	int err = sc_mkdir_p(g->dir, 0700);

	if (err)
		return err;
	sc_gate_pin_path(g, name, path);
	sc_gate_pin_path(g, "new", fresh);
	/* Left by an agent that died in here. */
	if (unlink(fresh) < 0 && errno != ENOENT)
		return -errno;
	if (bpf_obj_pin(fd, fresh) < 0)
		return -errno;
	if (rename(fresh, path) == 0)
		return 0;
	err = -errno;
	unlink(fresh);
	return err;
}

/* A directory that others use stays, because it is not empty. */
static void remove_dirs(const struct sc_gate *g)
{
	char path[SC_GATE_DIR_MAX];
	char *slash;

	memcpy(path, g->dir, sizeof(path));
	for (int up = 0; up < 3 && strcmp(path, BPFFS) != 0; up++) {
		slash = strrchr(path, '/');
		if (rmdir(path) < 0 || !slash)
			break;
		*slash = '\0';
	}
}

void sc_gate_unpin(struct sc_gate *g)
{
	char path[SC_GATE_DIR_MAX];

	for (unsigned int l = 0; l < SC_GATE_LINK_COUNT; l++) {
		sc_gate_pin_path(g, link_names[l], path);
		unlink(path);
	}
	for (unsigned int m = 0; m < SC_GATE_MAP_COUNT; m++) {
		sc_gate_pin_path(g, map_names[m], path);
		unlink(path);
	}
	sc_gate_pin_path(g, "new", path);
	unlink(path);
	remove_dirs(g);
}
