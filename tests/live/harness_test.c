/* SPDX-License-Identifier: Apache-2.0 */
/* The harness itself: a test that leaves something behind would spoil every later one. */
#include "harness/harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Shared with a child that is killed: where its sandbox was. */
struct seen {
	struct sc_sandbox box;
	int ready;
	pid_t helper;
	char extra[64];
};

static int fork_children_for_ever(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++)
		if (fork() == 0)
			break;
	while (pause())
		continue;
	return 0;
}

static int open_and_wait_to_die(void *arg)
{
	struct seen *seen = arg;
	int fd, inner;

	if (sc_sandbox_open(&seen->box))
		return 1;
	fd = sc_sandbox_mkdir(&seen->box, "a");
	inner = sc_sandbox_mkdir(&seen->box, "a/b");
	seen->helper = sc_helper_call(inner, fork_children_for_ever, NULL);
	sc_helper_sleep(fd);
	sc_cgroup_write(fd, "cgroup.freeze", "1");
	snprintf(seen->extra, sizeof(seen->extra), "/tmp/scram-extra-%d", getpid());
	close(open(seen->extra, O_CREAT | O_CLOEXEC, 0600));
	sc_sandbox_also_remove(&seen->box, seen->extra);
	snprintf(seen->box.tmp + strlen(seen->box.tmp), 8, "/f");
	close(open(seen->box.tmp, O_CREAT | O_CLOEXEC, 0600));
	*strrchr(seen->box.tmp, '/') = '\0';
	seen->ready = 1;
	while (pause())
		continue;
	return 0;
}

static bool is_ready(void *arg)
{
	return ((volatile struct seen *)arg)->ready;
}

static bool nothing_left(void *arg)
{
	const struct seen *seen = arg;
	struct stat st;

	return lstat(seen->box.dir, &st) && lstat(seen->box.tmp, &st) && lstat(seen->extra, &st);
}

Test(harness, cleans_up_after_sigkill_of_the_test)
{
	struct seen *seen;
	pid_t pid;

	sc_need_root();
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(seen, MAP_FAILED);
	pid = sc_helper_call(-1, open_and_wait_to_die, seen);
	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_until(is_ready, seen, 30000), 0);
	cr_assert_eq(access(seen->box.dir, F_OK), 0);
	kill(pid, SIGKILL);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	cr_expect_eq(sc_wait_until(nothing_left, seen, 30000), 0, "left: %s", seen->box.dir);
	cr_expect_eq(sc_wait_gone(seen->helper, 30000), 0);
}

Test(harness, close_kills_and_removes_and_may_be_done_twice)
{
	struct sc_sandbox box;
	pid_t pid;
	int fd;

	sc_need_root();
	cr_assert_eq(sc_sandbox_open(&box), 0);
	fd = sc_sandbox_mkdir(&box, "web");
	cr_assert_geq(fd, 0);
	pid = sc_helper_sleep(fd);
	cr_assert_gt(pid, 0);
	cr_expect_eq(sc_wait_populated(fd, true, 30000), 0);
	sc_sandbox_close(&box);
	sc_sandbox_close(&box);
	cr_expect_neq(access(box.dir, F_OK), 0);
	cr_expect_neq(access(box.tmp, F_OK), 0);
	cr_expect_eq(sc_wait_child(pid, NULL, 30000), 0);
}

Test(harness, helper_is_born_inside_its_cgroup, .init = sc_box_init, .fini = sc_box_fini)
{
	char path[SC_SANDBOX_PATH_MAX + 16], line[1024] = "", want[SC_SANDBOX_PATH_MAX + 16];
	int fd = sc_sandbox_mkdir(&sc_box, "web");
	pid_t pid = sc_helper_sleep(fd);
	bool found = false;
	FILE *f;

	cr_assert_gt(pid, 0);
	cr_expect_eq(sc_cgroup_count(fd), 1);
	cr_expect_eq(sc_cgroup_key(fd, "cgroup.events", "populated"), 1);
	cr_expect_eq(sc_cgroup_key(fd, "cgroup.events", "popul"), -ENOENT);
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	snprintf(want, sizeof(want), "0::%s/web\n", sc_box.cgroup);
	f = fopen(path, "re");
	cr_assert_not_null(f);
	while (!found && fgets(line, sizeof(line), f))
		found = !strcmp(line, want);
	fclose(f);
	cr_expect(found, "%s", line);
}

Test(harness, waits_end_on_the_event_and_at_the_deadline, .init = sc_box_init, .fini = sc_box_fini)
{
	int fd = sc_sandbox_mkdir(&sc_box, "web");
	pid_t pid = sc_helper_sleep(fd);
	int status = 0;

	cr_expect_eq(sc_wait_populated(fd, false, 20), -ETIMEDOUT);
	cr_expect_eq(sc_wait_frozen(fd, true, 20), -ETIMEDOUT);
	cr_expect_eq(sc_wait_gone(pid, 20), -ETIMEDOUT);
	cr_expect_eq(sc_cgroup_write(fd, "cgroup.freeze", "1"), 0);
	cr_expect_eq(sc_wait_frozen(fd, true, 30000), 0);
	cr_expect_eq(sc_cgroup_write(fd, "cgroup.freeze", "0"), 0);
	cr_expect_eq(sc_wait_frozen(fd, false, 30000), 0);
	cr_expect_eq(sc_cgroup_write(fd, "cgroup.kill", "1"), 0);
	cr_expect_eq(sc_wait_populated(fd, false, 30000), 0);
	cr_expect_eq(sc_wait_child(pid, &status, 30000), 0);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	cr_expect_eq(sc_sandbox_rmdir(&sc_box, "web"), 0);
	cr_expect_eq(sc_wait_populated(fd, false, 20), 0);
	cr_expect_eq(sc_sandbox_rmdir(&sc_box, "web"), -ENOENT);
}

Test(harness, a_forked_copy_does_not_close_the_sandbox, .init = sc_box_init, .fini = sc_box_fini)
{
	pid_t pid = fork();

	if (pid == 0) {
		sc_sandbox_close(&sc_box);
		_exit(0);
	}
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	cr_expect_eq(access(sc_box.dir, F_OK), 0);
}

static int count_interfaces(void *arg)
{
	char line[512];
	int lines = 0;
	FILE *f;

	(void)arg;
	if (sc_netns_enter())
		return 100;
	f = fopen("/proc/self/net/dev", "re");
	while (f && fgets(line, sizeof(line), f))
		lines++;
	return lines - 2; /* two lines of heading */
}

Test(harness, network_namespace_has_only_its_loopback)
{
	int status = -1;
	pid_t pid;

	sc_need_root();
	pid = sc_helper_call(-1, count_interfaces, NULL);
	cr_assert_eq(sc_wait_child(pid, &status, 30000), 0);
	cr_expect_lt(WEXITSTATUS(status), 100, "cannot enter a network namespace");
	cr_expect_geq(WEXITSTATUS(status), 1);
}

Test(harness, exec_gives_status_and_output, .init = sc_box_init, .fini = sc_box_fini)
{
	static const char *const argv[] = {"sh", "-c", "echo out; echo err >&2; exit 7", NULL};
	int out = memfd_create("out", MFD_CLOEXEC);
	char text[16] = "";
	int status = 0;
	pid_t pid = sc_helper_exec(sc_box.dirfd, argv, out, -1);

	cr_assert_eq(sc_wait_child(pid, &status, 30000), 0);
	cr_expect_eq(WEXITSTATUS(status), 7);
	cr_assert_eq(pread(out, text, sizeof(text) - 1, 0), 4);
	cr_expect_str_eq(text, "out\n");
}
