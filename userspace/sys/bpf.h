/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side of scram: loads the BPF programs, shares their maps, runs the iterators, and
 * hands the wake records over. Mechanism only: nothing here decides anything.
 *
 * One object file per optional feature, so that a kernel without one hook keeps all the others.
 * What could not be attached is told by sc_bpf_part_reason, in words; nothing is printed.
 *
 * Threads: sc_bpf_open and sc_bpf_close belong to whoever owns the process's start and end.
 * sc_bpf_seed, sc_bpf_pass_cgroups, sc_bpf_pass_tasks and sc_bpf_recycle take the kernel's
 * cgroup_mutex or wait for its readers, so they may block for hundreds of ms: one thread, the
 * collector, calls them. sc_bpf_drain belongs to the loop. The rest may be called by any thread.
 *
 * What cannot be known: counters begin at 0 when the programs attach, or when the cgroup is made.
 * TCP connections established before that are not in tcp.established, and closing one subtracts
 * from it, so the gauge means something only for a cgroup with SC_NODE_BORN. A process that ended
 * and was reaped before the first pass over the tasks was never seen.
 */
#pragma once

#include <scram/abi.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The objects, in the order in which they are loaded. */
enum sc_bpf_part {
	SC_BPF_TREE,    /* mkdir, rmdir, populated: slots of new cgroups */
	SC_BPF_PROC,    /* forks, execs, exits, migrations */
	SC_BPF_OOM,     /* victims of the out-of-memory killer */
	SC_BPF_TCP,     /* connections, also between tenants */
	SC_BPF_TENANT,  /* signals between tenants */
	SC_BPF_CGROUPS, /* the cgroup iterator: struct sc_kernel; and the seed of slots */
	SC_BPF_TASKS,   /* the task iterator: struct sc_tasks; and the seed of processes */
	SC_BPF_IO, /* the cgroup iterator again: the io controller's part of struct sc_kernel */
	SC_BPF_PART_COUNT
};

#define SC_BPF_REASON_MAX 256

struct sc_bpf_options {
	int root_fd;         /* directory of the cgroup2 subtree to supervise; only borrowed */
	uint32_t slots;      /* cgroups known at once; 1 .. SC_BPF_SLOTS_MAX; 0 = 16384 */
	uint32_t processes;  /* processes alive or unreaped known at once; 0 = 65536 */
	const char *pin_dir; /* as sc_bpf_pin_dir writes it; NULL: the maps are not pinned */
	uint32_t leave_out;  /* bits 1 << enum sc_bpf_part: not even tried */
};

#define SC_BPF_SLOTS_MAX 65536U

/* Maps as userspace sees them; valid until sc_bpf_close. All arrays have `slots` entries. */
struct sc_bpf_view {
	struct sc_node *nodes; /* written by sc_bpf_set_killing and sc_bpf_set_tenant only */
	const struct sc_counts *counts;
	const struct sc_kernel *kernel; /* each entry says in pass_ns when it was filled */
	const struct sc_tasks *tasks;   /* of the last finished pass; 0 in an empty cgroup */
	const struct sc_stats *stats;
	uint32_t slots;
};

/* What is not in struct sc_stats because userspace or the kernel counts it. */
struct sc_bpf_health {
	uint64_t wakes_received;  /* wake_attempts = wake_lost + this + what is still in the ring */
	uint64_t programs_missed; /* runs that the kernel skipped because a program was already
				     active */
	uint32_t slots_free;
	uint32_t slots_used; /* cgroups with a slot, gone ones that await recycling included */
};

struct sc_bpf;

/*
 * Loads and attaches every part that this kernel takes, gives slot 0 to the root cgroup, seeds the
 * cgroups below it and the processes in them, and stores the new agent in *out. Takes some 200 ms,
 * most of them libbpf's, which reads the kernel's types once per object.
 *
 * While it is open, the pin directory is locked (flock(2), shared).
 *
 * -EINVAL for options out of range; -EOPNOTSUPP when the maps, the tree or the cgroup iterator
 * cannot be had, without which no cgroup can be told from another; else what the kernel said. On
 * failure *out is untouched, nothing stays attached or pinned, and reason (SC_BPF_REASON_MAX
 * bytes, never NULL) says which step failed and what libbpf and the verifier said.
 */
int sc_bpf_open(struct sc_bpf **out, const struct sc_bpf_options *options, char *reason);

/* Detaches, unpins, unmaps. *b is NULL afterwards; NULL is fine. */
void sc_bpf_close(struct sc_bpf **b);

