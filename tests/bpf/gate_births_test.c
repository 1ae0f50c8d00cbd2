/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroups that are made while a cut stands: born cut, by their paths, and bounded in number. */
#include "gate_kit.h"

#include "kit.h"

#include "base/str.h"

#include <sys/wait.h>

TestSuite(gate_births, .init = gate_init, .fini = gate_fini, .timeout = 600);

static int send_first_packet(void *arg)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd < 0 ? 100 : gate_send(fd, arg, 8) == 0;
}

/* Makes a cgroup, has a process born in it send, and removes it. True: the packet passed. */
static bool leaks(const char *name, const struct gate_address *to)
{
	int fd = gate_mkdir(name), status = kit_run(fd, send_first_packet, (void *)(uintptr_t)to);

	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) < 100);
	close(fd);
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, name), 0);
	return WEXITSTATUS(status);
}

/* Whether a datagram of a cgroup that is made now passes. */
static bool newborn_sends(const char *name, int out)
{
	struct gate_address to = gate_where(out);

	return leaks(name, &to);
}

Test(gate_births, a_cgroup_made_again_does_not_send_a_single_packet)
{
	int web = gate_mkdir("web"), out = gate_udp(-1, AF_INET), rounds = kit_times(500);
	struct gate_address to = gate_where(out);
	struct sc_gate_health health;
	int leaked = 0;

	gate_cut_one(web, 5, SC_GATE_DROP);
	gate_glob(5, gate_path("web"));
	close(web);
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "web"), 0);
	for (int i = 0; i < rounds; i++)
		leaked += leaks("web", &to);
	cr_expect_eq(leaked, 0, "%d of %d first packets passed", leaked, rounds);
	cr_expect_eq(gate_drain(out), 0);
	cr_expect_eq(sc_gate_cut(kit_gate.gate, 5)->made, (uint64_t)rounds);
	cr_expect_eq(sc_gate_cut(kit_gate.gate, 5)->packets_out, (uint64_t)rounds);

	/* Removed ones are remembered for their sockets, the oldest forgotten. */
	cr_assert_eq(sc_gate_audit(kit_gate.gate, &health), 0);
	cr_expect_eq(health.lost, 0, "%s", health.what);
	cr_expect_eq(health.entries, (uint32_t)SC_MIN(rounds + 1, SC_GATE_GONE_MAX));
	cr_expect_eq(health.entries + health.forgotten, (uint32_t)rounds + 1);

	cr_assert_eq(sc_gate_end(kit_gate.gate, 5), 0);
	cr_expect(newborn_sends("web", out), "released");
	cr_assert_eq(sc_gate_audit(kit_gate.gate, &health), 0);
	cr_expect_eq(health.entries, 0);
	cr_expect_eq(health.state.levels, 0);
	cr_expect_eq(health.state.globs, 0);
}

/* Globs below the sandbox, and which new cgroups they take in. */
Test(gate_births, globs_take_in_what_they_match_and_nothing_else)
{
	static const struct {
		const char *glob, *made;
		int want; /* globs that the kernel takes */
		bool passes;
	} rows[] = {
		{"web", "web", 1, false},
		{"web", "web2", 1, true},
		{"web", "we", 1, true},
		{"web*", "web2", 1, false},
		{"web*", "web", 1, false},
		{"web*", "wex", 1, true},
		{"web**", "web-a", 1, false},
		{"t/*", "t/x", 1, false},
		{"t/**", "t/y", 1, false},
		{"t/*", "other", 1, true},
		/* For userspace to match. */
		{"w?b", "web", 0, true},
		{"*eb", "web", 0, true},
		{"t/*/x", "web", 0, true},
	};
	int out = gate_udp(-1, AF_INET);

	gate_mkdir("t");
	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		const char *glob = gate_path(rows[i].glob);

		gate_cut(2, SC_GATE_DROP);
		cr_expect_eq(sc_gate_set_globs(kit_gate.gate, 2, &glob, 1), rows[i].want);
		cr_expect_eq(newborn_sends(rows[i].made, out), rows[i].passes, "%s for %s",
			     rows[i].made, rows[i].glob);
		cr_assert_eq(sc_gate_end(kit_gate.gate, 2), 0);
	}
}

Test(gate_births, globs_are_replaced_as_a_whole)
{
	int out = gate_udp(-1, AF_INET);
	char a[SC_SANDBOX_PATH_MAX], b[SC_SANDBOX_PATH_MAX], c[SC_SANDBOX_PATH_MAX];
	const char *first[] = {a, b}, *second[] = {b, c};

	sc_strcopy(a, sizeof(a), gate_path("a"));
	sc_strcopy(b, sizeof(b), gate_path("b*"));
	sc_strcopy(c, sizeof(c), gate_path("c"));
	cr_expect_eq(sc_gate_set_globs(kit_gate.gate, 1, first, 2), -EINVAL, "it does not stand");
	gate_cut(1, SC_GATE_DROP);
	cr_expect_eq(sc_gate_set_globs(kit_gate.gate, 1, first, 2), 2);
	cr_expect_eq(sc_gate_set_globs(kit_gate.gate, 1, second, 2), 2);
	cr_expect(newborn_sends("a", out));
	cr_expect_not(newborn_sends("b1", out));
	cr_expect_not(newborn_sends("c", out));
	cr_expect_eq(sc_gate_set_globs(kit_gate.gate, 1, NULL, 0), 0);
	cr_expect(newborn_sends("c", out));
}

