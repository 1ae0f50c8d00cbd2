/* SPDX-License-Identifier: Apache-2.0 */
/* Probes in the running agent: real programs and a real server, confined, bounded, replaced. */
#include "live/worker_kit.h"

#include "base/clock.h"
#include "base/io.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(probe_worker, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);
/* Takes all processes that the worker's user may have, which agents beside it share. */
TestSuite(alone, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

/* The probe as `status --json` has it: the caller's, never NULL. */
static json_t *probe(const char *name)
{
	json_t *status = sc_rig_json(&sc_kit, "status"), *p, *found = NULL;
	size_t i;

	cr_assert(status, "status says nothing");
	json_array_foreach (json_object_get(status, "probes"), i, p)
		if (strcmp(sc_kit_text(p, "name"), name) == 0)
			found = json_incref(p);
	json_decref(status);
	cr_assert(found, "no probe %s in status", name);
	return found;
}

struct wanted {
	const char *name, *says; /* "true", "false", or the class of an unknown */
	uint64_t n;              /* runs that said so; 0: it is the answer now */
};

static bool has_said(void *arg)
{
	struct wanted *w = arg;
	json_t *p = probe(w->name), *answer = json_object_get(p, "answer");
	bool is_true = strcmp(w->says, "true") == 0, is_false = strcmp(w->says, "false") == 0;
	bool r;

	if (w->n)
		r = sc_kit_number(is_true || is_false ? p : json_object_get(p, "unknown_by"),
				  is_true    ? "yes"
				  : is_false ? "no"
					     : w->says) >= w->n;
	else
		r = is_true    ? json_is_true(answer)
		    : is_false ? json_is_false(answer)
			       : json_is_null(answer);
	json_decref(p);
	return r;
}

/* n of them, or, with 0, that it is what the probe says now. */
static void wait_said(const char *name, const char *says, uint64_t n)
{
	struct wanted w = {name, says, n};
	json_t *p;

	if (sc_wait_until(has_said, &w, 4 * SC_KIT_EVENT_MS) == 0)
		return;
	p = probe(name);
	cr_assert_fail("%s does not say %s: %s", name, says, json_dumps(p, 0));
}

static void write_config(const char *probes)
{
	char text[8192];

	cr_assert_lt(snprintf(text, sizeof(text), "%sprobes:\n%s", SC_KIT_TICK, probes),
		     (int)sizeof(text));
	cr_assert_eq(sc_rig_config(&sc_kit, text), 0);
}

static void start(const char *probes)
{
	unsetenv("DATABASE_URL");
	write_config(probes);
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
}

/* --- a server that knows a token --- */

static void answer(int fd)
{
	static const char yes[] = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"value\":true}";
	static const char no[] = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
	char request[4096] = "";
	size_t size = 0;
	ssize_t n;
	bool knows;

	while (!strstr(request, "\"}") &&
	       (n = recv(fd, request + size, sizeof(request) - 1 - size, 0)) > 0) {
		size += (size_t)n;
		request[size] = '\0';
	}
	knows = strstr(request, "\r\nAuthorization: Bearer s3cret\r\n") != NULL;
	(void)!send(fd, knows ? yes : no, strlen(knows ? yes : no), MSG_NOSIGNAL);
	close(fd);
}

static int serve(void *arg)
{
	int listener = *(int *)arg;

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			return 1;
		answer(fd);
	}
}

static int start_server(void)
{
	static int fd;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, size), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	cr_assert_eq(listen(fd, 64), 0);
	cr_assert_gt(sc_helper_call(sc_kit.agent_fd, serve, &fd), 0);
	return ntohs(at.sin_port);
}