/* Bits 1 << enum sc_bpf_part of what is attached. */
uint32_t sc_bpf_parts(const struct sc_bpf *b);
/* "tree", "proc", ... */
const char *sc_bpf_part_name(enum sc_bpf_part part);
/* Why the part is not attached; "" when it is. Valid until sc_bpf_close. */
const char *sc_bpf_part_reason(const struct sc_bpf *b, enum sc_bpf_part part);

struct sc_bpf_view sc_bpf_view(const struct sc_bpf *b);
/* The cgroup id of the supervised root, which has slot 0. */
uint64_t sc_bpf_root_id(const struct sc_bpf *b);
/* One system call per program. */
struct sc_bpf_health sc_bpf_health(const struct sc_bpf *b);

/*
 * One pass of the cgroup iterator over the subtree: fills `kernel` for every slot, what is of the
 * io controller once a second (io_pass_ns). Holds the
 * kernel's cgroup_mutex while it runs (3.6 ms for 10,000 cgroups). For the hierarchy's root the
 * kernel keeps neither CPU time nor memory here; its pressure is that of the host. 0 or -errno.
 */
int sc_bpf_pass_cgroups(struct sc_bpf *b);

/*
 * One pass over all tasks of the host: fills `tasks`, and remembers processes that were not known.
 * Meant for once a second. 0 or -errno; on failure `tasks` keeps the last finished pass.
 */
int sc_bpf_pass_tasks(struct sc_bpf *b);
/*
 * The number of the last finished pass over the tasks, which the entries of `tasks` carry, and its
 * end (CLOCK_MONOTONIC). Numbers grow; both are 0 before the first.
 */
uint64_t sc_bpf_tasks_pass(const struct sc_bpf *b, uint64_t *finished_ns);

/* Gives slots to cgroups that have none; sc_bpf_open has done it once. 0 or -errno. */
int sc_bpf_seed(struct sc_bpf *b);

/* Readable (epoll) when wake records wait. Belongs to b. */
int sc_bpf_wake_fd(const struct sc_bpf *b);
/* Moves at most max records into wakes. Returns how many, 0 = none wait, or -errno. */
int sc_bpf_drain(struct sc_bpf *b, struct sc_wake *wakes, size_t max);

/*
 * Gives the slots of removed cgroups back: of the n slots (n <= SC_BPF_RECYCLE_MAX), those are
 * taken whose cgroup is gone and holds neither a process nor a zombie. Waits until no BPF program
 * can still hold the old number (one RCU grace period, tens of ms), then zeroes every entry. What
 * comes late for the old cgroup (the end of one of its TCP connections) is counted for its nearest
 * living ancestor. Returns how many were recycled and sets done[i] for each of them (done may be
 * NULL).
 */
#define SC_BPF_RECYCLE_MAX 1024
int sc_bpf_recycle(struct sc_bpf *b, const uint32_t *slots, size_t n, bool *done);

/* The slot that counts for this cgroup, by one system call; SC_SLOT_NONE when there is none. */
uint32_t sc_bpf_slot_of(const struct sc_bpf *b, uint64_t cgroup_id);

/*
 * While on, deaths in the cgroup and below it are expected: they are not unexpected_exits and wake
 * nobody. -ESTALE when the slot holds another cgroup than cgroup_id.
 */
int sc_bpf_set_killing(struct sc_bpf *b, uint32_t slot, uint64_t cgroup_id, bool on);

/*
 * Says whose the cgroup is, 0 = nobody's; not those below it, but a cgroup that is made in it from
 * now on begins with the same. -ESTALE when the slot holds another cgroup than cgroup_id.
 */
int sc_bpf_set_tenant(struct sc_bpf *b, uint32_t slot, uint64_t cgroup_id, uint32_t tenant);

#define SC_BPF_PIN_DIR_MAX 128
/*
 * Where an agent with this run dir pins its maps: <bpffs>/scram/v<schema> for the default run dir
 * (/run/scram), else <bpffs>/scram/<hash of run_dir>/v<schema>, so that several agents live side
 * by side. Mounts bpffs on /sys/fs/bpf when it is not mounted there. 0 or -errno; then out is "".
 */
int sc_bpf_pin_dir(const char *run_dir, char out[static SC_BPF_PIN_DIR_MAX]);

#define SC_BPF_RUN_TAG_MAX 17
/* What tells an agent of that run directory from others: empty for the default, else hex digits. */
void sc_bpf_run_tag(const char *run_dir, char out[static SC_BPF_RUN_TAG_MAX]);
