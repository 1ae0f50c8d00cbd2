/* SPDX-License-Identifier: Apache-2.0 */
/* The real agent tells real receivers of what happens, whatever they do with it. */
#include "live/notifier_kit.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

TestSuite(notifier, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 400);

/* Of the notifications waiting for one sink (worker/probe/notify_sink.h). */
#define QUEUE 64

/* Starts with these entries of `notify`, a flow list without its brackets. */
static void start(const struct sc_str *sinks)
{
	_cleanup_str_ struct sc_str yaml;

	sc_str_init_heap(&yaml);
	sc_str_addf(&yaml, "notify: [%s]\n%s", sinks->data, SC_KIT_BY_HAND);
	sc_kit_start(yaml.data);
	sc_kit_worker_wait_up("probe");
}

static void start_with(const char *path, bool is_signed)
{
	_cleanup_str_ struct sc_str sinks;

	sc_str_init_heap(&sinks);
	sc_kit_add_webhook(&sinks, path, is_signed);
	start(&sinks);
}

/* A kill by hand of a new sleeper; the id of the fire is one buffer. */
static const char *fire(const char *name)
{
	static char id[64];
	int fd = sc_kit_mkdir(name);
	json_t *made;

	cr_assert_gt(sc_kit_sleeper(fd), 0);
	cr_assert_eq(sc_kit_fire("by-hand", name, "--wait"), 0);
	made = sc_kit_get("by-hand", NULL, NULL, 0);
	snprintf(id, sizeof(id), "%s", sc_kit_text(made, "id"));
	json_decref(made);
	close(fd);
	return id;
}

/* Who was told of the fire, as show has it: the caller's. */
static json_t *told(const char *id)
{
	char line[96];
	json_t *shown, *list;

	snprintf(line, sizeof(line), "show %s", id);
	shown = sc_rig_json(&sc_kit, line);
	list = json_incref(json_object_get(shown, "told"));
	cr_assert(json_is_array(list));
	json_decref(shown);
	return list;
}

Test(notifier, a_signed_webhook_tells_of_a_fire)
{
	json_t *request, *body, *list;
	const json_t *of;
	const char *id;

	sc_kit_receiver("a secret\n");
	start_with("/ok", true);
	id = fire("web");
	sc_kit_wait_received("/ok", "fire-verified", 1);
	request = sc_kit_last_received("/ok", "fire-verified");
	cr_expect(json_is_true(json_object_get(request, "signed")));
	cr_expect(json_is_true(json_object_get(request, "recent")));
	cr_expect_str_eq(sc_kit_text(request, "type"), "application/json");
	body = json_object_get(request, "body");
	of = json_object_get(body, "fire");
	cr_expect_str_eq(sc_kit_text(body, "kind"), "fire.verified");
	cr_expect_str_eq(sc_kit_text(body, "condition"), "by-hand");
	cr_expect_str_eq(sc_kit_text(of, "id"), id);
	cr_expect_str_eq(sc_kit_text(of, "target"), sc_kit_path("web"));
	cr_expect_str_eq(sc_kit_text(of, "outcome"), "emptied");
	cr_expect_str_eq(sc_kit_text(of, "action"), "process-exit");
	cr_expect(strstr(sc_kit_text(body, "text"), sc_kit_path("web")));
	sc_kit_wait_sink(0, "delivered", 3); /* started, loaded, verified */
	list = told(id);
	cr_assert_eq(json_array_size(list), 1);
	cr_expect(json_is_true(json_object_get(json_array_get(list, 0), "ok")));
	cr_expect_eq(sc_kit_received("/ok", "agent-started", NULL), 1);
	sc_kit_expect("doctor", 0, "delivered");
	sc_kit_expect("verify", 0, "ok");
	json_decref(list);
	json_decref(request);
}

