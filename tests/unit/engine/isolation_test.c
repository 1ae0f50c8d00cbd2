/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts in the engine: whom they mean, what keeps them true, how they end. Traffic is in memory. */
#include "unit/engine/fake_ports.h"

#include "base/io.h"
#include "record/fold.h"

#include <criterion/criterion.h>
#include <string.h>

static const char conditions[] =
	"tenants:\n"
	"  acme: {cgroups: [/w/1, /w/2, \"/w/9*\"]}\n"
	"  umbrella: {cgroups: [/w/3]}\n"
	"components:\n"
	"  shop: {cgroups: [/w/4, /w/5]}\n"
	"conditions:\n"
	"  - {id: cut-acme, action: {kind: tenant-quarantine, config: {tenant_id: acme}}, live: "
	"true}\n"
	"  - {id: brief, ttl: 1h, action: {kind: tenant-quarantine, config: {tenant_id: "
	"umbrella}}, live: true}\n"
	"  - {id: break-shop, action: {kind: circuit-break-component, config: {component: shop, "
	"mode: all}}, live: true}\n"
	"  - {id: dry, action: {kind: tenant-quarantine, config: {tenant_id: acme}}}\n"
	"  - {id: any, scope: \"/w/*\", action: {kind: tenant-quarantine}, live: true}\n"
	"  - {id: crash, scope: \"/w/*\", when: \"increase(proc.crashes[60s]) >= 3\", "
	"max_targets: 6, auto_fire: true, live: true, action: {kind: process-exit}, escalate: "
	"[{kind: refuse-new, dwell: 1h}, {kind: process-exit}]}\n";

static struct sc_engine *e;

static void set_up(void)
{
	e = fake_engine_start(conditions);
	sc_engine_tick_full(e);
}

static void tear_down(void)
{
	fake_engine_stop(&e);
}

TestSuite(isolation, .init = set_up, .fini = tear_down, .timeout = 300);

static int fire(const char *id, uint32_t slot, struct sc_fire *out)
{
	struct sc_fire_request rq = {.condition = (uint32_t)sc_conditions_find(e->set, id),
				     .slot = slot,
				     .asker = SC_ASKER_MANUAL,
				     .fired_by = "ada",
				     .principal = "uid:0",
				     .reason = "a test",
				     .waiter = SC_REPLY_TO_NOBODY};
	int r = sc_engine_decide(e, &rq, out, NULL);

	fake_let_fires_settle(e);
	return r;
}

static const struct sc_fire *newest(void)
{
	return sc_fold_fire_at(e->fold, 0);
}

static const struct sc_fake_cut *cut(uint32_t number)
{
	return &fake_world.traffic.cuts[number];
}

static bool holds(uint32_t number, uint64_t id)
{
	for (uint32_t i = 0; i < cut(number)->n_members; i++)
		if (cut(number)->members[i].cgroup_id == id)
			return true;
	return false;
}

static void release(const char *fire_id)
{
	(void)sc_isolation_release(e, sc_isolation_find(e, fire_id), "eve", SC_REPLY_TO_NOBODY);
	fake_let_fires_settle(e);
}

Test(isolation, cuts_every_cgroup_of_the_tenant_and_no_other)
{
	cr_assert_eq(fire("cut-acme", 0, NULL), SC_EXIT_DONE);
	cr_expect_eq(cut(0)->gate.mode, SC_CUT_DROP);
	cr_expect_eq(cut(0)->rules.mode, SC_CUT_DROP);
	cr_expect_eq(cut(0)->n_members, 2);
	cr_expect(holds(0, 101) && holds(0, 102));
	cr_expect_eq(newest()->state, SC_FIRE_VERIFIED);
	cr_expect_eq(newest()->outcome, SC_OUTCOME_ISOLATED);
	cr_expect_str_eq(newest()->group, "tenant acme");
	cr_expect_str_eq(newest()->target, "tenant acme");
	cr_expect_str_eq(newest()->mode, "drop");
	cr_expect(sc_fire_is_standing(newest()));
	cr_expect(strstr(newest()->undo, "tenant acme"));
}

