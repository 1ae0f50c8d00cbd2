/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making paths read-only in mount namespaces that were set up to get in the way: another /proc or
 * none, file systems that never answer, mounts that pass on to others. All mounts are in namespaces
 * of the tests.
 */
#include "base/io.h"
#include "base/mem.h"
#include "sys/readonly_mounts.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static char run_dir[64];
static char data[SC_MOUNTS_PATH_MAX];
static int run_fd;
static struct sc_mounts *mounts;

static void init(void)
{
	char path[96];

	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	snprintf(run_dir, sizeof(run_dir), "/tmp/scram-test-mounts-XXXXXX");
	cr_assert(mkdtemp(run_dir));
	cr_assert_eq(mount("scram-test", run_dir, "tmpfs", 0, NULL), 0);
	snprintf(data, sizeof(data), "%s/data", run_dir);
	cr_assert_eq(mkdir(data, 0755), 0);
	snprintf(path, sizeof(path), "%s/run", run_dir);
	cr_assert_eq(mkdir(path, 0755), 0);
	run_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(run_fd, 0);
	cr_assert_eq(sc_mounts_open(&mounts, run_fd), 0);
}

static void fini(void)
{
	sc_mounts_close(&mounts);
	sc_close(&run_fd);
	(void)umount2(run_dir, MNT_DETACH);
	(void)rmdir(run_dir);
}

TestSuite(readonly_mounts, .init = init, .fini = fini, .timeout = 120);

/* --- members --- */

struct member {
	int (*settle)(void); /* in a mount namespace of its own */
	int flags;           /* of unshare(2), besides that */
	pid_t pid, outer;
	int stay_fd; /* closed: it ends */
};

static void stay(const struct member *m, int ready_fd, int end_fd)
{
	char byte = 'r';
	bool ok = m->settle() == 0 && write(ready_fd, &byte, 1) == 1;

	while (ok && read(end_fd, &byte, 1) < 0 && errno == EINTR)
		continue;
	_exit(!ok);
}

/* Without waiting for what hangs in it. */
static void enter(const struct member *m, const int ready[2], const int end[2])
{
	pid_t pid;

	close(ready[0]);
	close(end[1]);
	if (unshare(CLONE_NEWNS | m->flags) < 0 ||
	    (!(m->flags & CLONE_NEWPID) || (pid = fork()) == 0))
		stay(m, ready[1], end[0]);
	/* The number of the one inside, as it is outside. */
	(void)!write(ready[1], &pid, sizeof(pid));
	(void)waitpid(pid, NULL, 0);
	_exit(0);
}

static void begin(struct member *m)
{
	int ready[2], end[2];
	char byte;

	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(end, O_CLOEXEC), 0);
	m->outer = fork();
	cr_assert_geq(m->outer, 0);
	if (m->outer == 0)
		enter(m, ready, end);
	close(ready[1]);
	close(end[0]);
	m->stay_fd = end[1];
	m->pid = m->outer;
	if (m->flags & CLONE_NEWPID) {
		char path[64], text[32] = "";
		char all[sizeof(pid_t) + 1];
		size_t n = 0;

		while (n < sizeof(all)) {
			ssize_t got = read(ready[0], all + n, sizeof(all) - n);

			cr_assert_gt(got, 0, "the member has no mounts");
			n += (size_t)got;
		}
		snprintf(path, sizeof(path), "/proc/%d/task/%d/children", m->outer, m->outer);
		cr_assert_gt(sc_read_file_at(AT_FDCWD, path, text, sizeof(text)), 0);
		m->pid = (pid_t)strtol(text, NULL, 10);
	} else {
		cr_assert_eq(read(ready[0], &byte, 1), 1, "the member has no mounts");
	}
	close(ready[0]);
}

static void finish(struct member *m)
{
	sc_close(&m->stay_fd);
	cr_expect_eq(waitpid(m->outer, NULL, 0), m->outer);
}

static struct sc_mounts_wish wish_of(const struct member *m)
{
	return (struct sc_mounts_wish){.pids = &m->pid,
				       .n_pids = 1,
				       .paths = (const char(*)[SC_MOUNTS_PATH_MAX]) & data,
				       .n_paths = 1};
}

/* As the member sees the path. */
static bool refuses(const struct member *m)
{
	char path[SC_MOUNTS_PATH_MAX + 32];
	struct statvfs st;

	snprintf(path, sizeof(path), "/proc/%d/root%s", (int)m->pid, data);
	cr_assert_eq(statvfs(path, &st), 0, "%s: %s", path, strerror(errno));
	return st.f_flag & ST_RDONLY;
}

/* --- another /proc than ours --- */

static int proc_of_its_own(void)
{
	return mount("proc", "/proc", "proc", 0, NULL);
}

static int no_proc(void)
{
	return mount("scram-test", "/proc", "tmpfs", 0, NULL);
}

/* Who opens that waits for a writer, for ever. */
static int proc_that_is_a_trap(void)
{
	return no_proc() < 0 || mkdir("/proc/thread-self", 0755) < 0
		       ? -1
		       : mkfifo("/proc/thread-self/mountinfo", 0644);
}

