/* SPDX-License-Identifier: Apache-2.0 */
/* Starts, asks and stops the agent in a sandbox. */
#include "harness/rig.h"

#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CONFIG_NAME "scram.yaml"
#define READY_MS    60000
#define STOP_MS     60000

static const char *const NO_ARGS[] = {NULL};

int sc_rig_config(struct sc_rig *rig, const char *yaml)
{
	static const char mark[] = "@ROOT@";
	_cleanup_close_ int dirfd = open(rig->box.tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_str_ struct sc_str text;
	const char *at;

	if (dirfd < 0)
		return -errno;
	sc_str_init_heap(&text);
	while ((at = strstr(yaml, mark)) != NULL) {
		sc_str_addn(&text, yaml, (size_t)(at - yaml));
		sc_str_add(&text, rig->root);
		yaml = at + strlen(mark);
	}
	sc_str_add(&text, yaml);
	return sc_write_file_atomic(dirfd, CONFIG_NAME, text.data, text.len, 0600);
}

static int name_paths(struct sc_rig *rig)
{
	const char *scram = getenv("SCRAM");
	const struct {
		char *out;
		const char *base;
		const char *name;
	} paths[] = {
		{rig->root, rig->box.cgroup, "work"},     {rig->root_dir, rig->box.dir, "work"},
		{rig->state_dir, rig->box.tmp, "state"},  {rig->run_dir, rig->box.tmp, "run"},
		{rig->config, rig->box.tmp, CONFIG_NAME}, {rig->log, rig->box.tmp, "agent.log"},
	};

	if (!realpath(scram ? scram : "build/scram", rig->scram))
		return -errno;
	for (size_t i = 0; i < SC_ARRAY_SIZE(paths); i++)
		if (snprintf(paths[i].out, SC_SANDBOX_PATH_MAX, "%s/%s", paths[i].base,
			     paths[i].name) >= SC_SANDBOX_PATH_MAX)
			return -ENAMETOOLONG;
	return 0;
}

int sc_rig_open(struct sc_rig *rig, const char *yaml)
{
	int err;

	*rig = (struct sc_rig){.agent_fd = -1, .root_fd = -1, .space_fd = -1, .pid = -1};
	err = sc_sandbox_open(&rig->box);
	if (err)
		return err;
	err = name_paths(rig);
	if (!err && (mkdir(rig->state_dir, 0700) || mkdir(rig->run_dir, 0755)))
		err = -errno;
	if (!err)
		err = sc_sandbox_remove_pins(&rig->box, rig->run_dir);
	if (!err)
		err = rig->agent_fd = sc_sandbox_mkdir(&rig->box, "agent");
	if (err >= 0)
		err = rig->root_fd = sc_sandbox_mkdir(&rig->box, "work");
	if (err >= 0)
		err = sc_rig_config(rig, yaml);
	if (err < 0)
		sc_rig_close(rig);
	return SC_MIN(err, 0);
}

void sc_rig_close(struct sc_rig *rig)
{
	/* SIGTERM first: an agent that ends well takes its pins with it. */
	if (rig->pid > 0 && sc_rig_stop(rig, SIGTERM, NULL))
		sc_rig_stop(rig, SIGKILL, NULL);
	sc_close(&rig->agent_fd);
	sc_close(&rig->root_fd);
	sc_sandbox_close(&rig->box);
}

int sc_rig_launch(struct sc_rig *rig, const char *const args[])
{
	_cleanup_close_ int log = open(rig->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	const char *argv[SC_RIG_ARGS_MAX] = {
		rig->scram,      "run",         "--config",    rig->config,
		"--cgroup-root", rig->root_dir, "--state-dir", rig->state_dir,
		"--run-dir",     rig->run_dir,  "--http",      rig->http ? rig->http : "off"};
	size_t n = 12;

	if (log < 0)
		return -errno;
	for (args = args ? args : NO_ARGS; *args; args++) {
		if (n == SC_RIG_ARGS_MAX - 1)
			return -E2BIG;
		argv[n++] = *args;
	}
	rig->pid = sc_helper_exec_in(rig->agent_fd, rig->space_fd, argv, log, log);
	return SC_MIN(rig->pid, 0);
}

static void print_log(struct sc_rig *rig)
{
	char text[16384];

	if (sc_read_file_at(AT_FDCWD, rig->log, text, sizeof(text)) > 0)
		fprintf(stderr, "--- %s\n%s---\n", rig->log, text);
}

struct readiness {
	struct sc_rig *rig;
	bool ended;
};

static bool ready_or_ended(void *arg)
{
	struct readiness *r = arg;
	siginfo_t info = {.si_pid = 0};

	waitid(P_PID, (id_t)r->rig->pid, &info, WEXITED | WNOHANG | WNOWAIT);
	r->ended = info.si_pid != 0;
	return r->ended || sc_rig_run(r->rig, "status") == 0;
}

int sc_rig_wait_ready(struct sc_rig *rig, unsigned int ms)
{
	struct readiness r = {.rig = rig};
	int err = sc_wait_until(ready_or_ended, &r, ms);

	if (r.ended)
		err = -ECHILD;
	if (err)
		print_log(rig);
	return err;
}

int sc_rig_start(struct sc_rig *rig, const char *const args[])
{
	int err = sc_rig_launch(rig, args);

	return err ? err : sc_rig_wait_ready(rig, READY_MS);
}

int sc_rig_stop(struct sc_rig *rig, int signo, int *status)
{
	int err;

	if (rig->pid <= 0)
		return -ESRCH;
	if (kill(rig->pid, signo))
		return -errno;
	err = sc_wait_child(rig->pid, status, STOP_MS);
	if (!err)
		rig->pid = -1;
	return err;
}