Test(isolation, a_release_gives_everything_back_and_is_recorded)
{
	struct sc_fire f;

	cr_assert_eq(fire("break-shop", 0, &f), SC_EXIT_DONE);
	cr_expect_eq(cut(0)->rules.mode, SC_CUT_REFUSE_ALL);
	release(f.id);
	cr_expect_eq(sc_fake_traffic_gated(&fake_world.traffic), 0);
	cr_expect_eq(sc_fake_traffic_ruled(&fake_world.traffic), 0);
	cr_expect_eq(newest()->state, SC_FIRE_RELEASED);
	cr_expect_str_eq(newest()->released_by, "eve");
	cr_expect_eq(e->n_isolations, 0);
}

Test(isolation, a_dry_run_cuts_nothing)
{
	cr_assert_eq(fire("dry", 0, NULL), SC_EXIT_DONE);
	cr_expect_eq(newest()->state, SC_FIRE_DRY_RUN);
	cr_expect_eq(fake_world.traffic.gate_sets, 0);
	cr_expect_eq(e->n_isolations, 0);
}

Test(isolation, a_scope_means_the_tenant_of_the_matched_cgroup)
{
	cr_assert_eq(fire("any", 2, NULL), SC_EXIT_DONE);
	cr_expect_str_eq(newest()->group, "tenant acme");
	cr_expect_str_eq(newest()->target, "/w/2");
	cr_expect_eq(cut(0)->n_members, 2);
	cr_assert_eq(fire("any", 6, NULL), SC_EXIT_DONE, "of no tenant: the cgroup alone");
	cr_expect_str_eq(newest()->group, "");
	cr_expect_eq(cut(1)->n_members, 1);
	cr_expect(holds(1, 106));
}

Test(isolation, a_protected_member_vetoes_the_whole_cut)
{
	uint64_t own[] = {102};

	fake_world.ports.own_ids = own;
	fake_world.ports.n_own_ids = 1;
	cr_assert_eq(fire("cut-acme", 0, NULL), SC_EXIT_VETOED);
	cr_expect_str_eq(newest()->veto, "protected");
	cr_expect_eq(fake_world.traffic.gate_sets, 0);
	cr_assert_eq(fire("brief", 0, NULL), SC_EXIT_DONE, "another tenant is not concerned");
	fake_world.ports.n_own_ids = 0;
}

Test(isolation, a_cgroup_made_later_is_taken_in)
{
	cr_assert_eq(fire("cut-acme", 0, NULL), SC_EXIT_DONE);
	fake_make_cgroup(e, 7, 901, "/w/9-late");
	cr_expect_eq(cut(0)->n_members, 3);
	cr_expect(holds(0, 901));
	fake_make_cgroup(e, 8, 902, "/w/8");
	cr_expect_eq(cut(0)->n_members, 3, "not of this tenant");
}

Test(isolation, a_cgroup_made_anew_is_cut_and_the_gone_one_stays_cut_for_its_sockets)
{
	cr_assert_eq(fire("cut-acme", 0, NULL), SC_EXIT_DONE);
	fake_remove_cgroup(e, 2);
	fake_make_cgroup(e, 7, 202, "/w/2");
	cr_expect(holds(0, 202));
	cr_expect(holds(0, 102));
}

Test(isolation, its_ttl_ends_it)
{
	cr_assert_eq(fire("brief", 0, NULL), SC_EXIT_DONE);
	cr_expect_gt(newest()->expires_at_boot_ns, 0);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(sc_fake_traffic_gated(&fake_world.traffic), 1);
	e->isolations[0].until_boot_ns = 1;
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(sc_fake_traffic_gated(&fake_world.traffic), 0);
	cr_expect_str_eq(newest()->released_by, "agent: its ttl ended");
}

Test(isolation, a_second_fire_of_the_condition_replaces_the_first)
{
	struct sc_fire first, second;

	cr_assert_eq(fire("cut-acme", 0, &first), SC_EXIT_DONE);
	cr_assert_eq(fire("cut-acme", 0, &second), SC_EXIT_DONE);
	cr_expect_eq(e->n_isolations, 1);
	cr_expect_not_null(sc_isolation_find(e, second.id));
	cr_expect_eq(sc_fake_traffic_gated(&fake_world.traffic), 1);
}

