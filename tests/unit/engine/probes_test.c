/* SPDX-License-Identifier: Apache-2.0 */
/* The core's side of probes: the test is the worker at the other end of a link. */
#include "engine/workers_impl.h"
#include "unit/engine/fake_ports.h"

#include "engine/ops.h"
#include "engine/probe_set.h"
#include "engine/probes.h"

#include "base/io.h"
#include "record/fold.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define PROBES                                                                                 \
	"probes:\n"                                                                            \
	"  sick: {kind: exec, command: [/bin/sick, -a, \"b c\"], budget: 1s, every: 2s}\n"     \
	"  leak: {kind: http, url: \"http://127.0.0.1:1/x\", token_file: /none/token, every: " \
	"1h}\n"

#define CONDITIONS                                                                             \
	"conditions:\n"                                                                        \
	"  - {id: by-probe, scope: /w/1, when: 'probe(\"sick\") and proc.alive > 0', action: " \
	"{kind: freeze}, auto_fire: true, live: true}\n"                                       \
	"  - {id: by-hand, scope: /w/2, action: {kind: freeze}, live: true}\n"

static const char config[] = PROBES CONDITIONS;

static struct sc_engine *e;
static int worker = -1;
static json_t *answer; /* the last */
static int answer_fd = -1;

static int never(void *ctx, struct sc_program *program)
{
	(void)ctx;
	(void)program;
	return -EPERM;
}

static int no_facts(void *ctx, int pid, struct sc_program_facts *out)
{
	(void)ctx;
	(void)pid;
	(void)out;
	return -ESRCH;
}

static bool is_missing;

static bool has_program(void *ctx, const char *name)
{
	(void)ctx;
	cr_expect_str_eq(name, "scram-probe");
	return !is_missing;
}

/* Takes the next message off the link. */
static void take(void)
{
	struct sc_frame_reader reader;
	int r = 0;

	json_decref(answer);
	sc_close(&answer_fd);
	sc_frame_reader_init_heap(&reader, SC_REPLY_SIZE_MAX);
	reader.takes_fd = true;
	for (int i = 0; i < 3000 && r == 0; i++) {
		cr_assert_eq(sc_loop_once(&e->loop, 10), 0);
		r = sc_frame_read(&reader, worker);
	}
	cr_assert_eq(r, 1, "nothing comes: %d", r);
	answer = json_loadb(reader.data, reader.size, JSON_REJECT_DUPLICATES, NULL);
	answer_fd = SC_TAKE_FD(reader.fd);
	sc_frame_reader_done(&reader);
	cr_assert_not_null(answer);
}

static int ask(const char *request)
{
	struct sc_frame_writer writer;

	sc_frame_writer_init(&writer, request, strlen(request));
	cr_assert_eq(sc_frame_write(&writer, worker), 1);
	take();
	return (int)json_integer_value(json_object_get(answer, "exit"));
}

static void link_worker(void)
{
	struct sc_link_begin begin = {
		.who = {.uid = 1, .gid = 1, .worker = &sc_worker_rows[SC_WORKER_PROBE]},
		.listener_fd = -1,
	};
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	begin.fd = pair[0];
	worker = pair[1];
	sc_str_init_heap(&begin.hello);
	sc_str_add(&begin.hello, "{\"event\":\"hello\"}");
	cr_assert_eq(sc_control_link(&e->control, SC_WORKER_PROBE, &begin), 0);
	e->workers->worker[SC_WORKER_PROBE].state = SC_WORKER_UP;
	take();
}

static void set_up(void)
{
	e = fake_engine_start(config);
	fake_world.ports.processes.start = never;
	fake_world.ports.processes.has_program = has_program;
	fake_world.ports.processes.facts = no_facts;
	is_missing = false;
	cr_assert_eq(fake_engine_reload(e, config), 0);
	link_worker();
	sc_engine_tick_full(e);
}

