/* SPDX-License-Identifier: Apache-2.0 */
/* Real programs: what they are given, and what becomes of them. Where the test is root, each has a
 * cgroup of its own. */
#include "worker/probe/exec.h"

#include "base/clock.h"
#include "base/io.h"
#include "harness/harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PLENTY_NS (60 * SC_NS_PER_S)
#define EVENT_MS  60000

static struct sc_sandbox box;
static struct sc_reactor reactor;
static struct sc_execs execs;

/* One run: what it gave. */
struct run {
	struct sc_exec *exec;
	struct sc_exec_result result;
	char *out;
	unsigned int done, gone;
};

static void init(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	const char *cgroup = NULL;

	sigaction(SIGPIPE, &ignore, NULL);
	if (geteuid() == 0 && sc_sandbox_open(&box) == 0)
		cgroup = box.dir;
	cr_assert_eq(sc_reactor_init(&reactor), 0);
	cr_assert_eq(sc_execs_init(&execs, &reactor, cgroup), 0);
}

static void fini(void)
{
	sc_execs_done(&execs);
	sc_reactor_done(&reactor);
	sc_sandbox_close(&box);
}

TestSuite(exec, .init = init, .fini = fini, .timeout = 120);

static void on_done(void *owner, const struct sc_exec_result *result)
{
	struct run *r = owner;

	r->done++;
	r->result = *result;
	r->out = malloc(result->out_size + 1);
	cr_assert(r->out);
	memcpy(r->out, result->out, result->out_size + 1);
}

static void on_gone(void *owner)
{
	struct run *r = owner;

	cr_expect_eq(r->done, 1, "gone before it was done");
	r->gone++;
	r->exec = NULL;
}

static void turn_until(const unsigned int *n, const char *what)
{
	uint64_t end = sc_mono_ns() + sc_scaled_ms(EVENT_MS) * SC_NS_PER_MS;

	while (*n == 0) {
		cr_assert_lt(sc_mono_ns(), end, "never %s", what);
		cr_assert_eq(sc_reactor_turn(&reactor), 0);
	}
}

static int begin(struct run *r, const char *const *argv, struct sc_exec_order order)
{
	*r = (struct run){0};
	order.argv = (char *const *)(uintptr_t)argv;
	order.budget_ns = order.budget_ns ? order.budget_ns : PLENTY_NS;
	order.done = on_done;
	order.gone = on_gone;
	order.owner = r;
	return sc_exec_start(&execs, &order, &r->exec);
}

static void begin_shell(struct run *r, const char *script, uint64_t budget_ns)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};

	cr_assert_eq(begin(r, argv, (struct sc_exec_order){.budget_ns = budget_ns}), 0);
}

/* Runs it to its end; r->out is to be freed. */
static void shell(struct run *r, const char *script, uint64_t budget_ns)
{
	begin_shell(r, script, budget_ns);
	turn_until(&r->gone, "gone");
	cr_expect_eq(r->done, 1);
}

Test(exec, environment_and_place_are_clean)
{
	static const char *const env[] = {"SCRAM_PROBE=x y", NULL};
	static const char *const argv[] = {"/usr/bin/env", NULL};
	struct run r;

	setenv("DATABASE_URL", "secret", 1);
	cr_assert_eq(begin(&r, argv, (struct sc_exec_order){.env = env}), 0);
	turn_until(&r.gone, "gone");
	cr_expect_str_eq(r.out,
			 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
			 "LANG=C\nSCRAM_PROBE=x y\n");
	free(r.out);
	shell(&r, "pwd; umask", PLENTY_NS);
	cr_expect_str_eq(r.out, "/\n0077\n");
	free(r.out);
}

/* The shell opens one for the directory that `ls` lists. */
Test(exec, three_descriptors_and_no_more)
{
	_cleanup_close_ int inherited = open("/dev/null", O_RDONLY);
	_cleanup_close_ int high = dup2(inherited, 200);
	struct run r;

	cr_assert_geq(high, 0);
	shell(&r, "exec ls /proc/self/fd", PLENTY_NS);
	cr_expect_str_eq(r.out, "0\n1\n2\n3\n");
	free(r.out);
}

Test(exec, each_is_in_its_own_session_and_dies_with_the_worker)
{
	struct run r;

	shell(&r,
	      "read -r pid comm state ppid group session rest </proc/self/stat;"
	      "[ $pid = $group ] && [ $pid = $session ] && echo alone",
	      PLENTY_NS);
	cr_expect_str_eq(r.out, "alone\n");
	free(r.out);
}

Test(exec, limits_are_set)
{
	struct run r;

	shell(&r, "ulimit -c; ulimit -n; ulimit -f; ulimit -t", 3 * SC_NS_PER_S);
	cr_expect_str_eq(r.out, "0\n256\n32768\n5\n");
	free(r.out);
}

