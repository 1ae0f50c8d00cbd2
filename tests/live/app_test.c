/* SPDX-License-Identifier: Apache-2.0 */
/* Programs report to the running agent: one that falls silent is noticed, whatever others send. */
#include "live/engine_kit.h"

#include "base/clock.h"
#include "base/mem.h"

#include <scram/client.h>

#include <signal.h>

TestSuite(app, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

/* Far more than a busy host holds up a program that reports ten times a second. */
#define SILENCE_NS 5e9
#define SILENT                                                                                  \
	"conditions:\n"                                                                         \
	"  - {id: silent, scope: \"@ROOT@/*\", when: \"app.heartbeat_age > 5s\", max_targets: " \
	"10, "                                                                                  \
	"action: {kind: process-exit}, auto_fire: true, live: true}\n"

static const char *socket_path(void)
{
	static char path[SC_SANDBOX_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/notify.sock", sc_kit.run_dir);
	return path;
}

static pid_t reporter(int cgroup_fd, const char *beats, const char *period_ms)
{
	const char *const args[] = {socket_path(), beats, period_ms, NULL};

	return sc_kit_program(cgroup_fd, "reporter", args);
}

/* A signal of the cgroup NAME; -1 while it is unknown. */
static double signal_of(const char *name, const char *signal)
{
	char line[SC_SANDBOX_PATH_MAX + 16];
	const json_t *at;
	json_t *reply;
	double value;

	snprintf(line, sizeof(line), "signals %s", sc_kit_path(name));
	reply = sc_rig_json(&sc_kit, line);
	at = json_is_array(reply) ? json_array_get(reply, 0) : reply;
	at = json_object_get(json_object_get(at, "signals"), signal);
	cr_assert_not_null(at, "no %s", signal);
	value = json_is_number(at) ? json_number_value(at) : -1;
	json_decref(reply);
	return value;
}

struct expected {
	const char *name, *signal;
	double value;
};

static bool is_as_expected(void *arg)
{
	const struct expected *x = arg;

	return signal_of(x->name, x->signal) == x->value;
}

static void wait_signal(const char *name, const char *signal, double value)
{
	struct expected x = {name, signal, value};

	cr_assert_eq(sc_wait_until(is_as_expected, &x, SC_KIT_EVENT_MS), 0,
		     "%s of %s is %g, not %g", signal, name, signal_of(name, signal), value);
}

static double status_of(const char *within, const char *key)
{
	json_t *status = sc_rig_json(&sc_kit, "status");
	double n = json_number_value(json_object_get(json_object_get(status, within), key));

	json_decref(status);
	return n;
}

Test(app, program_that_falls_silent_is_killed_and_others_are_not)
{
	int web = sc_kit_mkdir("web"), well = sc_kit_mkdir("well"), mute = sc_kit_mkdir("mute");
	pid_t silent, beating, other = sc_kit_sleeper(mute);
	json_t *fire;

	sc_kit_start(SILENT);
	beating = reporter(well, "1000000", "100");
	silent = reporter(web, "20", "100");
	sc_kit_wait("silent", "outcome", "emptied", 1);
	cr_expect_eq(sc_wait_child(silent, NULL, SC_KIT_EVENT_MS), 0);
	sc_kit_expect_untouched(beating, well);
	sc_kit_expect_untouched(other, mute);
	fire = sc_kit_get("silent", NULL, NULL, 0);
	cr_expect_str_eq(sc_kit_text(fire, "target"), sc_kit_path("web"));
	cr_expect_eq(sc_kit_count("silent", NULL, NULL), 1);
	json_decref(fire);
	cr_expect_eq(signal_of("well", "app.queue_depth"), 3);
	cr_expect_eq(signal_of("well", "app.gauge_2"), -1.5);
	cr_expect_eq(signal_of("well", "app.sessions"), 1);
	cr_expect_eq(signal_of("mute", "app.heartbeat_age"), -1);
}

/* The shell has ended before anybody can look at it. */
static void notify_from(int cgroup_fd, const char *words)
{
	const char *const argv[] = {sc_kit.scram, "notify",       words,
				    "--run-dir",  sc_kit.run_dir, NULL};
	int status = -1;

	cr_assert_eq(sc_wait_child(sc_helper_exec(cgroup_fd, argv, -1, -1), &status, 30000), 0);
	cr_assert_eq(status, 0, "scram notify %s: %x", words, (unsigned int)status);
}

Test(app, verb_reports_for_the_cgroup_it_is_called_in)
{
	int web = sc_kit_mkdir("web"), other = sc_kit_mkdir("other");

	sc_kit_start(SILENT);
	sc_kit_wait_grace();
	notify_from(web, "QUEUE_DEPTH=17");
	notify_from(web, "GAUGE_3=-2.5");
	wait_signal("web", "app.queue_depth", 17);
	wait_signal("web", "app.gauge_3", -2.5);
	notify_from(other, "QUEUE_DEPTH=4");
	wait_signal("other", "app.queue_depth", 4);
	cr_expect_eq(signal_of("web", "app.queue_depth"), 17);
	sc_kit_expect("notify HEARTBEAT=2", 2, "would not take this");
	sc_rig_stop(&sc_kit, SIGTERM, NULL);
	sc_kit_expect("notify HEARTBEAT=1", 3, "no agent listens");
}

Test(app, message_cannot_name_another_cgroup)
{
	int web = sc_kit_mkdir("web");
	char text[SC_SANDBOX_PATH_MAX + 64];
	struct scram_client c;

	sc_kit_mkdir("victim");
	sc_kit_start(SILENT);
	sc_kit_wait_grace();
	cr_assert_eq(scram_client_open(&c, socket_path()), 0);
	snprintf(text, sizeof(text), "QUEUE_DEPTH=9\nCGROUP=%s", sc_kit_path("victim"));
	cr_assert_eq(scram_client_report(&c, text), 0);
	notify_from(web, "QUEUE_DEPTH=1");
	wait_signal("web", "app.queue_depth", 1);
	cr_expect_eq(signal_of("victim", "app.queue_depth"), -1);
	cr_expect_eq(signal_of("victim", "app.reports_refused"), -1);
	/* The test itself lives outside what this agent supervises. */
	cr_expect_eq(status_of("reports", "from_strangers"), 1);
	cr_expect_eq(status_of("reports", "taken"), 1);
	scram_client_close(&c);
}

Test(app, cgroup_made_anew_has_reported_nothing)
{
	int web = sc_kit_mkdir("web");

	sc_kit_start(SILENT);
	sc_kit_wait_grace();
	notify_from(web, "QUEUE_DEPTH=17");
	wait_signal("web", "app.queue_depth", 17);
	sc_kit_rmdir("web");
	web = sc_kit_mkdir("web");
	sc_kit_sleeper(web);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	wait_signal("web", "app.queue_depth", -1);
}

/* The flood is over; meanwhile the longest silence of the other is taken down. */
static bool is_sent(void *arg)
{
	double *longest_ns = arg;

	*longest_ns = SC_MAX(*longest_ns, signal_of("quiet", "app.heartbeat_age"));
	return status_of("reports", "over_allowance") > 90000;
}

static bool is_counted(void *arg)
{
	(void)arg;
	return signal_of("noisy", "app.reports_refused") > 50000;
}

Test(app, flood_delays_no_tick_and_takes_nobodys_place)
{
	const char *const args[] = {socket_path(), "100000", NULL};
	int noisy = sc_kit_mkdir("noisy"), quiet = sc_kit_mkdir("quiet");
	double overruns, ticks, longest_ns = 0;
	pid_t beating, flood;
	uint64_t begin;

	sc_kit_start(SILENT);
	beating = reporter(quiet, "1000000", "50");
	sc_kit_wait_grace();
	overruns = status_of("tick", "overruns");
	ticks = status_of("tick", "count");
	begin = sc_mono_ns();
	flood = sc_kit_program(noisy, "report-flood", args);
	cr_assert_eq(sc_wait_until(is_sent, &longest_ns, SC_KIT_EVENT_MS), 0,
		     "%g over the allowance", status_of("reports", "over_allowance"));
	fprintf(stderr,
		"100,000 reports of one cgroup in %.0f ms; the other, who reports every 50 ms, was "
		"not heard for %.0f ms at most; ticks late p99 %.0f us\n",
		(double)(sc_mono_ns() - begin) / 1e6, longest_ns / 1e6,
		status_of("tick", "late_p99_us"));
	cr_expect_lt(longest_ns, SILENCE_NS);
	/* Those after the last that passed are not told yet. */
	cr_expect_eq(sc_wait_until(is_counted, NULL, SC_KIT_EVENT_MS), 0);
	cr_expect_eq(signal_of("quiet", "app.reports_refused"), 0);
	/* A busy host delays some; this flood, were it the agent's to take, all. */
	cr_expect_leq(status_of("tick", "overruns") - overruns,
		      2 + (status_of("tick", "count") - ticks) / 4);
	sc_kit_expect_untouched(beating, quiet);
	sc_kit_expect_untouched(flood, noisy);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_lt(signal_of("quiet", "app.heartbeat_age"), SILENCE_NS);
	cr_expect_eq(sc_kit_count("silent", NULL, NULL), 0);
}

static bool has_passed(void *arg)
{
	return sc_mono_ns() > *(uint64_t *)arg;
}

Test(app, agent_that_was_held_up_takes_its_own_deafness_for_nobodys_silence)
{
	int web = sc_kit_mkdir("web");
	uint64_t later;
	pid_t beating;

	sc_kit_start(SILENT);
	beating = reporter(web, "1000000", "50");
	sc_kit_wait_grace();
	wait_signal("web", "app.sessions", 1);
	cr_assert_eq(kill(sc_kit.pid, SIGSTOP), 0);
	later = sc_mono_ns() + 8 * SC_NS_PER_S;
	cr_assert_eq(sc_wait_until(has_passed, &later, SC_KIT_EVENT_MS), 0);
	cr_assert_eq(kill(sc_kit.pid, SIGCONT), 0);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(sc_kit_count("silent", NULL, NULL), 0);
	sc_kit_expect_untouched(beating, web);
	cr_expect_lt(signal_of("web", "app.heartbeat_age"), SILENCE_NS);
	cr_expect_geq(signal_of("web", "app.heartbeat_age"), 0);
}

Test(app, client_is_harmless_without_an_agent)
{
	struct scram_client c;

	cr_expect_eq(scram_client_open(&c, socket_path()), 0);
	cr_expect_eq(scram_client_heartbeat(&c), -ENOENT);
	sc_kit_start(SILENT);
	cr_expect_eq(scram_client_heartbeat(&c), 0);
	sc_kit_restart(SIGKILL);
	cr_expect_eq(scram_client_heartbeat(&c), 0, "the client finds the next agent");
	cr_expect_eq(scram_client_gauge(&c, 0, 1), -EINVAL);
	cr_expect_eq(scram_client_gauge(&c, 9, 1), -EINVAL);
	cr_expect_eq(scram_client_gauge(&c, 1, 1.0 / 0.0), -EINVAL);
	cr_expect_eq(scram_client_queue_depth(&c, -1), -EINVAL);
	scram_client_close(&c);
	cr_expect_eq(scram_client_heartbeat(&c), -EBADF);
}