static void tear_down(void)
{
	json_decref(answer);
	answer = NULL;
	sc_close(&answer_fd);
	sc_close(&worker);
	fake_engine_stop(&e);
}

TestSuite(probes, .init = set_up, .fini = tear_down, .timeout = 300);

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* Says so of `sick`, in the generation of now. */
static bool say(const char *what)
{
	char request[512];

	snprintf(request, sizeof(request),
		 "{\"op\":\"probe.answer\",\"generation\":%llu,\"name\":\"sick\",\"took_us\":1500,%"
		 "s}",
		 (unsigned long long)e->probes->generation, what);
	cr_assert_eq(ask(request), SC_EXIT_DONE);
	return json_is_true(json_object_get(answer, "taken"));
}

/* What status or why says, as the caller's. */
static json_t *shown(void (*handler)(struct sc_op_call *call), json_t *args)
{
	struct sc_op_call call = {.e = e, .args = args};
	json_t *shows;

	e->now = sc_time_now();
	sc_str_init_heap(&call.reply);
	sc_json_init(&call.json, &call.reply);
	sc_json_object_begin(&call.json);
	handler(&call);
	sc_json_object_end(&call.json);
	cr_assert_eq(call.exit, SC_EXIT_DONE, "%s", call.error);
	shows = json_loads(call.reply.data, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_not_null(shows, "%s", call.reply.data);
	sc_str_done(&call.reply);
	json_decref(args);
	return shows;
}

Test(probes, worker_is_told_what_to_ask)
{
	const json_t *list, *probe, *command;

	cr_assert_eq(ask("{\"op\":\"probe.list\"}"), SC_EXIT_DONE);
	list = json_object_get(answer, "probes");
	cr_assert_eq(json_array_size(list), 2);
	cr_expect_eq(json_integer_value(json_object_get(answer, "generation")),
		     (json_int_t)e->probes->generation);
	cr_expect_str_eq(text_at(answer, "host"), sc_journal_host_id(e->journal));
	probe = json_array_get(list, 0);
	command = json_object_get(probe, "command");
	cr_expect_str_eq(text_at(probe, "name"), "sick");
	cr_expect_str_eq(text_at(probe, "kind"), "exec");
	cr_assert_eq(json_array_size(command), 3);
	cr_expect_str_eq(json_string_value(json_array_get(command, 2)), "b c");
	cr_expect_eq(json_integer_value(json_object_get(probe, "budget_ns")), 1000000000);
	cr_expect_eq(json_integer_value(json_object_get(probe, "every_ns")), 2000000000);
	cr_expect(json_is_false(json_object_get(probe, "has_token")));
	probe = json_array_get(list, 1);
	cr_expect_str_eq(text_at(probe, "kind"), "http");
	cr_expect_str_eq(text_at(probe, "url"), "http://127.0.0.1:1/x");
	cr_expect(json_is_true(json_object_get(probe, "has_token")));
	cr_expect_null(strstr(text_at(probe, "token_file"), "token"), "no path is told");
}

Test(probes, a_yes_fires_a_live_condition_with_its_age_as_evidence)
{
	const struct sc_fire *fire;

	sc_engine_tick_full(e);
	cr_assert_null(sc_fold_fire_at(e->fold, 0), "it is unknown");
	cr_assert(say("\"answer\":false,\"why\":null"));
	sc_engine_tick_full(e);
	cr_assert_null(sc_fold_fire_at(e->fold, 0), "it says no");
	cr_assert(say("\"answer\":true,\"why\":null"));
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	fire = sc_fold_fire_at(e->fold, 0);
	cr_assert_not_null(fire, "it says yes");
	cr_expect_str_eq(fire->condition_id, "by-probe");
	cr_expect(!fire->dry_run && fire->dispatched, "%s", fire->evidence);
	cr_expect_not_null(strstr(fire->evidence, "\"text\":\"probe(\\\"sick\\\")\",\"value\":1"),
			   "%s", fire->evidence);
	cr_expect_not_null(strstr(fire->evidence, "\"age_s\":"), "%s", fire->evidence);
}

Test(probes, unknown_never_fires_and_says_why)
{
	json_t *why;
	const json_t *probe;

	cr_assert(say("\"answer\":null,\"class\":\"exit\",\"why\":\"exit status 7\""));
	sc_engine_tick_full(e);
	cr_expect_null(sc_fold_fire_at(e->fold, 0));
	why = shown(sc_op_why, json_pack("{s:s}", "condition", "by-probe"));
	cr_assert_eq(json_array_size(json_object_get(why, "probes")), 1, "only what it asks");
	probe = json_array_get(json_object_get(why, "probes"), 0);
	cr_expect(json_is_null(json_object_get(probe, "answer")));
	cr_expect_str_eq(text_at(probe, "reason"), "exit status 7");
	cr_expect_eq(
		json_integer_value(json_object_get(json_object_get(probe, "unknown_by"), "exit")),
		1);
	cr_expect_eq(json_integer_value(json_object_get(probe, "took_us")), 1500);
	json_decref(why);
	why = shown(sc_op_why, json_pack("{s:s}", "condition", "by-hand"));
	cr_expect_eq(json_array_size(json_object_get(why, "probes")), 0);
	json_decref(why);
}

/* It is told of where it is judged and would act, not of the whole tree. */
Test(probes, why_of_a_condition_with_a_target_of_its_own_is_about_that_target)
{
	json_t *why, *target;

	cr_assert_eq(fake_engine_reload(
			     e, PROBES
			     "conditions:\n"
			     "  - {id: on-one, when: 'probe(\"sick\")', action: {kind: freeze, "
			     "config: {target: /w/2}}}\n"),
		     0);
	sc_engine_tick_full(e);
	why = shown(sc_op_why, json_pack("{s:s}", "condition", "on-one"));
	cr_assert_eq(json_array_size(json_object_get(why, "targets")), 1);
	target = json_array_get(json_object_get(why, "targets"), 0);
	cr_expect_str_eq(text_at(target, "path"), "/w/2");
	json_decref(why);
}

/* Nobody keeps its word alive: it ages. */
Test(probes, with_its_worker_down_a_probe_says_so_when_its_answer_is_too_old)
{
	json_t *status;
	const json_t *probe;

	cr_assert(say("\"answer\":true,\"why\":null"));
	e->workers->worker[SC_WORKER_PROBE].state = SC_WORKER_WAITING;
	status = shown(sc_op_status, json_object());
	probe = json_array_get(json_object_get(status, "probes"), 0);
	cr_expect(json_is_true(json_object_get(probe, "answer")), "it counts for 5 s");
	json_decref(status);
	e->probes->answer[0].at_ns -= 6 * SC_NS_PER_S;
	status = shown(sc_op_status, json_object());
	probe = json_array_get(json_object_get(status, "probes"), 0);
	cr_expect(json_is_null(json_object_get(probe, "answer")));
	cr_expect_not_null(strstr(text_at(probe, "reason"), "worker is down"));
	json_decref(status);
	sc_engine_tick_full(e);
	cr_expect_null(sc_fold_fire_at(e->fold, 0));
}

Test(probes, what_is_not_of_now_is_dropped_and_no_fault)
{
	char request[256];

	snprintf(request, sizeof(request),
		 "{\"op\":\"probe.answer\",\"generation\":%llu,\"name\":\"sick\",\"answer\":true}",
		 (unsigned long long)e->probes->generation - 1);
	cr_expect_eq(ask(request), SC_EXIT_DONE);
	cr_expect(json_is_false(json_object_get(answer, "taken")));
	snprintf(request, sizeof(request),
		 "{\"op\":\"probe.answer\",\"generation\":%llu,\"name\":\"who\",\"answer\":true}",
		 (unsigned long long)e->probes->generation);
	cr_expect_eq(ask(request), SC_EXIT_DONE);
	cr_expect(json_is_false(json_object_get(answer, "taken")));
	cr_expect_eq(e->probes->state[0].runs, 0);
	cr_expect_eq(e->workers->worker[SC_WORKER_PROBE].illegal, 0);
}

Test(probes, an_answer_that_is_no_boolean_is_none)
{
	static const char *const answers[] = {"1",       "\"true\"", "[true]", "{\"value\":true}",
					      "\"yes\"", "1.0",      "null",   "{}"};
	char what[64];

	for (size_t i = 0; i < SC_ARRAY_SIZE(answers); i++) {
		snprintf(what, sizeof(what), "\"answer\":%s", answers[i]);
		cr_assert(say(what));
		cr_expect_eq(e->probes->answer[0].truth, SC_UNKNOWN, "%s", answers[i]);
	}
	cr_assert(say("\"no\":\"answer\""));
	cr_expect_eq(e->probes->state[0].unknown[SC_PROBE_FAULT_OTHER], 9);
}

Test(probes, a_reload_keeps_what_equal_probes_said)
{
	uint64_t generation = e->probes->generation;

	cr_assert(say("\"answer\":true"));
	cr_assert_eq(fake_engine_reload(e, config), 0);
	cr_expect_eq(e->probes->generation, generation);
	cr_expect_eq(e->probes->answer[0].truth, SC_TRUE);
	cr_assert_eq(fake_engine_reload(e,
					"probes:\n"
					"  sick: {kind: exec, command: [/bin/other]}\n" CONDITIONS),
		     0);
	cr_expect_eq(e->probes->generation, generation + 1);
	cr_expect_eq(e->probes->answer[0].truth, SC_UNKNOWN, "it is another one now");
	sc_engine_tick_full(e);
	cr_expect_null(sc_fold_fire_at(e->fold, 0), "and nothing rests on what the other said");
	cr_assert_neq(fake_engine_reload(e, "probes: {sick: {kind: exec}}\n" CONDITIONS), 0);
	cr_expect_eq(e->probes->generation, generation + 1, "what is refused changes nothing");
	cr_expect_eq(e->probes->n, 1);
}

Test(probes, without_the_program_a_condition_cannot_fire)
{
	int i;

	is_missing = true;
	cr_assert_eq(fake_engine_reload(e, config), 0);
	i = sc_conditions_find(e->set, "by-probe");
	cr_expect_str_eq(sc_op_armed(e, (size_t)i), "cannot fire");
	cr_expect_not_null(strstr(e->meta[i].why_not, "scram-probe is missing"));
	i = sc_conditions_find(e->set, "by-hand");
	cr_expect_str_eq(sc_op_armed(e, (size_t)i), "manual-only");
	is_missing = false;
	cr_assert_eq(fake_engine_reload(e, config), 0);
	i = sc_conditions_find(e->set, "by-probe");
	cr_expect_str_eq(sc_op_armed(e, (size_t)i), "armed");
}

/* The doctor's line about that probe, NULL = none; the caller's. */
static json_t *finding(const char *name)
{
	json_t *doctor = shown(sc_op_doctor, json_object()), *check, *found = NULL;
	size_t i;

	json_array_foreach (json_object_get(doctor, "checks"), i, check)
		if (strcmp(text_at(check, "name"), name) == 0)
			found = json_incref(check);
	json_decref(doctor);
	return found;
}

Test(probes, doctor_tells_of_one_that_a_live_condition_misses)
{
	json_t *told;

	cr_expect_null(finding("probe sick"), "it has a minute");
	e->probes->state[0].unknown_ns -= 61 * SC_NS_PER_S;
	e->probes->state[1].unknown_ns -= 61 * SC_NS_PER_S;
	told = finding("probe sick");
	cr_assert_not_null(told);
	cr_expect_str_eq(text_at(told, "level"), "yellow");
	cr_expect_not_null(strstr(text_at(told, "text"), "by-probe"), "%s", text_at(told, "text"));
	cr_expect_neq(text_at(told, "fix")[0], '\0');
	json_decref(told);
	cr_expect_null(finding("probe leak"), "no condition asks it");
	cr_assert(say("\"answer\":false"));
	cr_expect_null(finding("probe sick"));
}

/* With token_file at path. */
static void reload_with_token(const char *path)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "probes:\n  leak: {kind: http, url: \"http://h/\", token_file: %s}\n", path);
	cr_assert_eq(fake_engine_reload(e, text), 0);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_eq(sc_write_all(fd, text, strlen(text)), 0);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

