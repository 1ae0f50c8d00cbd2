/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the BPF side costs those it watches, and how fast it wakes: fork+exit and TCP connect+close
 * in cgroups 3 and 6 levels deep, in processor time, without the agent and with it by turns in one
 * run, and the time from a failed exit to userspace holding its wake record. Prints one JSON
 * object. Root; needs nothing else.
 */
#include "bench/figures.h"
#include "harness/harness.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "sys/bpf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PAIRS        40
#define FORKS        400
#define CONNECTS     1500
#define LATENCIES    2000
#define PORT         4711
#define MICROSECONDS 1000.0

static double now_us(void)
{
	return (double)sc_mono_ns() / MICROSECONDS;
}

/*
 * A worker in a cgroup, born before any agent was loaded: what loading does to this process's
 * memory would otherwise be part of what forking it costs.
 */
struct worker {
	pid_t pid;
	int cgroup_fd;
	char path[64];
	int ask[2], answer[2];
	int (*work)(void);
	int n;
};

static int fork_and_exit(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static int connect_and_close(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	static int listener = -1;
	int fd, peer;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0) {
		listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 16))
			return -1;
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
		return -1;
	peer = accept(listener, NULL, NULL);
	close(fd);
	close(peer);
	return 0;
}

/* Processor time of this process and its children: what else runs on the machine does not count. */
static double used_us(void)
{
	double us = 0;

	for (int i = 0; i < 2; i++) {
		struct rusage r;

		getrusage(i ? RUSAGE_CHILDREN : RUSAGE_SELF, &r);
		us += (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6;
		us += (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
	}
	return us;
}

/* Answers each byte with the microseconds that one operation takes. */
static int serve(void *arg)
{
	struct worker *w = arg;
	double begin, each;
	char byte;

	while (read(w->ask[0], &byte, 1) == 1) {
		for (int i = 0; i < w->n / 10; i++) /* warm */
			if (w->work())
				return 1;
		begin = used_us();
		for (int i = 0; i < w->n; i++)
			if (w->work())
				return 1;
		each = (used_us() - begin) / w->n;
		if (write(w->answer[1], &each, sizeof(each)) != sizeof(each))
			return 1;
	}
	return 0;
}

/* A network namespace for one listener, in which closed connections do not use up the ports. */
static int enter_network(void)
{
	_cleanup_close_ int fd = -1;
	int err = sc_netns_enter();

	if (err)
		return err;
	fd = open("/proc/sys/net/ipv4/tcp_max_tw_buckets", O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : sc_write_all(fd, "0", 1);
}

static int start_worker(struct sc_sandbox *box, struct worker *w, const char *name, int depth)
{
	struct sc_str path;

	sc_str_init(&path, w->path, sizeof(w->path));
	sc_str_add(&path, name);
	w->cgroup_fd = sc_sandbox_mkdir(box, w->path);
	for (int i = 2; i < depth; i++) {
		close(w->cgroup_fd);
		sc_str_add(&path, "/d");
		w->cgroup_fd = sc_sandbox_mkdir(box, w->path);
	}
	if (w->cgroup_fd < 0 || pipe2(w->ask, O_CLOEXEC) || pipe2(w->answer, O_CLOEXEC))
		return -EIO;
	w->pid = sc_helper_call(w->cgroup_fd, serve, w);
	return w->pid < 0 ? w->pid : 0;
}

static double measure(struct worker *w)
{
	struct pollfd wait = {.fd = w->answer[0], .events = POLLIN};
	double each;

	if (write(w->ask[1], "x", 1) != 1 || poll(&wait, 1, 60000) != 1 ||
	    read(w->answer[0], &each, sizeof(each)) != sizeof(each))
		return -1;
	return each;
}

static struct sc_bpf *start_agent(struct sc_sandbox *box)
{
	struct sc_bpf_options options = {.root_fd = box->dirfd, .slots = 1024};
	char reason[SC_BPF_REASON_MAX];
	struct sc_bpf *b = NULL;

	if (sc_bpf_open(&b, &options, reason))
		fprintf(stderr, "%s\n", reason);
	return b;
}

/* Pairs: the noise of the machine is larger than what is measured, but not within a moment. */
static int measure_cost(struct sc_sandbox *box, const char *name, struct worker *w)
{
	double without[PAIRS], with[PAIRS], ratio[PAIRS];

	for (int i = 0; i < PAIRS; i++) {
		struct sc_bpf *b = i % 2 ? start_agent(box) : NULL;

		*(i % 2 ? &with[i] : &without[i]) = measure(w);
		if (i % 2)
			sc_bpf_close(&b);
		else
			b = start_agent(box);
		*(i % 2 ? &without[i] : &with[i]) = measure(w);
		sc_bpf_close(&b);
		if (without[i] < 0 || with[i] < 0)
			return -EIO;
		ratio[i] = with[i] / without[i];
	}
	printf("  \"%s\": {\"without_us\": %.2f, \"with_us\": %.2f, \"ratio_p25\": %.4f, "
	       "\"ratio_p50\": %.4f, \"ratio_p75\": %.4f},\n",
	       name, quantile(without, PAIRS, 0.5), quantile(with, PAIRS, 0.5),
	       quantile(ratio, PAIRS, 0.25), quantile(ratio, PAIRS, 0.5),
	       quantile(ratio, PAIRS, 0.75));
	return 0;
}

static int fail_now(void *arg)
{
	(void)arg;
	return 1;
}

static int measure_latency(struct sc_sandbox *box)
{
	struct sc_bpf *b = start_agent(box);
	static double us[LATENCIES];
	int fd = sc_sandbox_mkdir(box, "web"), n = 0;
	struct sc_wake wakes[16];

	if (!b || fd < 0)
		return -EIO;
	while (n < LATENCIES) {
		struct pollfd wait = {.fd = sc_bpf_wake_fd(b), .events = POLLIN};
		pid_t pid;
		int got;

		while (sc_bpf_drain(b, wakes, 16) > 0)
			;
		pid = sc_helper_call(fd, fail_now, NULL);
		poll(&wait, 1, 5000);
		got = sc_bpf_drain(b, wakes, 16);
		if (got > 0 && wakes[0].kind == SC_WAKE_EXIT)
			us[n++] = (double)(sc_mono_ns() - wakes[0].time_ns) / MICROSECONDS;
		waitpid(pid, NULL, 0);
	}
	printf("  \"event_to_wake_us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f},\n",
	       quantile(us, LATENCIES, 0.5), quantile(us, LATENCIES, 0.99),
	       quantile(us, LATENCIES, 1));
	sc_bpf_close(&b);
	close(fd);
	return sc_sandbox_rmdir(box, "web");
}

static int measure_open(struct sc_sandbox *box)
{
	double us[10];

	for (unsigned int i = 0; i < SC_ARRAY_SIZE(us); i++) {
		double begin = now_us();
		struct sc_bpf *b = start_agent(box);

		us[i] = now_us() - begin;
		if (!b)
			return -EIO;
		sc_bpf_close(&b);
	}
	printf("  \"open_ms_p50\": %.1f\n", quantile(us, SC_ARRAY_SIZE(us), 0.5) / 1000);
	return 0;
}

static const struct {
	const char *name;
	int depth;
	int (*work)(void);
	int n;
} costs[] = {
	{"fork_exit_depth3", 3, fork_and_exit, FORKS},
	{"fork_exit_depth6", 6, fork_and_exit, FORKS},
	{"tcp_depth3", 3, connect_and_close, CONNECTS},
	{"tcp_depth6", 6, connect_and_close, CONNECTS},
};

int main(void)
{
	static struct worker workers[SC_ARRAY_SIZE(costs)];
	_cleanup_sandbox_ struct sc_sandbox box;
	int err = sc_sandbox_open(&box);

	for (unsigned int i = 0; !err && i < SC_ARRAY_SIZE(costs); i++) {
		workers[i].work = costs[i].work;
		workers[i].n = costs[i].n;
		if (costs[i].work == connect_and_close)
			err = enter_network();
		if (!err)
			err = start_worker(&box, &workers[i], costs[i].name, costs[i].depth);
	}
	printf("{\n");
	for (unsigned int i = 0; !err && i < SC_ARRAY_SIZE(costs); i++)
		err = measure_cost(&box, costs[i].name, &workers[i]);
	if (!err)
		err = measure_latency(&box);
	if (!err)
		err = measure_open(&box);
	printf("}\n");
	if (err)
		fprintf(stderr, "bpf_bench: %s\n", strerror(-err));
	return err ? 1 : 0;
}