Test(exec, signals_are_as_programs_expect_them)
{
	static const unsigned long ignored[4] = {(unsigned long)SIG_IGN};
	struct run r;

	/* Ignored signals and blocked ones would be inherited, that of libc's own too. */
	cr_assert_eq(syscall(SYS_rt_sigaction, 32, ignored, NULL, _NSIG / 8), 0);
	shell(&r,
	      "while read -r key value; do case $key in SigBlk:|SigIgn:) echo $value;; esac;"
	      " done </proc/self/status",
	      PLENTY_NS);
	cr_expect_str_eq(r.out, "0000000000000000\n0000000000000000\n");
	free(r.out);
}

Test(exec, input_is_given_and_ends)
{
	char input[SC_EXEC_INPUT_MAX];
	struct sc_exec_order order = {.input = input, .input_size = sizeof(input)};
	static const char *const cat[] = {"/bin/cat", NULL};
	static const char *const deaf[] = {"/bin/true", NULL};
	struct run r;

	memset(input, 'a', sizeof(input));
	cr_assert_eq(begin(&r, cat, order), 0);
	turn_until(&r.gone, "gone");
	cr_expect_eq(r.result.out_size, sizeof(input));
	cr_expect_eq(memcmp(r.out, input, sizeof(input)), 0);
	free(r.out);
	/* One that reads nothing is no trouble. */
	cr_assert_eq(begin(&r, deaf, order), 0);
	turn_until(&r.gone, "gone");
	cr_expect_eq(r.result.end, SC_EXEC_EXITED);
	cr_expect_eq(r.result.status, 0);
	free(r.out);
	order.input_size = sizeof(input) + 1;
	cr_expect_eq(begin(&r, cat, order), -E2BIG);
	shell(&r, "wc -c", PLENTY_NS); /* none: /dev/null */
	cr_expect_str_eq(r.out, "0\n");
	free(r.out);
}

Test(exec, output_is_taken_to_its_bound_and_not_beyond)
{
	struct run r;

	shell(&r, "head -c 65536 /dev/zero", PLENTY_NS);
	cr_expect_eq(r.result.end, SC_EXEC_EXITED);
	cr_expect_eq(r.result.out_size, SC_EXEC_OUT_MAX);
	free(r.out);
	shell(&r, "head -c 65537 /dev/zero", PLENTY_NS);
	cr_expect_eq(r.result.end, SC_EXEC_OVER_OUTPUT);
	free(r.out);
	shell(&r, "exec cat /dev/zero", PLENTY_NS);
	cr_expect_eq(r.result.end, SC_EXEC_OVER_OUTPUT);
	free(r.out);
}

Test(exec, the_begin_of_the_errors_is_kept_harmless)
{
	struct run r;

	shell(&r, "printf '\\033[2Jbad\\n' >&2; head -c 1000000 /dev/zero | tr '\\0' y >&2; exit 3",
	      PLENTY_NS);
	cr_expect_eq(r.result.end, SC_EXEC_EXITED);
	cr_expect_eq(r.result.status, 3);
	cr_expect_eq(strncmp(r.result.err, "\\x1b[2Jbad\\x0ayyy", 17), 0, "%s", r.result.err);
	cr_expect_eq(strlen(r.result.err), SC_EXEC_ERR_MAX + 3 + 3);
	free(r.out);
}

Test(exec, what_cannot_be_run_says_why)
{
	char dir[] = "/tmp/scram-exec-XXXXXX", path[64];
	const char *const argv[] = {path, NULL};
	static const struct {
		const char *text;
		mode_t mode;
		int error;
	} rows[] = {
		{"no shebang", 0755, ENOEXEC},          {"", 0755, ENOEXEC},
		{"#!/does/not/exist\n", 0755, ENOENT},  {"#!/bin/sh\n", 0644, EACCES},
		{"\177ELF but no more", 0755, ENOEXEC},
	};
	_cleanup_close_ int dirfd = mkdtemp(dir) ? open(dir, O_RDONLY | O_CLOEXEC) : -1;
	struct run r;

	cr_assert_geq(dirfd, 0);
	snprintf(path, sizeof(path), "%s/program", dir);
	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		cr_assert_eq(sc_write_file_atomic(dirfd, "program", rows[i].text,
						  strlen(rows[i].text), rows[i].mode),
			     0);
		cr_assert_eq(begin(&r, argv, (struct sc_exec_order){0}), 0);
		turn_until(&r.gone, "gone");
		cr_expect_eq(r.result.end, SC_EXEC_NOT_RUN, "%s", rows[i].text);
		cr_expect_eq(r.result.status, rows[i].error, "%s: %s", rows[i].text,
			     strerror(r.result.status));
		cr_expect_str_eq(r.result.step, "program");
		free(r.out);
	}
	(void)unlink(path);
	cr_assert_eq(begin(&r, argv, (struct sc_exec_order){0}), 0);
	turn_until(&r.gone, "gone");
	cr_expect_eq(r.result.status, ENOENT);
	free(r.out);
	snprintf(path, sizeof(path), "%s", dir);
	cr_assert_eq(begin(&r, argv, (struct sc_exec_order){0}), 0);
	turn_until(&r.gone, "gone");
	cr_expect_eq(r.result.status, EACCES, "a directory");
	free(r.out);
	(void)rmdir(dir);
}

