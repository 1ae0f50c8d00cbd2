/* SPDX-License-Identifier: Apache-2.0 */
#include "signal/psi.h"
#include "unit/signal/model.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <string.h>

static double value(struct model *w, enum sc_signal signal, uint32_t slot)
{
	return sc_plan_signal_value(w->plan, signal, slot);
}

static void watch(struct model *w, const enum sc_signal *signals, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sc_plan_add_signal(w->plan, signals[i]);
	cr_assert_eq(sc_plan_start(w->plan, NULL, NULL), 0);
}

Test(snapshot, a_free_slot_is_unknown)
{
	_cleanup_model_ struct model *w = model_new(NULL);

	watch(w, (enum sc_signal[]){SC_SIG_proc_forks}, 1);
	w->counts[0].proc_forks = 5;
	model_tick(w, MS, 1);
	cr_expect(isnan(value(w, SC_SIG_proc_forks, 0)));
	model_seeded(w, 0, 1);
	model_tick(w, MS, 1);
	cr_expect_eq(value(w, SC_SIG_proc_forks, 0), 5);
	cr_expect(isnan(value(w, SC_SIG_proc_execs, 0)), "not declared");
	cr_expect(isnan(value(w, SC_SIG_proc_forks, MODEL_SLOTS)), "out of range");
}

Test(snapshot, values_stand_still_between_ticks)
{
	_cleanup_model_ struct model *w = model_new(NULL);

	watch(w, (enum sc_signal[]){SC_SIG_proc_forks}, 1);
	model_seeded(w, 0, 1);
	model_tick(w, MS, 1);
	w->counts[0].proc_forks = 5;
	cr_expect_eq(value(w, SC_SIG_proc_forks, 0), 0);
}

Test(snapshot, negative_gauges_are_zero)
{
	_cleanup_model_ struct model *w = model_new(NULL);

	watch(w, (enum sc_signal[]){SC_SIG_proc_alive}, 1);
	model_seeded(w, 0, 1);
	w->counts[0].proc_alive = -1;
	model_tick(w, MS, 1);
	cr_expect_eq(value(w, SC_SIG_proc_alive, 0), 0);
}

Test(snapshot, a_missing_feature_makes_its_signals_unknown)
{
	_cleanup_model_ struct model *w = model_new(NULL);

	watch(w, (enum sc_signal[]){SC_SIG_proc_forks, SC_SIG_oom_kills, SC_SIG_agent_targets}, 3);
	model_seeded(w, 0, 1);
	w->source.features = SC_FEATURE_BIT(SC_FEATURE_PROC);
	w->source.agent[SC_SIG_agent_targets] = 12;
	model_tick(w, MS, 1);
	cr_expect_eq(value(w, SC_SIG_proc_forks, 0), 0);
	cr_expect(isnan(value(w, SC_SIG_oom_kills, 0)));
	cr_expect_eq(value(w, SC_SIG_agent_targets, 0), 12);
	cr_expect_eq(value(w, SC_SIG_agent_targets, 700), 12, "one value for the whole host");
}

Test(snapshot, established_is_known_only_from_birth)
{
	_cleanup_model_ struct model *w = model_new(NULL);

	watch(w, (enum sc_signal[]){SC_SIG_tcp_established}, 1);
	model_seeded(w, 0, 1);
	model_born(w, 1, 2);
	w->counts[0].tcp_established = w->counts[1].tcp_established = 3;
	model_tick(w, MS, 2);
	cr_expect(isnan(value(w, SC_SIG_tcp_established, 0)));
	cr_expect_eq(value(w, SC_SIG_tcp_established, 1), 3);
}