static void expect_held_and_given_back(struct member *m)
{
	struct sc_mounts_wish wish = wish_of(m);
	struct sc_mounts_result result;
	char text[SC_MOUNTS_TEXT_MAX];

	begin(m);
	cr_expect_eq(sc_mounts_set(mounts, &wish, &result), 0, "%s", result.text);
	cr_expect_eq(result.held, 1);
	cr_expect(refuses(m));
	cr_expect_eq(sc_mounts_try(mounts, &wish), 1);
	cr_expect_eq(sc_mounts_release(mounts, text), 0, "%s", text);
	cr_expect_not(refuses(m));
	finish(m);
}

Test(readonly_mounts, a_container_of_another_pid_namespace_is_held)
{
	struct member m = {.settle = proc_of_its_own, .flags = CLONE_NEWPID};

	expect_held_and_given_back(&m);
}

Test(readonly_mounts, a_container_without_proc_is_held)
{
	struct member m = {.settle = no_proc};

	expect_held_and_given_back(&m);
}

Test(readonly_mounts, a_trap_in_place_of_proc_is_not_walked_into)
{
	struct member m = {.settle = proc_that_is_a_trap};

	expect_held_and_given_back(&m);
}

/* --- file systems that never answer --- */

/* Nobody reads what the kernel asks. */
static int mount_silent(const char *at)
{
	char options[96];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -1;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	return mount("scram-test", at, "fuse", 0, options);
}

static int silent_path(void)
{
	return mount_silent(data);
}

static int silent_parent(void)
{
	return mount_silent(run_dir);
}

static void need_fuse(void)
{
	_cleanup_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		cr_skip_test("no /dev/fuse");
}

Test(readonly_mounts, a_silent_file_system_in_place_of_the_path_does_not_hold_up)
{
	struct member m = {.settle = silent_path};
	struct sc_mounts_wish wish = wish_of(&m);
	struct sc_mounts_result result;
	char text[SC_MOUNTS_TEXT_MAX];

	need_fuse();
	begin(&m);
	(void)sc_mounts_set(mounts, &wish, &result);
	(void)sc_mounts_try(mounts, &wish);
	cr_expect_eq(sc_mounts_release(mounts, text), 0, "%s", text);
	finish(&m);
}

Test(readonly_mounts, a_silent_file_system_above_the_path_keeps_nobody_else_writing)
{
	struct member silent = {.settle = silent_parent}, other = {.settle = no_proc};
	struct sc_mounts_wish wish = wish_of(&silent);
	struct sc_mounts_result result;
	char text[SC_MOUNTS_TEXT_MAX];
	pid_t pids[2];

	need_fuse();
	begin(&silent);
	begin(&other);
	pids[0] = silent.pid;
	pids[1] = other.pid;
	wish.pids = pids;
	wish.n_pids = 2;
	/* More often than errands may be late. */
	for (int i = 0; i < 100; i++)
		cr_assert_eq(sc_mounts_set(mounts, &wish, &result), -ETIMEDOUT, "%s", result.text);
	cr_expect_eq(result.held, 1);
	cr_expect(refuses(&other));
	cr_expect_eq(sc_mounts_release(mounts, text), 0, "%s", text);
	cr_expect_not(refuses(&other));
	finish(&other);
	finish(&silent);
}

/* --- mounts that pass on to others --- */

static int nothing(void)
{
	return 0;
}

static int own_ground(struct member *m, struct sc_mounts_wish *wish, struct sc_mounts_result *out)
{
	struct statvfs st;
	int r;

	begin(m);
	r = sc_mounts_set(mounts, wish, out);
	cr_assert_eq(statvfs(wish->keep[0], &st), 0);
	cr_expect_not(st.f_flag & ST_RDONLY, "the agent is locked out of %s", wish->keep[0]);
	cr_expect_not(refuses(m));
	cr_expect_eq(sc_mounts_count(mounts), 0);
	return r;
}

Test(readonly_mounts, a_cover_that_would_pass_on_to_the_agents_records_is_taken_back)
{
	struct member m = {.settle = nothing};
	struct sc_mounts_wish wish = wish_of(&m);
	struct sc_mounts_result result;

	/* A copy of it, in the member's namespace, is a peer of ours. */
	cr_assert_eq(mount(NULL, run_dir, NULL, MS_SHARED, NULL), 0);
	wish.keep[0] = data;
	cr_expect_eq(own_ground(&m, &wish, &result), -EBUSY, "%s", result.text);
	cr_expect(strstr(result.text, "own records"), "%s", result.text);
	/* Nor is it laid and taken back again and again. */
	cr_expect_eq(sc_mounts_set(mounts, &wish, &result), -EBUSY);
	cr_expect_eq(result.changed, 0);
	finish(&m);
}

Test(readonly_mounts, a_path_that_is_another_name_of_the_agents_records_is_left_alone)
{
	struct member m = {.settle = nothing};
	struct sc_mounts_wish wish = wish_of(&m);
	struct sc_mounts_result result;
	char link[SC_MOUNTS_PATH_MAX + 8];
	pid_t self = getpid();

	snprintf(link, sizeof(link), "%.200s.link", data);
	cr_assert_eq(symlink(data, link), 0);
	wish.keep[0] = link;
	wish.pids = &self;
	cr_expect_eq(own_ground(&m, &wish, &result), -EBUSY, "%s", result.text);
	finish(&m);
}
