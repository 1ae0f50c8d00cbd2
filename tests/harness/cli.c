/* SPDX-License-Identifier: Apache-2.0 */
/* The command line as a test uses it: run a verb, keep what it said. */
#include "harness/rig.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* Longer than the longest wait of any verb. */
#define CLI_MS         130000
#define FIRES_MS       60000
#define LINE_WORDS_MAX 24

static char *read_all(int fd)
{
	char *text = malloc(SC_RIG_OUT_MAX);
	ssize_t n = text ? pread(fd, text, SC_RIG_OUT_MAX - 1, 0) : -1;

	if (text)
		text[SC_MAX(n, (ssize_t)0)] = '\0';
	return text;
}

int sc_rig_cli(struct sc_rig *rig, struct sc_cli *cli, const char *const argv[])
{
	_cleanup_close_ int out = memfd_create("out", MFD_CLOEXEC);
	_cleanup_close_ int err = memfd_create("err", MFD_CLOEXEC);
	const char *all[SC_RIG_ARGS_MAX] = {rig->scram};
	size_t n = 1;
	int status = 0;
	pid_t pid;
	int ret;

	if (out < 0 || err < 0)
		return -errno;
	while (*argv && n < SC_RIG_ARGS_MAX - 5)
		all[n++] = *argv++;
	if (*argv)
		return -E2BIG;
	all[n++] = "--run-dir";
	all[n++] = rig->run_dir;
	all[n++] = "--state-dir";
	all[n++] = rig->state_dir;
	/* Outside the supervised subtree, but inside the sandbox: it cannot outlive the test. */
	pid = sc_helper_exec(rig->agent_fd, all, out, err);
	if (pid < 0)
		return (int)pid;
	ret = sc_wait_child(pid, &status, CLI_MS);
	if (ret)
		return ret;
	cli->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	cli->out = read_all(out);
	cli->err = read_all(err);
	return cli->out && cli->err ? 0 : -ENOMEM;
}

void sc_cli_done(struct sc_cli *cli)
{
	free(SC_TAKE_PTR(cli->out));
	free(SC_TAKE_PTR(cli->err));
}

static int run_line(struct sc_rig *rig, struct sc_cli *cli, const char *line, const char *extra)
{
	_cleanup_free_ char *copy = strdup(line);
	const char *argv[LINE_WORDS_MAX + 2];
	char *rest = NULL;
	size_t n = 0;

	if (!copy)
		return -ENOMEM;
	for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		if (n == LINE_WORDS_MAX)
			return -E2BIG;
		argv[n++] = w;
	}
	argv[n++] = extra;
	argv[n] = NULL;
	return sc_rig_cli(rig, cli, argv);
}

int sc_rig_run(struct sc_rig *rig, const char *line)
{
	_cleanup_cli_ struct sc_cli cli = {.status = -1};
	int err = run_line(rig, &cli, line, NULL);

	return err ? err : cli.status;
}

json_t *sc_rig_json(struct sc_rig *rig, const char *line)
{
	_cleanup_cli_ struct sc_cli cli = {.status = -1};

	if (run_line(rig, &cli, line, "--json"))
		return NULL;
	return json_loads(cli.out, JSON_REJECT_DUPLICATES, NULL);
}

struct fires_query {
	struct sc_rig *rig;
	const char *condition;
	const char *key;
	const char *want;
	unsigned int n;
};

static bool has_text(const json_t *fire, const char *key, const char *want)
{
	const char *text = json_string_value(json_object_get(fire, key));

	return !want || (text && !strcmp(text, want));
}

static bool enough_fires(void *arg)
{
	struct fires_query *q = arg;
	json_t *fires = sc_rig_json(q->rig, "fires --limit 500");
	unsigned int found = 0;
	const json_t *fire;
	size_t i;

	json_array_foreach (fires, i, fire)
		found += has_text(fire, "condition_id", q->condition) &&
			 has_text(fire, q->key, q->want);
	json_decref(fires);
	return found >= q->n;
}

int sc_rig_wait_fires(struct sc_rig *rig, const char *condition, const char *key, const char *want,
		      unsigned int n)
{
	struct fires_query q = {rig, condition, key, want, n};

	return sc_wait_until(enough_fires, &q, FIRES_MS);
}
