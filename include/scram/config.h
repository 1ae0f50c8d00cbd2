/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * The operator's files: a strict subset of YAML, every fault with its place, and the JSON body of a
 * condition that is registered at run time. A file is taken whole or not at all.
 */
#pragma once

#include "base/diag.h"
#include "base/str.h"

#include <scram/breaker.h>
#include <scram/condition.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SC_CONFIG_PATH            "/etc/scram/scram.yaml"
#define SC_CONFIG_FILE_MAX        (1024 * 1024)
#define SC_CONFIG_FILES_MAX       256 /* included files */
#define SC_CONFIG_FAULTS_MAX      64
#define SC_CONFIG_NAMES_MAX       256 /* components, tenants or probes, each */
#define SC_CONFIG_GLOBS_MAX       64  /* globs of one list */
#define SC_CONFIG_TICK_NS         (100 * SC_NS_PER_MS)
#define SC_CONFIG_TICK_NS_MIN     (10 * SC_NS_PER_MS)
#define SC_CONFIG_TICK_NS_MAX     (60 * SC_NS_PER_S)
#define SC_CONFIG_TARGETS         16384
#define SC_CONFIG_DIGEST_TEXT_MAX 65 /* SHA-256 in hex */

struct sc_component {
	char *name;
	struct sc_texts cgroups; /* globs */
	uint32_t max_parallel;   /* processes; 0 = not declared */
	uint64_t job_timeout_ns; /* 0 = not declared */
	bool has_breaker;
	struct sc_breaker_spec breaker;
	/* Predicates over the whole host that stand for the counters: true in a tick is one failure
	   or success. NULL = the counters. Checked to compile. */
	char *failure;
	char *success;
};

struct sc_tenant {
	char *name;
	struct sc_texts cgroups;
};

enum sc_probe_kind { SC_PROBE_EXEC, SC_PROBE_HTTP, SC_PROBE_KIND_COUNT };

struct sc_probe {
	char *name;
	enum sc_probe_kind kind;
	char *url;               /* http */
	char *token_file;        /* http, may be NULL */
	struct sc_texts command; /* exec: absolute path and arguments */
	uint64_t budget_ns;      /* 2 s */
	uint64_t every_ns;       /* 5 s */
};

struct sc_config_limits {
	uint32_t targets;            /* slots of the target table */
	uint32_t blast_percent;      /* default share of the eligible targets */
	uint32_t irreversible_fires; /* automatic, on the host, per minute */
};

/* What global-readonly is told of the host; absolute paths. */
struct sc_config_readonly {
	struct sc_texts paths; /* made read-only where there is no BPF LSM */
	struct sc_texts allow; /* stay writable where there is */
};

struct sc_config {
	uint64_t tick_ns;
	bool tick_given;
	bool allow_missing_signals; /* a live condition whose signals this kernel lacks is kept,
				     * shown as unable to fire, instead of refused */
	struct sc_config_limits limits;
	struct sc_config_readonly readonly;
	struct sc_texts protect; /* the built-in ones first, then those of the files; each with what
				    is below */
	struct sc_texts include;
	struct sc_component *components;
	size_t component_count;
	struct sc_tenant *tenants;
	size_t tenant_count;
	struct sc_probe *probes;
	size_t probe_count;
	struct sc_notify_list notify;         /* of every fire */
	struct sc_condition_spec *conditions; /* in the order of the files */
	size_t condition_count;
	struct sc_texts files; /* what was read, in order; empty for the embedded default */
	char digest[SC_CONFIG_DIGEST_TEXT_MAX]; /* over the names and bytes of these files */
};

struct sc_config_fault {
	char *file;
	struct sc_diag diag; /* text is `what; hint` */
};

struct sc_config_faults {
	struct sc_config_fault item[SC_CONFIG_FAULTS_MAX];
	size_t n;
	size_t dropped; /* found beyond the room */
};

enum sc_config_flag {
	/* Take files of other owners and modes: for `check` of a file that is being edited, and for
	   tests. */
	SC_CONFIG_ANY_OWNER = 1 << 0,
};

/*
 * Loads path with everything it includes and checks all of it, the predicates too. Returns 0 and
 * fills config (release with sc_config_done), or the -errno of the first fault; then faults lists
 * what was found and config is untouched.
 */
int sc_config_load(struct sc_config *config, const char *path, unsigned int flags,
		   struct sc_config_faults *faults);
/* The same for text in memory: name stands for the file in faults, includes are refused. */
int sc_config_parse(struct sc_config *config, const char *name, const char *text, size_t n,
		    struct sc_config_faults *faults);
/* The embedded default: no conditions, the built-in protect list. Returns 0 or -ENOMEM. */
int sc_config_default(struct sc_config *config);
void sc_config_done(struct sc_config *config);
void sc_config_faults_done(struct sc_config_faults *faults);
/* Adds FILE:LINE:COLUMN: what; hint, and a newline. Place and file are left out where there are
 * none. */
void sc_config_fault_print(const struct sc_config_fault *fault, struct sc_str *out);

const struct sc_component *sc_config_component(const struct sc_config *config, const char *name);
const struct sc_tenant *sc_config_tenant(const struct sc_config *config, const char *name);

/*
 * The entry of `protect` that matches path or a cgroup above it, or NULL. What is above a protected
 * cgroup must be left alone too; that is for the caller to see, who knows which cgroups there are.
 */
const char *sc_config_protected_by(const struct sc_config *config, const char *path);

/*
 * Parses a condition registered at run time, or read back from the journal: one JSON object with
 * the keys of the file (durations as texts), duplicates refused, the same checks as in a file; an
 * auto_fire without `when` and an unknown tenant are accepted here, as the original service did.
 * Returns 0 and fills spec (release with sc_condition_spec_done), or -EINVAL / -E2BIG with diag,
 * spec untouched.
 */
int sc_condition_spec_from_json(const char *json, size_t n, struct sc_condition_spec *spec,
				struct sc_diag *diag);

/* Adds the reference of all keys as markdown, printed from the key tables. */
void sc_config_print_reference(struct sc_str *out);
