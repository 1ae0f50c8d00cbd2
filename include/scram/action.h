/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What a fire does to its target: the kinds of action, the port through which they reach the world,
 * and the run of one action from prepare to verified outcome. Three threads of thought meet here:
 *
 *   loop   prepare -> queue to the hand .......... verify, again and again -> outcome -> close
 *   hand              apply (or release) -> back          (verify may ask for another apply)
 *   loop   while the hand's write is stuck: sc_action_kill_members()
 *
 * A run belongs to one thread at a time: to the hand between the two queues, to the loop otherwise;
 * only the fields named as the loop's or as atomic may be touched meanwhile. Nothing here
 * allocates.
 */
#pragma once

#include <scram/readonly.h>
#include <scram/traffic.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

enum sc_action_kind {
	SC_ACTION_PROCESS_EXIT,
	SC_ACTION_CIRCUIT_BREAK,
	SC_ACTION_QUARANTINE,
	SC_ACTION_READONLY,
	SC_ACTION_ROLLBACK,
	SC_ACTION_FREEZE,     /* a rung of a ladder, not one of the five kinds of the HTTP API */
	SC_ACTION_REFUSE_NEW, /* likewise */
	SC_ACTION_KIND_COUNT
};

/* The name in configuration, journal and API. Inline: the pure core needs no archive for it. */
static inline const char *sc_action_kind_name(enum sc_action_kind kind)
{
	static const char *const names[] = {
		[SC_ACTION_PROCESS_EXIT] = "process-exit",
		[SC_ACTION_CIRCUIT_BREAK] = "circuit-break-component",
		[SC_ACTION_QUARANTINE] = "tenant-quarantine",
		[SC_ACTION_READONLY] = "global-readonly",
		[SC_ACTION_ROLLBACK] = "rollback-to-checkpoint",
		[SC_ACTION_FREEZE] = "freeze",
		[SC_ACTION_REFUSE_NEW] = "refuse-new",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == SC_ACTION_KIND_COUNT, "one name each");
	return (unsigned int)kind < SC_ACTION_KIND_COUNT ? names[kind] : "?";
}

/* The kind of that name, or -ENOENT. */
static inline int sc_action_kind_find(const char *name)
{
	for (int k = 0; k < SC_ACTION_KIND_COUNT; k++)
		if (!strcmp(name, sc_action_kind_name((enum sc_action_kind)k)))
			return k;
	return -ENOENT;
}

/* True for the kinds that cut a group of cgroups from the network: they act through a sc_cut. */
static inline bool sc_action_kind_cuts(enum sc_action_kind kind)
{
	return kind == SC_ACTION_CIRCUIT_BREAK || kind == SC_ACTION_QUARANTINE ||
	       kind == SC_ACTION_REFUSE_NEW;
}

/* What was verified. Emptied, gone, frozen, thawed, isolated and restored are success. */
enum sc_action_outcome {
	SC_ACTION_OUTCOME_NONE,    /* not known yet */
	SC_ACTION_OUTCOME_EMPTIED, /* cgroup.events says populated 0 */
	SC_ACTION_OUTCOME_GONE,    /* the cgroup of that id exists no more */
	SC_ACTION_OUTCOME_FROZEN,
	SC_ACTION_OUTCOME_THAWED,
	SC_ACTION_OUTCOME_ISOLATED, /* cut from the network, read back from the kernel */
	SC_ACTION_OUTCOME_RESTORED, /* no longer cut, writable again */
	SC_ACTION_OUTCOME_READONLY, /* writes are refused, read back and tried */
	SC_ACTION_OUTCOME_PARTIAL,  /* the deadline passed and somebody is left, or one of two
				     * mechanisms does not hold */
	SC_ACTION_OUTCOME_NOTHING, /* populated at the decision, and yet nothing was killed: loud */
	SC_ACTION_OUTCOME_FAILED,  /* the text says why */
	SC_ACTION_OUTCOME_COUNT
};

