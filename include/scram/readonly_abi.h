/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What the BPF LSM programs that deny writes and userspace share: fixed-width types only, every
 * size asserted. The maps of these structs are pinned under <bpffs>/scram/readonly<SCHEMA>/ and
 * stay there, with the programs, while something is read-only, whether or not an agent runs. A
 * change of layout raises SC_READONLY_SCHEMA, and whoever raises it takes over what the older
 * layout holds.
 *
 * Of a task's cgroup and those above it, the nearest with a mark decides.
 */
#pragma once

#ifndef __BPF__
#include <linux/types.h>
#endif

#define SC_READONLY_SCHEMA 1

#define SC_READONLY_MARKS_MAX  256 /* cgroups with a mark */
#define SC_READONLY_PLACES_MAX 64  /* directories that stay writable */
#define SC_READONLY_LEVELS     32  /* depth of a cgroup with a mark is below this */
#define SC_READONLY_DEPTH_MAX  64  /* directories looked at above a file, for a place */

enum sc_readonly_mark {
	SC_READONLY_UNMARKED,
	SC_READONLY_DENY,       /* writes of this cgroup and of those below it */
	SC_READONLY_DENY_BELOW, /* of those below it, not its own */
	SC_READONLY_EXEMPT,     /* it and those below it may write */
	SC_READONLY_MARK_COUNT
};

/* Map `ro_marks`: by cgroup id. */
struct sc_readonly_entry {
	__u32 mark;  /* enum sc_readonly_mark */
	__u32 level; /* depth below the hierarchy's root, which is 0 */
};
_Static_assert(sizeof(struct sc_readonly_entry) == 8, "no padding");

/* Key of the map `ro_places`: a directory below which everybody may write. */
struct sc_readonly_place {
	__u64 device; /* major << 20 | minor, as in the kernel's superblock */
	__u64 inode;
};
_Static_assert(sizeof(struct sc_readonly_place) == 16, "no padding");

/*
 * File systems that keep nothing, or are the kernel's own interface, by linux/magic.h: tmpfs (also
 * devtmpfs and memfd), ramfs, hugetlbfs, devpts; proc, sysfs, cgroup, cgroup2, bpf, debugfs,
 * tracefs, securityfs, configfs; pipes, sockets, anonymous inodes, message queues, namespaces,
 * dma-buf, secret memory. Writes to them are not denied.
 */
/* clang-format off */
#define SC_READONLY_NO_STORES(X) \
	X(0x01021994) X(0x858458f6) X(0x958458f6) X(0x1cd1) X(0x9fa0) X(0x62656572) X(0x27e0eb) \
	X(0x63677270) X(0xcafe4a11) X(0x64626720) X(0x74726163) X(0x73636673) X(0x62656570) \
	X(0x50495045) X(0x534f434b) X(0x09041934) X(0x19800202) X(0x6e736673) X(0x444d4142) \
	X(0x5345434d)
/* clang-format on */

/* What was tried; each is a count of what was denied. */
enum sc_readonly_op {
	SC_READONLY_OP_OPEN,      /* a file for writing */
	SC_READONLY_OP_WRITE,     /* through a descriptor that was open */
	SC_READONLY_OP_MAP,       /* shared and writable, or made so */
	SC_READONLY_OP_CREATE,    /* file, directory, node, symbolic or hard link */
	SC_READONLY_OP_REMOVE,    /* unlink, rmdir, rename */
	SC_READONLY_OP_ATTRIBUTE, /* mode, owner, size, times, extended attributes, flags */
	SC_READONLY_OP_COUNT
};

/* Map `ro_state`, one entry. */
struct sc_readonly_state {
	__u32 levels; /* bit n: a cgroup of depth n may have a mark; 0 = nothing is read-only */
	__u32 places; /* in ro_places */
	__u64 opens;  /* seen at all: tells a loader that the kernel asks these programs */
	__u64 denied[SC_READONLY_OP_COUNT];
};
_Static_assert(sizeof(struct sc_readonly_state) == 16 + 8 * SC_READONLY_OP_COUNT, "no padding");
