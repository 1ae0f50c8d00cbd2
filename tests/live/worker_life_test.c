/* SPDX-License-Identifier: Apache-2.0 */
/* The real workers: what they are started with, and what becomes of them. */
#include "live/worker_kit.h"

#include "base/clock.h"
#include "base/io.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(worker_life, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

static const char *const names[] = {"api", "probe", "ship"};

/* The line of /proc/PID/status that begins so, without that; one buffer. */
static const char *proc_status(pid_t pid, const char *key)
{
	static char text[8192];
	char path[64];
	char *at;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	cr_assert_gt(sc_read_file_at(AT_FDCWD, path, text, sizeof(text)), 0);
	at = strstr(text, key);
	cr_assert(at, "no %s in %s", key, path);
	at += strlen(key);
	at[strcspn(at, "\n")] = '\0';
	return at + strspn(at, ": \t");
}

static long proc_number(pid_t pid, const char *file)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	cr_assert_gt(sc_read_file_at(AT_FDCWD, path, text, sizeof(text)), 0);
	return strtol(text, NULL, 10);
}

Test(worker_life, no_rights_are_left)
{
	uid_t uids[SC_ARRAY_SIZE(names)];

	sc_kit_start_workers();
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++) {
		pid_t pid = sc_kit_worker_pid(names[i]);
		unsigned int real, effective, saved, fs;

		cr_expect_str_eq(proc_status(pid, "\nCapEff"), "0000000000000000");
		cr_expect_str_eq(proc_status(pid, "\nCapPrm"), "0000000000000000");
		cr_expect_str_eq(proc_status(pid, "\nCapAmb"), "0000000000000000");
		cr_expect_str_eq(proc_status(pid, "\nNoNewPrivs"), "1");
		cr_expect_str_eq(proc_status(pid, "\nSeccomp"), "2", "%s has no filter", names[i]);
		cr_expect_str_eq(proc_status(pid, "\nSigBlk"), "0000000000000000");
		cr_expect_str_eq(proc_status(pid, "\nGroups"), "");
		cr_assert_eq(sscanf(proc_status(pid, "\nUid"), "%u %u %u %u", &real, &effective,
				    &saved, &fs),
			     4);
		cr_expect(real && real == effective && real == saved && real == fs);
		uids[i] = real;
		cr_expect_eq(proc_number(pid, "oom_score_adj"), 0);
		cr_expect_eq(sched_getscheduler(pid), SCHED_OTHER);
		cr_expect_eq(getpriority(PRIO_PROCESS, (id_t)pid), 0);
		cr_expect_eq(getpgid(pid), pid);
	}
	cr_expect(uids[0] != uids[1] && uids[1] != uids[2] && uids[0] != uids[2],
		  "two share a user");
}

/* The cgroup that its programs have theirs in, the one of a run, and the program itself. */
static bool is_of_a_program(const char *to)
{
	char below[SC_SANDBOX_PATH_MAX + 16];

	snprintf(below, sizeof(below), "%s/scram-probe", sc_kit.root_dir);
	return strncmp(to, below, strlen(below)) == 0 || strstr(to, "[pidfd]") ||
	       strstr(to, "pidfd:");
}

/* Null, log, link, what a program makes for itself, and what it asked for: no other. */
static void expect_own_fds(pid_t pid, const char *name)
{
	char path[64], at[600], to[512], segments[SC_SANDBOX_PATH_MAX + 16];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	snprintf(segments, sizeof(segments), "%s/journal/", sc_kit.state_dir);
	dir = opendir(path);
	cr_assert(dir);
	while ((entry = readdir(dir))) {
		ssize_t n;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(at, sizeof(at), "%s/%s", path, entry->d_name);
		n = readlink(at, to, sizeof(to) - 1);
		to[n > 0 ? n : 0] = '\0';
		cr_expect(strcmp(to, "/dev/null") == 0 || strncmp(to, "socket:", 7) == 0 ||
				  strncmp(to, "anon_inode:[event", 17) == 0 ||
				  strcmp(to, "anon_inode:[timerfd]") == 0 ||
				  strcmp(to, "anon_inode:[signalfd]") == 0 ||
				  strncmp(to, "pipe:", 5) == 0 || strcmp(to, sc_kit.log) == 0 ||
				  (strcmp(name, "ship") == 0 &&
				   strncmp(to, segments, strlen(segments)) == 0) ||
				  (strcmp(name, "probe") == 0 && is_of_a_program(to)),
			  "%s has %s open as %s", name, to, entry->d_name);
	}
	closedir(dir);
}

Test(worker_life, no_descriptor_of_the_agent_leaks)
{
	sc_kit_start_workers();
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++)
		expect_own_fds(sc_kit_worker_pid(names[i]), names[i]);
}

static bool is_restarted(void *arg)
{
	const char *name = arg;

	return sc_kit_worker_number(name, "restarts") > 0;
}

static bool has_variable(pid_t pid, const char *name)
{
	char path[64], text[16384];
	size_t n = strlen(name);
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	size = sc_read_file_at(AT_FDCWD, path, text, sizeof(text));
	cr_assert_gt(size, 0);
	for (const char *at = text; at < text + size; at += strlen(at) + 1)
		if (strncmp(at, name, n) == 0 && at[n] == '=')
			return true;
	return false;
}

