/* SPDX-License-Identifier: Apache-2.0 */
/* A cgroup that a user without rights manages: what it may, what it may not, and what is left. */
#include "harness/harness.h"
#include "sys/subgroup.h"

#include "base/io.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME     "scram-probe"
#define EVENT_MS 60000
/* Nobody's. */
#define USER 1879056501U

TestSuite(subgroup, .init = sc_box_init, .fini = sc_box_fini, .timeout = 300);

static int open_below(int dirfd, const char *path)
{
	return openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_group(void)
{
	int fd = open_below(sc_box.dirfd, NAME);

	cr_assert_geq(fd, 0, "%s", strerror(errno));
	return fd;
}

static struct sc_subgroup make(void)
{
	struct sc_subgroup group;
	int r = sc_subgroup_make(sc_box.dirfd, NAME, USER, USER, &group);

	cr_assert_eq(r, 0, "%s", strerror(-r));
	return group;
}

static bool is_there(void)
{
	return faccessat(sc_box.dirfd, NAME, F_OK, 0) == 0;
}

/* What a process of that user in `worker` could do, in this order; each is 0 or -errno. */
struct tried {
	int make_child, move_child, limit_child, kill_child, remove_child;
	int raise_bound, kill_all, join_above, deeper, flood;
	unsigned int flooded;
};

static int write_one(int dirfd, const char *name, const char *text)
{
	int r = sc_cgroup_write(dirfd, name, text);

	return r < 0 ? r : 0;
}

static int make_dir(int dirfd, const char *name)
{
	return mkdirat(dirfd, name, 0755) < 0 ? -errno : 0;
}

static void try_child(int group, struct tried *t)
{
	pid_t pid = sc_helper_sleep(-1);
	int child, status;
	char text[16];

	t->make_child = make_dir(group, "run-1");
	child = open_below(group, "run-1");
	snprintf(text, sizeof(text), "%d", pid);
	t->move_child = write_one(child, "cgroup.procs", text);
	t->limit_child = write_one(child, "cgroup.max.descendants", "0");
	t->deeper = make_dir(child, "inner");
	t->kill_child = write_one(child, "cgroup.kill", "1");
	(void)sc_wait_child(pid, &status, EVENT_MS);
	(void)sc_wait_populated(child, false, EVENT_MS);
	t->remove_child = unlinkat(group, "run-1", AT_REMOVEDIR) < 0 ? -errno : 0;
}

static void try_beyond(int group, struct tried *t)
{
	char text[16];

	t->raise_bound = write_one(group, "cgroup.max.descendants", "max");
	t->kill_all = write_one(group, "cgroup.kill", "1");
	snprintf(text, sizeof(text), "%d", (int)syscall(SYS_getpid));
	t->join_above = write_one(sc_box.dirfd, "cgroup.procs", text);
	for (t->flood = 0; t->flood == 0 && t->flooded < 10000; t->flooded++) {
		snprintf(text, sizeof(text), "f-%u", t->flooded);
		t->flood = make_dir(group, text);
	}
}

static struct {
	int procs_fd, pipe[2];
} plan;

static int act(void *unused)
{
	struct tried t = {0};
	int group;

	(void)unused;
	if (write(plan.procs_fd, "0", 1) != 1 || syscall(SYS_setresgid, USER, USER, USER) < 0 ||
	    syscall(SYS_setresuid, USER, USER, USER) < 0)
		return 1;
	group = open_below(sc_box.dirfd, NAME);
	try_child(group, &t);
	try_beyond(group, &t);
	return write(plan.pipe[1], &t, sizeof(t)) == sizeof(t) ? 0 : 2;
}

Test(subgroup, its_user_manages_what_is_in_it_and_nothing_else)
{
	struct sc_subgroup group = make();
	struct tried t;
	int status = -1;
	pid_t pid;

	plan.procs_fd = group.procs_fd;
	cr_assert_eq(pipe2(plan.pipe, O_CLOEXEC), 0);
	pid = sc_helper_call(-1, act, NULL);
	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_child(pid, &status, EVENT_MS), 0);
	cr_assert_eq(status, 0, "%x", (unsigned int)status);
	cr_assert_eq(read(plan.pipe[0], &t, sizeof(t)), (ssize_t)sizeof(t));
	cr_expect_eq(t.make_child, 0, "%s", strerror(-t.make_child));
	cr_expect_eq(t.move_child, 0, "%s", strerror(-t.move_child));
	cr_expect_eq(t.limit_child, 0, "%s", strerror(-t.limit_child));
	cr_expect_eq(t.kill_child, 0, "%s", strerror(-t.kill_child));
	cr_expect_eq(t.remove_child, 0, "%s", strerror(-t.remove_child));
	cr_expect_lt(t.deeper, 0, "a level more than is bounded");
	cr_expect_lt(t.raise_bound, 0, "the bound of the whole is root's");
	cr_expect_lt(t.kill_all, 0, "as is its end");
	cr_expect_lt(t.join_above, 0, "nobody gets out");
	cr_expect_lt(t.flood, 0);
	cr_expect_leq(t.flooded, SC_SUBGROUP_CGROUPS_MAX + 1);
	cr_expect_eq(sc_subgroup_clear(sc_box.dirfd, NAME), 0);
	cr_expect_not(is_there());
	close(group.procs_fd);
}