static inline const char *sc_action_outcome_name(enum sc_action_outcome kind)
{
	static const char *const names[] = {"none",    "emptied",  "gone",     "frozen",
					    "thawed",  "isolated", "restored", "readonly",
					    "partial", "nothing",  "failed"};

	_Static_assert(sizeof(names) / sizeof(names[0]) == SC_ACTION_OUTCOME_COUNT,
		       "one name each");
	return (unsigned int)kind < SC_ACTION_OUTCOME_COUNT ? names[kind] : "?";
}

static inline bool sc_action_outcome_is_success(enum sc_action_outcome kind)
{
	return kind == SC_ACTION_OUTCOME_EMPTIED || kind == SC_ACTION_OUTCOME_GONE ||
	       kind == SC_ACTION_OUTCOME_FROZEN || kind == SC_ACTION_OUTCOME_THAWED ||
	       kind == SC_ACTION_OUTCOME_ISOLATED || kind == SC_ACTION_OUTCOME_RESTORED ||
	       kind == SC_ACTION_OUTCOME_READONLY;
}

#define SC_ACTION_TEXT_MAX    192
#define SC_ACTION_LEFT_MAX    8    /* members described in a partial outcome; more are counted */
#define SC_ACTION_WITNESS_MAX 4    /* members held by pidfd, to tell a kill from a walk-out */
#define SC_ACTION_BATCH_MAX   128  /* members signalled in one call: about 2 ms of the loop */
#define SC_ACTION_MEMBERS_MAX 1024 /* members looked at in one reading */

/* Not empty this long after a write: written again, then after twice as long, and so on. 2,000
 * processes take 70 ms to go on two cores; a second write meanwhile costs time for nothing. */
#define SC_ACTION_RETRY_NS 100000000ULL
/* Without a deadline of its own, a run is given up this long after its first write. */
#define SC_ACTION_DEADLINE_NS 2000000000ULL
/* A write that takes longer hangs behind the kernel's cgroup_mutex. */
#define SC_ACTION_STUCK_NS 10000000ULL

/* One process, as /proc shows it to people. */
struct sc_member {
	pid_t pid;
	char state;     /* R S D T Z ..., of a living thread when the leader is dead; '?' unknown */
	char comm[72];  /* printable, escaped */
	char wchan[64]; /* kernel function it waits in, or empty */
	uint64_t start_boot_ns; /* CLOCK_BOOTTIME, rounded down to 10 ms; 0 = unknown */
};

enum sc_cgroup_type {
	SC_CGROUP_DOMAIN,
	SC_CGROUP_DOMAIN_THREADED, /* the domain of a threaded subtree */
	SC_CGROUP_DOMAIN_INVALID,
	SC_CGROUP_THREADED, /* cgroup.kill refuses it with EOPNOTSUPP */
	SC_CGROUP_TYPE_COUNT
};

/*
 * The port: all that an action asks of the world. Descriptors are owned by the caller and given
 * back with close. Every int returns 0 or more, or -errno; -ESTALE, -ENODEV and -ENOENT all mean
 * that the cgroup of that id is gone. No operation waits for a process; the write ones may wait for
 * the kernel.
 */
struct sc_effector_ops {
	/* The directory of the cgroup with that id, whatever its path is now; -ESTALE. */
	int (*open_cgroup)(void *ctx, uint64_t cgroup_id);
	/* Its parent's directory; -ENOENT at the root of the hierarchy. */
	int (*open_parent)(void *ctx, int cgroup_fd);
	/* An interface file (`cgroup.kill`) to be held: after removal it answers -ENODEV. */
	int (*open_file)(void *ctx, int cgroup_fd, const char *name, bool writes);
	void (*close)(void *ctx, int fd);
	int (*cgroup_id)(void *ctx, int cgroup_fd, uint64_t *cgroup_id);
	int (*cgroup_type)(void *ctx, int cgroup_fd, enum sc_cgroup_type *type);
	/* True for the root and for every cgroup that has the agent or pid 1 inside. */
	bool (*is_guarded)(void *ctx, uint64_t cgroup_id);

