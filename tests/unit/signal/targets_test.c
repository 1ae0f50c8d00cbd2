/* SPDX-License-Identifier: Apache-2.0 */
#include <scram/signal.h>
#include <scram/target.h>

#include "base/mem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int add(struct sc_targets *t, uint32_t slot, uint64_t id, const char *path)
{
	struct sc_target target = {.cgroup_id = id, .parent = SC_SLOT_NONE, .path = strdup(path)};
	int r = sc_targets_add(t, slot, &target);

	if (r < 0)
		free(target.path);
	return r;
}

Test(targets, refuses_what_would_break_identity)
{
	_cleanup_(sc_targets_free) struct sc_targets *t = sc_targets_new(4);
	const struct sc_target nameless = {.cgroup_id = 9};

	cr_expect_eq(add(t, 0, 7, "/a"), 0);
	cr_expect_eq(add(t, 0, 8, "/b"), -EEXIST, "slot in use");
	cr_expect_eq(add(t, 1, 7, "/b"), -EEXIST, "id in the table");
	cr_expect_eq(add(t, 4, 8, "/b"), -ERANGE);
	cr_expect_eq(add(t, 1, 0, "/b"), -EINVAL);
	cr_expect_eq(sc_targets_add(t, 1, &nameless), -EINVAL);
	cr_expect_eq(sc_targets_count(t), 1);
	cr_expect_str_eq(sc_targets_get(t, 0)->path, "/a");
	cr_expect_null(sc_targets_get(t, 1));
	cr_expect_null(sc_targets_get(t, 99));
}

Test(targets, hands_the_path_back_on_removal)
{
	_cleanup_(sc_targets_free) struct sc_targets *t = sc_targets_new(4);
	_cleanup_free_ char *path = NULL;

	cr_assert_eq(add(t, 2, 7, "/a"), 0);
	path = sc_targets_remove(t, 2);
	cr_expect_str_eq(path, "/a");
	cr_expect_null(sc_targets_remove(t, 2));
	cr_expect_eq(sc_targets_find_id(t, 7), SC_SLOT_NONE);
	cr_expect_eq(sc_targets_end(t), 0);
}

/* Random additions and removals against a plain array; consecutive ids crowd the hash. */
Test(targets, finds_each_id_through_churn)
{
	enum { SLOTS = 300 };
	_cleanup_(sc_targets_free) struct sc_targets *t = sc_targets_new(SLOTS);
	uint64_t ids[SLOTS] = {0};
	uint64_t next_id = 1;
	unsigned int seed = 1;

	for (int round = 0; round < 20000; round++) {
		uint32_t slot = (uint32_t)rand_r(&seed) % SLOTS;

		if (ids[slot]) {
			free(sc_targets_remove(t, slot));
			cr_assert_eq(sc_targets_find_id(t, ids[slot]), SC_SLOT_NONE);
			ids[slot] = 0;
		} else {
			ids[slot] = next_id++ * 8;
			cr_assert_eq(add(t, slot, ids[slot], "/x"), 0);
		}
		slot = (uint32_t)rand_r(&seed) % SLOTS;
		if (ids[slot])
			cr_assert_eq(sc_targets_find_id(t, ids[slot]), slot);
	}
}

Test(targets, lists_used_slots_in_order)
{
	_cleanup_(sc_targets_free) struct sc_targets *t = sc_targets_new(200);
	static const uint32_t used[] = {0, 1, 63, 64, 127, 199};
	uint32_t out[64];
	uint32_t cursor = 0;

	for (size_t i = 0; i < SC_ARRAY_SIZE(used); i++)
		cr_assert_eq(add(t, used[i], i + 1, "/x"), 0);
	cr_assert_eq(sc_targets_fill(t, &cursor, out, 64), SC_ARRAY_SIZE(used));
	cr_expect_arr_eq(out, used, sizeof(used));
	cr_expect_eq(sc_targets_fill(t, &cursor, out, 64), 0);
	cr_expect_eq(sc_targets_end(t), 200);
	cr_expect_eq(sc_targets_find_path(t, "/nothing"), SC_SLOT_NONE);
}

