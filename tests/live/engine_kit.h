/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the running agent: one rig per test process, the agent in it with a short tick, and
 * short ways to make cgroups sick, to fire, and to ask what became of it. Whatever fails, fails the
 * test.
 */
#pragma once

#include "harness/rig.h"
#include "live/action_drive.h"

#include <criterion/criterion.h>
#include <jansson.h>

/* An automatic fire comes 2 s after the start at the earliest; the rest is for a loaded machine. */
#define SC_KIT_EVENT_MS 60000
/* So many ticks in a row are what `it stays so` means here; SC_KIT_TICK each. */
#define SC_KIT_TICKS 20
#define SC_KIT_TICK  "tick: 20ms\n"

/* For TestSuite(NAME, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300). */
extern struct sc_rig sc_kit;
void sc_kit_init(void);
void sc_kit_fini(void);

/* Writes SC_KIT_TICK and the conditions (YAML flow items, @ROOT@ = the supervised cgroup), starts.
 */
void sc_kit_start(const char *conditions);
/* Writes another file of this form for the running agent; sends nothing. */
void sc_kit_write(const char *conditions);
/* Ends the agent with the signal, and starts it again as it was. */
void sc_kit_restart(int signo);
/* Waits until the startup grace is over. */
void sc_kit_wait_grace(void);
/* Waits until the agent has run n more full ticks. */
void sc_kit_wait_ticks(uint64_t n);

/* Makes the cgroup NAME below the supervised one; returns its dirfd. */
int sc_kit_mkdir(const char *name);
/* Removes it, once it is empty. */
void sc_kit_rmdir(const char *name);
/* Its path as conditions have it; one buffer, good until the next call. */
const char *sc_kit_path(const char *name);
/* n processes are born inside, one after the other, and die of SIGSEGV. */
void sc_kit_crash(int cgroup_fd, unsigned int n);
/* A process inside that waits for ever. */
pid_t sc_kit_sleeper(int cgroup_fd);
/*
 * The same, moved in from another cgroup. Linux 6.18 kills at once what is born by
 * CLONE_INTO_CGROUP into a cgroup that cgroup.kill was ever written to, from a parent outside.
 */
pid_t sc_kit_joiner(int cgroup_fd);
/* Kills a process that the test made, and reaps it. */
void sc_kit_end(pid_t pid);
/* A program of tests/programs inside the cgroup, with up to three arguments (NULL-ended). */
pid_t sc_kit_program(int cgroup_fd, const char *name, const char *const args[]);
/* Alive, and in a cgroup that is neither frozen nor empty. */
void sc_kit_expect_untouched(pid_t pid, int cgroup_fd);
bool sc_kit_is_frozen(int cgroup_fd);

/* `scram fire ID --target PATH-OF-NAME --reason R --operator O EXTRA`; name NULL = no target. */
int sc_kit_fire(const char *id, const char *name, const char *extra);
/* How many fires of this condition have want in the member key (NULL = any). */
unsigned int sc_kit_count(const char *id, const char *key, const char *want);
/* Waits for at least n of them. */
void sc_kit_wait(const char *id, const char *key, const char *want, unsigned int n);
/* The i-th newest of them: the caller's, never NULL. */
json_t *sc_kit_get(const char *id, const char *key, const char *want, size_t i);
/* Member of an object as text ("" when it is null or absent), and as a number (0). */
const char *sc_kit_text(const json_t *object, const char *key);
uint64_t sc_kit_number(const json_t *object, const char *key);
/* The condition as `list --json` has it: the caller's, never NULL. */
json_t *sc_kit_condition(const char *id);
/* The state of the condition on the cgroup NAME as `why --json` has it; one buffer. */
const char *sc_kit_state(const char *id, const char *name);
/* Waits until that is `want`. */
void sc_kit_wait_state(const char *id, const char *name, const char *want);

/* Runs a verb line; the exit status, and what it said on both outputs in cli. */
void sc_kit_cli(struct sc_cli *cli, const char *line);
/* The same with the expected status and a text that either output contains. */
void sc_kit_expect(const char *line, int status, const char *text);