	int (*read_events)(void *ctx, int events_fd, bool *populated, bool *frozen);
	/* cgroup.freeze reads its own wish, not its state. */
	int (*read_flag)(void *ctx, int fd, bool *value);
	int (*write_flag)(void *ctx, int fd, bool value);

	/*
	 * Stores the processes of the cgroup and its descendants, at most max; returns how many.
	 * *is_all is false when there may be more. The reading is bounded by max, not by what
	 * tenants made.
	 */
	int (*list_members)(void *ctx, int cgroup_fd, pid_t *pids, size_t max, bool *is_all);
	int (*describe_member)(void *ctx, pid_t pid, struct sc_member *member); /* -ESRCH */
	int (*open_member)(void *ctx, pid_t pid); /* a pidfd; -ESRCH */
	/* True while it is neither dead nor on its way out. */
	bool (*is_member_alive)(void *ctx, int pidfd, pid_t pid);
	/*
	 * Signals those of the n processes (at most SC_ACTION_BATCH_MAX) that are still inside the
	 * cgroup or a descendant; never the agent itself, pid 1 or a kernel thread. Returns how
	 * many. Must not wait for the kernel's cgroup_mutex: it runs while a write does.
	 */
	int (*signal_members)(void *ctx, int cgroup_fd, const pid_t *pids, size_t n, int sig);

	/* Tells the counting side that deaths in this cgroup are scram's doing. */
	void (*set_killing)(void *ctx, uint64_t cgroup_id, bool is_killing);
	uint64_t (*now_ns)(void *ctx); /* CLOCK_MONOTONIC */
};

struct sc_effector {
	const struct sc_effector_ops *ops;
	void *ctx;
	const struct sc_traffic *traffic; /* NULL: nothing can be cut from the network here */
	const struct sc_readonly_port *readonly; /* NULL: nothing can be made read-only here */
};

/* What is asked; plain data, copied into the run. */
struct sc_action_request {
	enum sc_action_kind kind;
	uint64_t cgroup_id;     /* the target */
	uint64_t scope_root_id; /* a threaded target is killed through its domain only at or below
				 * this cgroup; 0 = never */
	uint64_t grace_ns;      /* process-exit: SIGTERM first, cgroup.kill after; 0 = at once */
	uint64_t deadline_ns;   /* from the first kill or freeze write; 0 = SC_ACTION_DEADLINE_NS */
	bool was_populated;     /* at the decision: then killing nothing is a failure */
	/* The kinds that cut: the cut as it shall be, SC_CUT_NONE to take it back. Borrowed, and
	 * not changed while the run is under way. */
	const struct sc_cut *cut;
	/* global-readonly: all that shall be read-only, with or without this fire. Borrowed, as the
	 * cut. */
	const struct sc_readonly *readonly;
	bool thaws_after; /* scram froze the target on an earlier rung: thaw it once it is empty */
};

enum sc_run_phase {
	SC_RUN_IDLE,   /* zeroed, or closed */
	SC_RUN_READY,  /* prepared */
	SC_RUN_GRACE,  /* SIGTERM sent, waiting */
	SC_RUN_ACTED,  /* written, waiting for the world */
	SC_RUN_THAW,   /* emptied; what scram froze is to be thawed */
	SC_RUN_UNDONE, /* release written, waiting for the world */
	SC_RUN_DONE,   /* outcome is set */
	SC_RUN_PHASE_COUNT
};

/* One action under way, in the caller's memory; zero it before the first prepare. */
struct sc_action_run {
	struct sc_action_request request;
	const struct sc_action_ops *ops;
	enum sc_run_phase phase;
	uint64_t acted_id; /* the target, or the domain of a threaded target */
	int dir_fd;
	int act_fd; /* cgroup.kill or cgroup.freeze */
	int events_fd;
	int freeze_fd; /* of a kill that thaws after, else -1 */