/* The pid that a script wrote first. */
static pid_t pid_in(const char *text)
{
	return (pid_t)strtol(text, NULL, 10);
}

Test(exec, over_the_budget_all_of_it_is_killed)
{
	static const char *const scripts[] = {
		"echo $$; exec sleep 1000",
		"echo $$; trap '' TERM INT HUP; while :; do sleep 1000; done",
		"echo $$; kill -STOP $$",
		"echo $$; exec >&- 2>&-; sleep 1000",
		"echo $$; while :; do :; done",
		"echo $$; while :; do echo; sleep 0.05; done",
		"echo $$; while :; do echo x >&2; done",
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(scripts); i++) {
		struct run r;

		shell(&r, scripts[i], 300 * SC_NS_PER_MS);
		cr_expect_eq(r.result.end, SC_EXEC_OVER_BUDGET, "%s", scripts[i]);
		cr_expect_geq(r.result.took_ns, 300 * SC_NS_PER_MS);
		if (pid_in(r.out))
			cr_expect_eq(kill(pid_in(r.out), 0), -1, "%s lives on", scripts[i]);
		free(r.out);
	}
}

Test(exec, what_a_program_leaves_behind_ends_with_it)
{
	static const char *const scripts[] = {
		/* In its group, holding its output; in a group of its own, where a cgroup is. */
		"sleep 1000 & echo $!",
		"setsid sleep 1000 >/dev/null 2>&1 & echo $!",
		"(setsid sh -c 'trap \"\" TERM HUP; sleep 1000' & echo $!)",
	};

	for (size_t i = 0; i < (execs.cgroup_fd >= 0 ? SC_ARRAY_SIZE(scripts) : 1); i++) {
		struct run r;

		shell(&r, scripts[i], PLENTY_NS);
		cr_expect_eq(r.result.end, SC_EXEC_EXITED);
		cr_expect_eq(r.result.status, 0, "the answer is that of the program");
		cr_assert_gt(pid_in(r.out), 0);
		cr_expect_eq(sc_wait_gone(pid_in(r.out), EVENT_MS), 0, "%s lives on", scripts[i]);
		free(r.out);
	}
}

Test(exec, no_cgroup_is_left)
{
	struct run r[8];
	struct stat st;

	for (size_t i = 0; i < SC_ARRAY_SIZE(r); i++)
		begin_shell(&r[i], i % 2 ? "sleep 1000" : "(sleep 1000 &)", 200 * SC_NS_PER_MS);
	for (size_t i = 0; i < SC_ARRAY_SIZE(r); i++) {
		turn_until(&r[i].gone, "gone");
		free(r[i].out);
	}
	cr_expect_eq(execs.n_runs, 0);
	if (execs.cgroup_fd < 0)
		return;
	cr_assert_eq(fstat(execs.cgroup_fd, &st), 0);
	cr_expect_eq(st.st_nlink, 2, "%u cgroups are left", (unsigned int)st.st_nlink - 2);
	cr_expect_eq(execs.cgroups_failed, 0);
}

Test(exec, a_cancelled_run_is_killed_and_calls_nobody)
{
	struct run r, other;

	begin_shell(&r, "echo $$; exec sleep 1000", PLENTY_NS);
	shell(&other, "exit 0", PLENTY_NS);
	free(other.out);
	cr_assert_neq((uintptr_t)r.exec, 0);
	sc_exec_cancel(r.exec);
	while (execs.n_runs) /* or the suite's time is over */
		cr_assert_eq(sc_reactor_turn(&reactor), 0);
	cr_expect_eq(execs.n_runs, 0);
	cr_expect_eq(r.done + r.gone, 0);
}

Test(exec, more_than_the_table_holds_are_refused)
{
	static const char *const argv[] = {"/bin/sleep", "1000", NULL};
	struct run r[SC_EXEC_MAX + 1];

	for (size_t i = 0; i < SC_EXEC_MAX; i++)
		cr_assert_eq(begin(&r[i], argv, (struct sc_exec_order){0}), 0);
	cr_expect_eq(begin(&r[SC_EXEC_MAX], argv, (struct sc_exec_order){0}), -EAGAIN);
	for (size_t i = 0; i < SC_EXEC_MAX; i++)
		sc_exec_cancel(r[i].exec);
	while (execs.n_runs)
		cr_assert_eq(sc_reactor_turn(&reactor), 0);
}

Test(exec, one_that_comes_too_late_is_too_late)
{
	struct run r;
	uint64_t until;

	/* As if the process had been stopped over the end of the budget. */
	begin_shell(&r, "exit 0", 50 * SC_NS_PER_MS);
	until = sc_mono_ns() + 200 * SC_NS_PER_MS;
	while (sc_mono_ns() < until)
		continue;
	turn_until(&r.gone, "gone");
	cr_expect_eq(r.result.end, SC_EXEC_OVER_BUDGET);
	free(r.out);
}