Test(snapshot, kernel_values_go_stale_by_age)
{
	_cleanup_model_ struct model *w = model_new(NULL);

	watch(w, (enum sc_signal[]){SC_SIG_mem_current_bytes, SC_SIG_mem_max_bytes}, 2);
	model_seeded(w, 0, 1);
	model_tick(w, MS, 1);
	cr_expect(isnan(value(w, SC_SIG_mem_current_bytes, 0)), "never read");
	w->kernel[0] = (struct sc_kernel){
		.pass_ns = w->now.mono_ns, .flags = SC_KERNEL_MEMORY, .mem_current_pages = 3};
	model_tick(w, SC_KERNEL_STALE_NS, 1);
	cr_expect_eq(value(w, SC_SIG_mem_current_bytes, 0), 3 * 4096);
	cr_expect(isnan(value(w, SC_SIG_mem_max_bytes, 0)), "no limit set");
	cr_expect_eq(sc_source_age_ns(&w->source, &w->now, 0, SC_SIG_mem_max_bytes),
		     SC_KERNEL_STALE_NS);
	model_tick(w, 1, 1);
	cr_expect(isnan(value(w, SC_SIG_mem_current_bytes, 0)));
	cr_expect_eq(sc_source_age_ns(&w->source, &w->now, 1, SC_SIG_mem_max_bytes), UINT64_MAX);
	cr_expect_eq(sc_source_age_ns(&w->source, &w->now, 0, SC_SIG_proc_forks), 0);
}

Test(snapshot, each_number_of_the_controllers_has_its_flag_and_unit)
{
	static const struct {
		enum sc_signal signal;
		__u32 flag;
		double value;
	} cases[] = {
		{SC_SIG_mem_current_bytes, SC_KERNEL_MEMORY, 1 * 4096},
		{SC_SIG_mem_max_bytes, SC_KERNEL_MEMORY_MAX, 2 * 4096},
		{SC_SIG_mem_high_bytes, SC_KERNEL_MEMORY_HIGH, 3 * 4096},
		{SC_SIG_mem_swap_bytes, SC_KERNEL_SWAP, 4 * 4096},
		{SC_SIG_mem_swap_max_bytes, SC_KERNEL_SWAP_MAX, 5 * 4096},
		{SC_SIG_mem_events_low, SC_KERNEL_MEMORY_EVENTS, 6},
		{SC_SIG_mem_events_high, SC_KERNEL_MEMORY_EVENTS, 7},
		{SC_SIG_mem_events_max, SC_KERNEL_MEMORY_EVENTS, 8},
		{SC_SIG_mem_events_oom, SC_KERNEL_MEMORY_EVENTS, 9},
		{SC_SIG_mem_events_oom_kill, SC_KERNEL_MEMORY_EVENTS, 10},
		{SC_SIG_mem_events_oom_group_kill, SC_KERNEL_MEMORY_EVENTS, 11},
		{SC_SIG_cpu_usage_us, SC_KERNEL_CPU, 12},
		{SC_SIG_cpu_throttled_us, SC_KERNEL_THROTTLED, 13},
		{SC_SIG_cpu_throttles, SC_KERNEL_THROTTLED, 14},
		{SC_SIG_pids_current, SC_KERNEL_PIDS, 15},
		{SC_SIG_pids_max, SC_KERNEL_PIDS_MAX, 16},
		{SC_SIG_pids_events_max, SC_KERNEL_PIDS_EVENTS, 17},
	};
	struct sc_kernel filled = {.mem_current_pages = 1,
				   .mem_max_pages = 2,
				   .mem_high_pages = 3,
				   .mem_swap_pages = 4,
				   .mem_swap_max_pages = 5,
				   .mem_events = {6, 7, 8, 9, 10, 11},
				   .cpu_usage_ns = 12999,
				   .cpu_throttled_ns = 13999,
				   .cpu_throttles = 14,
				   .pids_current = 15,
				   .pids_max = 16,
				   .pids_refused = 17};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		_cleanup_model_ struct model *w = model_new(NULL);
		enum sc_signal s = cases[i].signal;

		watch(w, &s, 1);
		model_seeded(w, 0, 1);
		filled.pass_ns = w->now.mono_ns;
		filled.flags = ~cases[i].flag;
		w->kernel[0] = filled;
		model_tick(w, MS, 1);
		cr_expect(isnan(value(w, s, 0)), "%s: not known", sc_signal_info(s)->name);
		w->kernel[0].flags = cases[i].flag;
		model_tick(w, MS, 1);
		cr_expect_eq(value(w, s, 0), cases[i].value, "%s: %f", sc_signal_info(s)->name,
			     value(w, s, 0));
	}
}

