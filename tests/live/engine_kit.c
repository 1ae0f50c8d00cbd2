/* SPDX-License-Identifier: Apache-2.0 */
/* Short ways for the tests of the running agent. */
#include "live/engine_kit.h"

#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 24
#define GRACE_S   2.05

struct sc_rig sc_kit;

void sc_kit_init(void)
{
	sc_need_root();
	cr_assert_eq(sc_rig_open(&sc_kit, SC_KIT_TICK), 0);
}

void sc_kit_fini(void)
{
	sc_rig_close(&sc_kit);
}

void sc_kit_write(const char *conditions)
{
	_cleanup_str_ struct sc_str yaml;

	sc_str_init_heap(&yaml);
	sc_str_addf(&yaml, "%s%s", SC_KIT_TICK, conditions);
	cr_assert_eq(sc_rig_config(&sc_kit, yaml.data), 0);
}

void sc_kit_start(const char *conditions)
{
	sc_kit_write(conditions);
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
}

void sc_kit_restart(int signo)
{
	int status = 0;

	cr_assert_eq(sc_rig_stop(&sc_kit, signo, &status), 0);
	cr_assert(signo == SIGKILL || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
}

/* One number of `status --json`, of its member `within` when that is given. */
static double status_number(const char *within, const char *key)
{
	json_t *status = sc_rig_json(&sc_kit, "status");
	const json_t *at = within ? json_object_get(status, within) : status;
	double number = json_number_value(json_object_get(at, key));

	cr_assert(status, "status says nothing");
	json_decref(status);
	return number;
}

static bool is_graced(void *arg)
{
	(void)arg;
	return status_number(NULL, "uptime_s") > GRACE_S;
}

void sc_kit_wait_grace(void)
{
	cr_assert_eq(sc_wait_until(is_graced, NULL, SC_KIT_EVENT_MS), 0);
}

static bool has_ticked(void *arg)
{
	return status_number("tick", "count") >= *(double *)arg;
}

void sc_kit_wait_ticks(uint64_t n)
{
	double until = status_number("tick", "count") + (double)n;

	cr_assert_eq(sc_wait_until(has_ticked, &until, SC_KIT_EVENT_MS), 0);
}

int sc_kit_mkdir(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "work/%s", name);
	fd = sc_sandbox_mkdir(&sc_kit.box, path);
	cr_assert_geq(fd, 0, "mkdir %s: %s", path, strerror(-fd));
	return fd;
}

void sc_kit_rmdir(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "work/%s", name);
	cr_assert_eq(sc_sandbox_rmdir(&sc_kit.box, path), 0);
}

const char *sc_kit_path(const char *name)
{
	static char path[SC_SANDBOX_PATH_MAX + 256];

	snprintf(path, sizeof(path), "%s/%s", sc_kit.root, name);
	return path;
}

static int crash(void *arg)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	const struct rlimit no_core = {0, 0};

	(void)arg;
	setrlimit(RLIMIT_CORE, &no_core);
	sigaction(SIGSEGV, &by_default, NULL); /* the test runner has a handler of its own */
	raise(SIGSEGV);
	return 1;
}

void sc_kit_crash(int cgroup_fd, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		pid_t pid = sc_helper_call(cgroup_fd, crash, NULL);
		int status = 0;

		cr_assert_gt(pid, 0, "%s", strerror(-pid));
		cr_assert_eq(sc_wait_child(pid, &status, SC_KIT_EVENT_MS), 0);
		cr_assert(WIFSIGNALED(status));
	}
}

pid_t sc_kit_sleeper(int cgroup_fd)
{
	pid_t pid = sc_helper_sleep(cgroup_fd);

	cr_assert_gt(pid, 0, "%s", strerror(-pid));
	return pid;
}

pid_t sc_kit_joiner(int cgroup_fd)
{
	pid_t pid = sc_kit_sleeper(sc_kit.agent_fd);
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	cr_assert_eq(sc_cgroup_write(cgroup_fd, "cgroup.procs", text), 0);
	return pid;
}

void sc_kit_end(pid_t pid)
{
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(sc_wait_child(pid, NULL, SC_KIT_EVENT_MS), 0);
}

pid_t sc_kit_program(int cgroup_fd, const char *name, const char *const args[])
{
	const char *slash = strrchr(sc_kit.scram, '/');
	const char *argv[5] = {NULL};
	char path[PATH_MAX + 64];
	pid_t pid;

	snprintf(path, sizeof(path), "%.*s/programs/%s", (int)(slash - sc_kit.scram), sc_kit.scram,
		 name);
	sc_need_file(path, "make programs");
	argv[0] = path;
	for (size_t i = 0; i < 3 && args[i]; i++)
		argv[i + 1] = args[i];
	pid = sc_helper_exec(cgroup_fd, argv, -1, -1);
	cr_assert_gt(pid, 0, "%s", strerror(-pid));
	return pid;
}