/* A file of root alone. */
static const char *token_file(void)
{
	static char path[SC_SANDBOX_PATH_MAX + 16];
	_cleanup_close_ int dir = open(sc_kit.box.tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(sc_write_file_atomic(dir, "token", "s3cret\n", 7, 0600), 0);
	snprintf(path, sizeof(path), "%s/token", sc_kit.box.tmp);
	return path;
}

Test(probe_worker, programs_and_servers_answer)
{
	char text[2048], log[65536];
	int port = start_server();

	snprintf(text, sizeof(text),
		 "  yes: {kind: exec, command: [/bin/true], every: 2s}\n"
		 "  no: {kind: exec, command: [/bin/false], every: 2s}\n"
		 "  broken: {kind: exec, command: [/bin/sh, -c, 'echo bad luck >&2; exit 7'], "
		 "every: 2s}\n"
		 "  missing: {kind: exec, command: [/does/not/exist], every: 2s}\n"
		 "  hung: {kind: exec, command: [/bin/sleep, '1000'], budget: 200ms, every: 2s}\n"
		 "  server: {kind: http, url: 'http://127.0.0.1:%d/x', token_file: %s, every: 2s}\n"
		 "  stranger: {kind: http, url: 'http://127.0.0.1:%d/x', every: 2s}\n"
		 "  refused: {kind: http, url: 'http://127.0.0.1:1/', every: 2s}\n"
		 "  tokenless: {kind: http, url: 'http://127.0.0.1:%d/', token_file: /no/such, "
		 "every: 2s}\n",
		 port, token_file(), port, port);
	start(text);
	wait_said("yes", "true", 1);
	wait_said("no", "false", 1);
	wait_said("broken", "exit", 1);
	wait_said("missing", "start", 1);
	wait_said("hung", "budget", 1);
	wait_said("server", "true", 1);
	wait_said("stranger", "http", 1);
	wait_said("refused", "connect", 1);
	wait_said("tokenless", "start", 1);
	cr_assert_gt(sc_read_file_at(AT_FDCWD, sc_kit.log, log, sizeof(log)), 0);
	cr_expect(!strstr(log, "s3cret"), "the token is in the log");
	sc_kit_expect("status --json", 0, "exit status 7: bad luck");
}

/* --- cgroups --- */

/* The one that programs have theirs in: below the supervised one; the caller's. */
static int open_group(void)
{
	DIR *dir = opendir(sc_kit.root_dir);
	struct dirent *entry;
	int fd = -1;

	cr_assert(dir);
	while (fd < 0 && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "scram-probe", 11) == 0)
			fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	closedir(dir);
	cr_assert_geq(fd, 0, "no scram-probe in %s", sc_kit.root_dir);
	return fd;
}

static bool has_no_run(void *arg)
{
	struct stat st;

	/* Itself, its parent, `worker`. */
	return fstat(*(int *)arg, &st) == 0 && st.st_nlink == 3;
}

Test(probe_worker, each_run_has_a_cgroup_that_goes_with_it)
{
	_cleanup_close_ int group = -1;

	start("  own: {kind: exec, command: [/bin/sh, -c, "
	      "'grep -q \"^0::.*/scram-probe[^/]*/run-[0-9]*$\" /proc/self/cgroup'], every: 2s}\n"
	      "  daemon: {kind: exec, command: [/bin/sh, -c, "
	      "'setsid sleep 1000 >/dev/null 2>&1 & exit 0'], every: 3600s}\n"
	      "  long: {kind: exec, command: [/bin/sh, -c, 'setsid sleep 1000 & sleep 1000'], "
	      "budget: 300ms, every: 3600s}\n");
	wait_said("own", "true", 1);
	wait_said("daemon", "true", 1);
	wait_said("long", "budget", 1);
	group = open_group();
	cr_expect_eq(sc_wait_until(has_no_run, &group, SC_KIT_EVENT_MS), 0,
		     "a cgroup of a run is left, with what it left behind");
	cr_expect_eq(sc_kit_worker_number("probe", "restarts"), 0);
}

/* Copies a test program where any user can run it; one buffer. */
static const char *public_program(const char *name)
{
	static char path[128];
	char dir[] = "/tmp/scram-probe-test-XXXXXX", from[PATH_MAX];
	const char *slash = strrchr(sc_kit.scram, '/');
	const char *const argv[] = {"install", "-m", "755", from, path, NULL};
	int status = -1;

	cr_assert(mkdtemp(dir));
	cr_assert_eq(chmod(dir, 0755), 0);
	cr_assert_eq(sc_sandbox_also_remove(&sc_kit.box, dir), 0);
	cr_assert_lt(snprintf(from, sizeof(from), "%.*s/programs/%s", (int)(slash - sc_kit.scram),
			      sc_kit.scram, name),
		     (int)sizeof(from));
	sc_need_file(from, "make programs");
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	cr_assert_eq(sc_wait_child(sc_helper_exec(-1, argv, -1, 2), &status, SC_KIT_EVENT_MS), 0);
	cr_assert_eq(status, 0, "cannot copy %s", name);
	return path;
}

