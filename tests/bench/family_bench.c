/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent and its three workers hold in memory together, over 1,000 cgroups. */
#include "harness/rig.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#define CGROUPS  1000
#define BUDGET   40.0 /* MiB */
#define TICKS    50
#define NO_STORE "postgresql://scram@127.0.0.1:1/none"

static const char yaml[] = "probes: {p: {kind: exec, command: [/bin/true], every: 3600s}}\n"
			   "conditions:\n"
			   "  - {id: c, description: bench, scope: \"@ROOT@/*\", "
			   "when: \"increase(proc.crashes[60s]) >= 3\", "
			   "action: {kind: process-exit}, auto_fire: true, registered_by: bench}\n";

static void die(const char *what, int error)
{
	fprintf(stderr, "family: %s: %s\n", what, strerror(error < 0 ? -error : error));
	_exit(1);
}

/* MiB of a line of a file of the process. */
static double mib_of(pid_t pid, const char *file, const char *key)
{
	char path[64], text[8192];
	const char *at;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	if (sc_read_file_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		die(path, ENOENT);
	at = strstr(text, key);
	return at ? strtod(at + strlen(key), NULL) / 1024 : 0;
}

static void say(const char *name, pid_t pid, double *resident, double *own)
{
	double rss = mib_of(pid, "status", "VmRSS:");
	double pss = mib_of(pid, "smaps_rollup", "\nPss:");

	printf("%-8s %8.1f %8.1f\n", name, rss, pss);
	*resident += rss;
	*own += pss;
}

/* All three up, and the agent has looked a while. */
static bool is_settled(void *arg)
{
	json_t *status = sc_rig_json(arg, "status"), *worker;
	json_t *tick = json_object_get(status, "tick");
	bool yes = json_integer_value(json_object_get(tick, "count")) >= TICKS;
	size_t i;

	json_array_foreach (json_object_get(status, "workers"), i, worker) {
		const char *state = json_string_value(json_object_get(worker, "state"));

		yes &= state && strcmp(state, "up") == 0;
	}
	json_decref(status);
	return yes;
}

int main(void)
{
	double resident = 0, own = 0;
	struct sc_rig rig;
	json_t *status, *worker;
	char name[16];
	size_t i;
	int r;

	setenv("DATABASE_URL", NO_STORE, 1);
	r = sc_rig_open(&rig, yaml);
	if (r < 0)
		die("sandbox", r);
	rig.http = "127.0.0.1:18499";
	for (int k = 0; k < CGROUPS; k++) {
		snprintf(name, sizeof(name), "c%04d", k);
		if (mkdirat(rig.root_fd, name, 0755) < 0)
			die("mkdir", errno);
	}
	r = sc_rig_start(&rig, NULL);
	if (r == 0)
		r = sc_wait_until(is_settled, &rig, 60000);
	if (r < 0)
		die("agent", r);
	printf("%-8s %8s %8s\n", "MiB", "resident", "Pss");
	say("core", rig.pid, &resident, &own);
	status = sc_rig_json(&rig, "status");
	json_array_foreach (json_object_get(status, "workers"), i, worker)
		say(json_string_value(json_object_get(worker, "name")),
		    (pid_t)json_integer_value(json_object_get(worker, "pid")), &resident, &own);
	printf("%-8s %8.1f %8.1f   resident <= %.0f\n", "all", resident, own, BUDGET);
	json_decref(status);
	sc_rig_close(&rig);
	return resident > BUDGET;
}