Test(snapshot, io_has_an_age_of_its_own)
{
	_cleanup_model_ struct model *w = model_new(NULL);

	watch(w,
	      (enum sc_signal[]){SC_SIG_io_read_bytes, SC_SIG_io_write_bytes, SC_SIG_io_reads,
				 SC_SIG_io_writes},
	      4);
	model_seeded(w, 0, 1);
	w->kernel[0] = (struct sc_kernel){.pass_ns = w->now.mono_ns,
					  .io_read_bytes = 1,
					  .io_write_bytes = 2,
					  .io_reads = 3,
					  .io_writes = 4};
	model_tick(w, MS, 1);
	cr_expect(isnan(value(w, SC_SIG_io_read_bytes, 0)), "the controller is not on");
	w->kernel[0].io_pass_ns = w->now.mono_ns;
	model_tick(w, SC_TASKS_STALE_NS, 1);
	cr_expect_eq(value(w, SC_SIG_io_read_bytes, 0), 1);
	cr_expect_eq(value(w, SC_SIG_io_write_bytes, 0), 2);
	cr_expect_eq(value(w, SC_SIG_io_reads, 0), 3);
	cr_expect_eq(value(w, SC_SIG_io_writes, 0), 4);
	w->kernel[0].pass_ns = w->now.mono_ns;
	model_tick(w, MS, 1);
	cr_expect(isnan(value(w, SC_SIG_io_read_bytes, 0)), "stale, whatever else is fresh");
}

Test(snapshot, tasks_of_a_running_pass_keep_their_former_value)
{
	_cleanup_model_ struct model *w = model_new(NULL);

	watch(w, (enum sc_signal[]){SC_SIG_proc_dstate, SC_SIG_proc_oldest_s}, 2);
	model_seeded(w, 0, 1);
	model_tick(w, MS, 1);
	cr_expect(isnan(value(w, SC_SIG_proc_dstate, 0)), "no pass yet");
	w->tasks[0] = (struct sc_tasks){
		.pass = 1, .dstate = 4, .oldest_start_ns = w->now.boot_ns - 30 * SECOND};
	w->source.tasks_pass = 1;
	w->source.tasks_pass_ns = w->now.mono_ns;
	model_tick(w, MS, 1);
	cr_expect_eq(value(w, SC_SIG_proc_dstate, 0), 4);
	cr_expect_eq(value(w, SC_SIG_proc_oldest_s, 0), 30);
	w->tasks[0] = (struct sc_tasks){.pass = 2, .dstate = 1};
	model_tick(w, MS, 1);
	cr_expect_eq(value(w, SC_SIG_proc_dstate, 0), 4, "half counted");
	w->source.tasks_pass = 2;
	model_tick(w, MS, 1);
	cr_expect_eq(value(w, SC_SIG_proc_dstate, 0), 1);
	w->source.tasks_pass = 3;
	model_tick(w, MS, 1);
	cr_expect_eq(value(w, SC_SIG_proc_dstate, 0), 0, "no process was found");
	model_tick(w, SC_TASKS_STALE_NS, 1);
	cr_expect(isnan(value(w, SC_SIG_proc_dstate, 0)), "stale");
}

