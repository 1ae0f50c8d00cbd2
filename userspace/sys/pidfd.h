/* SPDX-License-Identifier: Apache-2.0 */
/* Processes held by pidfd(2), and what /proc tells about one. Mechanism only, no policy. */
#pragma once

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A descriptor of the process that now has this pid; -ESRCH. Thread ids other than leaders are
 * refused. */
int sc_pidfd_open(pid_t pid);
/* True once the process has exited, reaped or not. */
bool sc_pidfd_is_dead(int pidfd);
/* 0, -ESRCH when it is dead and reaped, -EPERM. */
int sc_pidfd_signal(int pidfd, int sig);

#define SC_PROCESS_WCHAN_MAX 64

struct sc_process {
	char state;    /* R S D T t Z X I; of a living thread when only the leader is dead */
	char comm[64]; /* as the kernel has it: hostile bytes; at most 15 for user tasks */
	char wchan[SC_PROCESS_WCHAN_MAX]; /* kernel function it waits in; empty when not told */
	uint64_t
		start_boot_ns; /* CLOCK_BOOTTIME of its start, rounded down to the 10 ms of /proc */
	bool is_kernel_thread;
	bool is_exiting; /* its leader, at least */
};

/*
 * Parses /proc/PID/stat (proc(5)); everything up to the last ')' is the name, which may hold any
 * byte. 0 or -EINVAL with process untouched. wchan is left empty.
 */
int sc_process_parse_stat(const char *text, struct sc_process *process);
/* Reads stat and wchan of the process, -ESRCH when it is gone. */
int sc_process_read(pid_t pid, struct sc_process *process);
