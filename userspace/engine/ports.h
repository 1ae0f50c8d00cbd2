/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world as the engine sees it: function tables that userspace/wire.c fills from sys/ and that a
 * simulation fills from its own. The engine itself makes no system call on cgroups, BPF or
 * processes.
 */
#pragma once

#include <scram/abi.h>
#include <scram/action.h>
#include <scram/engine.h>
#include <scram/readonly.h>
#include <scram/traffic.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why an optional feature of the kernel is not there; features are those of scram/snapshot.h. */
struct sc_feature_report {
	const char *name;
	bool attached;
	const char *reason; /* "" when attached */
};

#define SC_RECYCLE_MAX 1024

/* A cgroup that somebody named by its path. */
struct sc_found_cgroup {
	uint64_t cgroup_id;
	uint32_t slot;
	char path[4096]; /* as the kernel tells it */
};

/* The counting side. Calls are marked with the thread that may make them. */
struct sc_kernel_port {
	void *ctx;
	const volatile struct sc_node *nodes; /* shared memory, indexed by slot */
	const volatile struct sc_counts *counts;
	const volatile struct sc_kernel *kernel;
	const volatile struct sc_tasks *tasks;
	const volatile struct sc_stats *stats;
	uint32_t slots;
	uint32_t root_slot;
	uint32_t features; /* enum sc_feature bits that are attached */
	int wake_fd;       /* readable when wake records wait */

	/* loop: takes up to max records off the ring. */
	unsigned int (*drain)(void *ctx, struct sc_wake *out, unsigned int max);
	/* collector: one pass of the cgroup iterator, of the task iterator. 0 or -errno; *pass is
	 * the number that entries of this pass carry. */
	int (*pass_cgroups)(void *ctx);
	int (*pass_tasks)(void *ctx, uint64_t *pass);
	/* collector: gives slots of gone cgroups back, at most SC_RECYCLE_MAX; those that hold a
	 * process or a zombie still stay as they are. May wait tens of ms. */
	void (*recycle)(void *ctx, const uint32_t *slots, size_t n);
	/* loop, for requests: the cgroup at that path, as in /proc/PID/cgroup. -ENOENT, also when
	 * it has no slot. */
	int (*find)(void *ctx, const char *path, struct sc_found_cgroup *out);
	/* loop: whose the cgroup is, 0 = nobody's; those made in it from now on begin with the
	 * same. Nothing when the slot is another's by now. No system call. */
	void (*set_tenant)(void *ctx, uint32_t slot, uint64_t cgroup_id, uint32_t tenant);
	/* collector: the path of that cgroup, as in /proc/PID/cgroup; -ESTALE when it is gone. */
	int (*path_of)(void *ctx, uint64_t cgroup_id, char *buf, size_t size);
};

/* What a supervised program sent about itself. */
struct sc_app_datagram {
	size_t size;        /* as sent; over the room given: cut */
	uint64_t cgroup_id; /* of the sender, by the kernel; 0 = not to be told */
	uint32_t slot;      /* SC_SLOT_NONE: the cgroup has none of its own */
	uint64_t refused;   /* of this cgroup, by the kernel, until now; may begin anew */
};

struct sc_notify_port {
	void *ctx;
	int fd; /* readable when something waits; looked at where receive is set */
	/* collector: the oldest datagram, without waiting for one: 1, 0 = none, -errno. NULL: no
	 * program can report here. */
	int (*receive)(void *ctx, void *buf, size_t room, struct sc_app_datagram *out);
	/* What the kernel refused of all cgroups together, because it was over their allowance.
	 * NULL: it refuses nothing. */
	uint64_t (*refused)(void *ctx);
};

/* What the agent asked of the machine for itself, and whether it got it. */
struct sc_privilege_report {
	const char *name;
	const char *loss; /* what is lost without it, one sentence */
	const char *fix;
	int error; /* 0 or -errno */
};

/* A worker to be started, and what came of it. */
struct sc_program {
	const char *name;  /* beside the agent's own executable */
	char *const *env;  /* NULL-ended */
	int link_fd;       /* its descriptor 3; borrowed */
	unsigned int user; /* never 0, as `group` */
	unsigned int group;
	uint64_t memory_max, files_max, tasks_max;
	bool wants_group; /* the cgroup of the port is made anew for it, and it lives in that */
	/* out */
	int pid;
	int pidfd;
	char why[128];  /* a failure in words */
	bool has_group; /* else group_why says why it goes without */
	char group_why[128];
	char group_limits[32]; /* controllers that it can limit others with: "cpu memory pids" */
};

/* What the kernel says of a process. */
struct sc_program_facts {
	unsigned int user; /* 0 = root, or not one user */
	uint64_t caps;     /* of any set that counts */
	bool has_filter;   /* seccomp */
	bool has_no_gain;  /* no_new_privs */
	uint64_t rss_bytes;
};

struct sc_process_port {
	void *ctx;
	/* At start: the user of that name and its group. False when there is none. */
	bool (*find_user)(void *ctx, const char *name, unsigned int *user, unsigned int *group);
	/* sync: 0 with pid and pidfd (the caller's), or -errno with why. It dies with the agent. */
	int (*start)(void *ctx, struct sc_program *program);
	/* loop: 1 with *status as of wait(2) once it has ended, 0 before, or -errno. */
	int (*reap)(void *ctx, int pidfd, int *status);
	int (*signal)(void *ctx, int pidfd, int signo);
	int (*facts)(void *ctx, int pid, struct sc_program_facts *out);
	/* Whether there is such a program beside the agent's own. NULL: there is. */
	bool (*has_program)(void *ctx, const char *name);
	/* The cgroup that a worker may make others in: its directory, and its path as in
	 * /proc/PID/cgroup, whether it is there or not. NULL: there can be none. */
	const char *group_dir, *group_path;
	/* sync, and at the end: kills what is in it and removes it, waiting up to 2 s. 0, or -errno
	 * with something left. NULL where there can be none. */
	int (*clear_group)(void *ctx);
};

struct sc_ports {
	struct sc_kernel_port kernel;
	struct sc_effector effector;
	struct sc_traffic traffic;        /* ops NULL: nothing can be cut here */
	struct sc_readonly_port readonly; /* ops NULL: nothing can be made read-only here */
	struct sc_process_port processes; /* start NULL: no workers here */
	struct sc_notify_port notify;
	/* Once at start, before the threads: gives up every right that only the start needed. */
	void (*settle)(void *ctx);
	/* The calling thread asks to run as SCHED_FIFO 1; a refusal shows in the privileges below.
	 */
	void (*become_fifo)(void *ctx, bool is_hand);
	/* Fills up to max rows, returns how many there are. */
	size_t (*privileges)(void *ctx, struct sc_privilege_report *out, size_t max);
	void *ctx;
	const struct sc_feature_report *features;
	size_t n_features;
	/* Cgroup ids of the agent's own cgroup and all its ancestors, and of pid 1's: never acted
	 * on. */
	const uint64_t *own_ids;
	size_t n_own_ids;
	const char *cgroup_root_path; /* of the supervised root, as in /proc/PID/cgroup */
};

/*
 * Finds the world and fills the ports: the cgroup2 mount, the BPF programs, the rights of the
 * process. targets_max bounds the cgroups watched. 0 with *out owned by the caller, or -errno with
 * `why` filled (size bytes) and nothing held.
 */
int sc_ports_open(const struct sc_run_options *options, uint32_t targets_max, struct sc_ports **out,
		  char *why, size_t size);
void sc_ports_close(struct sc_ports **ports);