Test(probe_worker, a_program_reaches_neither_worker_nor_host)
{
	char text[4096];

	snprintf(text, sizeof(text),
		 "  intruder: {kind: exec, command: [%s, %s/cgroup.procs, %s/cgroup.kill, "
		 "%s/cgroup.procs, %s, /proc/sys/kernel/core_pattern], every: "
		 "2s}\n",
		 public_program("probe-intruder"), sc_kit.root_dir, sc_kit.root_dir, sc_kit.box.dir,
		 sc_kit.config);
	start(text);
	wait_said("intruder", "true", 1);
}

Test(alone, a_fork_bomb_of_a_probe_is_bounded_and_ended)
{
	_cleanup_close_ int group = -1;
	char text[1024];

	snprintf(text, sizeof(text),
		 "  bomb: {kind: exec, command: [%s, '4000', '30'], budget: 1s, every: 3600s}\n"
		 "  quick: {kind: exec, command: [/bin/true], budget: 10s, every: 10s}\n",
		 public_program("forkbomb"));
	start(text);
	wait_said("bomb", "budget", 1);
	wait_said("quick", "true", 1);
	group = open_group();
	cr_expect_eq(sc_wait_until(has_no_run, &group, SC_KIT_EVENT_MS), 0, "the bomb lives on");
	cr_expect_eq(sc_kit_worker_number("probe", "restarts"), 0);
}

/* --- the worker's own end --- */

Test(probe_worker, a_program_that_takes_the_cgroups_of_others_costs_the_worker)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "  taker: {kind: exec, command: [/bin/sh, -c, 'cd %s/scram-probe* && mkdir run-3 "
		 "run-4 run-5 run-6 run-7'], every: 3600s}\n"
		 "  quick: {kind: exec, command: [/bin/true], every: 2s}\n",
		 sc_kit.root_dir);
	start(text);
	sc_kit_worker_wait("probe", "restarts", 1);
	sc_kit_expect_ticks("a probe takes the cgroups of others");
}

Test(probe_worker, answers_of_a_stopped_worker_age_out)
{
	pid_t pid;

	start("  p: {kind: exec, command: [/bin/true], budget: 1s, every: 1s}\n");
	wait_said("p", "true", 0);
	pid = sc_kit_worker_pid("probe");
	cr_assert_eq(kill(pid, SIGSTOP), 0);
	wait_said("p", "unknown", 0);
	sc_kit_expect_ticks("the probe worker is stopped");
	/* It goes on, unless it was found to hang by now: then another one does. */
	(void)kill(pid, SIGCONT);
	wait_said("p", "true", 0);
}

/* They have one user: it can. The core starts another, and what ran is gone with the first. */
Test(probe_worker, a_program_that_kills_the_worker_harms_only_probes)
{
	_cleanup_close_ int group = -1;

	start("  killer: {kind: exec, command: [/bin/sh, -c, 'kill -9 $PPID; sleep 1000'], every: "
	      "3600s}\n"
	      "  sleeper: {kind: exec, command: [/bin/sleep, '1000'], budget: 1000s, every: "
	      "3600s}\n");
	sc_kit_worker_wait("probe", "restarts", 2);
	sc_kit_expect_ticks("a probe kills its worker");
	write_config("  p: {kind: exec, command: [/bin/true], every: 2s}\n");
	sc_kit_expect("reload", 0, "");
	wait_said("p", "true", 1);
	group = open_group();
	cr_expect_eq(sc_wait_until(has_no_run, &group, SC_KIT_EVENT_MS), 0,
		     "what a killed worker ran lives on");
}
