/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroup of scram-probe in the life of the agent: when there is one, who may touch it, and what
 * becomes of it. */
#include "live/worker_kit.h"

#include "base/io.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

TestSuite(probe_group, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

#define SLEEPS                                                                               \
	"probes: {sleeps: {kind: exec, command: [/bin/sleep, '1000'], budget: 100s, every: " \
	"100s}}\n"                                                                           \
	"conditions: [{id: hold, scope: \"@ROOT@/**\", action: {kind: freeze}, live: true}]\n"
#define ASKS_HTTP \
	"probes: {web: {kind: http, url: 'http://127.0.0.1:1/', budget: 100ms, every: 100s}}\n"

/* Its name below the supervised cgroup; NULL = there is none. One buffer. */
static const char *group_name(void)
{
	static char name[256];
	DIR *dir = opendir(sc_kit.root_dir);
	const struct dirent *entry;
	bool found = false;

	cr_assert(dir);
	while (!found && (entry = readdir(dir))) {
		found = strncmp(entry->d_name, "scram-probe", 11) == 0;
		snprintf(name, sizeof(name), "%s", entry->d_name);
	}
	closedir(dir);
	return found ? name : NULL;
}

/* One that scram-probe made for a run, open; -1 = none. */
static int open_run(void)
{
	const char *group = group_name();
	DIR *dir;
	const struct dirent *entry;
	char path[1024];
	int fd = -1;

	if (!group)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", sc_kit.root_dir, group);
	dir = opendir(path);
	while (fd < 0 && dir && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "run-", 4) == 0)
			fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir)
		closedir(dir);
	return fd;
}

/* The pid of the program that runs there, else 0. */
static pid_t program(void)
{
	_cleanup_close_ int run = open_run();
	char text[256];

	if (run < 0 || sc_read_file_at(run, "cgroup.procs", text, sizeof(text)) <= 0)
		return 0;
	return (pid_t)strtol(text, NULL, 10);
}

static bool runs(void *arg)
{
	pid_t pid = program();

	*(pid_t *)arg = pid;
	return pid > 0;
}

static bool is_gone(void *arg)
{
	(void)arg;
	return group_name() == NULL;
}

static pid_t wait_program(void)
{
	pid_t pid = 0;

	cr_assert_eq(sc_wait_until(runs, &pid, 2 * SC_KIT_EVENT_MS), 0, "it does not run");
	return pid;
}

Test(probe_group, it_is_there_while_programs_may_run)
{
	sc_kit_start("");
	cr_expect_null(group_name(), "nobody asked for one");
	sc_kit_write(ASKS_HTTP);
	cr_assert_eq(sc_rig_run(&sc_kit, "reload"), 0);
	sc_kit_worker_wait_up("probe");
	cr_expect_null(group_name(), "nor does HTTP need one");
	sc_kit_write(SLEEPS);
	cr_assert_eq(sc_rig_run(&sc_kit, "reload"), 0);
	(void)wait_program();
	sc_kit_write("");
	cr_assert_eq(sc_rig_run(&sc_kit, "reload"), 0);
	cr_expect_eq(sc_wait_until(is_gone, NULL, SC_KIT_EVENT_MS), 0, "it stays");
}

Test(probe_group, the_worker_lives_in_it_and_no_fire_touches_it)
{
	char path[64], text[1024], line[1024];
	const char *group;

	sc_kit_start(SLEEPS);
	(void)wait_program();
	group = group_name();
	snprintf(path, sizeof(path), "/proc/%d/cgroup", sc_kit_worker_pid("probe"));
	cr_assert_gt(sc_read_file_at(AT_FDCWD, path, text, sizeof(text)), 0);
	snprintf(line, sizeof(line), "%s/%s/worker\n", sc_kit.root, group);
	cr_expect_not_null(strstr(text, line), "%s", text);
	snprintf(line, sizeof(line), "fire hold --target %s/%s --reason r --operator o",
		 sc_kit.root, group);
	sc_kit_expect(line, 4, "protected");
	snprintf(line, sizeof(line), "fire hold --target %s/%s/worker --reason r --operator o",
		 sc_kit.root, group);
	sc_kit_expect(line, 4, "protected");
	sc_kit_expect("doctor", 0, "programs of probes");
}

Test(probe_group, the_agents_end_ends_what_runs)
{
	pid_t pid;

	sc_kit_start(SLEEPS);
	pid = wait_program();
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGTERM, NULL), 0);
	cr_expect_eq(sc_wait_gone(pid, SC_KIT_EVENT_MS), 0, "it outlives the agent");
	cr_expect_null(group_name(), "it stays");
}

Test(probe_group, what_a_killed_agent_left_is_cleared_by_the_next)
{
	pid_t pid, next = 0;

	sc_kit_start(SLEEPS);
	pid = wait_program();
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	cr_expect_not_null(group_name(), "nobody could clear it");
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	sc_kit_worker_wait_up("probe");
	cr_expect_eq(sc_wait_gone(pid, SC_KIT_EVENT_MS), 0, "the old one runs");
	next = wait_program();
	cr_expect_neq(next, pid);
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	sc_kit_write("");
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	cr_expect_eq(sc_wait_until(is_gone, NULL, SC_KIT_EVENT_MS), 0,
		     "it stays where nobody needs it any more");
	cr_expect_eq(sc_wait_gone(next, SC_KIT_EVENT_MS), 0);
}