Test(snapshot, every_pressure_signal_reads_its_own_field)
{
	for (int s = SC_SIG_psi_cpu_some_avg10; s <= SC_SIG_psi_io_full_total_us; s++) {
		_cleanup_model_ struct model *w = model_new(NULL);
		const char *name = sc_signal_info((enum sc_signal)s)->name;
		int resource = strstr(name, "cpu")      ? SC_PSI_CPU
			       : strstr(name, "memory") ? SC_PSI_MEMORY
							: SC_PSI_IO;
		struct sc_kernel *k = &w->kernel[0];
		struct sc_psi *psi = strstr(name, "some") ? &k->psi_some[resource]
							  : &k->psi_full[resource];
		double expected = 0.5;

		model_seeded(w, 0, 1);
		k->flags = SC_KERNEL_PSI;
		k->pass_ns = k->psi_updated_ns = w->now.mono_ns;
		if (strstr(name, "total")) {
			psi->total_ns = 7000;
			expected = 7;
		} else {
			psi->avg[strstr(name, "avg10")   ? 0
				 : strstr(name, "avg60") ? 1
							 : 2] = 50 * SC_PSI_PERCENT;
		}
		cr_expect_eq(sc_source_value(&w->source, &w->now, 0, (enum sc_signal)s), expected,
			     "%s", name);
	}
}

/* As the kernel's calc_load_n(): once per idle period of 2 s. */
Test(psi, averages_decay_while_nothing_updates_them)
{
	const uint64_t period = 2 * SECOND + 4 * MS;
	static const struct {
		uint64_t elapsed_periods;
		double avg10, avg60, avg300;
	} rows[] = {
		{0, 0.5, 0.5, 0.5},
		{2, 0.5 * 1677 * 1677 / 2048 / 2048, 0.5 * 1981 * 1981 / 2048 / 2048,
		 0.5 * 2034 * 2034 / 2048 / 2048},
		{5, 0.184, 0.4235, 0.4831},
		{1800, 0, 0, 0.5 * 4.1e-6},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		uint64_t n = sc_psi_periods_missed(1000, 1000 + rows[i].elapsed_periods * period);

		cr_expect_eq(n, rows[i].elapsed_periods);
		cr_expect_float_eq(sc_psi_decay(50 * SC_PSI_PERCENT, SC_PSI_AVG10, n),
				   rows[i].avg10, 1e-3);
		cr_expect_float_eq(sc_psi_decay(50 * SC_PSI_PERCENT, SC_PSI_AVG60, n),
				   rows[i].avg60, 1e-3);
		cr_expect_float_eq(sc_psi_decay(50 * SC_PSI_PERCENT, SC_PSI_AVG300, n),
				   rows[i].avg300, 1e-3);
	}
	cr_expect_eq(sc_psi_periods_missed(0, period + 50 * MS), 0, "the worker is only late");
	cr_expect_eq(sc_psi_periods_missed(0, period + 100 * MS), 1);
	cr_expect_eq(sc_psi_periods_missed(5, 4), 0, "an update of the future");
}

Test(snapshot, another_cgroup_in_the_slot_begins_anew)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	int stream = sc_plan_add_stream(w->plan, SC_WINDOW_INCREASE, SC_SIG_proc_forks,
					10 * SECOND);

	cr_assert_eq(sc_plan_start(w->plan, NULL, NULL), 0);
	model_tick(w, MS, 1);
	model_born(w, 0, 1);
	w->counts[0].proc_forks = 7;
	model_tick(w, MS, 1);
	cr_expect_eq(sc_plan_stream_value(w->plan, (uint32_t)stream, 0), 7);
	model_born(w, 0, 2);
	w->counts[0].proc_forks = 2;
	model_tick(w, MS, 1);
	cr_expect_eq(sc_plan_stream_value(w->plan, (uint32_t)stream, 0), 2);
	cr_expect_eq(sc_plan_stats(w->plan).replaced, 1);
	cr_expect_eq(sc_plan_stats(w->plan).backwards, 0, "not the same counter");
	w->nodes[0].cgroup_id = 0;
	model_tick(w, MS, 1);
	cr_expect(isnan(sc_plan_stream_value(w->plan, (uint32_t)stream, 0)));
	cr_expect_eq(sc_plan_stats(w->plan).blocks_used, 0);
}

