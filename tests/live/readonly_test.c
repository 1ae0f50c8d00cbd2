/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making paths read-only by mounts, where there is no BPF LSM: a member in a mount namespace of its
 * own tries to write, before, while and after. What the programs of the LSM stop is in
 * tests/bpf/readonly_test.c, which runs where they load.
 */
#include "live/engine_kit.h"

#include "base/io.h"
#include "base/str.h"
#include "sys/readonly_lsm.h"

#include <scram/readonly.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

static void init(void)
{
	char reason[SC_LSM_REASON_MAX];

	sc_kit_init();
	if (sc_lsm_probe(reason) == 0)
		cr_skip_test("this kernel has BPF LSM, which is used instead of mounts");
}

TestSuite(readonly, .init = init, .fini = sc_kit_fini, .timeout = 120);

/* --- a member that writes on demand --- */

enum try {
	TRY_CREATE = 'c', /* and remove again */
	TRY_OPEN = 'o',   /* a file that is there */
	TRY_HELD = 'h',   /* write to the one opened at the beginning */
	TRY_BELOW = 'b',  /* create on what is mounted below */
	TRY_FROZEN = 'f', /* create on a mount below that was read-only before */
	TRY_END = 'e',
};

struct member {
	const char *dir;
	bool is_plain; /* no mount namespace of its own, no mounts */
	bool holds;
	int ask_fd, answer_fd;
	int held_fd;
	pid_t pid;
};

