/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the BPF side: an agent's kernel half that supervises the test's sandbox (sc_box),
 * and looks at what it counted. One per test process.
 */
#pragma once

#include "harness/harness.h"
#include "sys/bpf.h"

#include <criterion/criterion.h>

struct kit {
	struct sc_bpf *bpf;
	struct sc_bpf_view view;
};
extern struct kit kit;

#define KIT_SLOTS 64

/* For TestSuite(.init, .fini): the sandbox and the agent with KIT_SLOTS slots, every part attached.
 */
void kit_init(void);
void kit_fini(void);
/* Only the sandbox; the test opens the agent itself, when it wants to. */
void kit_open(const struct sc_bpf_options *options);
/* Asserts that the part is attached, or skips the test on a kernel that cannot have it. */
void kit_need(enum sc_bpf_part part);

/* How often to do something n times on a machine that is so much slower: n, or a tenth where
 * SC_TIME_SCALE is above 1. */
int kit_times(int n);

/* The slot of a cgroup, or SC_SLOT_NONE. */
uint32_t kit_slot_of_id(uint64_t cgroup_id);
uint32_t kit_slot(int cgroup_fd);
/* What was counted for the cgroup, asserting that it has a slot. */
const struct sc_counts *kit_counts(int cgroup_fd);
const struct sc_counts *kit_root_counts(void);
/* What the iterator read of the cgroup, after a pass of its own. */
const struct sc_kernel *kit_kernel(int cgroup_fd);
const struct sc_tasks *kit_tasks(int cgroup_fd);

/* A cgroup in the sandbox, asserted; the caller's descriptor. */
int kit_mkdir(const char *name);
/* Runs fn(arg) in a process born in the cgroup and waits for its end; the status as of wait(2). */
int kit_run(int cgroup_fd, int (*fn)(void *arg), void *arg);
/* Moves a process to the cgroup. */
void kit_move(int cgroup_fd, pid_t pid);

/* Waits until *value is want (at most 5 s, scaled) and asserts it, naming what. */
void kit_wait_value(const __s64 *value, __s64 want, const char *what);
#define kit_wait_count(counts, field, want) kit_wait_value(&(counts)->field, want, #field)

/* What proc signals of a cgroup should say. */
struct kit_proc {
	__s64 forks, execs, exits, crashes, kills, failures, unexpected, alive, zombies;
};
void kit_expect_proc(int cgroup_fd, const struct kit_proc *want);
