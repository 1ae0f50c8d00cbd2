/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world in memory behind the port of the actions: cgroups, processes, a clock that moves only
 * when told, and a failure at any call. For unit tests and simulation; nothing real is touched.
 */
#pragma once

#include <scram/action.h>

#define SC_FAKE_CGROUPS_MAX 16
#define SC_FAKE_MEMBERS_MAX 1200
#define SC_FAKE_FDS_MAX     64

struct sc_fake_cgroup {
	uint64_t id;
	int parent; /* index, -1 for the root */
	bool exists;
	bool wants_frozen;
	bool is_guarded;
	bool lacks_kill; /* a kernel without cgroup.kill */
	enum sc_cgroup_type type;
};

struct sc_fake_member {
	pid_t pid;
	int cgroup; /* index */
	bool is_alive;
	bool is_unkillable; /* uninterruptible sleep: neither dies nor freezes */
	bool ignores_term;
	bool is_protected; /* signal_members skips it: the agent, pid 1, a kernel thread */
	uint64_t start_boot_ns;
};

enum sc_fake_file { SC_FAKE_DIR, SC_FAKE_KILL, SC_FAKE_FREEZE, SC_FAKE_EVENTS, SC_FAKE_PIDFD };

struct sc_fake_fd {
	bool is_open;
	enum sc_fake_file file;
	int cgroup;
	pid_t pid;
};

struct sc_fake {
	struct sc_fake_cgroup cgroups[SC_FAKE_CGROUPS_MAX];
	struct sc_fake_member members[SC_FAKE_MEMBERS_MAX];
	struct sc_fake_fd fds[SC_FAKE_FDS_MAX];
	uint64_t now_ns;
	pid_t next_pid;

	/* Of the calls that can fail (counted from 1), number fail_at fails with fail_error; with
	 * fails_for_ever all later ones too. 0 = none. */
	unsigned int calls, fail_at;
	int fail_error;
	bool fails_for_ever;

	int write_error; /* each write of cgroup.kill and cgroup.freeze fails so; 0 = works */
	unsigned int write_errors;  /* only so many times; 0 = always */
	unsigned int kills_nothing; /* so many kill writes succeed without any effect */
	/* Called in the middle of a write: what the loop does meanwhile. */
	void (*during_write)(struct sc_fake *fake, void *arg);
	void *during_write_arg;

	unsigned int kill_writes, freeze_writes, thaw_writes, terms, sigkills, marks, unmarks;
};

/* A world with the root cgroup (index 0, id 1, guarded) only. */
void sc_fake_init(struct sc_fake *fake);
struct sc_effector sc_fake_effector(struct sc_fake *fake);

/* Adds a cgroup, or n processes to one; both return the index (of the first). */
int sc_fake_add_cgroup(struct sc_fake *fake, int parent, uint64_t id);
int sc_fake_add_members(struct sc_fake *fake, int cgroup, unsigned int n);

/* How many live in the cgroup and below; how many descriptors are open. */
unsigned int sc_fake_alive(const struct sc_fake *fake, int cgroup);
unsigned int sc_fake_open_fds(const struct sc_fake *fake);
/* As cgroup.events would say. */
bool sc_fake_is_frozen(const struct sc_fake *fake, int cgroup);

/*
 * Plays loop and hand for a prepared run, moving the clock to each next look, until verify is done.
 * Returns the number of steps; asserts that there are fewer than 10,000.
 */
unsigned int sc_fake_drive(struct sc_fake *fake, struct sc_action_run *run, bool releases);
