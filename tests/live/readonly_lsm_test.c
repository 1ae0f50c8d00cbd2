/* SPDX-License-Identifier: Apache-2.0 */
/* The agent where BPF LSM is: a fire, a database that writes meanwhile, agents that die. On kernels
 * without it the file is skipped; the VM suite has two with it. */
#include "live/engine_kit.h"

#include "base/str.h"
#include "sys/readonly_lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char data[SC_SANDBOX_PATH_MAX];

static void init(void)
{
	char reason[SC_LSM_REASON_MAX];

	sc_kit_init();
	if (sc_lsm_probe(reason) < 0)
		cr_skip_test("no BPF LSM here: %s", reason);
	/* The sandbox may be on a file system that keeps nothing, and stays writable. */
	snprintf(data, sizeof(data), "/var/tmp/scram-test-%d", (int)getpid());
	cr_assert_eq(mkdir(data, 0777), 0);
	cr_assert_eq(sc_sandbox_also_remove(&sc_kit.box, data), 0);
}

TestSuite(readonly_lsm, .init = init, .fini = sc_kit_fini, .timeout = 600);

#define FIRE_LINE "fire stop-writes --reason test --operator me --wait"
#define CONDITION                                                             \
	"conditions:\n"                                                       \
	"  - {id: stop-writes, action: {kind: global-readonly}, live: true, " \
	"requires_two_person: false}\n"

static const char *fire_id(void)
{
	static char id[64];
	json_t *fire = sc_kit_get("stop-writes", NULL, NULL, 0);

	snprintf(id, sizeof(id), "%s", sc_kit_text(fire, "id"));
	json_decref(fire);
	return id;
}

static bool is_readonly(void *arg)
{
	json_t *status = sc_rig_json(&sc_kit, "status");
	const json_t *now = json_object_get(status, "readonly");
	bool is = json_is_true(json_object_get(now, "holds")) && sc_kit_number(now, "fires") == 1;
	bool is_not = sc_kit_number(now, "fires") == 0;

	json_decref(status);
	return *(bool *)arg ? is : is_not;
}

/* An emulated machine takes its time, longer than a verb waits for its answer. */
static void change(const char *line, bool want)
{
	struct sc_cli cli;

	sc_kit_cli(&cli, line);
	cr_expect(cli.status == 0 || cli.status == 3, "%s: %s%s", line, cli.out, cli.err);
	sc_cli_done(&cli);
	cr_assert_eq(sc_wait_until(is_readonly, &want, 2 * SC_KIT_EVENT_MS), 0, "%s", line);
}

static void fire(void)
{
	change(FIRE_LINE, true);
}

static void release(void)
{
	char line[128];

	snprintf(line, sizeof(line), "release %s", fire_id());
	change(line, false);
}

static int create(void *arg)
{
	char path[SC_SANDBOX_PATH_MAX + 32];
	int fd;

	snprintf(path, sizeof(path), "%s/%d", (const char *)arg, (int)getpid());
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	return fd < 0 ? errno : 0;
}

static int create_in(int cgroup_fd)
{
	pid_t pid = sc_helper_call(cgroup_fd, create, data);
	int status;

	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_child(pid, &status, SC_KIT_EVENT_MS), 0);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

Test(readonly_lsm, writes_are_refused_until_released)
{
	int web = sc_kit_mkdir("web");
	json_t *condition, *fired;

	sc_kit_start(CONDITION);
	condition = sc_kit_condition("stop-writes");
	cr_expect_str_eq(sc_kit_text(condition, "mechanism"), "lsm");
	json_decref(condition);
	cr_assert_gt(sc_kit_sleeper(web), 0);
	cr_expect_eq(create_in(web), 0);
	fire();
	fired = sc_kit_get("stop-writes", "outcome", "readonly", 0);
	cr_expect(strstr(sc_kit_text(fired, "dispatch_result"),
			 "by the BPF LSM; a write inside was tried and refused"));
	json_decref(fired);
	cr_expect_eq(create_in(web), EROFS);
	cr_expect_eq(create_in(sc_kit_mkdir("later")), EROFS);
	cr_expect_eq(create(data), 0, "not supervised");
	release();
	cr_expect_eq(create_in(web), 0);
}

