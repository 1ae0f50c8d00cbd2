/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of verbs. To add one: its file with the function, its prototype in verb.h, a row
 * here. Usage, completion, the man page and docs/reference/verbs.md follow from the row.
 */
#include "cli/verb.h"

#include "base/mem.h"
#include "base/str.h"

#include <limits.h>
#include <string.h>

/* Farther than this, another verb is not what was meant. */
static const struct sc_verb verbs[];
static const size_t verb_count;

const struct sc_verb *sc_verbs(size_t *count)
{
	*count = verb_count;
	return verbs;
}

const struct sc_verb *sc_verb_find(const char *name)
{
	for (size_t i = 0; i < verb_count; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

const struct sc_verb *sc_verb_nearest(const char *name)
{
	struct sc_nearest nearest;

	sc_nearest_init(&nearest, name, strlen(name));
	for (size_t i = 0; i < verb_count; i++)
		sc_nearest_offer(&nearest, verbs[i].name);
	return nearest.best ? sc_verb_find(nearest.best) : NULL;
}

bool sc_verb_takes(const struct sc_verb *verb, const struct sc_option *common)
{
	return verb->kind == SC_VERB_READS || strcmp(common->name, "json") != 0;
}

#define OPTIONS(...) ((const struct sc_option[]){__VA_ARGS__, {0}})

#define OPERATOR_REQUIRED                                                                   \
	{                                                                                   \
		.name = "operator", .value = "NAME", .help = "who you are, for the record", \
		.required = true                                                            \
	}
#define OPERATOR                                                                                \
	{                                                                                       \
		.name = "operator", .value = "NAME", .help = "who you are; default: your login" \
	}
#define REASON_REQUIRED                                                                            \
	{                                                                                          \
		.name = "reason", .value = "TEXT", .help = "why, for the record", .required = true \
	}
#define REASON                                                                   \
	{                                                                        \
		.name = "reason", .value = "TEXT", .help = "why, for the record" \
	}

#define FORCE_CUT                                                                       \
	{                                                                               \
		.name = "force", .help = "also when disarmed, and for real though the " \
					 "condition is a dry-run; recorded"             \
	}
#define TTL                                                            \
	{                                                              \
		.name = "ttl", .value = "DURATION",                    \
		.help = "undo it by itself after so long, such as 15m" \
	}
#define WAIT                                                                \
	{                                                                   \
		.name = "wait", .help = "wait until the effect is verified" \
	}

const struct sc_option sc_common_options[] = {
	{.name = "base-url",
	 .value = "URL",
	 .help = "ask an agent over HTTP, with SCRAM_API_TOKEN; default SCRAM_BASE_URL"},
	{.name = "help", .help = "print this"},
	{.name = "json", .help = "print the answer as JSON"},
	{.name = "run-dir",
	 .value = "DIR",
	 .help = "the agent's run directory; default /run/scram"},
	{.name = "state-dir",
	 .value = "DIR",
	 .help = "the agent's state directory; default /var/lib/scram"},
	{0},
};

static const struct sc_verb verbs[] = {
	{
		.name = "arm",
		.operands = "",
		.help = "let the agent act again after disarm",
		.options = OPTIONS(OPERATOR, REASON),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_arm,
	},
	{
		.name = "break",
		.operands = "COMPONENT|CGROUP",
		.operands_min = 1,
		.operands_max = 1,
		.help = "cut a component from the network; its clients are refused at once",
		.details = "A declared component by its name; what is not declared by its path. "
			   "With --mode all every connection is refused and what is open ends, "
			   "with --mode new what is open goes on. Fires the live condition that "
			   "does this, or one that is registered for the purpose, through the "
			   "same interlocks as any fire. Undo: unbreak.",
		.options = OPTIONS(FORCE_CUT,
				   {.name = "mode",
				    .value = "new|all",
				    .help = "default: the condition's, else new"},
				   OPERATOR_REQUIRED, REASON_REQUIRED, TTL, WAIT),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_break,
	},
	{
		.name = "breaker",
		.operands = "[COMPONENT [STATE]]",
		.operands_max = 2,
		.help = "list the breakers of components, or set one",
		.details = "STATE is forced-open (cut until taken back), forced-closed (never "
			   "cut), disabled, metrics-only (counts and cuts nothing) or auto (as "
			   "configured). A change needs --reason.",
		.options = OPTIONS(OPERATOR, REASON),
		.kind = SC_VERB_READS,
		.run = sc_verb_breaker,
	},
	{
		.name = "check",
		.operands = "FILE...",
		.operands_min = 1,
		.operands_max = UINT_MAX,
		.help = "check configuration files and say each condition in words",
		.details = "Needs no agent. Every fault is one line, FILE:LINE:COLUMN: what; hint, "
			   "and the "
			   "exit status is 1. What each file includes is checked with it.",
		.kind = SC_VERB_READS,
		.run = sc_verb_check,
	},
	{
		.name = "completion",
		.operands = "bash|zsh",
		.operands_min = 1,
		.operands_max = 1,
		.help = "print a completion script for the shell",
		.details =
			"For bash: source <(scram completion bash). For zsh: scram completion zsh "
			">\"${fpath[1]}/_scram\".",
		.kind = SC_VERB_LOCAL,
		.run = sc_verb_completion,
	},
	{
		.name = "demote",
		.operands = "CONDITION",
		.operands_min = 1,
		.operands_max = 1,
		.help = "make a live condition a dry-run",
		.options = OPTIONS(OPERATOR, REASON),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_demote,
	},
	{
		.name = "disarm",
		.operands = "",
		.help = "stop all automatic and manual fires until arm",
		.details = "The agent goes on watching and recording. What it has frozen or keeps "
			   "killed "
			   "stays so: release it by name.",
		.options = OPTIONS(OPERATOR, REASON),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_disarm,
	},
	{
		.name = "doctor",
		.operands = "",
		.help = "say what is missing or wrong, each with its fix",
		.details = "Asks the agent; with the agent dead it looks by itself and the exit "
			   "status is 3. "
			   "Red findings make it 1.",
		.kind = SC_VERB_READS,
		.run = sc_verb_doctor,
	},
	{
		.name = "fire",
		.operands = "CONDITION",
		.operands_min = 1,
		.operands_max = 1,
		.help = "fire a condition by hand",
		.details = "A condition with a scope needs --target, inside that scope. Without "
			   "--wait the exit "
			   "status is 0 once the action is applied; with --wait it is 0 when the "
			   "effect was "
			   "seen, and 6 when it was not. A condition that is not live is fired as "
			   "a dry-run.",
		.options = OPTIONS(
			{.name = "force",
			 .help = "also when disarmed, and for real though the condition is not "
				 "live; "
				 "recorded"},
			OPERATOR_REQUIRED, REASON_REQUIRED,
			{.name = "target", .value = "CGROUP", .help = "the cgroup to act on"},
			{.name = "wait", .help = "wait until the effect is verified"}),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_fire,
	},
	{
		.name = "fires",
		.operands = "",
		.help = "list fires, newest first",
		.options = OPTIONS({.name = "limit",
				    .value = "N",
				    .help = "at most so many, 1..500; default 50"}),
		.kind = SC_VERB_READS,
		.run = sc_verb_fires,
	},
	{
		.name = "help",
		.operands = "[VERB]",
		.operands_max = 1,
		.help = "print the verbs, or how to use one",
		.kind = SC_VERB_LOCAL,
		.run = sc_verb_help,
	},
	{
		.name = "list",
		.operands = "",
		.help = "list the registered conditions",
		.kind = SC_VERB_READS,
		.run = sc_verb_list,
	},
	{
		.name = "migrate",
		.operands = "",
		.help = "bring the store that DATABASE_URL names up to this version",
		.details = "Applies the files NNNN_*.sql of SCRAM_MIGRATIONS_DIR, or of the place "
			   "they are installed at, in order, each in a transaction; what is "
			   "applied is "
			   "passed over, and an edited file refused.",
		.options = OPTIONS({.name = "dry-run", .help = "tell what would be applied"}),
		.kind = SC_VERB_READS,
		.run = sc_verb_migrate,
	},
	{
		.name = "notify",
		.operands = "KEY=VALUE...",
		.operands_min = 1,
		.operands_max = UINT_MAX,
		.help = "report for the cgroup it is called in: HEARTBEAT=1, QUEUE_DEPTH=17, ...",
		.details =
			"For shell scripts, by any user; programs have include/scram/client.h. "
			"Keys: "
			"HEARTBEAT=1, SESSION=ID, QUEUE_DEPTH=NUMBER, GAUGE_1=NUMBER to "
			"GAUGE_8=NUMBER. They are the signals app.* of the cgroup that the kernel "
			"says the caller lives in; there is no way to report for another.",
		.kind = SC_VERB_WRITES,
		.run = sc_verb_notify,
	},
	{
		.name = "ping",
		.operands = "",
		.help = "ask whether the agent, or the store, answers",
		.options = OPTIONS({.name = "store",
				    .help = "the store that DATABASE_URL names, without the agent; "
					    "writes nothing"}),
		.kind = SC_VERB_READS,
		.run = sc_verb_ping,
	},
	{
		.name = "promote",
		.operands = "CONDITION",
		.operands_min = 1,
		.operands_max = 1,
		.help = "make a dry-run condition live: its fires are real from now on",
		.details = "Holds until the `live` of its own file changes, or until demote.",
		.options = OPTIONS(OPERATOR, REASON),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_promote,
	},
	{
		.name = "quarantine",
		.operands = "TENANT|CGROUP",
		.operands_min = 1,
		.operands_max = 1,
		.help = "cut a tenant from the network: every packet, both ways",
		.details = "A declared tenant by its name; what is not declared by its path. "
			   "Open connections end; cgroups that the tenant makes later are cut "
			   "with it. Fires the live condition that does this, or one that is "
			   "registered for the purpose, through the same interlocks as any fire. "
			   "Undo: unquarantine.",
		.options = OPTIONS(FORCE_CUT, OPERATOR_REQUIRED, REASON_REQUIRED, TTL, WAIT),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_quarantine,
	},
	{
		.name = "reference",
		.operands = "[TOPIC]",
		.operands_max = 1,
		.help = "print a reference page from the program's own tables",
		.details =
			"Without a topic the topics are listed. Pages are Markdown, except `man` "
			"and `catalog`.",
		.kind = SC_VERB_LOCAL,
		.run = sc_verb_reference,
	},
	{
		.name = "register",
		.operands = "FILE|-",
		.operands_min = 1,
		.operands_max = 1,
		.help = "register conditions at run time, from JSON",
		.details = "FILE holds one condition, an array of them, or {\"conditions\": "
			   "[...]}, with the keys "
			   "of the configuration file; - is standard input. Registering again "
			   "replaces. An id "
			   "that a file defines is changed only there.",
		.kind = SC_VERB_WRITES,
		.run = sc_verb_register,
	},
	{
		.name = "release",
		.operands = "FIRE|CGROUP|NAME",
		.operands_min = 1,
		.operands_max = 1,
		.help = "undo what a fire left in force: thaw, stop killing again, uncut",
		.details =
			"NAME is a tenant or a component. "
			"With --offline it needs no agent: what the journal says is still in "
			"force is undone and the release is recorded. Refused while an agent runs.",
		.options = OPTIONS(
			{.name = "offline", .help = "without the agent, from the journal"},
			OPERATOR, REASON),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_release,
	},
	{
		.name = "reload",
		.operands = "",
		.help = "read the configuration again; a bad one is refused whole",
		.kind = SC_VERB_WRITES,
		.run = sc_verb_reload,
	},
	{
		.name = "run",
		.operands = "",
		.help = "run the agent in the foreground",
		.options = OPTIONS(
			{.name = "cgroup-root",
			 .value = "PATH",
			 .help = "the cgroup2 directory to supervise; default: the mount found"},
			{.name = "config",
			 .value = "FILE",
			 .help = "default /etc/scram/scram.yaml; when that is absent, the embedded "
				 "default"},
			{.name = "http",
			 .value = "HOST:PORT|off",
			 .help = "where to serve HTTP; default 127.0.0.1:8400"},
			{.name = "interval",
			 .value = "SECONDS",
			 .help = "of the tick, such as 0.1 or 100ms; default: the file's, else "
				 "100ms"}),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_run,
	},
	{
		.name = "show",
		.operands = "FIRE",
		.operands_min = 1,
		.operands_max = 1,
		.help = "show one fire: evidence, interlocks, timings, outcome",
		.details = "The first 8 or more digits of its id are enough.",
		.kind = SC_VERB_READS,
		.run = sc_verb_show,
	},
	{
		.name = "signals",
		.operands = "[CGROUP]",
		.operands_max = 1,
		.help = "show the signals of a cgroup, or a few of every one",
		.kind = SC_VERB_READS,
		.run = sc_verb_signals,
	},
	{
		.name = "status",
		.operands = "",
		.help = "show how the agent is; exit status 0 only when it is ready",
		.details = "With the agent dead it prints the state file that the agent left, says "
			   "so, and the "
			   "exit status is 3.",
		.kind = SC_VERB_READS,
		.run = sc_verb_status,
	},
	{
		.name = "test-notify",
		.operands = "",
		.help = "tell everybody whom the file's `notify` names, and show who heard it",
		.details = "Records a test, waits until each sink was told of it or has failed, "
			   "and exits 1 when one has. Sinks that only conditions name are not "
			   "told. To report for a program, see notify.",
		.options = OPTIONS(OPERATOR),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_test_notify,
	},
	{
		.name = "unbreak",
		.operands = "COMPONENT|CGROUP",
		.operands_min = 1,
		.operands_max = 1,
		.help = "release every cut of a component",
		.details = "Whoever made it. A breaker whose cut is released closes: see "
			   "breaker. With the agent dead: release NAME --offline.",
		.options = OPTIONS(OPERATOR, REASON),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_unbreak,
	},
	{
		.name = "unquarantine",
		.operands = "TENANT|CGROUP",
		.operands_min = 1,
		.operands_max = 1,
		.help = "release every cut of a tenant",
		.details = "Whoever made it. With the agent dead: release NAME --offline.",
		.options = OPTIONS(OPERATOR, REASON),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_unquarantine,
	},
	{
		.name = "unregister",
		.operands = "CONDITION",
		.operands_min = 1,
		.operands_max = 1,
		.help = "delete a condition that was registered at run time",
		.options = OPTIONS(OPERATOR, REASON),
		.kind = SC_VERB_WRITES,
		.run = sc_verb_unregister,
	},
	{
		.name = "verify",
		.operands = "",
		.help = "check the journal, offline",
		.details = "Exit status: 0 ok, 20 torn tail (a crash), 21 corrupt, 22 missing, 23 "
			   "fork, "
			   "24 rollback, 25 unsigned, 26 unknown key; 1 when it cannot be read.",
		.options = OPTIONS(
			{.name = "pubkey",
			 .value = "FILE",
			 .help = "trust this key; default: seal.pub of the state directory"}),
		.kind = SC_VERB_READS,
		.run = sc_verb_verify,
	},
	{
		.name = "version",
		.operands = "",
		.help = "print the version and the commit",
		.kind = SC_VERB_READS,
		.run = sc_verb_version,
	},
	{
		.name = "why",
		.operands = "CONDITION [CGROUP]",
		.operands_min = 1,
		.operands_max = 2,
		.help = "show why a condition fires or does not",
		.details = "Each operand with its value and threshold, how long the condition has "
			   "held, and "
			   "which interlocks would veto.",
		.kind = SC_VERB_READS,
		.run = sc_verb_why,
	},
};
static const size_t verb_count = SC_ARRAY_SIZE(verbs);