	bool found_populated; /* at prepare */
	bool found_frozen;    /* freeze: cgroup.freeze was 1 already, by another hand */
	bool has_frozen;      /* scram wrote 1 into cgroup.freeze and did not take it back */
	bool has_thawed;      /* scram wrote 0 into cgroup.freeze: its sc_frozen is to be freed */
	bool is_marked;       /* set_killing was called */
	uint32_t members;     /* processes at prepare, at most SC_ACTION_MEMBERS_MAX */
	bool is_members_all;  /* false: there were more */
	uint32_t witnesses;
	pid_t witness_pid[SC_ACTION_WITNESS_MAX];
	int witness_fd[SC_ACTION_WITNESS_MAX];

	/* Published by the hand around each write, read by the loop at any time. */
	_Atomic uint64_t write_begin_ns;
	_Atomic uint64_t write_end_ns;

	uint64_t prepared_ns;
	uint64_t first_begin_ns; /* of the first kill or freeze write */
	uint64_t first_end_ns;
	uint64_t grace_end_ns;
	uint64_t retry_at_ns;
	uint64_t verified_ns; /* when the outcome was seen */
	uint32_t terms;       /* SIGTERMs sent */
	uint32_t writes;      /* tried */
	uint32_t writes_ok;
	uint32_t pidfd_kills; /* the loop's */
	uint32_t pidfd_next;  /* the loop's: where the next batch begins */
	int error;            /* of the last write that failed, -errno; 0 = none did */

	struct sc_cut_report cut;           /* the kinds that cut: what the hand did */
	uint32_t cut_steps;                 /* how many of its steps are done */
	struct sc_readonly_report readonly; /* global-readonly: likewise */

	enum sc_action_outcome outcome;
	uint32_t killed;  /* best effort: members at prepare less those left; at least that many */
	uint32_t escaped; /* witnesses alive outside when the cgroup was empty */
	uint32_t left;    /* processes left, at most SC_ACTION_MEMBERS_MAX */
	uint32_t left_described;
	struct sc_member left_members[SC_ACTION_LEFT_MAX];
	char text[SC_ACTION_TEXT_MAX]; /* for people, printable */
};

enum sc_action_step {
	SC_STEP_AGAIN, /* call verify again at *next_ns, or when the kernel says the cgroup is empty
			*/
	SC_STEP_APPLY, /* hand it to apply once more: grace is over, a write must be repeated, a
			  thaw */
	SC_STEP_DONE,  /* run.outcome, text, timings are set */
	SC_STEP_COUNT
};

/* What recovery may ask about a target whose intent has no outcome. */
struct sc_action_facts {
	bool exists;
	bool populated;
	bool frozen;         /* state, also by an ancestor */
	bool wants_frozen;   /* its own cgroup.freeze reads 1 */
	bool is_members_all; /* false: more than SC_ACTION_MEMBERS_MAX, the rest not seen */
	uint32_t members;
	uint32_t members_older; /* surely started before the intent (10 ms grain) */
};

struct sc_action_ops {
	enum sc_action_kind kind;
	const char *text; /* one line for the reference */
	bool is_reversible;
	bool is_available; /* false: prepare always refuses with -EOPNOTSUPP */

	/*
	 * Loop. Fills run from its request: opens the target by id and holds what apply needs. 0,
	 * or -errno with outcome and text set and nothing held; -ESTALE goes with the outcome gone,
	 * a success.
	 */
	int (*prepare)(struct sc_action_run *run, const struct sc_effector *eff);
	/* Hand. May block behind the kernel. Its success is known only from verify. */
	void (*apply)(struct sc_action_run *run, const struct sc_effector *eff);
	/* Loop, never while the run is with the hand. Does not block. */
	enum sc_action_step (*verify)(struct sc_action_run *run, const struct sc_effector *eff,
				      uint64_t now_ns, uint64_t *next_ns);
	/*
	 * Hand. Takes back what apply did, on a prepared run; verified by verify as the outcome
	 * thawed. NULL where nothing can be taken back.
	 */
	void (*release)(struct sc_action_run *run, const struct sc_effector *eff);
	/* Start-up. intent_boot_ns: CLOCK_BOOTTIME of the intent. A vanished target is 0, not
	 * exists. */
	int (*reconcile)(uint64_t cgroup_id, const struct sc_effector *eff, uint64_t intent_boot_ns,
			 struct sc_action_facts *facts);
};