Test(notifier, what_fails_is_tried_again_and_delays_nobody)
{
	enum { HANGING, REFUSED, FAILING, REFUSING, GOOD };
	_cleanup_str_ struct sc_str sinks;
	json_t *sink, *list;
	const char *id;

	sc_kit_receiver("s");
	sc_str_init_heap(&sinks);
	sc_kit_add_webhook(&sinks, "/hanging", false);
	sc_str_add(&sinks, ", {webhook: 'http://127.0.0.1:1/nobody'}, ");
	sc_kit_add_webhook(&sinks, "/failing-twice", false);
	sc_str_add(&sinks, ", ");
	sc_kit_add_webhook(&sinks, "/refusing", false);
	sc_str_add(&sinks, ", ");
	sc_kit_add_webhook(&sinks, "/ok", false);
	start(&sinks);
	id = fire("web");
	sc_kit_wait_received("/ok", "fire-verified", 1);
	cr_expect_eq(sc_kit_received("/hanging", "fire-verified", NULL), 0,
		     "it hangs with the first already");
	sc_kit_wait_received("/failing-twice", "fire-verified", 1);
	sc_kit_wait_sink(REFUSING, "failed", 3);
	sc_kit_wait_sink(FAILING, "delivered", 3);
	cr_expect_eq(sc_kit_received("/failing-twice", "agent-started", NULL), 3);
	cr_expect_eq(sc_kit_received("/refusing", "agent-started", NULL), 1, "400 is for good");
	list = told(id);
	cr_expect_geq(json_array_size(list), 3);
	json_decref(list);
	/* After the last of its attempts. */
	sc_kit_wait_sink(REFUSED, "failed", 1);
	sink = sc_kit_sink(REFUSED);
	cr_expect(json_is_true(json_object_get(sink, "failing")));
	cr_expect_neq(sc_kit_text(sink, "last_error")[0], '\0');
	json_decref(sink);
	cr_expect_eq(sc_kit_sink_number(HANGING, "delivered"), 0);
	cr_expect_eq(sc_kit_sink_number(GOOD, "failed"), 0);
	sc_kit_expect("doctor", 1, "HTTP status 400");
	sc_kit_expect("verify", 0, "ok");
}

Test(notifier, the_secret_is_read_anew_and_nothing_goes_unsigned)
{
	json_t *request, *sink;

	sc_kit_receiver("first\n");
	start_with("/ok", true);
	fire("a");
	sc_kit_wait_received("/ok", "fire-verified", 1);
	sc_kit_wait_sink(0, "delivered", 3);
	sc_kit_secret("second, and longer than the first one was\n");
	fire("b");
	sc_kit_wait_received("/ok", "fire-verified", 2);
	request = sc_kit_last_received("/ok", "fire-verified");
	cr_expect(json_is_true(json_object_get(request, "signed")));
	json_decref(request);
	sc_kit_wait_sink(0, "delivered", 4);
	cr_assert_eq(unlink(sc_kit_secret_file()), 0);
	fire("c");
	sc_kit_wait_sink(0, "failed", 1);
	cr_expect_eq(sc_kit_received("/ok", "fire-verified", NULL), 2);
	sink = sc_kit_sink(0);
	cr_expect(strstr(sc_kit_text(sink, "last_error"), "secret"));
	json_decref(sink);
}

static uint64_t stage_us(const json_t *f, const char *from, const char *to)
{
	return (sc_kit_number(f, to) - sc_kit_number(f, from)) / 1000;
}

Test(notifier, a_stopped_worker_and_a_hanging_sink_delay_no_fire)
{
	_cleanup_str_ struct sc_str sinks;
	pid_t worker;
	json_t *f;

	sc_kit_receiver("s");
	sc_str_init_heap(&sinks);
	sc_kit_add_webhook(&sinks, "/hanging", false);
	sc_str_add(&sinks, ", ");
	sc_kit_add_webhook(&sinks, "/ok", false);
	start(&sinks);
	sc_kit_wait_received("/hanging", NULL, 1);
	worker = sc_kit_worker_pid("probe");
	cr_assert_eq(kill(worker, SIGSTOP), 0);
	fire("web");
	f = sc_kit_get("by-hand", "outcome", "emptied", 0);
	/* On the way to the kill there is nobody to wait for: 10 s of a sink would show. */
	cr_expect_lt(stage_us(f, "decided_ns", "act_begin_ns"), 5000000);
	json_decref(f);
	sc_kit_expect_ticks("a stopped worker");
	cr_assert_eq(kill(worker, SIGCONT), 0);
	sc_kit_wait_received("/ok", "fire-verified", 1);
}

