/* SPDX-License-Identifier: Apache-2.0 */
/* The command line beside a real agent, alive and dead. */
#include "harness/rig.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>

static const char config[] = "conditions:\n"
			     "  - id: chill\n"
			     "    description: freezes\n"
			     "    scope: \"@ROOT@/*\"\n"
			     "    action: {kind: freeze}\n"
			     "    ttl: 10m\n"
			     "    live: true\n"
			     "    registered_by: test\n";

static struct sc_rig rig;
static char target[SC_SANDBOX_PATH_MAX + 8];

static void set_up(void)
{
	sc_need_root();
	cr_assert_eq(sc_rig_open(&rig, config), 0);
	snprintf(target, sizeof(target), "%s/db", rig.root);
}

static void tear_down(void)
{
	sc_rig_close(&rig);
}

static void assert_cli(const char *const argv[], int status, const char *says)
{
	_cleanup_cli_ struct sc_cli cli = {0};

	cr_assert_eq(sc_rig_cli(&rig, &cli, argv), 0);
	cr_assert_eq(cli.status, status, "%s: %d\n%s%s", argv[0], cli.status, cli.out, cli.err);
	cr_assert(strstr(cli.out, says) || strstr(cli.err, says), "%s\n%s%s", says, cli.out,
		  cli.err);
}

/* A frozen cgroup whose agent is gone without a word. Returns its directory. */
static int freeze_and_orphan(void)
{
	const char *const fire[] = {"fire", "chill",  "--target",   target, "--reason",
				    "test", "--wait", "--operator", "ann",  NULL};
	int dirfd = sc_sandbox_mkdir(&rig.box, "work/db");

	cr_assert_geq(dirfd, 0);
	cr_assert_gt(sc_helper_sleep(dirfd), 0);
	cr_assert_eq(sc_rig_start(&rig, NULL), 0);
	assert_cli(fire, 0, "frozen");
	cr_assert_eq(sc_cgroup_key(dirfd, "cgroup.events", "frozen"), 1);
	return dirfd;
}

Test(cli, release_offline_thaws_after_the_agent_was_killed, .init = set_up, .fini = tear_down,
     .timeout = 300)
{
	const char *const release[] = {"release", target, "--offline", "--operator", "bob", NULL};
	const char *const status[] = {"status", NULL};
	const char *const verify[] = {"verify", NULL};
	const char *const unknown[] = {"release", "0f8fad5b-d9cb", "--offline", NULL};
	int dirfd = freeze_and_orphan();

	assert_cli(release, 1, "an agent runs");
	cr_assert_eq(sc_cgroup_key(dirfd, "cgroup.events", "frozen"), 1, "refused means untouched");
	cr_assert_eq(sc_rig_stop(&rig, SIGKILL, NULL), 0);
	assert_cli(status, 3, "scram is dead, was ready");
	cr_assert_eq(sc_cgroup_key(dirfd, "cgroup.events", "frozen"), 1);
	assert_cli(release, 0, "released 1 fire");
	cr_assert_eq(sc_cgroup_key(dirfd, "cgroup.events", "frozen"), 0);
	assert_cli(verify, 0, "journal ok");
	/* Releasing twice is harmless; a fire that never was is a mistake in typing. */
	assert_cli(release, 0, "nothing in force");
	assert_cli(unknown, 1, "no such fire");
}

Test(cli, the_next_agent_knows_of_the_release_offline, .init = set_up, .fini = tear_down,
     .timeout = 300)
{
	const char *const release[] = {"release", target, "--offline", "--operator", "bob", NULL};
	int dirfd = freeze_and_orphan();
	json_t *fires;

	cr_assert_eq(sc_rig_stop(&rig, SIGKILL, NULL), 0);
	assert_cli(release, 0, "released 1 fire");
	cr_assert_eq(sc_rig_start(&rig, NULL), 0);
	cr_assert_eq(sc_cgroup_key(dirfd, "cgroup.events", "frozen"), 0, "not taken up again");
	fires = sc_rig_json(&rig, "fires");
	cr_assert_eq(json_array_size(fires), 1);
	cr_assert_str_eq(
		json_string_value(json_object_get(json_array_get(fires, 0), "released_by")), "bob");
	json_decref(fires);
}

Test(cli, release_offline_of_a_vanished_cgroup_succeeds, .init = set_up, .fini = tear_down,
     .timeout = 300)
{
	const char *const release[] = {"release", target, "--offline", NULL};
	int dirfd = freeze_and_orphan();
	int again;

	cr_assert_eq(sc_rig_stop(&rig, SIGKILL, NULL), 0);
	cr_assert_eq(sc_cgroup_write(dirfd, "cgroup.kill", "1"), 0);
	cr_assert_eq(sc_cgroup_write(dirfd, "cgroup.freeze", "0"), 0);
	cr_assert_eq(sc_wait_populated(dirfd, false, 30000), 0);
	cr_assert_eq(sc_sandbox_rmdir(&rig.box, "work/db"), 0);
	/* Another one under the same name is another target: it must stay as it is. */
	again = sc_sandbox_mkdir(&rig.box, "work/db");
	cr_assert_geq(again, 0);
	cr_assert_eq(sc_cgroup_write(again, "cgroup.freeze", "1"), 0);
	assert_cli(release, 0, "released 1 fire");
	cr_assert_eq(sc_cgroup_key(again, "cgroup.events", "frozen"), 1);
}
