/* SPDX-License-Identifier: Apache-2.0 */
/* Texts for people: golden replies, hostile bytes, units, tables. */
#include "cli/answers.h"
#include "cli/render.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void in_berlin(void)
{
	setenv("TZ", "CET-1", 1);
	tzset();
}

static void assert_rendered(void (*render)(struct sc_str *out, const json_t *reply),
			    const char *reply, const char *want)
{
	json_error_t why;
	json_t *root = json_loads(reply, JSON_REJECT_DUPLICATES, &why);
	_cleanup_str_ struct sc_str out;

	cr_assert_not_null(root, "%s", why.text);
	sc_str_init_heap(&out);
	render(&out, root);
	cr_assert_str_eq(out.data, want);
	json_decref(root);
}

Test(render, times_are_local_with_their_offset, .init = in_berlin)
{
	static const struct {
		const char *text;
		const char *want;
	} cases[] = {
		{"2026-11-22T18:51:03.123456Z", "2026-11-22T19:51:03.123+01:00"},
		{"2026-12-31T23:30:00Z", "2027-01-01T00:30:00+01:00"},
		{"yesterday", "yesterday"},
		{"2026-11-22T18:51:03+02:00", "2026-11-22T18:51:03+02:00"},
		{"\x1b[2J", "\\x1b[2J"},
		{NULL, "-"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		_cleanup_str_ struct sc_str out;

		sc_str_init_heap(&out);
		sc_add_time(&out, cases[i].text);
		cr_assert_str_eq(out.data, cases[i].want);
	}
}

Test(render, numbers_are_short_and_unknown_is_not_0)
{
	static const struct {
		const char *json;
		enum sc_unit unit;
		const char *want;
	} cases[] = {
		{"3", SC_UNIT_COUNT, "3"},
		{"0.4251", SC_UNIT_RATIO, "42.5%"},
		{"67108864", SC_UNIT_BYTES, "64MiB"},
		{"90000000000", SC_UNIT_NS, "1m30s"},
		{"0.333333333", SC_UNIT_NONE, "0.333333"},
		{"null", SC_UNIT_COUNT, "unknown"},
		{"\"7\"", SC_UNIT_COUNT, "unknown"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		json_t *value = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
		_cleanup_str_ struct sc_str out;

		sc_str_init_heap(&out);
		sc_add_quantity(&out, value, cases[i].unit);
		cr_assert_str_eq(out.data, cases[i].want);
		json_decref(value);
	}
}

Test(render, durations_keep_three_digits)
{
	static const struct {
		double us;
		const char *want;
	} cases[] = {{0, "0us"},
		     {850, "850us"},
		     {1234, "1.23ms"},
		     {45678, "45.7ms"},
		     {4560000, "4.56s"}};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		json_t *value = json_real(cases[i].us);
		_cleanup_str_ struct sc_str out;

		sc_str_init_heap(&out);
		sc_add_us(&out, value);
		cr_assert_str_eq(out.data, cases[i].want);
		json_decref(value);
	}
}

Test(render, table_aligns_and_does_not_pad_the_end)
{
	static const char *const headers[] = {"NAME", "N", "WHAT"};
	_cleanup_table_ struct sc_table table;
	_cleanup_str_ struct sc_str out;

	sc_str_init_heap(&out);
	sc_table_init(&table, headers, 3, 1 << 1);
	sc_table_print(&table, &out, 0);
	cr_assert_str_empty(out.data, "no rows, no headers");
	sc_table_add_text(&table, "web");
	sc_table_add_int(&table, 12345);
	sc_table_add_escaped(&table, "a\nb");
	sc_table_add_text(&table, "database");
	sc_table_add_int(&table, 7);
	sc_table_add_escaped(&table, "");
	sc_table_print(&table, &out, 2);
	cr_assert_str_eq(out.data, "  NAME          N  WHAT\n"
				   "  web       12345  a\\x0ab\n"
				   "  database      7  -\n");
}

Test(render, fires_show_when_what_and_who, .init = in_berlin)
{
	assert_rendered(
		sc_render_fires,
		"{\"fires\":[{\"id\":\"0f8fad5b-d9cb-469f-a165-70867728950e\",\"condition_id\":"
		"\"crash-loop\",\"fired_at\":\"2026-11-22T18:51:03.123456Z\",\"fired_by\":\"auto\","
		"\"target\":\"/workload/web\\u001b[31m\",\"action\":\"process-exit\",\"state\":"
		"\"verified\",\"outcome\":\"emptied\",\"killed\":12,\"released_at\":null},"
		"{\"id\":\"1f8fad5b-d9cb-469f-a165-70867728950e\",\"condition_id\":\"x\",\"fired_"
		"at\":"
		"\"2026-11-22T18:50:00.000000Z\",\"fired_by\":\"ann\",\"target\":\"/a\",\"action\":"
		"\"freeze\",\"state\":\"vetoed\",\"outcome\":\"none\",\"killed\":0}]}",
		"FIRED                          FIRE      CONDITION   TARGET               "
		"  ACTION        WHAT     KILLED  BY\n"
		"2026-11-22T19:51:03.123+01:00  0f8fad5b  crash-loop  /workload/web\\x1b[31m"
		"  process-exit  emptied      12  auto\n"
		"2026-11-22T19:50:00.000+01:00  1f8fad5b  x           /a                   "
		"  freeze        vetoed        0  ann\n");
	assert_rendered(sc_render_fires, "{\"fires\":[]}", "nothing has been fired\n");
}

Test(render, list_says_why_a_condition_cannot_fire)
{
	assert_rendered(
		sc_render_list,
		"{\"conditions\":[{\"id\":\"crash-loop\",\"armed\":\"armed\",\"why_not\":null,"
		"\"action\":{\"kind\":\"process-exit\",\"config\":{}},\"targets\":3,\"unknown\":0,"
		"\"when\":\"increase(proc.crashes[1m]) >= 3\"},{\"id\":\"mem\",\"armed\":"
		"\"cannot fire\",\"why_not\":\"no memory "
		"controller\",\"action\":{\"kind\":\"freeze\"},"
		"\"targets\":0,\"unknown\":0,\"when\":null}]}",
		"ID          STATE                              ACTION        TARGETS  UNKNOWN  "
		"WHEN\n"
		"crash-loop  armed                              process-exit        3        0  "
		"increase(proc.crashes[1m]) >= 3\n"
		"mem         cannot fire: no memory controller  freeze              0        0  "
		"(by hand only)\n");
}

Test(render, show_has_evidence_and_timings, .init = in_berlin)
{
	assert_rendered(
		sc_render_show,
		"{\"fire\":{\"id\":\"0f8fad5b-d9cb-469f-a165-70867728950e\",\"condition_id\":"
		"\"crash-loop\",\"target\":\"/workload/web\",\"fired_at\":"
		"\"2026-11-22T18:51:03.123456Z\",\"outcome\":\"partial\",\"killed\":4,"
		"\"detected_ns\":1000000,\"decided_ns\":1080000,\"intent_ns\":0,\"act_end_ns\":"
		"2300000,"
		"\"state_snapshot\":{\"operands_in_all\":1,\"operands\":[{\"text\":"
		"\"increase(proc.crashes[1m])\",\"value\":4,\"op\":\">=\",\"threshold\":3,\"unit\":"
		"\"count\","
		"\"truth\":\"true\"}]},\"left\":[{\"pid\":77,\"state\":\"D\"}]}}",
		"fire             0f8fad5b-d9cb-469f-a165-70867728950e\n"
		"condition        crash-loop\n"
		"target           /workload/web\n"
		"fired at         2026-11-22T19:51:03.123+01:00\n"
		"outcome          partial\n"
		"killed           4\n"
		"timings          detected, decided after 80us, acted after 1.3ms\n"
		"\nevidence\n"
		"  OPERAND                     VALUE      THRESHOLD  TRUTH\n"
		"  increase(proc.crashes[1m])      4  >=  3          true\n"
		"\nleft\n  -:\n    pid: 77\n    state: D\n");
}

Test(render, why_shows_operands_holding_time_and_vetoes)
{
	assert_rendered(
		sc_render_why,
		"{\"condition\":\"crash-loop\",\"description_in_words\":\"at least 3 crashes in "
		"1m\","
		"\"targets\":[{\"path\":\"/workload/web\",\"truth\":\"true\",\"state\":\"rising\","
		"\"held_s\":4.2,\"eval_us\":1.5,\"operands\":[{\"text\":\"psi.memory.full.avg10\","
		"\"value\":null,\"op\":\">\",\"threshold\":0.4,\"unit\":\"ratio\",\"truth\":"
		"\"unknown\"}],"
		"\"interlocks\":[{\"name\":\"disarmed\",\"veto\":false,\"text\":\"armed\"},"
		"{\"name\":\"protected\",\"veto\":true,\"text\":\"holds pid 1\"}]}]}",
		"crash-loop: at least 3 crashes in 1m\n"
		"\n/workload/web: true, rising, held for 4s, judged in 2us\n"
		"  OPERAND                  VALUE     THRESHOLD  TRUTH\n"
		"  psi.memory.full.avg10  unknown  >  40%        unknown\n"
		"  INTERLOCK  ANSWER  REASON\n"
		"  disarmed   pass    armed\n"
		"  protected  VETO    holds pid 1\n");
}

Test(render, what_is_compared_with_nothing_has_no_threshold)
{
	assert_rendered(sc_render_why,
			"{\"condition\":\"leak\",\"targets\":[{\"path\":\"/w\",\"truth\":\"true\","
			"\"state\":\"clear\",\"held_s\":0,\"eval_us\":1,\"operands\":["
			"{\"text\":\"probe(a)\",\"value\":1,\"op\":\"\",\"threshold\":null,"
			"\"unit\":\"none\",\"truth\":\"true\"}],\"interlocks\":[]}]}",
			"leak\n"
			"\n/w: true, clear, held for 0s, judged in 1us\n"
			"  OPERAND   VALUE     THRESHOLD  TRUTH\n"
			"  probe(a)      1  -  -          true\n");
}

Test(render, why_tells_of_each_probe_what_it_said_and_when)
{
	assert_rendered(sc_render_why,
			"{\"condition\":\"leak\",\"probes\":[{\"name\":\"a\",\"answer\":true,"
			"\"age_s\":3.2,\"reason\":null},{\"name\":\"b\",\"answer\":null,"
			"\"age_s\":null,\"reason\":\"exit status 7\"},{\"name\":\"c\","
			"\"answer\":false,\"age_s\":70}],\"targets\":[]}",
			"leak\n"
			"PROBE  ANSWER   AGE    REASON\n"
			"a      yes      3s     -\n"
			"b      unknown  -      exit status 7\n"
			"c      no       1m10s  -\n"
			"\nno cgroup is in its scope now\n");
}

Test(render, signals_know_their_units)
{
	assert_rendered(
		sc_render_signals_of,
		"{\"targets\":[{\"path\":\"/w\",\"cgroup_id\":42,\"signals\":{"
		"\"mem.current_bytes\":1048576,\"proc.alive\":null}}]}",
		"/w  (cgroup id 42)\n"
		"SIGNAL               VALUE  WHAT\n"
		"mem.current_bytes     1MiB  memory charged to the cgroup; known where the memory "
		"controller is on cgroup v2\n"
		"proc.alive         unknown  processes alive now\n");
	assert_rendered(
		sc_render_signals,
		"{\"targets\":[{\"path\":\"/w\",\"cgroup_id\":1,\"signals\":{\"proc.alive\":3,"
		"\"proc.forks\":17}},{\"path\":\"/w/x\",\"cgroup_id\":2,\"signals\":{"
		"\"proc.alive\":null,\"proc.forks\":0}}]}",
		"proc.alive  proc.forks  CGROUP\n"
		"         3          17  /w\n"
		"   unknown           0  /w/x\n");
}

Test(render, doctor_puts_the_worst_first_with_its_fix)
{
	assert_rendered(
		sc_render_doctor,
		"{\"checks\":[{\"name\":\"kernel\",\"level\":\"green\",\"text\":\"6.18\",\"fix\":"
		"\"none\"},{\"name\":\"psi\",\"level\":\"yellow\",\"text\":\"off\",\"fix\":\"boot "
		"with "
		"psi=1\"},{\"name\":\"tcp\",\"level\":\"purple\",\"text\":\"?\",\"fix\":\"\"}]}",
		"red     tcp: ?\n"
		"yellow  psi: off\n        fix: boot with psi=1\n"
		"green   kernel: 6.18\n"
		"1 red, 1 yellow, 1 green\n");
}

Test(render, vetoed_fire_lists_its_interlocks)
{
	assert_rendered(
		sc_render_fire,
		"{\"fire_id\":\"0f8f\",\"dispatched\":false,\"dispatch_descriptor\":\"vetoed: "
		"holds pid 1\",\"target\":\"/init.scope\",\"veto\":\"protected\",\"interlocks\":[{"
		"\"name\":\"protected\",\"veto\":true,\"text\":\"holds pid 1\"}]}",
		"fire 0f8f on /init.scope: vetoed: holds pid 1\n"
		"  INTERLOCK  ANSWER  REASON\n"
		"  protected  VETO    holds pid 1\n");
}

Test(render, status_shows_what_stands_and_what_is_lost, .init = in_berlin)
{
	assert_rendered(
		sc_render_status,
		"{\"ready\":true,\"state\":\"disarmed\",\"version\":\"0.1.0\",\"commit\":\"abc\","
		"\"pid\":9,"
		"\"host\":\"h\",\"boot\":\"b\",\"uptime_s\":3725.5,\"tick\":{\"interval_ms\":100,"
		"\"count\":1000,\"p50_us\":120,\"p99_us\":900,\"late_p99_us\":80,\"overruns\":1},"
		"\"targets\":12,\"slots_free\":4084,\"conditions\":{\"registered\":2,\"live\":1,"
		"\"armed\":1,\"cannot_fire\":[{\"id\":\"m\",\"reason\":\"no "
		"psi\"}]},\"journal\":{\"seq\":"
		"20,\"durable_seq\":19,\"broken\":false,\"failures\":0},\"features\":[{\"name\":"
		"\"proc\","
		"\"attached\":true,\"reason\":\"\"},{\"name\":\"tcp\",\"attached\":false,"
		"\"reason\":"
		"\"no "
		"hook\"}],\"disarmed\":{\"active\":true,\"reason\":\"maintenance\",\"operator\":"
		"\"ann\",\"since\":\"2026-11-22T18:00:00.000000Z\"},\"active\":[{\"fire_id\":"
		"\"f1\","
		"\"action\":\"freeze\",\"target\":\"/w\",\"by\":\"auto\",\"since\":"
		"\"2026-11-22T18:00:00.000000Z\",\"expires\":null}],\"lost\":{\"wake_records\":0,"
		"\"too_deep\":3},\"workers\":[{\"name\":\"api\",\"state\":\"up\",\"restarts\":0,"
		"\"detail\":\"127.0.0.1:8400\",\"last_end\":null},{\"name\":\"ship\",\"state\":"
		"\"waiting\",\"restarts\":3,\"detail\":null,\"last_end\":\"it was killed by signal "
		"9\"},{\"name\":\"probe\",\"state\":\"off\"}],\"http\":{\"why\":\"HTTP: it is "
		"taken\"},"
		"\"last_fire\":null,\"warnings\":[\"m is unknown\"],\"halt\":"
		"\"maintenance\"}",
		"scram is disarmed (pid 9, version 0.1.0 abc, up 1h02m)\n"
		"host        h, boot b\n"
		"tick        every 100ms: p50 120us, p99 900us, late p99 80us, 1 overruns in 1000\n"
		"targets     12 watched, 4084 slots free\n"
		"conditions  2 registered, 1 live, 1 armed\n"
		"  m cannot fire: no psi\n"
		"journal     seq 20, durable 19, ok, 0 failures\n"
		"missing     tcp: no hook\n"
		"worker      api up, 127.0.0.1:8400\n"
		"worker      ship waiting, 3 restarts, last: it was killed by signal 9\n"
		"missing     HTTP: it is taken\n"
		"DISARMED    by ann since 2026-11-22T19:00:00.000+01:00: maintenance\n"
		"in force    freeze of /w by auto since 2026-11-22T19:00:00.000+01:00; undo: scram "
		"release f1\n"
		"lost        too_deep 3\n"
		"warning     m is unknown\n");
}

static const char cut_status[] =
	"{\"state\":\"ready\",%s\"isolations\":[{\"fire_id\":\"f1\",\"action\":"
	"\"tenant-quarantine\",\"group\":\"tenant acme\",\"target\":\"tenant acme\","
	"\"mode\":\"drop\",\"by\":\"ann\",\"since\":\"2026-11-22T18:00:00.000000Z\","
	"\"expires\":\"2026-11-22T19:00:00.000000Z\",\"members\":12,\"namespaces\":3,"
	"\"packets_in\":1204,\"bytes_in\":1048576,\"packets_out\":33,\"bytes_out\":2048,"
	"\"top\":\"10.0.0.7:443/tcp\",\"top_packets\":31,\"releasing\":false},"
	"{\"fire_id\":\"f2\",\"action\":\"circuit-break-component\",\"group\":\"cgroup /w/x\","
	"\"target\":\"/w/x\",\"mode\":\"all\",\"by\":\"auto\",\"since\":"
	"\"2026-11-22T18:00:00.000000Z\",\"members\":1,\"namespaces\":1,\"packets_in\":0,"
	"\"bytes_in\":0,\"packets_out\":0,\"bytes_out\":0,\"top\":null,\"releasing\":true,"
	"\"failing\":true}],"
	"\"components\":[{\"name\":\"web\",\"health\":\"healthy\",\"circuit_state\":null},"
	"{\"name\":\"db\",\"health\":\"degraded\",\"circuit_state\":\"open\",\"retry_at\":"
	"\"2026-11-22T18:00:30.000000Z\",\"open_transitions\":2,\"last_error\":\"5 "
	"failures\"}]}";

/* The lines from "cut" on; head and counters are another test's. */
static void assert_cuts(const char *more, const char *want)
{
	char text[2048];
	json_t *root;
	_cleanup_str_ struct sc_str out;

	snprintf(text, sizeof(text), cut_status, more);
	root = json_loads(text, 0, NULL);
	cr_assert_not_null(root);
	sc_str_init_heap(&out);
	sc_render_status(&out, root);
	cr_assert_not_null(strstr(out.data, "\ncut "), "%s", out.data);
	cr_assert_str_eq(strstr(out.data, "\ncut ") + 1, want);
	json_decref(root);
}

Test(render, status_shows_what_is_cut_what_it_held_back_and_the_undo, .init = in_berlin)
{
	assert_cuts(
		"",
		"cut         tenant acme: drop, 12 cgroups in 3 network namespaces\n"
		"            by ann since 2026-11-22T19:00:00.000+01:00 until "
		"2026-11-22T20:00:00.000+01:00; undo: scram unquarantine acme\n"
		"            held back 1204 packets (1MiB) in, 33 packets (2KiB) out, most "
		"with 10.0.0.7:443/tcp: 31\n"
		"cut         cgroup /w/x: all, 1 cgroup in 1 network namespace, BEING RELEASED, "
		"DOES NOT HOLD AS IT SHOULD\n"
		"            by auto since 2026-11-22T19:00:00.000+01:00; undo: scram unbreak "
		"/w/x\n"
		"            held back 0 packets (0B) in, 0 packets (0B) out\n"
		"component   db is degraded, its breaker open until "
		"2026-11-22T19:00:30.000+01:00\n");
}

Test(render, status_of_a_dead_agent_tells_the_undo_without_it, .init = in_berlin)
{
	assert_cuts(
		"\"state_before\":\"ready\",",
		"cut         tenant acme: drop, 12 cgroups in 3 network namespaces\n"
		"            by ann since 2026-11-22T19:00:00.000+01:00 until "
		"2026-11-22T20:00:00.000+01:00; undo: scram release acme --offline\n"
		"            held back 1204 packets (1MiB) in, 33 packets (2KiB) out, most "
		"with 10.0.0.7:443/tcp: 31\n"
		"cut         cgroup /w/x: all, 1 cgroup in 1 network namespace, BEING RELEASED, "
		"DOES NOT HOLD AS IT SHOULD\n"
		"            by auto since 2026-11-22T19:00:00.000+01:00; undo: scram release /w/x "
		"--offline\n"
		"            held back 0 packets (0B) in, 0 packets (0B) out\n"
		"component   db is degraded, its breaker open until "
		"2026-11-22T19:00:30.000+01:00\n");
}

Test(render, components_are_a_table, .init = in_berlin)
{
	assert_rendered(
		sc_render_components,
		"{\"components\":[{\"name\":\"web\",\"health\":\"healthy\",\"circuit_state\":"
		"null,\"breaker\":null,\"retry_at\":null,\"open_transitions\":0,\"last_error\":"
		"null},{\"name\":\"db\",\"health\":\"degraded\",\"circuit_state\":\"open\","
		"\"breaker\":\"auto\",\"retry_at\":\"2026-11-22T18:00:30.000000Z\","
		"\"open_transitions\":12,\"last_error\":\"5 failures\"}]}",
		"COMPONENT  HEALTH    BREAKER  SETTING  NEXT LOOK                      OPENINGS  "
		"LAST ERROR\n"
		"web        healthy   -        -        -                                     0  "
		"-\n"
		"db         degraded  open     auto     2026-11-22T19:00:30.000+01:00        12  "
		"5 failures\n");
	assert_rendered(sc_render_components, "{}", "no component is declared\n");
}

Test(render, a_cut_tells_its_condition_and_its_undo)
{
	assert_rendered(
		sc_render_isolate,
		"{\"fire_id\":\"f1\",\"dispatched\":true,\"dispatch_descriptor\":\"verified: cut\","
		"\"target\":\"/w/x\",\"fire\":{\"id\":\"f1\",\"action\":\"tenant-quarantine\","
		"\"group\":\"\",\"target\":\"/w/x\",\"condition_id\":\"quarantine-/w/x\"}}",
		"fire f1 on /w/x: verified: cut\n"
		"  condition quarantine-/w/x; undo: scram unquarantine /w/x\n");
	assert_rendered(
		sc_render_isolate,
		"{\"fire_id\":\"f1\",\"dispatched\":true,\"dispatch_descriptor\":\"verified: cut\","
		"\"target\":\"component web\",\"fire\":{\"id\":\"f1\",\"action\":"
		"\"circuit-break-component\",\"group\":\"component web\",\"target\":\"component "
		"web\",\"condition_id\":\"break-web\"}}",
		"fire f1 on component web: verified: cut\n"
		"  condition break-web; undo: scram unbreak web\n");
}

Test(render, replies_of_the_wrong_shape_do_no_harm)
{
	static void (*const all[])(struct sc_str *, const json_t *) = {
		sc_render_status, sc_render_list,       sc_render_fires,   sc_render_show,
		sc_render_fire,   sc_render_release,    sc_render_signals, sc_render_why,
		sc_render_doctor, sc_render_signals_of, sc_render_isolate, sc_render_components};
	static const char *const replies[] = {
		"{}",
		"{\"fires\":5,\"conditions\":\"x\",\"targets\":{},\"checks\":null,\"fire\":[],"
		"\"tick\":[]}",
		"{\"fires\":[1,null],\"conditions\":[[]],\"targets\":[7],\"checks\":[\"x\"],"
		"\"active\":"
		"[{}],\"isolations\":[7,{}],\"components\":[{},null],\"released\":[null],\"fire\":{"
		"\"state_snapshot\":[1,[2,{\"a\":null}]]}}"};

	for (size_t r = 0; r < SC_ARRAY_SIZE(replies); r++) {
		json_t *root = json_loads(replies[r], 0, NULL);

		cr_assert_not_null(root);
		for (size_t i = 0; i < SC_ARRAY_SIZE(all); i++) {
			_cleanup_str_ struct sc_str out;

			sc_str_init_heap(&out);
			all[i](&out, root);
			cr_assert_not(out.truncated);
		}
		json_decref(root);
	}
}
