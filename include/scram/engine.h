/* SPDX-License-Identifier: Apache-2.0 */
/* The agent itself: what `scram run` hands to it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SC_DEFAULT_CONFIG    "/etc/scram/scram.yaml"
#define SC_DEFAULT_STATE_DIR "/var/lib/scram"
#define SC_DEFAULT_RUN_DIR   "/run/scram"
#define SC_DEFAULT_HTTP      "127.0.0.1:8400"

/* Texts are borrowed from the caller and live as long as the run. */
struct sc_run_options {
	const char *config;      /* never NULL */
	bool config_is_explicit; /* given by --config: its absence is an error; the default file may
				    be missing, then the embedded default holds */
	const char *cgroup_root; /* absolute directory on a cgroup2 mount; NULL = the mount found */
	const char *state_dir;   /* never NULL */
	const char *run_dir;     /* never NULL */
	const char *http; /* HOST:PORT or "off"; NULL = not given: environment, then the default */
	uint64_t interval_ns; /* 0 = not given: environment, then the file's tick, then 100 ms */
};

/*
 * Runs the agent until SIGTERM or SIGINT. Logs its own errors and returns the exit status for main:
 * 0 after an orderly stop, 1 when it could not start or a part it cannot go on without failed.
 */
int sc_engine_run(const struct sc_run_options *options);