static int make(const char *dir, const char *name, int flags)
{
	char path[SC_SANDBOX_PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

static int create(const char *dir)
{
	char path[SC_SANDBOX_PATH_MAX + 64];
	int fd = make(dir, "fresh", O_CREAT | O_EXCL | O_WRONLY);

	if (fd < 0)
		return -fd;
	close(fd);
	snprintf(path, sizeof(path), "%s/fresh", dir);
	return unlink(path) < 0 ? errno : 0;
}

/* 0 or the errno of what was tried. */
static int attempt(struct member *m, char what)
{
	char below[SC_SANDBOX_PATH_MAX + 16];
	int fd;

	switch ((enum try)what) {
	case TRY_CREATE:
		return create(m->dir);
	case TRY_OPEN:
		fd = make(m->dir, "file", O_WRONLY);
		if (fd < 0)
			return -fd;
		close(fd);
		return 0;
	case TRY_HELD:
		return write(m->held_fd, "x", 1) == 1 ? 0 : errno;
	case TRY_BELOW:
	case TRY_FROZEN:
		snprintf(below, sizeof(below), "%s/%s", m->dir,
			 what == TRY_BELOW ? "below" : "frozen");
		return create(below);
	case TRY_END:
		break;
	}
	return EINVAL;
}

static int mount_below(const char *dir, const char *name, unsigned long flags)
{
	char path[SC_SANDBOX_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return mount("scram-test", path, "tmpfs", flags, NULL) < 0 ? -errno : 0;
}

/* The directory becomes a mount of its own, with two more below it. */
static int settle(struct member *m)
{
	if (m->is_plain)
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(m->dir, m->dir, NULL, MS_BIND, NULL) < 0)
		return -errno;
	return mount_below(m->dir, "below", 0) < 0 || mount_below(m->dir, "frozen", MS_RDONLY) < 0
		       ? -EIO
		       : 0;
}

static int serve(void *arg)
{
	struct member *m = arg;
	char what, answer;

	if (settle(m) < 0)
		return 1;
	m->held_fd = -1;
	if (m->holds)
		m->held_fd = make(m->dir, "file", O_WRONLY | O_APPEND);
	what = 'r';
	if (write(m->answer_fd, &what, 1) != 1)
		return 1;
	while (read(m->ask_fd, &what, 1) == 1 && what != TRY_END) {
		answer = (char)attempt(m, what);
		if (write(m->answer_fd, &answer, 1) != 1)
			break;
	}
	return 0;
}

static int ask(struct member *m, enum try what)
{
	char word = (char)what, answer;

	cr_assert_eq(write(m->ask_fd, &word, 1), 1);
	cr_assert_eq(read(m->answer_fd, &answer, 1), 1);
	return answer;
}

static void begin(struct member *m, int cgroup_fd)
{
	int ask_fds[2], answer_fds[2];
	char ready;
	int fd = make(m->dir, "file", O_CREAT | O_WRONLY);

	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(pipe2(ask_fds, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(answer_fds, O_CLOEXEC), 0);
	m->ask_fd = ask_fds[0];
	m->answer_fd = answer_fds[1];
	m->pid = sc_helper_call(cgroup_fd, serve, m);
	cr_assert_gt(m->pid, 0);
	close(ask_fds[0]);
	close(answer_fds[1]);
	m->ask_fd = ask_fds[1];
	m->answer_fd = answer_fds[0];
	cr_assert_eq(read(m->answer_fd, &ready, 1), 1, "the member has no mounts");
}

static void finish(struct member *m)
{
	char end = TRY_END;

	/* By a word: a forked member holds ends of the pipes of others. */
	cr_assert_eq(write(m->ask_fd, &end, 1), 1);
	sc_close(&m->ask_fd);
	cr_assert_eq(sc_wait_child(m->pid, NULL, SC_KIT_EVENT_MS), 0);
	sc_close(&m->answer_fd);
}

/* --- the agent --- */

static char data[SC_SANDBOX_PATH_MAX];

#define FIRE_LINE "fire stop-writes --reason test --operator me --wait"

static void configure_with(const char *head, const char *action)
{
	_cleanup_str_ struct sc_str yaml;

	snprintf(data, sizeof(data), "%.480s/data", sc_kit.box.tmp);
	cr_assert(mkdir(data, 0755) == 0 || errno == EEXIST);
	sc_str_init_heap(&yaml);
	sc_str_addf(&yaml,
		    "%sreadonly: {paths: [%s]}\n"
		    "conditions:\n"
		    "  - {id: stop-writes, action: %s, live: true, requires_two_person: false}\n",
		    head, data, action);
	sc_kit_start(yaml.data);
}

static void configure_global(void)
{
	configure_with("", "{kind: global-readonly}");
}

/* The id of the newest fire. */
static const char *fire_id(void)
{
	static char id[64];
	json_t *fire = sc_kit_get("stop-writes", NULL, NULL, 0);

	snprintf(id, sizeof(id), "%s", sc_kit_text(fire, "id"));
	json_decref(fire);
	return id;
}

static void release(void)
{
	char line[128];

	snprintf(line, sizeof(line), "release %s", fire_id());
	sc_kit_expect(line, 0, "released");
}

static bool has_marker(void)
{
	char path[SC_SANDBOX_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/readonly", sc_kit.run_dir);
	return access(path, F_OK) == 0;
}

static void expect_all(struct member *m, int want)
{
	cr_expect_eq(ask(m, TRY_CREATE), want, "create");
	cr_expect_eq(ask(m, TRY_OPEN), want, "open");
	cr_expect_eq(ask(m, TRY_BELOW), want, "create on a mount below");
	cr_expect_eq(ask(m, TRY_FROZEN), EROFS, "it was read-only before");
}

Test(readonly, paths_of_a_namespace_refuse_writes_until_released)
{
	int web = sc_kit_mkdir("web");
	struct member m = {.dir = NULL};

	configure_global();
	m.dir = data;
	begin(&m, web);
	expect_all(&m, 0);

	sc_kit_expect(FIRE_LINE, 0, "a write inside was tried and refused");
	expect_all(&m, EROFS);
	cr_expect(has_marker());
	/* Whose namespace it is not goes on. */
	cr_expect_eq(create(data), 0);

	release();
	expect_all(&m, 0);
	cr_expect_not(has_marker());
	finish(&m);
}

Test(readonly, a_path_that_is_no_mount_is_covered_and_uncovered)
{
	int web = sc_kit_mkdir("web");
	struct member m = {.is_plain = true};

	/* The member has a namespace of its own, but the path is a directory in it. */
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	configure_global();
	m.dir = data;
	begin(&m, web);
	sc_kit_expect(FIRE_LINE, 0, "refused");
	cr_expect_eq(ask(&m, TRY_CREATE), EROFS);
	cr_expect_eq(ask(&m, TRY_OPEN), EROFS);
	release();
	cr_expect_eq(ask(&m, TRY_CREATE), 0);
	cr_expect_eq(ask(&m, TRY_OPEN), 0);
	finish(&m);
}

Test(readonly, who_holds_a_file_open_is_named_and_the_rest_is_refused)
{
	int web = sc_kit_mkdir("web");
	struct member m = {.holds = true};
	struct sc_cli cli;

	configure_global();
	m.dir = data;
	begin(&m, web);
	sc_kit_cli(&cli, FIRE_LINE);
	cr_expect_eq(cli.status, 6, "%s%s", cli.out, cli.err);
	cr_expect(strstr(cli.out, "was in use") || strstr(cli.err, "was in use"), "%s%s", cli.out,
		  cli.err);
	sc_cli_done(&cli);
	cr_expect_eq(ask(&m, TRY_CREATE), EROFS);
	cr_expect_eq(ask(&m, TRY_OPEN), EROFS);
	cr_expect_eq(ask(&m, TRY_HELD), 0, "nobody can stop that by a mount");
	release();
	expect_all(&m, 0);
	cr_expect_eq(ask(&m, TRY_HELD), 0);
	finish(&m);
}

static bool is_refused(void *arg)
{
	return ask(arg, TRY_CREATE) == EROFS;
}

Test(readonly, who_comes_later_is_held_too)
{
	int web = sc_kit_mkdir("web");
	struct member first = {.dir = NULL}, second;

	configure_global();
	first.dir = data;
	second = first;
	begin(&first, web);
	sc_kit_expect(FIRE_LINE, 0, "refused");
	begin(&second, web);
	cr_expect_eq(sc_wait_until(is_refused, &second, SC_KIT_EVENT_MS), 0);
	release();
	expect_all(&first, 0);
	expect_all(&second, 0);
	finish(&first);
	finish(&second);
}

Test(readonly, survives_its_agent_and_the_next_one_releases)
{
	int web = sc_kit_mkdir("web");
	struct member m = {.dir = NULL};

	configure_global();
	m.dir = data;
	begin(&m, web);
	sc_kit_expect(FIRE_LINE, 0, "refused");
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	expect_all(&m, EROFS);
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	expect_all(&m, EROFS);
	release();
	expect_all(&m, 0);
	cr_expect_not(has_marker());
	finish(&m);
}

Test(readonly, is_released_without_an_agent)
{
	int web = sc_kit_mkdir("web");
	struct member m = {.dir = NULL};
	char line[128];

	configure_global();
	m.dir = data;
	begin(&m, web);
	sc_kit_expect(FIRE_LINE, 0, "refused");
	snprintf(line, sizeof(line), "release %s --offline", fire_id());
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	sc_kit_expect(line, 0, "released 1 fire");
	expect_all(&m, 0);
	cr_expect_not(has_marker());
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	expect_all(&m, 0);
	finish(&m);
}

Test(readonly, an_undo_that_was_interrupted_is_finished_by_the_next_start)
{
	int web = sc_kit_mkdir("web");
	struct member m = {.dir = NULL};
	char path[SC_SANDBOX_PATH_MAX + 16];

	configure_global();
	m.dir = data;
	begin(&m, web);
	sc_kit_expect(FIRE_LINE, 0, "refused");
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	/* The records are lost: nobody could release it any more. */
	snprintf(path, sizeof(path), "%s.lost", sc_kit.state_dir);
	cr_assert_eq(sc_sandbox_also_remove(&sc_kit.box, path), 0);
	cr_assert_eq(rename(sc_kit.state_dir, path), 0);
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	expect_all(&m, 0);
	cr_expect_not(has_marker());
	finish(&m);
}

Test(readonly, only_the_tree_of_the_target_is_held)
{
	int web = sc_kit_mkdir("web"), other = sc_kit_mkdir("other");
	struct member in = {.dir = NULL}, out;
	char line[SC_SANDBOX_PATH_MAX + 256];

	configure_global();
	in.dir = data;
	out = in;
	begin(&in, web);
	begin(&out, other);
	snprintf(line, sizeof(line), FIRE_LINE " --target %s", sc_kit_path("web"));
	sc_kit_expect(line, 0, "refused");
	expect_all(&in, EROFS);
	expect_all(&out, 0);
	release();
	expect_all(&in, 0);
	finish(&in);
	finish(&out);
}

Test(readonly, a_protected_one_is_spared_beside_more_than_there_is_room_for)
{
	struct member web = {.dir = NULL}, late;
	int web_fd = sc_kit_mkdir("web"), late_fd;
	char name[32];

	(void)sc_kit_mkdir("infra");
	for (int i = 0; i < SC_READONLY_SPARED_MAX + 8; i++) {
		snprintf(name, sizeof(name), "infra/%d", i);
		(void)sc_kit_mkdir(name);
	}
	late_fd = sc_kit_mkdir("late");
	configure_with("protect: [\"@ROOT@/infra\", \"@ROOT@/late\"]\n", "{kind: global-readonly}");
	web.dir = data;
	late = web;
	begin(&web, web_fd);
	begin(&late, late_fd);
	sc_kit_expect(FIRE_LINE, 0, "refused");
	cr_expect_eq(ask(&web, TRY_CREATE), EROFS);
	cr_expect_eq(ask(&late, TRY_CREATE), 0);
	release();
	finish(&web);
	finish(&late);
}

Test(readonly, two_persons_are_asked_for_unless_the_file_says_otherwise)
{
	_cleanup_str_ struct sc_str yaml;

	sc_str_init_heap(&yaml);
	sc_str_add(&yaml, "readonly: {paths: [/srv/none]}\n"
			  "conditions:\n"
			  "  - {id: stop-writes, action: {kind: global-readonly}, live: true}\n");
	sc_kit_start(yaml.data);
	sc_kit_expect(FIRE_LINE, 5, "second person");
	cr_expect_not(has_marker());
}

Test(readonly, a_host_that_cannot_says_why_and_does_not_arm)
{
	json_t *condition;

	sc_kit_start("conditions:\n"
		     "  - {id: stop-writes, action: {kind: global-readonly}, live: true,\n"
		     "     requires_two_person: false}\n");
	condition = sc_kit_condition("stop-writes");
	cr_expect_str_eq(sc_kit_text(condition, "armed"), "cannot fire");
	cr_expect_str_eq(sc_kit_text(condition, "mechanism"), "none");
	cr_expect(strstr(sc_kit_text(condition, "why_not"), "no readonly.paths"));
	json_decref(condition);
	sc_kit_expect(FIRE_LINE, 1, "no readonly.paths are declared");
	sc_kit_expect("doctor", 1, "no BPF LSM");
	cr_expect_not(has_marker());
}

Test(readonly, what_is_in_effect_is_told)
{
	int web = sc_kit_mkdir("web");
	struct member m = {.dir = NULL};
	json_t *condition, *status;
	const json_t *now;

	configure_global();
	m.dir = data;
	begin(&m, web);
	condition = sc_kit_condition("stop-writes");
	cr_expect_str_eq(sc_kit_text(condition, "mechanism"), "mounts");
	json_decref(condition);
	sc_kit_expect("list", 0, "by mounts");
	sc_kit_expect(FIRE_LINE, 0, "read-only by mounts");
	status = sc_rig_json(&sc_kit, "status");
	now = json_object_get(status, "readonly");
	cr_expect_str_eq(sc_kit_text(now, "mechanism"), "mounts");
	cr_expect(json_is_true(json_object_get(now, "holds")));
	json_decref(status);
	release();
	finish(&m);
}