Test(isolation, half_a_cut_stands_and_is_tried_again)
{
	fake_world.traffic.rules_fails = 1;
	fake_world.traffic.rules_error = -ENOBUFS;
	cr_assert_eq(fire("cut-acme", 0, NULL), SC_EXIT_DONE);
	cr_expect_eq(newest()->state, SC_FIRE_FAILED);
	cr_expect_eq(newest()->outcome, SC_OUTCOME_PARTIAL);
	cr_expect(sc_fire_is_standing(newest()));
	e->isolations[0].next_ns = 0;
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(sc_fake_traffic_ruled(&fake_world.traffic), 1);
	cr_expect_not(e->isolations[0].is_dirty);
}

Test(isolation, what_holds_nowhere_is_taken_back_and_does_not_stand)
{
	fake_world.traffic.rules_fails = fake_world.traffic.gate_fails = 1;
	fake_world.traffic.rules_error = fake_world.traffic.gate_error = -EIO;
	cr_assert_eq(fire("cut-acme", 0, NULL), SC_EXIT_DONE);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(newest()->outcome, SC_OUTCOME_FAILED);
	cr_expect_eq(e->n_isolations, 0);
	cr_expect_eq(sc_fake_traffic_gated(&fake_world.traffic), 0);
}

Test(isolation, a_release_that_fails_is_tried_again)
{
	struct sc_fire f;

	cr_assert_eq(fire("cut-acme", 0, &f), SC_EXIT_DONE);
	fake_world.traffic.gate_fails = 1;
	fake_world.traffic.gate_error = -EIO;
	release(f.id);
	cr_expect_eq(newest()->state, SC_FIRE_VERIFIED, "not released yet");
	e->isolations[0].next_ns = 0;
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(newest()->state, SC_FIRE_RELEASED);
	cr_expect_str_eq(newest()->released_by, "eve");
}

Test(isolation, what_a_stranger_removed_is_put_back_and_told)
{
	uint64_t repairs;

	cr_assert_eq(fire("cut-acme", 0, NULL), SC_EXIT_DONE);
	repairs = e->cut_repairs;
	sc_fake_traffic_flush(&fake_world.traffic);
	cr_expect_eq(sc_fake_traffic_ruled(&fake_world.traffic), 0);
	for (int i = 0; i < 1000 && e->cut_repairs == repairs; i++) {
		sc_engine_tick_full(e);
		cr_assert_eq(sc_loop_once(&e->loop, 10), 0);
	}
	fake_let_fires_settle(e);
	cr_expect_eq(e->cut_repairs, repairs + 1);
	cr_expect_eq(sc_fake_traffic_ruled(&fake_world.traffic), 1);
}

Test(isolation, the_next_rung_ends_what_the_rung_before_refused)
{
	struct sc_fire_request rq = {.condition = (uint32_t)sc_conditions_find(e->set, "crash"),
				     .slot = 2,
				     .rung = 1,
				     .asker = SC_ASKER_AUTO,
				     .fired_by = "auto",
				     .principal = SC_PRINCIPAL_AGENT,
				     .reason = "",
				     .waiter = SC_REPLY_TO_NOBODY};

	fake_world.counts[2].proc_crashes += 3;
	fake_world.counts[0].proc_crashes += 3;
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_assert_eq(newest()->action, SC_ACTION_REFUSE_NEW);
	cr_expect_eq(newest()->outcome, SC_OUTCOME_ISOLATED);
	cr_expect_eq(cut(0)->rules.mode, SC_CUT_REFUSE_NEW);
	cr_expect_eq(fake_world.fake.kill_writes, 0);
	cr_assert_eq(sc_engine_decide(e, &rq, NULL, NULL), SC_EXIT_DONE);
	fake_let_fires_settle(e);
	cr_expect_eq(fake_world.fake.kill_writes, 1);
	cr_expect_eq(sc_fake_traffic_gated(&fake_world.traffic), 0);
}

