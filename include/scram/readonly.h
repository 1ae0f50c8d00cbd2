/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Taking the right to write from whole trees of cgroups. Two mechanisms, the first that the host
 * has: programs of the BPF LSM, which ask of every write whose it is; else the mounts of declared
 * paths, made read-only in the mount namespaces of the members. A marker file tells programs that
 * ask by themselves (scram/force_readonly.h).
 *
 * It is one standing wish: always told whole, set again and again, applied as a difference.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SC_READONLY_ROOTS_MAX  64  /* trees that are read-only at one time */
#define SC_READONLY_SPARED_MAX 128 /* protected cgroups inside them */
#define SC_READONLY_PATHS_MAX  16  /* declared, of each kind */
#define SC_READONLY_PATH_MAX   256
#define SC_READONLY_TEXT_MAX   192

enum sc_readonly_way {
	SC_READONLY_NO_WAY, /* this host cannot */
	SC_READONLY_LSM,    /* every write of the cgroups is denied, with EROFS */
	SC_READONLY_MOUNTS, /* the declared paths are read-only where the cgroups see them */
	SC_READONLY_WAY_COUNT
};

static inline const char *sc_readonly_way_name(enum sc_readonly_way way)
{
	static const char *const names[] = {"none", "lsm", "mounts"};

	_Static_assert(sizeof(names) / sizeof(names[0]) == SC_READONLY_WAY_COUNT, "one name each");
	return (unsigned int)way < SC_READONLY_WAY_COUNT ? names[way] : "?";
}

struct sc_readonly_cgroup {
	uint64_t cgroup_id;
	uint32_t level; /* depth below the hierarchy's root, which is 0 */
};

/* All that shall be read-only: plain data, nothing owned. Zeroed: nothing. */
struct sc_readonly {
	char fire_id[37]; /* the newest, for the marker; empty: as n_roots 0 */
	bool is_kept;     /* told before: compared and put right, and no write is tried */
	bool is_cut;      /* more is protected than spared has room for: refused */
	uint32_t n_roots, n_spared, n_paths, n_allow;
	struct sc_readonly_cgroup roots[SC_READONLY_ROOTS_MAX];
	struct sc_readonly_cgroup spared[SC_READONLY_SPARED_MAX]; /* with what is below them */
	char paths[SC_READONLY_PATHS_MAX][SC_READONLY_PATH_MAX];  /* for the mounts */
	char allow[SC_READONLY_PATHS_MAX][SC_READONLY_PATH_MAX];  /* stay writable; for the LSM */
};

/* What one setting did; zeroed by the caller. */
struct sc_readonly_report {
	enum sc_readonly_way way; /* in effect */
	bool holds;               /* all that was asked was read back */
	bool is_some;             /* something holds: where not all does, it is partial */
	bool is_tried;            /* a write was tried inside, and refused */
	bool is_repaired;         /* a stranger's change was put back */
	uint32_t namespaces;      /* mount namespaces looked at */
	uint32_t mounts;          /* made read-only in place */
	uint32_t covers;          /* covered with a read-only mount of the same */
	uint32_t holders;         /* processes that still can write, by files they hold open */
	int error;                /* of the last thing that failed, -errno */
	char text[SC_READONLY_TEXT_MAX]; /* what failed, or who still writes; empty = nothing */
};

/* The port. Calls are marked with the thread that may make them. */
struct sc_readonly_ops {
	/* start, loop at reload: looks what the host can do, without touching anything. Harmless
	 * when repeated; the first time some 100 ms. */
	void (*arm)(void *ctx);
	/* loop: how it would be done, with paths declared or not; SC_READONLY_NO_WAY with why.
	 * Where there is a way, why tells what is lacking for a better one; empty = nothing. */
	enum sc_readonly_way (*way)(void *ctx, bool has_paths, char *why, size_t size);
	/* start: true when a predecessor's programs, mounts or marker stand. */
	bool (*stands)(void *ctx);
	/*
	 * hand: makes the host so. 0 or -errno with report->error and text. May wait for the
	 * kernel, and for a process of its own, at most half a second. With no roots everything is
	 * given back.
	 */
	int (*set)(void *ctx, const struct sc_readonly *wish, struct sc_readonly_report *report);
};

struct sc_readonly_port {
	const struct sc_readonly_ops *ops;
	void *ctx;
};

/*
 * The marker, <run-dir>/readonly: one `KEY=VALUE` on each line. It counts only on the machine as it
 * was started then: see scram/force_readonly.h, which reads it.
 *
 *	epoch=BOOT_ID:START        /proc/sys/kernel/random/boot_id and field 22 of /proc/1/stat
 *	pidns=INODE                of the pid namespace whose pid 1 that is
 *	fire=UUID
 */
#define SC_READONLY_MARKER "readonly"