Test(notifier, what_waits_is_bounded_and_the_rest_is_counted)
{
	enum { HANGING, GOOD, FIRES = QUEUE + 16 };
	_cleanup_str_ struct sc_str sinks;
	uint64_t left;
	int fd;

	sc_kit_receiver("s");
	sc_str_init_heap(&sinks);
	sc_kit_add_webhook(&sinks, "/hanging", false);
	sc_str_add(&sinks, ", ");
	sc_kit_add_webhook(&sinks, "/ok", false);
	start(&sinks);
	fd = sc_kit_mkdir("web");
	sc_kit_wait_received("/hanging", NULL, 1);
	for (int i = 0; i < FIRES; i++)
		cr_assert_eq(sc_kit_fire("rehearsal", "web", ""), 0);
	sc_kit_wait_sink(HANGING, "dropped", FIRES - QUEUE);
	left = sc_kit_sink_number(HANGING, "dropped") + QUEUE;
	cr_expect_leq(left, FIRES + 2 + QUEUE, "no more than there were");
	cr_expect_eq(sc_kit_sink_number(HANGING, "delivered"), 0);
	sc_kit_wait_received("/ok", "fire-dry-run", 1);
	close(fd);
}

/* A notification that is under way and one that is not yet read, when the agent is killed. */
Test(notifier, what_a_killed_agent_could_not_tell_is_told_once_by_the_next)
{
	const char *id;
	json_t *list;

	sc_kit_receiver("s");
	start_with("/ok", true);
	sc_kit_wait_sink(0, "delivered", 2);
	cr_assert_eq(kill(sc_kit_worker_pid("probe"), SIGSTOP), 0);
	id = fire("web");
	sc_kit_restart(SIGKILL);
	sc_kit_wait_received("/ok", "fire-verified", 1);
	sc_kit_wait_received("/ok", "agent-started", 2);
	sc_kit_worker_wait_up("probe");
	sc_kit_wait_sink(0, "delivered", 3); /* of this life: the fire, started, loaded */
	cr_expect_eq(sc_kit_received("/ok", "fire-verified", id), 1);
	cr_expect_eq(sc_kit_received("/ok", "agent-started", NULL), 2);
	/* A clean restart tells of nothing again. */
	sc_kit_restart(SIGTERM);
	sc_kit_wait_received("/ok", "agent-started", 3);
	cr_expect_eq(sc_kit_received("/ok", "fire-verified", id), 1);
	list = told(id);
	cr_expect_eq(json_array_size(list), 1, "the journal knows who was told");
	json_decref(list);
}

/* --- commands --- */

static bool has_text(void *arg)
{
	char **what = arg, text[32768];

	return sc_read_file_at(AT_FDCWD, what[0], text, sizeof(text)) > 0 && strstr(text, what[1]);
}