Test(readonly_lsm, protected_cgroups_go_on)
{
	_cleanup_str_ struct sc_str yaml;
	int web = sc_kit_mkdir("web"), logs = sc_kit_mkdir("logs");

	sc_str_init_heap(&yaml);
	sc_str_addf(&yaml, "protect: [%s]\n" CONDITION, sc_kit_path("logs"));
	sc_kit_start(yaml.data);
	fire();
	cr_expect_eq(create_in(web), EROFS);
	cr_expect_eq(create_in(logs), 0);
	release();
}

Test(readonly_lsm, survives_its_agent_and_the_next_one_releases)
{
	int web = sc_kit_mkdir("web");

	sc_kit_start(CONDITION);
	fire();
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	cr_expect_eq(create_in(web), EROFS);
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	cr_expect_eq(create_in(web), EROFS);
	release();
	cr_expect_eq(create_in(web), 0);
}

Test(readonly_lsm, is_released_without_an_agent)
{
	int web = sc_kit_mkdir("web");
	char line[128];

	sc_kit_start(CONDITION);
	fire();
	snprintf(line, sizeof(line), "release %s --offline", fire_id());
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	cr_expect_eq(create_in(web), EROFS);
	sc_kit_expect(line, 0, "released 1 fire");
	cr_expect_eq(create_in(web), 0);
}

/* Commits a row each time round, syncing; what is refused is told as R, what was committed as C.
 * At the end of its input it checks what is on the disk. */
static const char database[] = "import sqlite3, sys, select, os\n"
			       "path = sys.argv[1]\n"
			       "def connect():\n"
			       "    db = sqlite3.connect(path, isolation_level=None, timeout=0)\n"
			       "    db.execute('pragma synchronous=full')\n"
			       "    return db\n"
			       "db = connect()\n"
			       "db.execute('create table if not exists t (n integer)')\n"
			       "n, last = 0, None\n"
			       "while not select.select([0], [], [], 0.01)[0]:\n"
			       "    try:\n"
			       "        db.execute('insert into t values (?)', (n,))\n"
			       "        n, word = n + 1, 'C'\n"
			       "    except sqlite3.OperationalError:\n"
			       "        word = 'R'\n"
			       "    if word != last:\n"
			       "        os.write(1, word.encode())\n"
			       "    last = word\n"
			       "db.close()\n"
			       "db = connect()\n"
			       "rows = db.execute('select count(*), max(n) from t').fetchone()\n"
			       "good = db.execute('pragma integrity_check').fetchone()[0] == 'ok'\n"
			       "os.write(1, b'G' if good and rows == (n, n - 1) else b'B')\n";

struct writer {
	pid_t pid;
	int in_fd, out_fd;
};

static char next_word(const struct writer *w)
{
	char word = '-';

	cr_assert_eq(read(w->out_fd, &word, 1), 1);
	return word;
}

static int run_database(void *arg)
{
	const struct writer *w = arg;
	char path[SC_SANDBOX_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/db", data);
	dup2(w->in_fd, 0);
	dup2(w->out_fd, 1);
	execlp("python3", "python3", "-c", database, path, (char *)NULL);
	return 127;
}

static struct writer start_database(int cgroup_fd)
{
	struct writer child, w;
	int in_fds[2], out_fds[2];

	cr_assert_eq(pipe2(in_fds, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(out_fds, O_CLOEXEC), 0);
	child = (struct writer){.in_fd = in_fds[0], .out_fd = out_fds[1]};
	w = (struct writer){.in_fd = in_fds[1], .out_fd = out_fds[0]};
	w.pid = sc_helper_call(cgroup_fd, run_database, &child);
	cr_assert_gt(w.pid, 0);
	close(in_fds[0]);
	close(out_fds[1]);
	return w;
}

Test(readonly_lsm, a_database_that_writes_is_refused_and_goes_on_undamaged)
{
	int web = sc_kit_mkdir("web");
	struct writer w;

	sc_kit_start(CONDITION);
	w = start_database(web);
	cr_assert_eq(next_word(&w), 'C');
	for (int round = 0; round < 2; round++) {
		fire();
		cr_assert_eq(next_word(&w), 'R', "it sees the refusal");
		release();
		cr_assert_eq(next_word(&w), 'C', "it writes again");
	}
	cr_assert_eq(write(w.in_fd, "x", 1), 1);
	cr_expect_eq(next_word(&w), 'G', "every row that was committed is there");
	cr_assert_eq(sc_wait_child(w.pid, NULL, SC_KIT_EVENT_MS), 0);
}
