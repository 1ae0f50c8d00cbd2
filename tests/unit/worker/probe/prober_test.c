/* SPDX-License-Identifier: Apache-2.0 */
/* The worker as a whole, in its sandbox, with the test as the core. */
#include "unit/worker/probe/played_core.h"

#include "base/clock.h"
#include "base/io.h"
#include "harness/harness.h"
#include "unit/worker/probe/server.h"
#include "worker/probe/schedule.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLENTY 60000 /* ms */
#define RARELY 3600000

static struct sc_core core;
static struct sc_server server;

static void init(void)
{
	sc_core_start(&core, NULL);
}

static void fini(void)
{
	if (core.worker)
		(void)sc_core_stop(&core);
	sc_server_stop(&server);
}

TestSuite(prober, .init = init, .fini = fini, .timeout = 180);

static const struct {
	const char *script, *says, *why;
} exec[] = {
	{"exit 0", "true", ""},
	{"exit 1", "false", ""},
	{"echo true", "true", ""},
	{"echo false", "false", ""},
	{"echo '{\"value\":true}'", "true", ""},
	{"cat", "true", ""}, /* its input is empty */
	{"echo whatever >&2", "true", ""},
	{"[ $SCRAM_PROBE = 7 ] && echo true", "true", ""},
	{"exit 2", "exit", "exit status 2"},
	{"echo no such thing >&2; exit 3", "exit", "exit status 3: no such thing"},
	{"echo token=s3cret >&2; exit 3", "exit", "token=[redacted]"},
	{"exit 255", "exit", "exit status 255"},
	{"echo true; exit 1", "exit", "exit status 1 with output"},
	{"kill -SEGV $$", "exit", "killed by signal 11"},
	{"kill -KILL $$", "exit", "killed by signal 9"},
	{"kill -PIPE $$", "exit", "killed by signal 13"},
	{"nonexistent-program", "exit", "exit status 127: "},
	{"echo maybe", "answer", "its answer is no boolean: maybe"},
	{"echo", "answer", "no boolean"},
	{"echo true; echo false", "answer", "no boolean"},
	{"echo TRUE", "answer", "no boolean"},
	{"printf 'true\\000'", "answer", "no boolean"},
	{"printf '\\033[31mtrue'", "answer", "\\x1b[31mtrue"},
	{"echo '{\"value\":true,\"value\":true}'", "answer", "no boolean"},
	{"head -c 100000 /dev/zero", "output", "its output is over 64 KiB"},
	{"exec yes", "output", "its output is over 64 KiB"},
	{"sleep 1000", "budget", "over its budget of 700ms"},
	{"kill -STOP $$", "budget", "over its budget of 700ms"},
	{"while :; do printf t; sleep 0.05; done", "budget", "over its budget of 700ms"},
	{"head -c 20000000 /dev/zero >/tmp/scram-probe-$$; s=$?; rm /tmp/scram-probe-$$; exit $s",
	 "exit", "exit status "},
};

Test(prober, each_way_to_answer_is_told_as_what_it_is)
{
	json_t *probes = json_array();
	char name[16];

	for (size_t i = 0; i < SC_ARRAY_SIZE(exec); i++) {
		bool is_slow = strcmp(exec[i].says, "budget") == 0;

		snprintf(name, sizeof(name), "%zu", i);
		json_array_append_new(probes, sc_core_script(name, exec[i].script,
							     is_slow ? 700 : PLENTY, RARELY));
	}
	sc_core_offer(&core, probes);
	for (size_t i = 0; i < SC_ARRAY_SIZE(exec); i++) {
		const json_t *answer;

		snprintf(name, sizeof(name), "%zu", i);
		answer = sc_core_wait(&core, name, 1);
		cr_expect_str_eq(sc_core_says(answer), exec[i].says, "%s: %s", exec[i].script,
				 sc_core_why(answer));
		cr_expect(strstr(sc_core_why(answer), exec[i].why), "%s: %s", exec[i].script,
			  sc_core_why(answer));
		cr_expect_eq(json_integer_value(json_object_get(answer, "generation")), 1);
		cr_expect_gt(json_integer_value(json_object_get(answer, "took_us")), 0);
	}
}