Test(worker_life, a_secret_goes_to_the_one_worker_that_needs_it)
{
	static const struct {
		const char *variable, *owner;
	} rows[] = {{"SCRAM_API_TOKEN", "api"},
		    {"DATABASE_URL", "ship"},
		    {"AWS_SECRET_ACCESS_KEY", "nobody"},
		    {"LD_PRELOAD", "nobody"}};

	setenv("SCRAM_API_TOKEN", "s3cret-s3cret-s3cret-s3cret-s3cret", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "x", 1);
	setenv("LD_PRELOAD", "", 1);
	sc_kit_start_workers();
	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++)
		for (size_t k = 0; k < SC_ARRAY_SIZE(names); k++)
			cr_expect_eq(has_variable(sc_kit_worker_pid(names[k]), rows[i].variable),
				     strcmp(rows[i].owner, names[k]) == 0, "%s in %s",
				     rows[i].variable, names[k]);
}

Test(worker_life, a_killed_worker_comes_back_with_another_pid)
{
	sc_kit_start_workers();
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++) {
		pid_t pid = sc_kit_worker_pid(names[i]);
		json_t *worker;

		cr_assert_eq(kill(pid, SIGKILL), 0);
		cr_assert_eq(
			sc_wait_until(is_restarted, (void *)(uintptr_t)names[i], SC_KIT_EVENT_MS),
			0);
		sc_kit_worker_wait_up(names[i]);
		worker = sc_kit_worker(names[i]);
		cr_expect_neq(sc_kit_number(worker, "pid"), (uint64_t)pid);
		cr_expect_eq(sc_kit_number(worker, "restarts"), 1);
		cr_expect_str_eq(sc_kit_text(worker, "last_end"), "it was killed by signal 9");
		json_decref(worker);
	}
}

Test(worker_life, workers_die_with_a_killed_agent)
{
	pid_t pids[SC_ARRAY_SIZE(names)];

	sc_kit_start_workers();
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++)
		pids[i] = sc_kit_worker_pid(names[i]);
	/* One that cannot react dies all the same. */
	cr_assert_eq(kill(pids[0], SIGSTOP), 0);
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++)
		cr_expect_eq(sc_wait_gone(pids[i], SC_KIT_EVENT_MS), 0, "%s lives on", names[i]);
}

Test(worker_life, an_orderly_end_waits_for_no_stopped_worker)
{
	pid_t pid;
	uint64_t begin;
	int status;

	sc_kit_start_workers();
	pid = sc_kit_worker_pid("ship");
	cr_assert_eq(kill(pid, SIGSTOP), 0);
	begin = sc_mono_ns();
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGTERM, &status), 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* One that hangs is believed dead after 15 s. */
	cr_expect_lt(sc_mono_ns() - begin, sc_scaled_ms(14000) * SC_NS_PER_MS);
	cr_expect_eq(sc_wait_gone(pid, 30000), 0);
}

Test(worker_life, stopped_workers_delay_no_tick_and_are_replaced)
{
	sc_kit_start_workers();
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++)
		cr_assert_eq(kill(sc_kit_worker_pid(names[i]), SIGSTOP), 0);
	sc_kit_expect_ticks("all workers stopped");
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++) {
		sc_kit_worker_wait(names[i], "hung", 1);
		sc_kit_worker_wait_up(names[i]);
	}
}

Test(worker_life, only_what_is_asked_for_runs)
{
	pid_t pid;

	unsetenv("DATABASE_URL");
	sc_kit_start("");
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++) {
		json_t *worker = sc_kit_worker(names[i]);
		bool is_off = strcmp(sc_kit_text(worker, "state"), "off") == 0;

		/* api.sock is always served. */
		cr_expect_eq(is_off, strcmp(names[i], "api") != 0, "%s: %s", names[i],
			     sc_kit_text(worker, "state"));
		json_decref(worker);
	}
	/* A probe in the reloaded file is a reason to start, its removal one to end. */
	cr_assert_eq(
		sc_rig_config(&sc_kit, SC_KIT_TICK
			      "probes: {p: {kind: exec, command: [/bin/true], every: 3600s}}\n"),
		0);
	sc_kit_expect("reload", 0, "");
	sc_kit_worker_wait_up("probe");
	pid = sc_kit_worker_pid("probe");
	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_rig_config(&sc_kit, SC_KIT_TICK), 0);
	sc_kit_expect("reload", 0, "");
	cr_expect_eq(sc_wait_gone(pid, SC_KIT_EVENT_MS), 0);
}

Test(worker_life, a_port_in_use_is_told_and_ends_the_start)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(at);
	char where[32], log[16384];
	int status = 0;

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, size), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	snprintf(where, sizeof(where), "127.0.0.1:%u", ntohs(at.sin_port));
	sc_kit.http = where;
	cr_assert_eq(sc_rig_launch(&sc_kit, NULL), 0);
	cr_assert_eq(sc_wait_child(sc_kit.pid, &status, SC_KIT_EVENT_MS), 0);
	sc_kit.pid = -1;
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	cr_assert_gt(sc_read_file_at(AT_FDCWD, sc_kit.log, log, sizeof(log)), 0);
	cr_expect(strstr(log, where) && strstr(log, "is in use by another program"), "%s", log);
}

Test(worker_life, ready_means_that_http_listens)
{
	json_t *status;

	unsetenv("DATABASE_URL");
	sc_kit.http = sc_kit_free_port();
	sc_kit_start("");
	status = sc_rig_json(&sc_kit, "status");
	cr_expect_str_eq(sc_kit_text(json_object_get(status, "http"), "state"), "listening");
	cr_expect_str_eq(sc_kit_text(json_object_get(status, "http"), "listen"), sc_kit.http);
	json_decref(status);
	/* Stopped before it can say ready again: not ready. */
	cr_assert_eq(kill(sc_kit_worker_pid("api"), SIGKILL), 0);
	sc_kit_worker_wait("api", "restarts", 1);
	sc_kit_worker_wait_up("api");
	cr_expect_eq(sc_rig_run(&sc_kit, "status"), 0);
}
