/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First figures of the whole agent on this machine: each beside the bare way of doing the same, in
 * one run. Prints a table and writes JSON. Never a test: nothing here passes or fails by a time.
 */
#include "harness/rig.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define CGROUPS_MANY   10000
#define CONDITIONS     100
#define EVENT_ROUNDS   150 /* as many fires as one answer of the command line holds */
#define KILL_ROUNDS    60
#define KILL_PROCESSES 50
#define FIRE_ROUNDS    100
#define ROUNDS_MAX     256

struct samples {
	double us[ROUNDS_MAX];
	size_t n;
};

struct report {
	struct sc_str text;
	struct sc_json json;
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double quantile(struct samples *s, double q)
{
	qsort(s->us, s->n, sizeof(s->us[0]), compare);
	return s->n ? s->us[(size_t)((double)(s->n - 1) * q)] : NAN;
}

static void add(struct samples *s, uint64_t ns)
{
	if (s->n < ROUNDS_MAX)
		s->us[s->n++] = (double)ns / 1e3;
}

struct figure {
	const char *name;
	const char *unit;
	double p50, p99;
	const char *bound; /* for people; "" = none */
};

static void say(struct report *r, struct figure f)
{
	printf("%-58s %10.1f %10.1f  %-3s %s\n", f.name, f.p50, f.p99, f.unit, f.bound);
	fflush(stdout);
	sc_json_object_begin(&r->json);
	sc_json_member_text(&r->json, "name", f.name);
	sc_json_member_text(&r->json, "unit", f.unit);
	sc_json_member_double(&r->json, "p50", f.p50);
	sc_json_member_double(&r->json, "p99", f.p99);
	sc_json_member_text(&r->json, "bound", f.bound);
	sc_json_object_end(&r->json);
}

static void say_one(struct report *r, const char *name, const char *unit, double value,
		    const char *bound)
{
	say(r, (struct figure){name, unit, value, value, bound});
}

static void say_samples(struct report *r, const char *name, struct samples *s, const char *bound)
{
	say(r, (struct figure){name, "us", quantile(s, 0.5), quantile(s, 0.99), bound});
}

static void die(const char *what, int error)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(error < 0 ? -error : error));
	_exit(1);
}

/* --- tick over many cgroups --- */

static void many_conditions(struct sc_str *yaml)
{
	static const char *const whens[] = {
		"increase(proc.crashes[60s]) >= 3",
		"increase(proc.unexpected_exits[60s]) >= 5 and proc.alive > 0",
		"rate(tcp.connect_failures[30s]) / rate(tcp.connects[30s]) > 50% and "
		"increase(tcp.connects[30s]) >= 20",
		"psi.memory.full.avg10 > 40%",
		"psi.cpu.some.avg60 > 90% and proc.alive > 100",
		"increase(proc.forks[10s]) > 5000",
		"avg_over(proc.alive[30s]) > 2000",
		"proc.zombies > 500",
		"rate(cpu.usage_us[10s]) > 1900000",
		"increase(tcp.resets_received[30s]) > 1000",
	};

	sc_str_add(yaml, "conditions:\n");
	for (int i = 0; i < CONDITIONS; i++)
		sc_str_addf(
			yaml,
			"  - {id: c%03d, description: bench, scope: \"@ROOT@/**\", when: \"%s\", "
			"cooldown: %ds, action: {kind: process-exit}, auto_fire: true, live: true, "
			"registered_by: bench}\n",
			i, whens[i % 10], 60 + i);
}

static void make_many(struct sc_rig *rig)
{
	char name[64];

	for (int i = 0; i < CGROUPS_MANY; i++) {
		if (i % 100 == 0) {
			snprintf(name, sizeof(name), "g%03d", i / 100);
			if (mkdirat(rig->root_fd, name, 0755) < 0)
				die("mkdir", errno);
		}
		snprintf(name, sizeof(name), "g%03d/c%02d", i / 100, i % 100);
		if (mkdirat(rig->root_fd, name, 0755) < 0)
			die("mkdir", errno);
	}
}