/* 256 that are due at once take turns; eight at a time, and nobody is forgotten. */
Test(prober, as_many_as_one_wants_are_asked_at_once)
{
	json_t *probes = json_array();
	uint64_t begin;
	char name[16];

	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "%d", i);
		json_array_append_new(
			probes, sc_core_script(name, i % 2 ? "exit 0" : "exit 1", PLENTY, RARELY));
	}
	begin = sc_mono_ns();
	sc_core_offer(&core, probes);
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof(name), "%d", i);
		cr_expect_str_eq(sc_core_says(sc_core_wait(&core, name, 1)),
				 i % 2 ? "true" : "false");
	}
	fprintf(stderr, "# 256 probes at once: all answered after %.0f ms\n",
		(double)(sc_mono_ns() - begin) / 1e6);
}

static unsigned int most_at_once(const char *dir, unsigned int n)
{
	unsigned int now = 0, most = 0;
	char path[128], text[65536];
	const char *at = text;

	snprintf(path, sizeof(path), "%s/log", dir);
	cr_assert_gt(sc_read_file_at(AT_FDCWD, path, text, sizeof(text)), 0);
	for (; *at; at++) {
		now = *at == '+' ? now + 1 : *at == '-' ? now - 1 : now;
		most = SC_MAX(most, now);
	}
	cr_expect_eq(strlen(text), 4 * n, "%s", text);
	return most;
}

/* Waiting costs no budget: each takes a fifth of it, and waits for many of the others. */
Test(prober, eight_run_at_a_time_and_waiting_costs_no_budget)
{
	char dir[] = "/tmp/scram-prober-XXXXXX", script[256], name[16];
	json_t *probes = json_array();
	const unsigned int n = 64;

	cr_assert(mkdtemp(dir));
	cr_assert_eq(chmod(dir, 0777), 0);
	snprintf(script, sizeof(script), "echo + >>%s/log; sleep 0.2; echo - >>%s/log; exit 0", dir,
		 dir);
	for (unsigned int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%u", i);
		json_array_append_new(probes, sc_core_script(name, script, 10000, RARELY));
	}
	sc_core_offer(&core, probes);
	for (unsigned int i = 0; i < n; i++) {
		const json_t *answer;

		snprintf(name, sizeof(name), "%u", i);
		answer = sc_core_wait(&core, name, 1);
		cr_expect_str_eq(sc_core_says(answer), "true", "%s", sc_core_why(answer));
	}
	cr_expect_leq(most_at_once(dir, n), SC_SCHEDULE_RUNS_MAX);
	cr_expect_gt(most_at_once(dir, n), 1, "one after the other");
	snprintf(script, sizeof(script), "%s/log", dir);
	(void)unlink(script);
	(void)rmdir(dir);
}

Test(prober, hung_ones_delay_no_other)
{
	static const struct sc_server_row rows[] = {
		{.name = "hung", .says = "", .then = SC_SERVER_HANG}};
	json_t *probes = json_array();
	char url[64];

	sc_server_start(&server, rows, 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/0", server.port);
	for (int i = 0; i < 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "hung%d", i);
		json_array_append_new(probes, sc_core_script(name, "sleep 1000", PLENTY, RARELY));
		snprintf(name, sizeof(name), "deaf%d", i);
		json_array_append_new(probes, sc_core_url(name, url, PLENTY, RARELY));
	}
	json_array_append_new(probes, sc_core_script("quick", "exit 0", 20000, 50));
	sc_core_offer(&core, probes);
	(void)sc_core_wait(&core, "quick", 10);
	cr_expect_eq(sc_core_count(&core, "hung0") + sc_core_count(&core, "deaf0"), 0);
}