/* The one table, by kind. Never NULL. */
const struct sc_action_ops *sc_action_ops_of(enum sc_action_kind kind);

/*
 * Zeroes the run, copies the request and prepares; returns as ops->prepare. The run must be zeroed,
 * closed or refused. A refused run is in phase done, holds nothing and needs no close.
 */
int sc_action_prepare(struct sc_action_run *run, const struct sc_action_request *request,
		      const struct sc_effector *eff);
/*
 * Gives back the descriptors and the killing mark; outcome, counts and text stay. Harmless when
 * repeated or on a zeroed run. It does not thaw: what is frozen belongs to the table of sc_frozen.
 */
void sc_action_close(struct sc_action_run *run, const struct sc_effector *eff);

/* A cut is applied once gate and rules are set; what comes then ends what is left. */
static inline bool sc_action_is_applied(const struct sc_action_run *run)
{
	return !sc_action_kind_cuts(run->request.kind) || run->cut_steps >= 2;
}
/* Any thread: the hand's write has lasted longer than SC_ACTION_STUCK_NS. */
bool sc_action_is_stuck(const struct sc_action_run *run, uint64_t now_ns);
/*
 * Loop, beside a stuck write of a process-exit: SIGKILL by pidfd to members still inside the
 * target, at most SC_ACTION_BATCH_MAX. Returns how many were signalled (also added to pidfd_kills)
 * or -errno.
 */
int sc_action_kill_members(struct sc_action_run *run, const struct sc_effector *eff);

/* What scram holds frozen: one entry per cgroup, in a fixed table of the caller. Id 0 = free entry.
 */
struct sc_frozen {
	uint64_t cgroup_id;
	uint64_t until_boot_ns; /* its ttl's end; 0 = none */
	char fire_id[37];
	char path[256]; /* for people, cut when longer */
};

/*
 * Enters a cgroup that scram froze. 0, -EEXIST when the id is in already (harmless: entry kept), or
 * -ENOSPC with the table untouched.
 */
int sc_frozen_add(struct sc_frozen *table, size_t size, const struct sc_frozen *entry);
struct sc_frozen *sc_frozen_find(struct sc_frozen *table, size_t size, uint64_t cgroup_id);
/*
 * Thaws one cgroup by id, blocking in the kernel's write. 0 also when it is gone or was not frozen;
 * the entry is freed on success and kept on failure. -errno otherwise.
 */
int sc_frozen_thaw(struct sc_frozen *entry, const struct sc_effector *eff);
/*
 * Thaws every entry whose time is over at now_boot_ns (UINT64_MAX: every entry), going on after
 * failures. Returns how many failed; their entries stay. For shutdown, start-up and `release
 * --offline`.
 */
size_t sc_frozen_thaw_due(struct sc_frozen *table, size_t size, uint64_t now_boot_ns,
			  const struct sc_effector *eff);

/*
 * A standing intent (`rekill: true`): what re-populates this cgroup is killed again until released.
 * It binds to the id: a cgroup made anew under the same path is another target.
 */
struct sc_standing {
	uint64_t cgroup_id;
	bool is_released;
	uint32_t rekills;
	uint64_t last_ns;
};

enum sc_standing_step {
	SC_STANDING_WAIT,
	SC_STANDING_KILL, /* run process-exit again now; counted */
	SC_STANDING_END,  /* released, or the cgroup is gone: drop the intent */
	SC_STANDING_STEP_COUNT
};

/* Pure. Judges after each tick or wake while no kill of this intent is in flight. */
enum sc_standing_step sc_standing_judge(struct sc_standing *standing, bool exists, bool populated,
					uint64_t now_ns);