static double cpu_s(pid_t pid)
{
	char path[64], text[1024];
	unsigned long ut, st;
	char *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (sc_read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return NAN;
	end = strrchr(text, ')');
	if (!end ||
	    sscanf(end + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ut, &st) != 2)
		return NAN;
	return (double)(ut + st) / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* What an agent without the iterator would do in each tick. */
static double read_five_files(struct sc_rig *rig)
{
	static const char *const files[] = {"cgroup.events", "cpu.stat", "memory.pressure",
					    "io.pressure", "cpu.pressure"};
	char name[128], text[4096];
	double before = own_cpu_s();

	for (int i = 0; i < CGROUPS_MANY; i++)
		for (size_t f = 0; f < SC_ARRAY_SIZE(files); f++) {
			snprintf(name, sizeof(name), "g%03d/c%02d/%s", i / 100, i % 100, files[f]);
			if (sc_read_file_at(rig->root_fd, name, text, sizeof(text)) < 0)
				die(name, EIO);
		}
	return (own_cpu_s() - before) * 1e6;
}

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static long rss_kib(pid_t pid)
{
	char path[64], text[4096];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (sc_read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, "VmRSS:");
	return at ? strtol(at + 6, NULL, 10) : -1;
}

/* Ten seconds of real ticks: the percentiles of status need them. */
static bool has_ticked(void *arg)
{
	struct sc_rig *rig = arg;
	json_t *status = sc_rig_json(rig, "status");
	bool enough = status && number(json_object_get(status, "tick"), "count") >= 100;

	json_decref(status);
	return enough;
}

static void bench_tick(struct report *r)
{
	struct sc_rig rig;
	struct sc_str yaml;
	json_t *status;
	const json_t *tick;
	double before, ticks, agent_us, files_us;
	int err;

	sc_str_init_heap(&yaml);
	many_conditions(&yaml);
	err = sc_rig_open(&rig, yaml.data);
	if (err < 0)
		die("sandbox", err);
	make_many(&rig);
	err = sc_rig_start(&rig, NULL);
	if (err < 0)
		die("agent over 10,000 cgroups", err);
	before = cpu_s(rig.pid);
	(void)sc_wait_until(has_ticked, &rig, 60000);
	status = sc_rig_json(&rig, "status");
	if (number(status, "targets") < CGROUPS_MANY)
		die("targets watched", ENOENT);
	tick = json_object_get(status, "tick");
	ticks = number(tick, "count");
	agent_us = (cpu_s(rig.pid) - before) * 1e6 / ticks;
	files_us = read_five_files(&rig);
	say(r, (struct figure){"tick: 100 conditions over 10,000 cgroups", "us",
			       number(tick, "p50_us"), number(tick, "p99_us"),
			       "with the pass <= 8000"});
	say_one(r, "  the collector's pass beside it", "us", number(tick, "collector_pass_us"), "");
	say(r, (struct figure){"  lateness of the tick", "us", number(tick, "late_p50_us"),
			       number(tick, "late_p99_us"), ""});
	say_one(r, "  CPU per tick, all threads", "us", agent_us, "");
	say_one(r, "  CPU of reading five files of each cgroup", "us", files_us, "");
	say_one(r, "  files / agent", "x", files_us / agent_us, ">= 80");
	say_one(r, "  resident memory of the agent", "MiB", (double)rss_kib(rig.pid) / 1024,
		"<= 48");
	json_decref(status);
	sc_str_done(&yaml);
	sc_rig_close(&rig);
}

/* --- from the kernel's event to the kill, and to an empty cgroup --- */

static const char event_yaml[] =
	"limits: {irreversible_fires: 1000}\n"
	"conditions:\n"
	"  - {id: crash, description: bench, scope: \"@ROOT@/*\", "
	"when: \"increase(proc.crashes[1s]) >= 1\", cooldown: 0s, max_targets: 16384, "
	"action: {kind: process-exit}, auto_fire: true, live: true, registered_by: bench}\n"
	"  - {id: hand, description: bench, scope: \"@ROOT@/*\", action: {kind: process-exit}, "
	"live: true, registered_by: bench}\n";

static int crash(void *arg)
{
	struct rlimit none = {0, 0};

	(void)arg;
	setrlimit(RLIMIT_CORE, &none);
	kill(getpid(), SIGSEGV);
	return 0;
}

static bool has_fires(void *arg)
{
	struct sc_rig *rig = ((void **)arg)[0];
	size_t want = *(size_t *)((void **)arg)[1];
	json_t *status = sc_rig_json(rig, "status");
	bool enough = status && number(status, "fires") >= (double)want;

	json_decref(status);
	return enough;
}

/* Grace at start is real time: an automatic fire is vetoed before. */
static bool is_past_grace(void *arg)
{
	json_t *status = sc_rig_json(arg, "status");
	bool past = status && number(status, "uptime_s") > 2.2;

	json_decref(status);
	return past;
}

static void collect_timings(struct sc_rig *rig, struct samples *to_kill, struct samples *to_empty,
			    struct samples *intent)
{
	json_t *fires = sc_rig_json(rig, "fires --limit 500");
	json_t *fire;
	size_t i;

	json_array_foreach (fires, i, fire) {
		double detected = number(fire, "detected_ns");
		double begin = number(fire, "act_begin_ns");

		if (begin <= 0)
			continue;
		add(to_kill, (uint64_t)(begin - detected));
		add(intent, (uint64_t)(number(fire, "intent_ns") - detected));
		add(to_empty, (uint64_t)(number(fire, "verified_ns") - begin));
	}
	json_decref(fires);
}

static void bench_event(struct report *r)
{
	struct sc_rig rig;
	struct samples to_kill = {0}, to_empty = {0}, intent = {0};
	char name[32];
	size_t want;
	int err = sc_rig_open(&rig, event_yaml);

	if (err < 0)
		die("sandbox", err);
	for (int i = 0; i < EVENT_ROUNDS; i++) {
		snprintf(name, sizeof(name), "t%03d", i);
		(void)mkdirat(rig.root_fd, name, 0755);
	}
	err = sc_rig_start(&rig, NULL);
	if (err < 0)
		die("agent", err);
	(void)sc_wait_until(is_past_grace, &rig, 10000);
	for (int i = 0; i < EVENT_ROUNDS; i++) {
		_cleanup_close_ int fd = -1;
		void *arg[] = {&rig, &want};

		snprintf(name, sizeof(name), "t%03d", i);
		fd = openat(rig.root_fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		(void)sc_helper_sleep(fd);
		(void)sc_helper_call(fd, crash, NULL);
		(void)sc_wait_populated(fd, false, 2000);
		want = (size_t)i + 1;
		if (i % 10 == 9)
			(void)sc_wait_until(has_fires, arg, 2000);
	}
	collect_timings(&rig, &to_kill, &to_empty, &intent);
	say_samples(r, "kernel event to begin of the kill write", &to_kill,
		    "p50 <= 100, p99 <= 2000");
	say_samples(r, "  of that, until the intent is being written", &intent, "");
	say_samples(r, "  kill write to verified empty, 1 process", &to_empty, "");
	sc_rig_close(&rig);
}

/* --- write to empty, beside a bare write --- */

static int join_and_sleep(void *arg)
{
	if (sc_cgroup_write(*(int *)arg, "cgroup.procs", "0") < 0)
		return 1;
	for (;;)
		pause();
}

static bool is_full(void *arg)
{
	return sc_cgroup_count(*(int *)arg) == KILL_PROCESSES;
}

/* By joining: a process born into a cgroup (CLONE_INTO_CGROUP) that was killed before is killed at
 * birth, on kernels that compare its kill_seq with that of the parent's cgroup (6.18 does). */
static void fill(int fd)
{
	for (int i = 0; i < KILL_PROCESSES; i++)
		(void)sc_helper_call(-1, join_and_sleep, &fd);
	if (sc_wait_until(is_full, &fd, 5000) < 0)
		die("processes for the kill", ETIMEDOUT);
}

static uint64_t bare_kill(int dirfd)
{
	_cleanup_close_ int kill_fd = openat(dirfd, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	uint64_t begin = sc_mono_ns();

	if (write(kill_fd, "1", 1) != 1)
		die("cgroup.kill", errno);
	/* By reading: waiting for a notification is rate-limited by the kernel, to milliseconds. */
	while (sc_cgroup_key(dirfd, "cgroup.events", "populated") != 0)
		if (sc_mono_ns() - begin > 5 * SC_NS_PER_S)
			die("bare kill", ETIMEDOUT);
	return sc_mono_ns() - begin;
}

static void agent_kill(struct sc_rig *rig, int dirfd, const char *line)
{
	if (sc_rig_run(rig, line) != 0)
		die("fire", EIO);
	if (sc_wait_populated(dirfd, false, 5000) < 0)
		die("agent's kill", ETIMEDOUT);
}

/* An agent and one target, k; returns its dirfd. */
static int start_with_target(struct sc_rig *rig)
{
	int err = sc_rig_open(rig, event_yaml);
	int fd;

	if (err < 0)
		die("sandbox", err);
	(void)mkdirat(rig->root_fd, "k", 0755);
	fd = openat(rig->root_fd, "k", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	err = sc_rig_start(rig, NULL);
	if (err < 0)
		die("agent", err);
	return fd;
}

static void bench_kill(struct report *r)
{
	struct sc_rig rig;
	struct samples bare = {0}, ours = {0}, unused = {0}, intent = {0};
	_cleanup_close_ int fd = start_with_target(&rig);
	char line[1024];

	snprintf(line, sizeof(line),
		 "fire hand --reason bench --operator bench --wait --target %s/k", rig.root);
	for (int i = 0; i < KILL_ROUNDS; i++) {
		fill(fd);
		add(&bare, bare_kill(fd));
		fill(fd);
		agent_kill(&rig, fd, line);
	}
	collect_timings(&rig, &unused, &ours, &intent);
	say_samples(r, "bare write of cgroup.kill to empty, 50 processes", &bare, "");
	say_samples(r, "the agent's write to verified empty, 50 processes", &ours, "");
	say(r, (struct figure){"  agent / bare", "x", quantile(&ours, 0.5) / quantile(&bare, 0.5),
			       quantile(&ours, 0.99) / quantile(&bare, 0.99), "<= 1.1"});
	sc_rig_close(&rig);
}

static void bench_fire(struct report *r)
{
	struct sc_rig rig;
	struct samples shell = {0};
	_cleanup_close_ int fd = start_with_target(&rig);
	char line[1024];

	snprintf(line, sizeof(line), "fire hand --reason bench --operator bench --target %s/k",
		 rig.root);
	for (int i = 0; i < FIRE_ROUNDS; i++) {
		uint64_t begin;

		(void)sc_helper_call(-1, join_and_sleep, &fd);
		(void)sc_wait_populated(fd, true, 5000);
		begin = sc_mono_ns();
		if (sc_rig_run(&rig, line) != 0 || sc_wait_populated(fd, false, 5000) < 0)
			die("fire", EIO);
		add(&shell, sc_mono_ns() - begin);
	}
	say_samples(r, "scram fire, from exec of the command to empty", &shell, "p50 <= 5000");
	sc_rig_close(&rig);
}

static void write_json(struct report *r, const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "we");

	if (!f || fputs(r->text.data, f) < 0 || fputc('\n', f) < 0)
		die(path, errno);
	printf("\nJSON: %s\n", path);
}

int main(int argc, char **argv)
{
	struct report r;
	struct utsname host;

	if (argc != 2 || geteuid() != 0) {
		fprintf(stderr, "usage: bench OUT.json, as root\n");
		return 2;
	}
	uname(&host);
	sc_str_init_heap(&r.text);
	sc_json_init(&r.json, &r.text);
	sc_json_object_begin(&r.json);
	sc_json_member_text(&r.json, "kernel", host.release);
	sc_json_member_i64(&r.json, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
	sc_json_key(&r.json, "figures");
	sc_json_array_begin(&r.json);
	printf("kernel %s, %ld CPUs\n%-58s %10s %10s\n", host.release,
	       sysconf(_SC_NPROCESSORS_ONLN), "", "p50", "p99");
	bench_event(&r);
	bench_kill(&r);
	bench_fire(&r);
	bench_tick(&r);
	sc_json_array_end(&r.json);
	sc_json_object_end(&r.json);
	write_json(&r, argv[1]);
	sc_str_done(&r.text);
	return 0;
}
