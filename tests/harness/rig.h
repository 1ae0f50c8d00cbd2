/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent in a sandbox: `scram run` supervising /scram-test-PID-N/work, while it lives itself in
 * /scram-test-PID-N/agent, with state, run directory, configuration and log under the sandbox's
 * files.
 */
#pragma once

#include "harness/harness.h"

struct json_t;

#define SC_RIG_ARGS_MAX 32
#define SC_RIG_OUT_MAX  (256 * 1024)

struct sc_rig {
	struct sc_sandbox box;
	char scram[PATH_MAX];           /* the program: $SCRAM, or build/scram */
	char root[SC_SANDBOX_PATH_MAX]; /* the supervised cgroup as conditions name it */
	char root_dir[SC_SANDBOX_PATH_MAX];
	char state_dir[SC_SANDBOX_PATH_MAX];
	char run_dir[SC_SANDBOX_PATH_MAX];
	char config[SC_SANDBOX_PATH_MAX];
	char log[SC_SANDBOX_PATH_MAX]; /* what the agent wrote, all its starts */
	int agent_fd;                  /* cgroup the agent runs in */
	int root_fd;                   /* supervised cgroup */
	int space_fd;                  /* network namespace the agent starts in (sc_net.space);
					  borrowed, -1 = that of the test */
	const char *http;              /* HOST:PORT to serve; NULL = off; borrowed */
	pid_t pid;                     /* -1 = not running */
};

/* What one run of the command line gave. */
struct sc_cli {
	int status; /* exit status; 128 + n when ended by signal n */
	char *out;  /* NUL-terminated, cut at SC_RIG_OUT_MAX */
	char *err;
};

/* Makes sandbox, directories and configuration (see sc_rig_config); starts nothing. 0 or -errno. */
int sc_rig_open(struct sc_rig *rig, const char *yaml);
void sc_rig_close(struct sc_rig *rig);
#define _cleanup_rig_ _cleanup_(sc_rig_close)

/* Writes the configuration file; each @ROOT@ in yaml becomes the supervised cgroup's path. */
int sc_rig_config(struct sc_rig *rig, const char *yaml);

/*
 * Starts the agent, with --http off unless http says otherwise, and with these further arguments
 * (NULL-ended; NULL = none), and waits until `scram status` exits 0. 0, -ETIMEDOUT, or -ECHILD when
 * the agent ended instead; the log is then printed.
 */
int sc_rig_start(struct sc_rig *rig, const char *const args[]);
/* The same without the wait, and the wait alone. */
int sc_rig_launch(struct sc_rig *rig, const char *const args[]);
int sc_rig_wait_ready(struct sc_rig *rig, unsigned int ms);
/* Sends the signal and waits for the end; *status (NULL allowed) as of wait(2). */
int sc_rig_stop(struct sc_rig *rig, int signo, int *status);

/*
 * Runs `scram VERB ... --run-dir D --state-dir D` and captures what it says; argv is NULL-ended and
 * begins with the verb. 0 or -errno; whatever cli held before is overwritten, release it with
 * sc_cli_done.
 */
int sc_rig_cli(struct sc_rig *rig, struct sc_cli *cli, const char *const argv[]);
void sc_cli_done(struct sc_cli *cli);
#define _cleanup_cli_ _cleanup_(sc_cli_done)

/* The same for one verb line without quoting ("fires --json"): exit status, or -errno. */
int sc_rig_run(struct sc_rig *rig, const char *line);
/* The same with --json added and parsed: the caller's (json_decref), or NULL when it fails or is no
 * JSON. */
struct json_t *sc_rig_json(struct sc_rig *rig, const char *line);

/*
 * Waits until at least n fires of this condition (NULL = any) have the outcome or state text `want`
 * in the member `key` of `fires --json`. 0, -ETIMEDOUT or -errno.
 */
int sc_rig_wait_fires(struct sc_rig *rig, const char *condition, const char *key, const char *want,
		      unsigned int n);
