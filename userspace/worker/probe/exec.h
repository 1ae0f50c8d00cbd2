/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs programs that others wrote: with a clean environment, no descriptor but the three, limits, a
 * session and a cgroup of their own, and a budget. When the program ends, or is over its budget, or
 * says too much, everything in its cgroup is killed and the cgroup removed. Nothing here waits: a
 * program that hangs before its first instruction (its file on a dead server) harms only itself.
 */
#pragma once

#include "worker/probe/reactor.h"

#include <stdbool.h>

#define SC_EXEC_MAX        64            /* runs under way, those included that wait to be buried */
#define SC_EXEC_OUT_MAX    (64UL * 1024) /* bytes of standard output */
#define SC_EXEC_ERR_MAX    256           /* bytes of standard error that are kept */
#define SC_EXEC_INPUT_MAX  (64UL * 1024) /* bytes of standard input */
#define SC_EXEC_ENV_MAX    16
#define SC_EXEC_PIDS_MAX   64            /* processes and threads of one run */
#define SC_EXEC_MEMORY_MAX (256UL << 20) /* bytes of one run */

enum sc_exec_end {
	SC_EXEC_EXITED,      /* status: its exit status */
	SC_EXEC_SIGNALLED,   /* status: the signal */
	SC_EXEC_NOT_RUN,     /* status: an errno; step says of what */
	SC_EXEC_OVER_BUDGET, /* killed */
	SC_EXEC_OVER_OUTPUT, /* likewise: over SC_EXEC_OUT_MAX */
	SC_EXEC_END_COUNT
};

struct sc_exec_result {
	enum sc_exec_end end;
	int status;
	const char *step; /* static text */
	const char *out;  /* what it said, a NUL behind the last byte; good during the call */
	size_t out_size;
	char err[4 * SC_EXEC_ERR_MAX + 1]; /* the begin of standard error, harmless to print */
	uint64_t took_ns;
};

struct sc_exec_order {
	char *const *argv;      /* NULL-ended; argv[0] is an absolute path */
	const char *const *env; /* NULL-ended "NAME=value", beside PATH and LANG; NULL = none */
	const char *input;      /* its standard input; NULL: /dev/null */
	size_t input_size;
	uint64_t budget_ns; /* from now on */
	/* The answer, exactly once, unless cancelled before. */
	void (*done)(void *owner, const struct sc_exec_result *result);
	/* Nothing of it is left: the last call. May be NULL. A process that SIGKILL does not end
	 * (it hangs in the kernel) holds this up, not `done`. */
	void (*gone)(void *owner);
	void *owner;
};

struct sc_exec; /* a run */

struct sc_execs {
	struct sc_reactor *reactor; /* borrowed */
	int cgroup_fd;              /* ours, to make one per run in; -1 = programs have none */
	uint64_t counter;           /* names the cgroups */
	struct sc_exec *runs;
	unsigned int n_runs;
	bool is_spoiled;         /* somebody else has made cgroups among those of the runs */
	uint64_t cgroups_failed; /* runs that went without, cgroups that could not be removed */
};

/*
 * cgroup: absolute path of the delegated directory, or NULL. 0, or -errno: it cannot be used, and
 * execs is as for NULL: then a run is killed by its process group, and a program that leaves that
 * can outlive it.
 */
int sc_execs_init(struct sc_execs *x, struct sc_reactor *reactor, const char *cgroup);
/* Kills what runs, calls nobody. What the kernel has not ended yet is the core's. */
void sc_execs_done(struct sc_execs *x);

/*
 * Starts a run; everything in the order is copied. 0 with *run good until `gone` was called (or
 * would have been); -EAGAIN: SC_EXEC_MAX are under way; -E2BIG: input or environment over the
 * bounds; or another -errno. Never calls back before it returns.
 */
int sc_exec_start(struct sc_execs *x, const struct sc_exec_order *order, struct sc_exec **run);
/* Kills it and forgets the owner, who is not called again. */
void sc_exec_cancel(struct sc_exec *run);