Test(isolation, a_restart_takes_up_what_stands_under_its_number)
{
	struct sc_fire f;

	cr_assert_eq(fire("brief", 0, NULL), SC_EXIT_DONE);
	cr_assert_eq(fire("cut-acme", 0, &f), SC_EXIT_DONE);
	memset(e->isolations, 0, sizeof(e->isolations)); /* a new process knows nothing */
	e->n_isolations = 0;
	e->n_found = 1;
	e->found[0] = (struct sc_cut_found){.number = 1, .mode = SC_CUT_DROP};
	sc_strcopy(e->found[0].fire_id, sizeof(e->found[0].fire_id), f.id);
	cr_assert_eq(sc_engine_reconcile(e), 0);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(e->n_isolations, 2);
	cr_assert_not_null(sc_isolation_find(e, f.id));
	cr_expect_eq(sc_isolation_find(e, f.id)->cut.number, 1);
	cr_expect(holds(1, 101) && holds(1, 102));
	release(f.id);
	cr_expect_eq(newest()->state, SC_FIRE_RELEASED);
}

/* A new process that finds what the gate holds of one fire, with that configuration. */
static void restart_with(const char *text, const char *fire_id)
{
	fake_world.traffic.n_found = 1;
	fake_world.traffic.found[0] = (struct sc_cut_found){.number = 0, .mode = SC_CUT_DROP};
	sc_strcopy(fake_world.traffic.found[0].fire_id, sizeof(fake_world.traffic.found[0].fire_id),
		   fire_id);
	fake_engine_rewrite(text);
	fake_engine_restart(&e);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
}

Test(isolation, a_number_that_was_found_is_free_again_after_its_release)
{
	struct sc_fire f;

	cr_assert_eq(fire("cut-acme", 0, &f), SC_EXIT_DONE);
	restart_with(conditions, f.id);
	release(f.id);
	cr_assert_eq(e->n_isolations, 0);
	cr_assert_eq(fire("brief", 0, &f), SC_EXIT_DONE);
	cr_expect_eq(sc_isolation_find(e, f.id)->cut.number, 0);
}

Test(isolation, a_group_gone_from_the_file_over_a_restart_stays_cut_as_it_was)
{
	struct sc_isolation *iso;
	struct sc_fire f;

	cr_assert_eq(fire("any", 1, &f), SC_EXIT_DONE);
	cr_assert_str_eq(f.group, "tenant acme");
	restart_with("tenants: {other: {cgroups: [/w/6]}}\n", f.id);
	iso = sc_isolation_find(e, f.id);
	cr_assert_not_null(iso);
	iso->is_dirty = true; /* as when the gate was detached */
	sc_isolations_look(e);
	fake_let_fires_settle(e);
	cr_expect(cut(0)->gate.is_kept, "of one cgroup of it nothing is known");
	cr_expect_eq(cut(0)->gate.n_members, 0);
	cr_expect_eq(cut(0)->gate.n_globs, 0);
	cr_assert_eq(fake_engine_reload(e, conditions), 0);
	sc_isolations_look(e);
	fake_let_fires_settle(e);
	cr_expect_not(cut(0)->gate.is_kept, "declared again");
	cr_expect(holds(0, 101) && holds(0, 102));
	cr_expect_eq(cut(0)->gate.n_globs, 3);
	release(f.id);
	cr_expect_eq(cut(0)->gate.mode, SC_CUT_NONE);
}

Test(isolation, what_no_record_knows_is_given_back_at_start)
{
	struct sc_cut stray = {.number = 5, .mode = SC_CUT_DROP, .fire_id = "stray", .name = "x"};
	struct sc_cut_report report = {0};
	const struct sc_traffic *t = e->ports->effector.traffic;

	cr_assert_eq(t->ops->set_gate(t->ctx, &stray, &report), 0);
	e->n_found = 1;
	e->found[0] = (struct sc_cut_found){.number = 5, .mode = SC_CUT_DROP, .fire_id = "stray"};
	cr_assert_eq(sc_engine_reconcile(e), 0);
	cr_expect_eq(cut(5)->gate.mode, SC_CUT_NONE);
}

Test(isolation, nothing_is_allocated_from_the_decision_to_the_outcome)
{
	uint64_t before;

	sc_engine_tick_full(e);
	before = fake_allocations();
	cr_assert_eq(fire("cut-acme", 0, NULL), SC_EXIT_DONE);
	cr_expect_eq(fake_allocations(), before);
}