Test(subgroup, what_a_predecessor_left_is_killed_and_made_anew)
{
	struct sc_subgroup group = make();
	int dir = open_group(), run, inner, status = 0;
	uint64_t id = sc_cgroup_id(dir);
	pid_t left;

	cr_assert_eq(mkdirat(dir, "run-7", 0755), 0);
	run = open_below(dir, "run-7");
	left = sc_helper_sleep(run);
	cr_assert_gt(left, 0);
	close(group.procs_fd);
	group = make();
	cr_assert_eq(sc_wait_child(left, &status, EVENT_MS), 0, "it lives on");
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(dir);
	dir = open_group();
	cr_expect_neq(sc_cgroup_id(dir), id, "another cgroup");
	cr_expect_lt(open_below(dir, "run-7"), 0);
	/* Born inside: a cgroup that was killed once would end it at once. */
	inner = open_below(dir, SC_SUBGROUP_INNER);
	left = sc_helper_sleep(inner);
	cr_assert_gt(left, 0);
	cr_expect_eq(sc_cgroup_count(inner), 1);
	cr_assert_eq(sc_subgroup_clear(sc_box.dirfd, NAME), 0);
	cr_assert_eq(sc_wait_child(left, NULL, EVENT_MS), 0);
	cr_expect_not(is_there());
	close(group.procs_fd);
	close(inner);
	close(run);
	close(dir);
}

Test(subgroup, clearing_what_is_not_there_is_no_fault)
{
	struct sc_subgroup group;

	cr_expect_eq(sc_subgroup_clear(sc_box.dirfd, NAME), 0);
	group = make();
	cr_expect_eq(sc_subgroup_clear(sc_box.dirfd, NAME), 0);
	cr_expect_eq(sc_subgroup_clear(sc_box.dirfd, NAME), 0);
	close(group.procs_fd);
}

/* A stranger's tree below it is not taken apart: that is told, and it stays. */
Test(subgroup, what_cannot_be_cleared_is_told_and_not_made)
{
	struct sc_subgroup group = make(), none = {.procs_fd = -7};
	int dir = open_group();

	cr_assert_eq(sc_cgroup_write(dir, "cgroup.max.depth", "max") < 0, 0);
	cr_assert_eq(mkdirat(dir, "a", 0755), 0);
	cr_assert_eq(mkdirat(dir, "a/b", 0755), 0);
	cr_expect_lt(sc_subgroup_make(sc_box.dirfd, NAME, USER, USER, &none), 0);
	cr_expect_eq(none.procs_fd, -7, "untouched on failure");
	cr_expect(is_there());
	cr_assert_eq(unlinkat(dir, "a/b", AT_REMOVEDIR), 0);
	cr_expect_eq(sc_subgroup_clear(sc_box.dirfd, NAME), 0);
	close(group.procs_fd);
	close(dir);
}
