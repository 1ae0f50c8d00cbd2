/* SPDX-License-Identifier: Apache-2.0 */
#include "live/worker_kit.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Nobody listens there: a store that is down. */
#define NO_STORE  "postgresql://scram@127.0.0.1:1/none?connect_timeout=1"
#define LOOKS_MAX 20
#define LATE_US   5000
#define PROBE     "probes: {p: {kind: exec, command: [/bin/true], every: 3600s}}\n"

const char *sc_kit_free_port(void)
{
	static char where[32];
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, size), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	snprintf(where, sizeof(where), "127.0.0.1:%u", ntohs(at.sin_port));
	return where;
}

static void start(const char *url, const char *yaml)
{
	char text[512];

	setenv("DATABASE_URL", url, 1);
	snprintf(text, sizeof(text), "%s%s", SC_KIT_TICK, yaml);
	cr_assert_eq(sc_rig_config(&sc_kit, text), 0);
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
}

void sc_kit_start_workers(void)
{
	sc_kit.http = sc_kit_free_port();
	start(NO_STORE, PROBE);
	sc_kit_worker_wait_up("api");
	sc_kit_worker_wait_up("probe");
	sc_kit_worker_wait_up("ship");
}

static void copy(const char *from, const char *to)
{
	const char *const argv[] = {"cp", from, to, NULL};
	int status = -1;

	cr_assert_eq(sc_wait_child(sc_helper_exec(-1, argv, -1, 2), &status, SC_KIT_EVENT_MS), 0);
	cr_assert_eq(status, 0, "cp %s %s", from, to);
}

void sc_kit_start_rogue(const char *mode)
{
	char dir[SC_SANDBOX_PATH_MAX + 8], rogue[PATH_MAX], to[SC_SANDBOX_PATH_MAX + 32];
	char *slash;

	snprintf(dir, sizeof(dir), "%s/bin", sc_kit.box.tmp);
	cr_assert_eq(mkdir(dir, 0755), 0);
	cr_assert_eq(access(dir, X_OK), 0);
	slash = strrchr(sc_kit.scram, '/');
	cr_assert_lt(snprintf(rogue, sizeof(rogue), "%.*s/programs/rogue-worker",
			      (int)(slash - sc_kit.scram), sc_kit.scram),
		     (int)sizeof(rogue));
	snprintf(to, sizeof(to), "%s/scram-ship", dir);
	if (mode)
		copy(rogue, to);
	snprintf(to, sizeof(to), "%s/scram", dir);
	copy(sc_kit.scram, to);
	snprintf(sc_kit.scram, sizeof(sc_kit.scram), "%s", to);
	start(mode ? mode : "none", "");
}

json_t *sc_kit_worker(const char *name)
{
	json_t *status = sc_rig_json(&sc_kit, "status"), *worker, *found = NULL;
	size_t i;

	cr_assert(status, "status says nothing");
	json_array_foreach (json_object_get(status, "workers"), i, worker)
		if (strcmp(sc_kit_text(worker, "name"), name) == 0)
			found = json_incref(worker);
	json_decref(status);
	cr_assert(found, "no worker %s in status", name);
	return found;
}

uint64_t sc_kit_worker_number(const char *name, const char *key)
{
	json_t *worker = sc_kit_worker(name);
	uint64_t n = sc_kit_number(worker, key);

	json_decref(worker);
	return n;
}

pid_t sc_kit_worker_pid(const char *name)
{
	return (pid_t)sc_kit_worker_number(name, "pid");
}

struct wanted {
	const char *name, *key;
	uint64_t n;
};

static bool holds(void *arg)
{
	struct wanted *w = arg;
	json_t *worker = sc_kit_worker(w->name);
	bool r = w->key ? sc_kit_number(worker, w->key) >= w->n
			: strcmp(sc_kit_text(worker, "state"), "up") == 0;

	json_decref(worker);
	return r;
}

void sc_kit_worker_wait_up(const char *name)
{
	struct wanted w = {.name = name};

	cr_assert_eq(sc_wait_until(holds, &w, SC_KIT_EVENT_MS), 0, "%s does not come up", name);
}

void sc_kit_worker_wait(const char *name, const char *key, uint64_t n)
{
	struct wanted w = {name, key, n};

	cr_assert_eq(sc_wait_until(holds, &w, SC_KIT_EVENT_MS), 0, "%s of %s does not get to %llu",
		     key, name, (unsigned long long)n);
}

static bool has_passed(void *arg)
{
	return sc_mono_ns() >= *(uint64_t *)arg;
}

static uint64_t tick_number(const char *key)
{
	json_t *status = sc_rig_json(&sc_kit, "status");
	uint64_t n = sc_kit_number(json_object_get(status, "tick"), key);

	json_decref(status);
	return n;
}

/* Returns how many of the ticks that were due within a second have been run. */
static double share_of_ticks(double interval_ms)
{
	uint64_t before = tick_number("count"), begin = sc_mono_ns();
	uint64_t end = begin + SC_NS_PER_S;

	(void)sc_wait_until(has_passed, &end, 30000);
	return (double)(tick_number("count") - before) * interval_ms /
	       ((double)(sc_mono_ns() - begin) / 1e6);
}

void sc_kit_expect_ticks(const char *meanwhile)
{
	json_t *status = sc_rig_json(&sc_kit, "status");
	double interval_ms = json_number_value(
		json_object_get(json_object_get(status, "tick"), "interval_ms"));
	uint64_t late_us = UINT64_MAX;
	double share = 0;

	json_decref(status);
	/* A busy host may take a second away from the agent, but not all of them. */
	for (int i = 0; i < LOOKS_MAX && (share < 0.7 || late_us >= LATE_US); i++) {
		share = share_of_ticks(interval_ms);
		late_us = tick_number("late_p50_us");
	}
	cr_expect_geq(share, 0.7, "%s: %.2f of the ticks that were due", meanwhile, share);
	cr_expect_lt(late_us, LATE_US, "%s: ticks are late", meanwhile);
}