Test(scopes, intern_once_and_follow_targets)
{
	_cleanup_(sc_scopes_free) struct sc_scopes *s = sc_scopes_new(256, 2);
	_cleanup_(sc_targets_free) struct sc_targets *t = sc_targets_new(256);

	cr_expect_eq(sc_scopes_intern(s, "/w/*"), 0);
	cr_expect_eq(sc_scopes_intern(s, "/w/**"), 1);
	cr_expect_eq(sc_scopes_intern(s, "/w/*"), 0);
	cr_expect_eq(sc_scopes_intern(s, "/third"), -ENOSPC);
	cr_expect_eq(sc_scopes_intern(s, "w"), -EINVAL);
	cr_assert_eq(add(t, 5, 1, "/w/a"), 0);
	cr_assert_eq(sc_scopes_start(s, t), 0);
	sc_scopes_target_added(s, 9, "/w/a/deep");
	sc_scopes_target_added(s, 9, "/w/a/deep");
	cr_expect(sc_scope_has(s, 0, 5) && sc_scope_has(s, 1, 5));
	cr_expect(!sc_scope_has(s, 0, 9) && sc_scope_has(s, 1, 9));
	cr_expect_eq(sc_scope_size(s, 1), 2, "added twice is there once");
	sc_scopes_target_removed(s, 9);
	cr_expect_eq(sc_scope_size(s, 1), 1);
	cr_expect(!sc_scope_has(s, 1, 9));
	cr_expect(!sc_scope_has(s, 1, 100000));
}

Test(scopes, members_come_in_chunks_and_none_is_lost)
{
	_cleanup_(sc_scopes_free) struct sc_scopes *s = sc_scopes_new(1000, 1);
	uint32_t out[64];
	uint32_t cursor = 0, n, next = 0;

	cr_assert_eq(sc_scopes_intern(s, "/w/*"), 0);
	cr_assert_eq(sc_scopes_start(s, NULL), 0);
	for (uint32_t slot = 0; slot < 1000; slot++)
		if (slot % 7 != 3 || slot > 500)
			sc_scopes_target_added(s, slot, "/w/x");
	while ((n = sc_scope_fill(s, 0, &cursor, out, 64)) > 0)
		for (uint32_t i = 0; i < n; i++, next++) {
			if (next % 7 == 3 && next <= 500)
				next++;
			cr_assert_eq(out[i], next);
		}
	cr_expect_eq(next, 1000);
}

Test(signals, each_has_a_name_and_is_found_by_it)
{
	for (int s = 0; s < SC_SIGNAL_COUNT; s++) {
		const struct sc_signal_info *info = sc_signal_info((enum sc_signal)s);

		cr_expect_eq(sc_signal_find(info->name, strlen(info->name)), s);
		cr_expect_eq(sc_signal_find(info->name, strlen(info->name) - 1), -ENOENT);
	}
	cr_expect_str_eq(sc_signal_nearest("proc.crahses", 12), "proc.crashes");
	cr_expect_null(sc_signal_nearest("banana", 6));
	cr_expect_eq(sc_signal_info(SC_SIG_tcp_accepts)->feature, SC_FEATURE_TCP);
	cr_expect_eq(sc_signal_info(SC_SIG_oom_kills)->feature, SC_FEATURE_OOM);
	cr_expect_eq(sc_signal_info(SC_SIG_psi_io_some_avg10)->feature, SC_FEATURE_PSI);
	cr_expect_eq(sc_signal_info(SC_SIG_cpu_usage_us)->feature, SC_FEATURE_CGROUP_ITER);
	cr_expect_eq(sc_signal_info(SC_SIG_cpu_throttles)->feature, SC_FEATURE_CPU);
	cr_expect_eq(sc_signal_info(SC_SIG_mem_swap_bytes)->feature, SC_FEATURE_MEMORY);
	cr_expect_eq(sc_signal_info(SC_SIG_pids_events_max)->feature, SC_FEATURE_PIDS);
	cr_expect_eq(sc_signal_info(SC_SIG_io_writes)->feature, SC_FEATURE_IO);
}
