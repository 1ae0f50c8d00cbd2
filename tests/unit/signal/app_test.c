/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of programs as signals: known while they are somebody's, and the agent listens. */
#include "unit/signal/model.h"

#include <criterion/criterion.h>
#include <math.h>

static struct sc_app_entry entries[MODEL_SLOTS];

static struct model *open_model(void)
{
	struct model *w = model_new(NULL);

	model_born(w, 3, 33);
	entries[3] = (struct sc_app_entry){
		.cgroup_id = 33,
		.heartbeat_ns = w->now.mono_ns - 4 * SECOND,
		.session_ns = w->now.mono_ns - 9 * SECOND,
		.sessions = 2,
		.refused = 6,
		.queue_depth = 17,
		.gauges = {1, NAN, 3, NAN, NAN, NAN, NAN, 8},
	};
	w->source.app = entries;
	w->source.app_heard_ns = w->now.mono_ns;
	w->source.app_since_ns = SECOND;
	return w;
}

static double value(const struct model *w, enum sc_signal signal)
{
	return sc_source_value(&w->source, &w->now, 3, signal);
}

Test(app_signals, reports_are_values)
{
	_cleanup_model_ struct model *w = open_model();

	cr_expect_eq(value(w, SC_SIG_app_heartbeat_age), 4e9);
	cr_expect_eq(value(w, SC_SIG_app_session_age), 9e9);
	cr_expect_eq(value(w, SC_SIG_app_sessions), 2);
	cr_expect_eq(value(w, SC_SIG_app_queue_depth), 17);
	cr_expect_eq(value(w, SC_SIG_app_reports_refused), 6);
	cr_expect_eq(value(w, SC_SIG_app_gauge_1), 1);
	cr_expect(isnan(value(w, SC_SIG_app_gauge_2)));
	cr_expect_eq(value(w, SC_SIG_app_gauge_8), 8);
}

Test(app_signals, what_was_never_reported_is_unknown)
{
	_cleanup_model_ struct model *w = open_model();

	entries[3] = (struct sc_app_entry){.cgroup_id = 33, .queue_depth = NAN};
	cr_expect(isnan(value(w, SC_SIG_app_heartbeat_age)));
	cr_expect(isnan(value(w, SC_SIG_app_session_age)));
	cr_expect(isnan(value(w, SC_SIG_app_sessions)));
	cr_expect(isnan(value(w, SC_SIG_app_queue_depth)));
}

Test(app_signals, reports_of_a_cgroup_that_is_gone_are_unknown)
{
	_cleanup_model_ struct model *w = open_model();

	model_born(w, 3, 34);
	for (int s = SC_SIG_app_heartbeat_age; s <= SC_SIG_app_gauge_8; s++)
		cr_expect(isnan(value(w, (enum sc_signal)s)), "%s",
			  sc_signal_info((enum sc_signal)s)->name);
}

Test(app_signals, agent_that_does_not_listen_knows_nothing)
{
	_cleanup_model_ struct model *w = open_model();

	w->now.mono_ns += SC_APP_STALE_NS;
	cr_expect_eq(value(w, SC_SIG_app_heartbeat_age), 4e9 + (double)SC_APP_STALE_NS);
	w->now.mono_ns++;
	cr_expect(isnan(value(w, SC_SIG_app_heartbeat_age)));
	cr_expect(isnan(value(w, SC_SIG_app_queue_depth)));
	w->source.app = NULL;
	cr_expect(isnan(value(w, SC_SIG_app_queue_depth)));
}

Test(app_signals, time_in_which_the_agent_did_not_listen_is_nobodys_silence)
{
	_cleanup_model_ struct model *w = open_model();

	w->source.app_since_ns = w->now.mono_ns - SECOND;
	cr_expect_eq(value(w, SC_SIG_app_heartbeat_age), 1e9);
	cr_expect_eq(value(w, SC_SIG_app_session_age), 9e9);
}