/* Whether shorter or longer, whoever came first: a quarantine is never weakened by another cut. */
Test(gate_births, of_several_globs_the_strongest_cut_decides)
{
	static const struct {
		const char *strong, *weak;
	} rows[] = {{"w*", "web"}, {"web", "w*"}, {"web", "web"}, {"w*", "we*"}, {"we*", "w*"}};
	int out = gate_udp(-1, AF_INET);

	for (size_t i = 0; i < 2 * SC_ARRAY_SIZE(rows); i++) {
		bool is_weak_first = i % 2;
		uint32_t strong = is_weak_first ? 9 : 4, weak = is_weak_first ? 4 : 9;

		gate_cut(is_weak_first ? weak : strong, is_weak_first ? SC_GATE_NEW : SC_GATE_DROP);
		gate_cut(is_weak_first ? strong : weak, is_weak_first ? SC_GATE_DROP : SC_GATE_NEW);
		gate_glob(4, gate_path(is_weak_first ? rows[i / 2].weak : rows[i / 2].strong));
		gate_glob(9, gate_path(is_weak_first ? rows[i / 2].strong : rows[i / 2].weak));
		cr_expect_not(newborn_sends("web", out), "row %zu", i);
		gate_cut(strong, SC_GATE_TRY);
		cr_expect(newborn_sends("web", out), "row %zu, weakened", i);
		gate_cut(strong, SC_GATE_ALL);
		cr_expect_not(newborn_sends("web", out), "row %zu, strengthened", i);
		gate_cut(strong, SC_GATE_NONE);
		cr_expect(newborn_sends("web", out), "row %zu, released", i);
		gate_cut(weak, SC_GATE_NONE);
	}
}

Test(gate_births, cuts_with_the_same_glob_may_change_their_modes_in_any_order)
{
	static const struct {
		enum sc_gate_mode first, second;
		bool passes;
	} steps[] = {
		{SC_GATE_NEW, SC_GATE_NEW, true},   {SC_GATE_DROP, SC_GATE_NEW, false},
		{SC_GATE_DROP, SC_GATE_ALL, false}, {SC_GATE_NEW, SC_GATE_ALL, false},
		{SC_GATE_NEW, SC_GATE_TRY, true},   {SC_GATE_NEW, SC_GATE_DROP, false},
	};
	int out = gate_udp(-1, AF_INET);

	for (size_t i = 0; i < SC_ARRAY_SIZE(steps); i++) {
		gate_cut(1, steps[i].first);
		gate_cut(2, steps[i].second);
		if (i == 0) {
			gate_glob(1, gate_path("web"));
			gate_glob(2, gate_path("web"));
		}
		cr_expect_eq(newborn_sends("web", out), steps[i].passes, "step %zu", i);
	}
}

Test(gate_births, what_a_tenant_makes_inside_its_group_takes_no_room)
{
	int t = gate_mkdir("t"), out = gate_udp(-1, AF_INET);
	struct sc_gate_health health;
	char name[32];

	gate_cut_one(t, 1, SC_GATE_DROP);
	gate_glob(1, gate_path("t**"));
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "t/%d", i);
		cr_expect_not(newborn_sends(name, out), "%s", name);
	}
	cr_assert_eq(sc_gate_audit(kit_gate.gate, &health), 0);
	cr_expect_eq(health.entries, 1);
}

Test(gate_births, a_full_map_is_told_and_counted)
{
	int web = gate_mkdir("web"), n = 0, err = 0, out = gate_udp(-1, AF_INET);
	struct sc_gate_health health;

	gate_cut_one(web, 1, SC_GATE_DROP);
	gate_glob(1, gate_path("new"));
	/* Ids that no cgroup has. */
	for (; n <= SC_GATE_ENTRIES_MAX && !err; n++)
		err = sc_gate_put(kit_gate.gate, 1ULL << 62 | (unsigned int)n, 1, 1);
	cr_expect_eq(err, -ENOSPC);
	cr_expect_eq(n, SC_GATE_ENTRIES_MAX, "one was web's, one failed");
	cr_expect(newborn_sends("new", out));
	cr_assert_eq(sc_gate_audit(kit_gate.gate, &health), 0);
	cr_expect_eq(health.entries, SC_GATE_ENTRIES_MAX);
	cr_expect_eq(health.state.entries_full, 1);
	cr_expect_not(gate_reaches(gate_udp(web, AF_INET), out), "what was in stays in");
	cr_assert_eq(sc_gate_end(kit_gate.gate, 1), 0);
	cr_assert_eq(sc_gate_audit(kit_gate.gate, &health), 0);
	cr_expect_eq(health.entries, 0);
}

Test(gate_births, refuses_entries_that_would_hold_nothing)
{
	cr_expect_eq(sc_gate_put(kit_gate.gate, 77, 1, 1), -EINVAL, "the cut does not stand");
	gate_cut(1, SC_GATE_DROP);
	cr_expect_eq(sc_gate_put(kit_gate.gate, 77, 0, 1), -EINVAL, "the root");
	cr_expect_eq(sc_gate_put(kit_gate.gate, 77, SC_GATE_LEVELS, 1), -EINVAL);
	cr_expect_eq(sc_gate_put(kit_gate.gate, 77, 1, SC_GATE_CUTS_MAX), -EINVAL);
	cr_expect_eq(sc_gate_put(kit_gate.gate, 77, SC_GATE_LEVELS - 1, 1), 0);
}