Test(notifier, a_command_gets_the_json_and_a_clean_environment)
{
	char dir[SC_SANDBOX_PATH_MAX + 8], out[SC_SANDBOX_PATH_MAX + 32];
	char *what[2] = {out, NULL}, wanted[128];
	_cleanup_str_ struct sc_str sinks;
	const char *id;

	snprintf(dir, sizeof(dir), "%s/open", sc_kit.box.tmp);
	snprintf(out, sizeof(out), "%s/told", dir);
	cr_assert_eq(mkdir(dir, 0777), 0);
	cr_assert_eq(chmod(dir, 01777), 0);
	sc_str_init_heap(&sinks);
	sc_str_addf(&sinks,
		    "{command: [/bin/sh, -c, 'cat; echo; env', sh]}, "
		    "{command: [/bin/sh, -c, '{ cat; echo; env; } >>%s', sh]}, "
		    "{command: [/bin/sh, -c, 'echo it is broken >&2; exit 3', sh]}, "
		    "{command: [/no/such/program]}",
		    out);
	setenv("SECRET_OF_THE_AGENT", "x", 1);
	start(&sinks);
	id = fire("web");
	snprintf(wanted, sizeof(wanted), "SCRAM_FIRE_ID=%s", id);
	what[1] = wanted;
	cr_assert_eq(sc_wait_until(has_text, what, SC_KIT_EVENT_MS), 0);
	snprintf(wanted, sizeof(wanted), "\"kind\":\"fire.verified\"");
	cr_expect(has_text(what));
	snprintf(wanted, sizeof(wanted), "SCRAM_EVENT=fire-verified");
	cr_expect(has_text(what));
	snprintf(wanted, sizeof(wanted), "SECRET_OF_THE_AGENT");
	cr_expect(!has_text(what));
	sc_kit_wait_sink(0, "delivered", 3);
	sc_kit_wait_sink(1, "delivered", 3);
	sc_kit_wait_sink(2, "failed", 1);
	sc_kit_wait_sink(3, "failed", 1);
	sc_kit_expect("doctor", 1, "exit status 3: it is broken");
}

/* --- who is told --- */

Test(notifier, a_condition_can_name_further_sinks)
{
	_cleanup_str_ struct sc_str yaml;
	int fd;

	sc_kit_receiver("s");
	sc_str_init_heap(&yaml);
	sc_str_add(&yaml, "notify: [");
	sc_kit_add_webhook(&yaml, "/ok", false);
	sc_str_add(&yaml, "]\nconditions:\n"
			  "  - {id: by-hand, scope: '@ROOT@/*', live: true, registered_by: t, "
			  "action: {kind: process-exit}, notify: [");
	sc_kit_add_webhook(&yaml, "/failing-twice", false);
	sc_str_add(&yaml, "]}\n  - {id: rehearsal, scope: '@ROOT@/*', registered_by: t, "
			  "action: {kind: process-exit}}\n");
	sc_kit_start(yaml.data);
	sc_kit_worker_wait_up("probe");
	fd = sc_kit_mkdir("other");
	cr_assert_eq(sc_kit_fire("rehearsal", "other", ""), 0);
	sc_kit_wait_received("/ok", "fire-dry-run", 1);
	fire("web");
	sc_kit_wait_received("/ok", "fire-verified", 1);
	sc_kit_wait_received("/failing-twice", "fire-verified", 3);
	cr_expect_eq(sc_kit_received("/failing-twice", "fire-dry-run", NULL), 0);
	cr_expect_eq(sc_kit_received("/failing-twice", "agent-started", NULL), 0);
	/* One that comes with a reload is told from then on; one that stays goes on counting. */
	sc_str_reset(&yaml);
	sc_str_add(&yaml, "notify: [");
	sc_kit_add_webhook(&yaml, "/ok", false);
	sc_str_add(&yaml, ", ");
	sc_kit_add_webhook(&yaml, "/refusing", false);
	sc_str_add(&yaml, "]\n" SC_KIT_BY_HAND);
	sc_kit_write(yaml.data);
	sc_kit_expect("reload", 0, "");
	cr_assert_eq(sc_kit_fire("rehearsal", "other", ""), 0);
	sc_kit_wait_received("/refusing", "fire-dry-run", 1);
	cr_expect_eq(sc_kit_received("/refusing", "fire-verified", NULL), 0);
	cr_expect_geq(sc_kit_sink_number(0, "delivered"), 4);
	sc_kit_write("conditions: 7\n");
	sc_kit_expect("reload", 1, "refused");
	sc_kit_wait_received("/ok", "fact", 1);
	close(fd);
}

Test(notifier, a_test_tells_everybody_of_the_file)
{
	sc_kit_receiver("s");
	start_with("/ok", true);
	sc_kit_expect("test-notify", 0, "delivered");
	cr_expect_eq(sc_kit_received("/ok", "notify-test", NULL), 1);
}
