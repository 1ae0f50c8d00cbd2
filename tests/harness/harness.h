/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests on the real kernel: an own cgroup subtree with helper processes in it, waits that end
 *on the event or at a deadline, and a clean-up that happens whatever becomes of the test. The agent
 *under test is in rig.h.
 *
 * A test needs no tear-down of its own: a janitor process, forked first, watches the test through a
 *pidfd and removes everything when the test ends, also by a failed assertion, a crash, a time-out
 *or SIGKILL.
 *
 *	Test(action, kill_empties_the_cgroup)
 *	{
 *		struct sc_sandbox box;
 *		int dirfd;
 *
 *		sc_need_root();
 *		cr_assert_eq(sc_sandbox_open(&box), 0);
 *		dirfd = sc_sandbox_mkdir(&box, "web");
 *		cr_assert_gt(sc_helper_sleep(dirfd), 0);
 *		...
 *		cr_assert_eq(sc_wait_populated(dirfd, false, 30000), 0);
 *		sc_sandbox_close(&box);
 *	}
 */
#pragma once

#include "base/mem.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SC_SANDBOX_PATH_MAX 512

struct sc_sandbox {
	char mount[SC_SANDBOX_PATH_MAX];  /* where the host mounts cgroup2 */
	char cgroup[SC_SANDBOX_PATH_MAX]; /* as in /proc/PID/cgroup: /scram-test-PID-N */
	char dir[SC_SANDBOX_PATH_MAX];    /* the same as a directory: mount + cgroup */
	char tmp[SC_SANDBOX_PATH_MAX];    /* an empty directory for files */
	int dirfd;                        /* of dir */
	int janitor_fd;                   /* a socket to the janitor */
	pid_t janitor;
	pid_t owner; /* who opened it; a forked copy must not close it */
};

/*
 * Makes the subtree, the directory and the janitor. 0, or -errno with nothing left behind; -ENOENT
 * when no cgroup2 is mounted, -EACCES or -EPERM without the rights.
 */
int sc_sandbox_open(struct sc_sandbox *box);

/*
 * Lets the janitor kill everything in the subtree and remove the subtree and the files, and waits
 * for it. Harmless when done twice, on a sandbox that failed to open, and in a forked copy of the
 * process.
 */
void sc_sandbox_close(struct sc_sandbox *box);
#define _cleanup_sandbox_ _cleanup_(sc_sandbox_close)

/* Makes cgroup NAME ("web", or "web/inner" below one that exists). Returns its dirfd, the caller's,
 * or -errno. */
int sc_sandbox_mkdir(struct sc_sandbox *box, const char *name);
/* Removes an empty cgroup; its processes may still be on their way out, so EBUSY is tried again for
 * 5 s. */
int sc_sandbox_rmdir(struct sc_sandbox *box, const char *name);
/* Has the janitor remove this absolute path (a file or a whole directory, mounts excepted) at the
 * end too. */
int sc_sandbox_also_remove(struct sc_sandbox *box, const char *path);
/* The same for the BPF maps that an agent with this run dir pins (never the default one). */
int sc_sandbox_remove_pins(struct sc_sandbox *box, const char *run_dir);

/*
 * The same with one sandbox for the whole test process, for criterion's .init and .fini, which pass
 * nothing: Test(suite, name, .init = sc_box_init, .fini = sc_box_fini). Init skips the test when
 * not root.
 */
extern struct sc_sandbox sc_box;
void sc_box_init(void);
void sc_box_fini(void);

/*
 * Helper processes. Each is born inside the cgroup (clone3, CLONE_INTO_CGROUP): it is never counted
 * anywhere else. cgroup_fd -1 leaves it where the caller is. All die with the sandbox. Return the
 * pid or -errno.
 */
/* Runs fn(arg) in the child and ends it with _exit(fn's value & 255). */
pid_t sc_helper_call(int cgroup_fd, int (*fn)(void *arg), void *arg);
/* Waits for a signal for ever. */
pid_t sc_helper_sleep(int cgroup_fd);
/* Runs a program (PATH is searched); output goes to out_fd and err_fd, -1 = /dev/null. */
pid_t sc_helper_exec(int cgroup_fd, const char *const argv[], int out_fd, int err_fd);
/* The same inside the network namespace that space_fd is of; -1 = the caller's. */
pid_t sc_helper_exec_in(int cgroup_fd, int space_fd, const char *const argv[], int out_fd,
			int err_fd);

/*
 * Waits. Each deadline is in milliseconds and is multiplied by the environment's SC_TIME_SCALE
 * (emulated machines are slow); each returns 0 as soon as it holds, -ETIMEDOUT at the deadline, or
 * -errno.
 */
uint64_t sc_scaled_ms(unsigned int ms);
/* cgroup.events of the cgroup says populated (or frozen) 1 or 0. A removed cgroup counts as not
 * populated. */
int sc_wait_populated(int cgroup_fd, bool want, unsigned int ms);
int sc_wait_frozen(int cgroup_fd, bool want, unsigned int ms);
/* A child of the caller ends: it is reaped and *status (NULL allowed) is as of wait(2). */
int sc_wait_child(pid_t pid, int *status, unsigned int ms);
/* Any process ends (becomes a zombie or vanishes). */
int sc_wait_gone(pid_t pid, unsigned int ms);
/* Any condition, looked at every millisecond: for what has no event to wait on. */
int sc_wait_until(bool (*holds)(void *arg), void *arg, unsigned int ms);

/* Writes text to the file NAME of a cgroup; 0 or -errno. */
int sc_cgroup_write(int cgroup_fd, const char *name, const char *text);
/* One number of a "key value" file: sc_cgroup_key(fd, "cgroup.events", "populated"); -ENOENT when
 * absent. */
int64_t sc_cgroup_key(int cgroup_fd, const char *name, const char *key);
/* How many processes are in cgroup.procs (not below it); -errno. */
int sc_cgroup_count(int cgroup_fd);
/* The kernel's id of the cgroup: the inode number of its directory. 0 on failure. */
uint64_t sc_cgroup_id(int cgroup_fd);

/* Moves the caller into a new network namespace with its loopback up. 0 or -errno. */
int sc_netns_enter(void);

/* Skip the running test, saying why. The runner knows how many skips are to be expected. */
void sc_need_root(void);
void sc_need_file(const char *path, const char *why);