Test(prober, a_probe_is_asked_again_and_never_twice_at_once)
{
	char dir[] = "/tmp/scram-prober-XXXXXX", script[512];
	json_t *probes = json_array();
	const json_t *answer;

	cr_assert(mkdtemp(dir));
	cr_assert_eq(chmod(dir, 0777), 0);
	/* Longer than its interval. */
	snprintf(script, sizeof(script),
		 "mkdir %s/on || exit 9; sleep 0.1; rmdir %s/on || exit 8; echo true", dir, dir);
	json_array_append_new(probes, sc_core_script("p", script, PLENTY, 20));
	sc_core_offer(&core, probes);
	for (uint64_t n = 1; n <= 10; n++) {
		answer = sc_core_wait(&core, "p", n);
		cr_expect_str_eq(sc_core_says(answer), "true", "%s", sc_core_why(answer));
	}
	cr_assert(sc_core_stop(&core) != 0);
	snprintf(script, sizeof(script), "%s/on", dir);
	(void)rmdir(script);
	(void)rmdir(dir);
}

static json_t *gone_and_kept(bool with_gone, const char *changed, const char *dir)
{
	json_t *probes = json_array();
	char script[256];

	if (with_gone) {
		snprintf(script, sizeof(script), "echo $$ >%s/gone; exec sleep 1000", dir);
		json_array_append_new(probes, sc_core_script("gone", script, PLENTY, RARELY));
	}
	snprintf(script, sizeof(script), "echo $$ >%s/%s; exec sleep 1000", dir, changed);
	json_array_append_new(probes, sc_core_script("changed", script, PLENTY, RARELY));
	snprintf(script, sizeof(script), "echo $$ >%s/kept; exec sleep 1000", dir);
	json_array_append_new(probes, sc_core_script("kept", script, PLENTY, RARELY));
	return probes;
}

struct file {
	const char *dir, *name;
	pid_t pid;
};

static bool is_written(void *arg)
{
	struct file *f = arg;
	char path[128], text[32];

	(void)sc_core_serve(&core, 1);
	snprintf(path, sizeof(path), "%s/%s", f->dir, f->name);
	if (sc_read_file_at(AT_FDCWD, path, text, sizeof(text)) <= 1)
		return false;
	f->pid = (pid_t)strtol(text, NULL, 10);
	return f->pid > 0;
}

static pid_t wait_pid(const char *dir, const char *name)
{
	struct file f = {.dir = dir, .name = name};
	char path[128];

	cr_assert_eq(sc_wait_until(is_written, &f, SC_CORE_EVENT_MS), 0, "%s does not run", name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)unlink(path);
	return f.pid;
}

Test(prober, a_new_list_ends_what_is_gone_or_changed_and_leaves_the_rest)
{
	char dir[] = "/tmp/scram-prober-XXXXXX";
	pid_t gone, changed, kept;

	cr_assert(mkdtemp(dir));
	cr_assert_eq(chmod(dir, 0777), 0);
	sc_core_offer(&core, gone_and_kept(true, "before", dir));
	gone = wait_pid(dir, "gone");
	changed = wait_pid(dir, "before");
	kept = wait_pid(dir, "kept");
	sc_core_offer(&core, gone_and_kept(false, "after", dir));
	cr_expect_gt(wait_pid(dir, "after"), 0);
	cr_expect_eq(sc_wait_gone(gone, SC_CORE_EVENT_MS), 0);
	cr_expect_eq(sc_wait_gone(changed, SC_CORE_EVENT_MS), 0);
	cr_expect_eq(kill(kept, 0), 0, "one that is as before was ended");
	cr_expect_eq(json_object_size(core.counts), 0, "an ended run was told");
	(void)rmdir(dir);
}

