/* SPDX-License-Identifier: Apache-2.0 */
/* The rig itself, with a script in place of the agent: it must notice an agent that dies or never
 * gets ready. */
#include "harness/rig.h"

#include "base/io.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* It is ready once it has written its pid; `fires` answers one fire; everything else echoes its
 * arguments. */
static const char fake[] =
	"#!/bin/sh\n"
	"run=\n"
	"verb=$1\n"
	"while [ $# -gt 0 ]; do\n"
	"	[ \"$1\" = --run-dir ] && run=$2\n"
	"	[ \"$1\" = --crash ] && echo about to die && exit 3\n"
	"	[ \"$1\" = --mute ] && exec sleep 1000\n"
	"	shift\n"
	"done\n"
	"case $verb in\n"
	"run) trap 'rm -f \"$run/pid\"; exit 0' TERM; echo $$ >\"$run/pid\"; sleep 1000 & wait ;;\n"
	"status) test -e \"$run/pid\" ;;\n"
	"fires) echo '[{\"condition_id\": \"c\", \"outcome\": \"emptied\"}]' ;;\n"
	"*) echo \"out $verb\"; echo \"err $verb\" >&2; exit 4 ;;\n"
	"esac\n";

static struct sc_rig rig;

static void set_up(void)
{
	char path[64] = "/tmp/scram-fake-XXXXXX";
	int fd;

	sc_need_root();
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(sc_write_all(fd, fake, strlen(fake)), 0);
	cr_assert_eq(fchmod(fd, 0755), 0);
	close(fd);
	setenv("SCRAM", path, 1);
	cr_assert_eq(sc_rig_open(&rig, "tick: 100ms # @ROOT@ and @ROOT@\n"), 0);
	sc_sandbox_also_remove(&rig.box, path);
}

static void tear_down(void)
{
	sc_rig_close(&rig);
}

TestSuite(rig, .init = set_up, .fini = tear_down);

Test(rig, starts_waits_and_stops)
{
	int status = -1;

	cr_assert_eq(sc_rig_start(&rig, NULL), 0);
	cr_expect_eq(sc_cgroup_key(rig.agent_fd, "cgroup.events", "populated"), 1);
	cr_expect_eq(sc_cgroup_key(rig.root_fd, "cgroup.events", "populated"), 0);
	cr_expect_eq(sc_rig_stop(&rig, SIGTERM, &status), 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	cr_expect_eq(sc_rig_stop(&rig, SIGTERM, NULL), -ESRCH);
}

Test(rig, starts_again_after_sigkill)
{
	int status = 0;

	cr_assert_eq(sc_rig_start(&rig, NULL), 0);
	cr_expect_eq(sc_rig_stop(&rig, SIGKILL, &status), 0);
	cr_expect(WIFSIGNALED(status));
	cr_expect_eq(sc_rig_start(&rig, NULL), 0);
}

Test(rig, notices_an_agent_that_dies)
{
	static const char *const args[] = {"--crash", NULL};

	cr_expect_eq(sc_rig_start(&rig, args), -ECHILD);
}

Test(rig, does_not_wait_for_ever)
{
	static const char *const args[] = {"--mute", NULL};

	cr_assert_eq(sc_rig_launch(&rig, args), 0);
	cr_expect_eq(sc_rig_wait_ready(&rig, 100), -ETIMEDOUT);
}

Test(rig, puts_the_supervised_cgroup_into_the_configuration)
{
	char text[1024], want[1200];
	ssize_t n = sc_read_file_at(AT_FDCWD, rig.config, text, sizeof(text));

	snprintf(want, sizeof(want), "tick: 100ms # %s and %s\n", rig.root, rig.root);
	cr_assert_gt(n, 0);
	cr_expect_str_eq(text, want);
}

Test(rig, captures_what_a_verb_says)
{
	_cleanup_cli_ struct sc_cli cli = {.status = -1};
	static const char *const argv[] = {"ping", "a b", NULL};

	cr_assert_eq(sc_rig_cli(&rig, &cli, argv), 0);
	cr_expect_eq(cli.status, 4);
	cr_expect_str_eq(cli.out, "out ping\n");
	cr_expect_str_eq(cli.err, "err ping\n");
	cr_expect_eq(sc_rig_run(&rig, "ping x y"), 4);
	cr_expect_null(sc_rig_json(&rig, "ping"));
}

Test(rig, waits_for_a_fire)
{
	cr_expect_eq(sc_rig_wait_fires(&rig, "c", "outcome", "emptied", 1), 0);
	cr_expect_eq(sc_rig_wait_fires(&rig, NULL, "outcome", NULL, 1), 0);
}