bool sc_kit_is_frozen(int cgroup_fd)
{
	return sc_cgroup_key(cgroup_fd, "cgroup.events", "frozen") == 1;
}

void sc_kit_expect_untouched(pid_t pid, int cgroup_fd)
{
	cr_expect(sc_live_is_alive(pid), "process %d died", pid);
	cr_expect_not(sc_kit_is_frozen(cgroup_fd));
	cr_expect_eq(sc_cgroup_key(cgroup_fd, "cgroup.events", "populated"), 1);
}

int sc_kit_fire(const char *id, const char *name, const char *extra)
{
	_cleanup_str_ struct sc_str line;
	int status;

	sc_str_init_heap(&line);
	sc_str_addf(&line, "fire %s --reason test --operator tester %s", id, extra);
	if (name)
		sc_str_addf(&line, " --target %s", sc_kit_path(name));
	status = sc_rig_run(&sc_kit, line.data);
	cr_assert_geq(status, 0, "%s: %s", line.data, strerror(-status));
	return status;
}

static bool fits(const json_t *fire, const char *id, const char *key, const char *want)
{
	return (!id || !strcmp(sc_kit_text(fire, "condition_id"), id)) &&
	       (!want || !strcmp(sc_kit_text(fire, key), want));
}

unsigned int sc_kit_count(const char *id, const char *key, const char *want)
{
	json_t *fires = sc_rig_json(&sc_kit, "fires --limit 500");
	unsigned int n = 0;
	json_t *fire;
	size_t i;

	cr_assert(json_is_array(fires), "fires says nothing");
	json_array_foreach (fires, i, fire)
		n += fits(fire, id, key, want);
	json_decref(fires);
	return n;
}

void sc_kit_wait(const char *id, const char *key, const char *want, unsigned int n)
{
	int err = sc_rig_wait_fires(&sc_kit, id, key, want, n);

	cr_assert_eq(err, 0, "no %u fires of %s with %s %s: %s", n, id, key, want, strerror(-err));
}

json_t *sc_kit_get(const char *id, const char *key, const char *want, size_t i)
{
	json_t *fires = sc_rig_json(&sc_kit, "fires --limit 500");
	json_t *found = NULL;
	json_t *fire;
	size_t k;

	json_array_foreach (fires, k, fire)
		if (!found && fits(fire, id, key, want) && i-- == 0)
			found = json_incref(fire);
	json_decref(fires);
	cr_assert(found, "no such fire: %s with %s %s", id, key, want);
	return found;
}

const char *sc_kit_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

uint64_t sc_kit_number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

json_t *sc_kit_condition(const char *id)
{
	json_t *list = sc_rig_json(&sc_kit, "list");
	json_t *found = NULL;
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		if (!strcmp(sc_kit_text(item, "id"), id))
			found = json_incref(item);
	json_decref(list);
	cr_assert(found, "no condition %s", id);
	return found;
}

const char *sc_kit_state(const char *id, const char *name)
{
	static char state[32];
	char line[SC_SANDBOX_PATH_MAX + 512];
	json_t *why;

	snprintf(line, sizeof(line), "why %s %s", id, sc_kit_path(name));
	why = sc_rig_json(&sc_kit, line);
	sc_strcopy(state, sizeof(state),
		   sc_kit_text(json_array_get(json_object_get(why, "targets"), 0), "state"));
	json_decref(why);
	return state;
}

struct state_query {
	const char *id, *name, *want;
};

static bool is_in_state(void *arg)
{
	const struct state_query *q = arg;

	return strcmp(sc_kit_state(q->id, q->name), q->want) == 0;
}

void sc_kit_wait_state(const char *id, const char *name, const char *want)
{
	struct state_query q = {id, name, want};

	cr_assert_eq(sc_wait_until(is_in_state, &q, SC_KIT_EVENT_MS), 0, "%s on %s is %s, not %s",
		     id, name, sc_kit_state(id, name), want);
}

void sc_kit_cli(struct sc_cli *cli, const char *line)
{
	_cleanup_free_ char *copy = strdup(line);
	const char *argv[WORDS_MAX + 1] = {NULL};
	char *rest = NULL;
	size_t n = 0;

	for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		cr_assert_lt(n, WORDS_MAX);
		argv[n++] = w;
	}
	cr_assert_eq(sc_rig_cli(&sc_kit, cli, argv), 0);
}

void sc_kit_expect(const char *line, int status, const char *text)
{
	_cleanup_cli_ struct sc_cli cli = {.status = -1};

	sc_kit_cli(&cli, line);
	cr_expect_eq(cli.status, status, "%s: exit %d, not %d: %s%s", line, cli.status, status,
		     cli.out, cli.err);
	cr_expect(strstr(cli.out, text) || strstr(cli.err, text), "%s: no \"%s\" in: %s%s", line,
		  text, cli.out, cli.err);
}