Test(prober, a_list_that_is_none_changes_nothing)
{
	static const char *const lists[] = {
		"{\"exit\":1,\"error\":\"no\"}",
		"{\"generation\":9,\"probes\":{}}",
		"{\"generation\":\"9\",\"probes\":[]}",
		"{\"generation\":9,\"probes\":[{}]}",
		"{\"generation\":9,\"probes\":[{\"name\":\"x\",\"kind\":\"exec\",\"command\":[],"
		"\"budget_ns\":1,\"every_ns\":1}]}",
		"{\"generation\":9,\"probes\":[{\"name\":\"x\",\"kind\":\"exec\","
		"\"command\":[\"true\"],\"budget_ns\":1,\"every_ns\":1}]}",
		"{\"generation\":9,\"probes\":[{\"name\":\"x\",\"kind\":\"exec\","
		"\"command\":[\"/bin/true\",1],\"budget_ns\":1,\"every_ns\":1}]}",
		"{\"generation\":9,\"probes\":[{\"name\":\"x\",\"kind\":\"http\","
		"\"budget_ns\":1,\"every_ns\":1}]}",
		"{\"generation\":9,\"probes\":[{\"name\":\"x\",\"kind\":\"magic\","
		"\"url\":\"http://a\",\"budget_ns\":1,\"every_ns\":1}]}",
		"{\"generation\":9,\"probes\":[{\"name\":\"x\",\"kind\":\"http\","
		"\"url\":\"http://a\",\"budget_ns\":0,\"every_ns\":1}]}",
	};
	json_t *probes = json_array();

	json_array_append_new(probes, sc_core_script("p", "exit 0", PLENTY, 50));
	sc_core_offer(&core, probes);
	(void)sc_core_wait(&core, "p", 1);
	for (size_t i = 0; i < SC_ARRAY_SIZE(lists); i++) {
		char changed[128];
		uint64_t before = core.lists;
		const json_t *answer;

		json_decref(core.list);
		core.list = json_loads(lists[i], 0, NULL);
		cr_assert(core.list);
		snprintf(changed, sizeof(changed),
			 SC_EVENT_HEAD SC_EVENT_CHANGED "\",\"conditions\":%zu}", 100 + i);
		sc_core_say(&core, changed);
		while (core.lists == before)
			(void)sc_core_serve(&core, 100);
		answer = sc_core_wait(&core, "p", sc_core_count(&core, "p") + 1);
		cr_expect_str_eq(sc_core_says(answer), "true");
		cr_expect_eq(json_integer_value(json_object_get(answer, "generation")), 1, "%s",
			     lists[i]);
		cr_expect_eq(sc_core_count(&core, "x"), 0, "%s", lists[i]);
	}
}

/* Only the counter of conditions is a reason to ask. */
Test(prober, what_does_not_concern_it_is_not_asked_about)
{
	json_t *probes = json_array();
	uint64_t before;

	json_array_append_new(probes, sc_core_script("p", "exit 0", PLENTY, 20));
	sc_core_offer(&core, probes);
	(void)sc_core_wait(&core, "p", 1);
	before = core.lists;
	sc_core_say(&core, SC_EVENT_HEAD SC_EVENT_CHANGED "\",\"conditions\":1,\"seq\":77}");
	sc_core_say(&core, SC_EVENT_HEAD "something else\",\"conditions\":5}");
	(void)sc_core_wait(&core, "p", sc_core_count(&core, "p") + 3);
	cr_expect_eq(core.lists, before);
}

static void write_token(const char *dir, const char *text, size_t n)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(sc_write_file_atomic(fd, "token", text, n, 0600), 0);
}