Test(snapshot, a_counter_that_goes_backwards_begins_anew_and_is_counted)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	int stream = sc_plan_add_stream(w->plan, SC_WINDOW_INCREASE, SC_SIG_proc_forks,
					10 * SECOND);

	cr_assert_eq(sc_plan_start(w->plan, NULL, NULL), 0);
	model_seeded(w, 0, 1);
	model_tick(w, MS, 1);
	w->counts[0].proc_forks = 9;
	model_tick(w, MS, 1);
	cr_expect_eq(sc_plan_stream_value(w->plan, (uint32_t)stream, 0), 9);
	w->counts[0].proc_forks = 4;
	model_tick(w, MS, 1);
	cr_expect_eq(sc_plan_stream_value(w->plan, (uint32_t)stream, 0), 0);
	w->counts[0].proc_forks = 5;
	model_tick(w, MS, 1);
	cr_expect_eq(sc_plan_stream_value(w->plan, (uint32_t)stream, 0), 1);
	cr_expect_eq(sc_plan_stats(w->plan).backwards, 1);
}

Test(snapshot, an_early_tick_moves_only_its_slots)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	uint32_t early = 1;

	watch(w, (enum sc_signal[]){SC_SIG_proc_forks}, 1);
	model_seeded(w, 0, 1);
	model_seeded(w, 1, 2);
	model_tick(w, MS, 2);
	w->counts[0].proc_forks = w->counts[1].proc_forks = 3;
	sc_plan_tick(w->plan, &w->source, &w->now, &early, 1);
	cr_expect_eq(value(w, SC_SIG_proc_forks, 0), 0);
	cr_expect_eq(value(w, SC_SIG_proc_forks, 1), 3);
}

Test(plan, equal_declarations_are_one_and_limits_hold)
{
	_cleanup_model_ struct model *w = model_new(
		&(struct sc_plan_limits){.histories = 2, .streams = 3, .scopes = 1});
	struct sc_plan *p = w->plan;

	cr_expect_eq(sc_plan_add_stream(p, SC_WINDOW_RATE, SC_SIG_proc_forks, SECOND), 0);
	cr_expect_eq(sc_plan_add_stream(p, SC_WINDOW_RATE, SC_SIG_proc_forks, SECOND), 0);
	cr_expect_eq(sc_plan_add_stream(p, SC_WINDOW_INCREASE, SC_SIG_proc_forks, SECOND), 1);
	cr_expect_eq(sc_plan_stats(p).histories, 1, "rate and increase share one");
	cr_expect_eq(sc_plan_add_stream(p, SC_WINDOW_CHANGES, SC_SIG_proc_forks, SECOND), 2);
	cr_expect_eq(sc_plan_add_stream(p, SC_WINDOW_RATE, SC_SIG_proc_execs, SECOND), -ENOSPC);
	cr_expect_eq(sc_plan_add_stream(p, SC_WINDOW_RATE, SC_SIG_proc_forks, 1), -EINVAL);
	cr_expect_eq(sc_plan_add_scope(p, "/a"), 0);
	cr_expect_eq(sc_plan_add_scope(p, "/b"), -ENOSPC);
}

Test(time, jumps_are_told_from_ticks)
{
	static const struct {
		struct sc_time before, now;
		bool jumped;
	} rows[] = {
		{{.mono_ns = 0, .boot_ns = 0}, {.mono_ns = 100 * MS, .boot_ns = 100 * MS}, false},
		{{.mono_ns = 0, .boot_ns = 5}, {.mono_ns = 100, .boot_ns = SECOND + 105}, false},
		{{.mono_ns = 0, .boot_ns = 5}, {.mono_ns = 100, .boot_ns = SECOND + 106}, true},
		{{.mono_ns = 0}, {.mono_ns = 10 * SECOND, .boot_ns = 10 * SECOND}, false},
		{{.mono_ns = 0}, {.mono_ns = 10 * SECOND + 1, .boot_ns = 10 * SECOND + 1}, true},
		{{.mono_ns = 2}, {.mono_ns = 1}, true},
		{{.boot_ns = 2}, {.boot_ns = 1}, true},
		{{.real_ns = 0}, {.real_ns = -86400 * (int64_t)SECOND}, false},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++)
		cr_expect_eq(sc_time_jumped(&rows[i].before, &rows[i].now, 10 * SECOND),
			     rows[i].jumped, "row %zu", i);
}