Test(probes, a_secret_comes_as_a_descriptor_opened_anew)
{
	char path[256], buf[64];

	snprintf(path, sizeof(path), "%s/token", e->options->state_dir);
	write_file(path, "one", 0400);
	reload_with_token(path);
	cr_assert_eq(ask("{\"op\":\"secret\",\"probe\":\"leak\"}"), SC_EXIT_DONE);
	cr_assert_geq(answer_fd, 0);
	cr_expect_eq(fcntl(answer_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	cr_assert_eq(sc_read_fd(answer_fd, buf, sizeof(buf)), 3);
	cr_expect_str_eq(buf, "one");
	cr_assert_eq(unlink(path), 0);
	write_file(path, "two", 0600);
	cr_assert_eq(ask("{\"op\":\"secret\",\"probe\":\"leak\"}"), SC_EXIT_DONE);
	cr_assert_eq(sc_read_fd(answer_fd, buf, sizeof(buf)), 3);
	cr_expect_str_eq(buf, "two");
}

Test(probes, no_secret_is_given_but_of_a_probe_and_in_a_file_that_is_safe)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/token", e->options->state_dir);
	reload_with_token(path);
	cr_expect_eq(ask("{\"op\":\"secret\",\"probe\":\"leak\"}"), SC_EXIT_FAILED, "no file");
	cr_expect_lt(answer_fd, 0);
	write_file(path, "x", 0620);
	cr_expect_eq(ask("{\"op\":\"secret\",\"probe\":\"leak\"}"), SC_EXIT_FAILED, "others write");
	cr_expect_lt(answer_fd, 0);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(ask("{\"op\":\"secret\",\"probe\":\"leak\"}"), SC_EXIT_FAILED, "a pipe");
	cr_expect_lt(answer_fd, 0);
	cr_expect_eq(ask("{\"op\":\"secret\",\"probe\":\"/etc/passwd\"}"), SC_EXIT_FAILED);
	cr_expect_eq(ask("{\"op\":\"secret\",\"path\":\"/etc/passwd\"}"), SC_EXIT_USAGE);
	cr_expect_eq(ask("{\"op\":\"secret\",\"probe\":7}"), SC_EXIT_USAGE);
	cr_expect_lt(answer_fd, 0);
}

Test(probes, nobody_but_the_worker_asks_or_answers)
{
	static const struct {
		void (*handler)(struct sc_op_call *call);
		const char *args;
	} rows[] = {
		{sc_op_probe_list, "{}"},
		{sc_op_probe_answer, "{\"generation\":1,\"name\":\"sick\",\"answer\":true}"},
		{sc_op_secret, "{\"probe\":\"leak\"}"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		struct sc_op_call call = {.e = e, .args = json_loads(rows[i].args, 0, NULL)};

		sc_str_init_heap(&call.reply);
		sc_json_init(&call.json, &call.reply);
		sc_json_object_begin(&call.json);
		rows[i].handler(&call);
		cr_expect_eq(call.exit, SC_EXIT_USAGE, "row %zu", i);
		cr_expect_not(call.is_deferred, "row %zu", i);
		sc_str_done(&call.reply);
		json_decref(call.args);
	}
	cr_expect_eq(e->probes->state[0].runs, 0);
}