Test(prober, a_token_is_read_anew_for_each_run)
{
	static const struct sc_server_row rows[] = {
		{.name = "first",
		 .says = "HTTP/1.0 200 OK\r\n\r\ntrue",
		 .needs = "Authorization: Bearer f1rst\r\n{\"probe\":\"t\",\"host\":\"h\"}"},
	};
	static const struct {
		const char *token;
		size_t size;
		const char *says, *why;
	} files[] = {
		{"f1rst", 5, "true", ""},
		{"f1rst\n", 6, "true", ""},
		{"f1rst\r\n", 7, "true", ""},
		{"other", 5, "http", "HTTP 400"},
		{"", 0, "start", "its token cannot be read: it is empty"},
		{"\n", 1, "start", "its token cannot be read: it is empty"},
		{"a\r\nX-Evil: 1", 12, "start", "bytes that no header can have"},
		{"f1rst\0x", 7, "start", "bytes that no header can have"},
		{"f1rst\n\n", 7, "start", "bytes that no header can have"},
	};
	char dir[] = "/tmp/scram-prober-XXXXXX", path[64], url[64];
	json_t *probes = json_array(), *probe;
	const json_t *answer;

	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/token", dir);
	core.secret_file = path;
	core.refusal = "no such file";
	sc_server_start(&server, rows, 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/0", server.port);
	probe = sc_core_url("t", url, 20000, 30);
	json_object_set_new(probe, "has_token", json_true());
	json_array_append_new(probes, probe);
	sc_core_offer(&core, probes);
	answer = sc_core_wait(&core, "t", 1);
	cr_expect_str_eq(sc_core_why(answer), "its token cannot be read: no such file");
	for (size_t i = 0; i < SC_ARRAY_SIZE(files); i++) {
		write_token(dir, files[i].token, files[i].size);
		/* The run under way may have read the one before. */
		answer = sc_core_wait(&core, "t", sc_core_count(&core, "t") + 2);
		cr_expect_str_eq(sc_core_says(answer), files[i].says, "%zu: %s", i,
				 sc_core_why(answer));
		cr_expect(strstr(sc_core_why(answer), files[i].why), "%zu: %s", i,
			  sc_core_why(answer));
		cr_expect(!strstr(sc_core_why(answer), "f1rst"), "the token is told");
	}
	(void)unlink(path);
	(void)rmdir(dir);
}

Test(prober, it_ends_when_it_is_told_to_and_takes_its_programs_along)
{
	char dir[] = "/tmp/scram-prober-XXXXXX", script[128];
	json_t *probes = json_array();
	int status = -1;
	pid_t pid;

	cr_assert(mkdtemp(dir));
	cr_assert_eq(chmod(dir, 0777), 0);
	snprintf(script, sizeof(script), "echo $$ >%s/p; exec sleep 1000", dir);
	json_array_append_new(probes, sc_core_script("p", script, PLENTY, RARELY));
	sc_core_offer(&core, probes);
	pid = wait_pid(dir, "p");
	sc_core_say(&core, SC_EVENT_HEAD SC_EVENT_STOP "\"}");
	cr_assert_eq(sc_wait_child(core.worker, &status, SC_CORE_EVENT_MS), 0);
	core.worker = 0;
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	cr_expect_eq(sc_wait_gone(pid, SC_CORE_EVENT_MS), 0);
	(void)rmdir(dir);
}

Test(prober, it_ends_with_the_core)
{
	int status = sc_core_stop(&core);

	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static uint64_t resident_kib(pid_t pid)
{
	char path[64], text[4096];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	cr_assert_gt(sc_read_file_at(AT_FDCWD, path, text, sizeof(text)), 0);
	at = strstr(text, "RssAnon:");
	cr_assert(at);
	return strtoull(at + 8, NULL, 10);
}

/* Floods of output, of bodies and of answers leave nothing behind. */
Test(prober, its_memory_is_bounded)
{
	static const struct sc_server_row rows[] = {
		{.name = "flood",
		 .says = "HTTP/1.0 200 OK\r\n\r\n",
		 .then = SC_SERVER_FLOOD,
		 .more = "                                "},
	};
	json_t *probes = json_array();
	uint64_t before, after;
	char name[16], url[64];

	sc_server_start(&server, rows, 1);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/0", server.port);
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "e%d", i);
		json_array_append_new(probes, sc_core_script(name, "exec yes", PLENTY, 20));
		snprintf(name, sizeof(name), "h%d", i);
		json_array_append_new(probes, sc_core_url(name, url, PLENTY, 20));
	}
	sc_core_offer(&core, probes);
	(void)sc_core_wait(&core, "e0", 3);
	(void)sc_core_wait(&core, "h0", 3);
	before = resident_kib(core.worker);
	(void)sc_core_wait(&core, "e0", 30);
	(void)sc_core_wait(&core, "h0", 30);
	after = resident_kib(core.worker);
	fprintf(stderr, "# resident, anonymous: %llu KiB, later %llu KiB\n",
		(unsigned long long)before, (unsigned long long)after);
#ifndef __SANITIZE_ADDRESS__ /* which keeps what was freed */
	cr_expect_lt(after, before + 4096);
	cr_expect_lt(after, 24 * 1024);
#endif
}
