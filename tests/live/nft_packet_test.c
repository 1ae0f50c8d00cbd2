/* SPDX-License-Identifier: Apache-2.0 */
/* What each verdict of the rules does to real packets, in network namespaces of the test's own. */
#include "live/nft_kit.h"

#include "sys/netns.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

TestSuite(nft_packet, .init = sc_nftk_init, .fini = sc_nftk_fini, .timeout = 300);

/* A bystander's traffic, next door and to the world. */
static void expect_bystander_untouched(void)
{
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_OTHER, SC_NFTK_WORLD, "tcp", "ok"},
			    {SC_NFTK_OTHER, SC_NFTK_WORLD, "udp", "ok"},
			    {SC_NFTK_WORLD, SC_NFTK_OTHER, "tcp", "ok"},
			    {SC_NFTK_WORLD, SC_NFTK_OTHER, "udp", "ok"});
}

/* An open connection: its handle at `from`. */
static long establish(enum sc_nftk_place from, enum sc_nftk_place to, int family)
{
	cr_assert_str_eq(sc_nftk_open(from, to, "tcp", family, SC_NFTK_OPEN_MS), "ok");
	return sc_nftk.peer[from].number[0];
}

Test(nft_packet, refuses_new_connections_and_lets_the_others_go_on)
{
	long out, in, below;

	sc_nftk_start_peers();
	out = establish(SC_NFTK_CUT, SC_NFTK_WORLD, AF_INET);
	in = establish(SC_NFTK_WORLD, SC_NFTK_CUT, AF_INET6);
	below = establish(SC_NFTK_INNER, SC_NFTK_WORLD, AF_INET);
	sc_nftk_set_one(SC_NFTK_CUT, SC_NFT_REFUSE_NEW);
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_CUT, SC_NFTK_WORLD, "tcp", "refused"},
			    {SC_NFTK_WORLD, SC_NFTK_CUT, "tcp", "refused"},
			    {SC_NFTK_INNER, SC_NFTK_WORLD, "tcp", "refused"},
			    {SC_NFTK_WORLD, SC_NFTK_INNER, "tcp", "refused"},
			    {SC_NFTK_OTHER, SC_NFTK_CUT, "tcp", "refused"},
			    {SC_NFTK_CUT, SC_NFTK_OTHER, "tcp", "refused"},
			    {SC_NFTK_CUT, SC_NFTK_WORLD, "udp", "ok"},
			    {SC_NFTK_WORLD, SC_NFTK_CUT, "udp", "ok"});
	expect_bystander_untouched();
	cr_expect_str_eq(
		sc_peer_tell(&sc_nftk.peer[SC_NFTK_CUT], "talk %ld %d", out, SC_NFTK_OPEN_MS),
		"ok");
	cr_expect_str_eq(
		sc_peer_tell(&sc_nftk.peer[SC_NFTK_WORLD], "talk %ld %d", in, SC_NFTK_OPEN_MS),
		"ok");
	cr_expect_str_eq(
		sc_peer_tell(&sc_nftk.peer[SC_NFTK_INNER], "talk %ld %d", below, SC_NFTK_OPEN_MS),
		"ok");
	sc_nftk_set((struct sc_nft_want){0});
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_CUT, SC_NFTK_WORLD, "tcp", "ok"},
			    {SC_NFTK_WORLD, SC_NFTK_INNER, "tcp", "ok"});
}

Test(nft_packet, refuses_everything_and_says_so)
{
	long out, in;

	sc_nftk_start_peers();
	out = establish(SC_NFTK_CUT, SC_NFTK_WORLD, AF_INET);
	in = establish(SC_NFTK_WORLD, SC_NFTK_INNER, AF_INET6);
	sc_nftk_set_one(SC_NFTK_CUT, SC_NFT_REFUSE_ALL);
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_CUT, SC_NFTK_WORLD, "tcp", "refused"},
			    {SC_NFTK_WORLD, SC_NFTK_CUT, "tcp", "refused"},
			    {SC_NFTK_INNER, SC_NFTK_WORLD, "tcp", "refused"},
			    {SC_NFTK_WORLD, SC_NFTK_INNER, "tcp", "refused"},
			    {SC_NFTK_CUT, SC_NFTK_WORLD, "udp", "eperm"});
	cr_expect_str_eq(
		sc_peer_tell(&sc_nftk.peer[SC_NFTK_CUT], "talk %ld %d", out, SC_NFTK_OPEN_MS),
		"reset");
	cr_expect_str_eq(
		sc_peer_tell(&sc_nftk.peer[SC_NFTK_WORLD], "talk %ld %d", in, SC_NFTK_OPEN_MS),
		"reset");
	/* ICMP and ICMPv6 admin-prohibited, as icmp(7) and net/ipv6/icmp.c hand them on. */
	cr_expect_str_eq(sc_nftk_talk(SC_NFTK_WORLD, SC_NFTK_CUT, "udp", AF_INET, SC_NFTK_OPEN_MS),
			 "unreach");
	cr_expect_str_neq(
		sc_nftk_talk(SC_NFTK_WORLD, SC_NFTK_CUT, "udp", AF_INET6, SC_NFTK_OPEN_MS),
		"timeout");
	expect_bystander_untouched();
	sc_nftk_set((struct sc_nft_want){0});
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_CUT, SC_NFTK_WORLD, "udp", "ok"},
			    {SC_NFTK_WORLD, SC_NFTK_INNER, "tcp", "ok"});
}

Test(nft_packet, drops_without_a_word)
{
	long out;

	sc_nftk_start_peers();
	out = establish(SC_NFTK_CUT, SC_NFTK_WORLD, AF_INET);
	sc_nftk_set_one(SC_NFTK_CUT, SC_NFT_DROP);
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_CUT, SC_NFTK_WORLD, "tcp", "timeout"},
			    {SC_NFTK_WORLD, SC_NFTK_CUT, "tcp", "timeout"},
			    {SC_NFTK_INNER, SC_NFTK_WORLD, "tcp", "timeout"},
			    {SC_NFTK_CUT, SC_NFTK_WORLD, "udp", "eperm"},
			    {SC_NFTK_WORLD, SC_NFTK_INNER, "udp", "timeout"});
	cr_expect_str_eq(
		sc_peer_tell(&sc_nftk.peer[SC_NFTK_CUT], "talk %ld %d", out, SC_NFTK_HELD_MS),
		"timeout");
	expect_bystander_untouched();
	sc_nftk_set((struct sc_nft_want){0});
	cr_expect_str_eq(
		sc_peer_tell(&sc_nftk.peer[SC_NFTK_CUT], "talk %ld %d", out, SC_NFTK_OPEN_MS),
		"ok");
}

Test(nft_packet, leaves_the_drop_to_a_gate_and_refuses_nothing_of_it)
{
	struct sc_nft_element e[] = {sc_nftk_cut(SC_NFTK_CUT, SC_NFT_REFUSE_ALL),
				     sc_nftk_cut(SC_NFTK_INNER, SC_NFT_DROP)};
	struct sc_nft_want w = sc_nftk_want(e, 2);
	struct sc_nft_audit audit;
	struct sc_nft_counts counts[2];
	unsigned int i = w.elements[0].verdict == SC_NFT_DROP ? 0 : 1;

	sc_nftk_start_peers();
	w.has_gate = true;
	sc_nftk_set(w);
	/* There is no gate here, so what is left to it passes. */
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_INNER, SC_NFTK_WORLD, "tcp", "ok"},
			    {SC_NFTK_CUT, SC_NFTK_WORLD, "tcp", "refused"});
	cr_assert_eq(sc_nft_compare(sc_nftk.nft, &w, counts, &audit, &sc_nftk.diag), 0);
	cr_expect_gt(counts[i].packets_in, 0);
	cr_expect_gt(counts[i].packets_out, 0);
	w.has_gate = false;
	sc_nftk_set(w);
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_INNER, SC_NFTK_WORLD, "tcp", "timeout"},
			    {SC_NFTK_CUT, SC_NFTK_WORLD, "tcp", "refused"});
}

Test(nft_packet, of_two_verdicts_the_stronger_holds)
{
	static const struct {
		enum sc_nft_verdict outer, inner;
		const char *tcp;
	} cases[] = {
		{SC_NFT_REFUSE_NEW, SC_NFT_DROP, "timeout"},
		{SC_NFT_DROP, SC_NFT_REFUSE_NEW, "timeout"},
		{SC_NFT_REFUSE_ALL, SC_NFT_DROP, "timeout"},
		{SC_NFT_DROP, SC_NFT_REFUSE_ALL, "timeout"},
		{SC_NFT_TRY, SC_NFT_REFUSE_NEW, "refused"},
		{SC_NFT_REFUSE_NEW, SC_NFT_TRY, "refused"},
	};

	sc_nftk_start_peers();
	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_nft_element e[] = {sc_nftk_cut(SC_NFTK_CUT, cases[i].outer),
					     sc_nftk_cut(SC_NFTK_INNER, cases[i].inner)};
		unsigned int ms = *cases[i].tcp == 't' ? SC_NFTK_HELD_MS : SC_NFTK_OPEN_MS;

		sc_nftk_set(sc_nftk_want(e, 2));
		cr_expect_str_eq(sc_nftk_open(SC_NFTK_INNER, SC_NFTK_WORLD, "tcp", AF_INET, ms),
				 cases[i].tcp, "case %zu", i);
	}
}

Test(nft_packet, lets_exactly_so_many_new_connections_through)
{
	struct sc_nft_element e = sc_nftk_cut(SC_NFTK_CUT, SC_NFT_TRY);
	struct sc_nft_want w = sc_nftk_want(&e, 1);
	struct sc_nft_counts counts;
	struct sc_nft_audit audit;

	sc_nftk_start_peers();
	sc_nftk_set(w);
	cr_expect_eq(sc_nftk_count_passing(SC_NFTK_CUT, SC_NFTK_WORLD, AF_INET), 3);
	cr_expect_eq(sc_nftk_count_passing(SC_NFTK_WORLD, SC_NFTK_INNER, AF_INET6), 0,
		     "one allowance, both ways");
	cr_assert_eq(sc_nft_compare(sc_nftk.nft, &w, &counts, &audit, &sc_nftk.diag), 0);
	cr_expect_eq(counts.passed, 3);
	cr_expect_eq(counts.packets_out, 8);
	cr_expect_eq(counts.packets_in, 8);
	/* The same attempt again changes nothing, another one begins anew. */
	sc_nftk_set(w);
	cr_expect_eq(sc_nftk_count_passing(SC_NFTK_CUT, SC_NFTK_WORLD, AF_INET), 0);
	e.attempt = 2;
	sc_nftk_set(w);
	cr_expect_eq(sc_nftk_count_passing(SC_NFTK_WORLD, SC_NFTK_CUT, AF_INET6), 3);
	e.tries = 5;
	sc_nftk_set(w);
	cr_expect_eq(sc_nftk_count_passing(SC_NFTK_CUT, SC_NFTK_WORLD, AF_INET), 5);
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_CUT, SC_NFTK_WORLD, "udp", "ok"});
	sc_nftk_set_one(SC_NFTK_CUT, SC_NFT_REFUSE_NEW);
	cr_expect_eq(sc_nftk_count_passing(SC_NFTK_CUT, SC_NFTK_WORLD, AF_INET), 0);
}

Test(nft_packet, counts_what_it_holds_back_by_cgroup_and_direction)
{
	struct sc_nft_element e[] = {sc_nftk_cut(SC_NFTK_CUT, SC_NFT_REFUSE_NEW),
				     sc_nftk_cut(SC_NFTK_OTHER, SC_NFT_REFUSE_NEW)};
	struct sc_nft_want w = sc_nftk_want(e, 2);
	struct sc_nft_counts counts[2];
	struct sc_nft_audit audit;
	unsigned int c = w.elements[0].cgroup_id == sc_nftk.id[SC_NFTK_CUT] ? 0 : 1;

	sc_nftk_start_peers();
	sc_nftk_set(w);
	for (int i = 0; i < 5; i++)
		sc_nftk_talk(SC_NFTK_CUT, SC_NFTK_WORLD, "tcp", AF_INET, SC_NFTK_OPEN_MS);
	for (int i = 0; i < 3; i++)
		sc_nftk_talk(SC_NFTK_WORLD, SC_NFTK_INNER, "tcp", AF_INET, SC_NFTK_OPEN_MS);
	cr_assert_eq(sc_nft_compare(sc_nftk.nft, &w, counts, &audit, &sc_nftk.diag), 0);
	cr_expect_eq(counts[c].packets_out, 5);
	cr_expect_eq(counts[c].packets_in, 3);
	cr_expect_eq(counts[c].bytes_in, 3 * 60, "a SYN has 60 bytes: %lu", counts[c].bytes_in);
	cr_expect_eq(counts[1 - c].packets_out + counts[1 - c].packets_in, 0);
	cr_expect_str_empty(audit.text);
}

Test(nft_packet, is_repaired_by_setting_the_same_again)
{
	struct sc_nft_element e = sc_nftk_cut(SC_NFTK_CUT, SC_NFT_REFUSE_NEW);

	sc_nftk_start_peers();
	sc_nftk_set(sc_nftk_want(&e, 1));
	free(sc_nftk_run((const char *const[]){"nft", "flush", "ruleset", NULL}));
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_CUT, SC_NFTK_WORLD, "tcp", "ok"});
	sc_nftk_set(sc_nftk_want(&e, 1));
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_CUT, SC_NFTK_WORLD, "tcp", "refused"});
}

Test(nft_packet, a_predecessors_table_is_adopted_with_its_counters)
{
	struct sc_nft_element e[] = {sc_nftk_cut(SC_NFTK_CUT, SC_NFT_TRY),
				     sc_nftk_cut(SC_NFTK_OTHER, SC_NFT_REFUSE_NEW)};
	struct sc_nft_want w = sc_nftk_want(e, 2);
	struct sc_nft_counts counts[2];
	struct sc_nft_audit audit;
	uint32_t before = 0, after = 0;

	sc_nftk_start_peers();
	sc_nftk_set(w);
	cr_expect_eq(sc_nftk_count_passing(SC_NFTK_CUT, SC_NFTK_WORLD, AF_INET), 3);
	sc_nft_close(&sc_nftk.nft);
	cr_assert_eq(sc_nft_open(&sc_nftk.nft, -1, SC_NFTK_TABLE, &sc_nftk.diag), 0);
	cr_assert_eq(sc_nft_generation(sc_nftk.nft, &before), 0);
	sc_nftk_set(w);
	cr_assert_eq(sc_nft_generation(sc_nftk.nft, &after), 0);
	cr_expect_eq(before, after, "nothing was sent");
	cr_expect_eq(sc_nftk_count_passing(SC_NFTK_CUT, SC_NFTK_WORLD, AF_INET), 0,
		     "the allowance was used up before");
	cr_assert_eq(sc_nft_compare(sc_nftk.nft, &w, counts, &audit, &sc_nftk.diag), 0);
	cr_expect_eq(counts[0].passed + counts[1].passed, 3);
	/* And changed where it differs, without losing the rest. */
	e[0].cgroup_id == sc_nftk.id[SC_NFTK_OTHER] ? (e[0].verdict = SC_NFT_DROP)
						    : (e[1].verdict = SC_NFT_DROP);
	sc_nftk_set(w);
	cr_assert_eq(sc_nft_compare(sc_nftk.nft, &w, counts, &audit, &sc_nftk.diag), 0);
	cr_expect_eq(counts[0].passed + counts[1].passed, 3);
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_OTHER, SC_NFTK_WORLD, "tcp", "timeout"});
}

Test(nft_packet, a_table_in_another_namespace_holds_there_alone)
{
	struct sc_nft_element e = sc_nftk_cut(SC_NFTK_CUT, SC_NFT_REFUSE_NEW);
	struct sc_nft_want w = sc_nftk_want(&e, 1);
	struct sc_nft *there = NULL;
	struct sc_peer pod;
	uint64_t before = 0, after = 0;

	sc_nftk_start_peers();
	cr_assert_eq(sc_netns_own(&before), 0);
	cr_assert_eq(
		sc_nft_open(&there, sc_nftk.net.space[SC_NET_POD], SC_NFTK_TABLE, &sc_nftk.diag),
		0);
	cr_assert_eq(sc_netns_own(&after), 0);
	cr_expect_eq(before, after, "the caller stays where it is");
	cr_assert_eq(sc_nft_set(there, &w, &sc_nftk.diag), 0);
	cr_expect_eq(sc_nft_exists(there), 1);
	cr_expect_eq(sc_nft_exists(sc_nftk.nft), 0);
	cr_assert_eq(
		sc_peer_start(&pod, sc_nftk.cgroup[SC_NFTK_CUT], sc_nftk.net.space[SC_NET_POD]), 0);
	cr_expect_str_eq(sc_peer_tell(&pod, "open tcp %s %ld %d",
				      sc_net_address(SC_NET_OUTSIDE, SC_NET_POD, AF_INET),
				      sc_nftk.port[SC_NFTK_WORLD], SC_NFTK_OPEN_MS),
			 "refused");
	SC_NFTK_ATTEMPT_ALL({SC_NFTK_CUT, SC_NFTK_WORLD, "tcp", "ok"});
	cr_expect_eq(sc_nft_delete(there, &sc_nftk.diag), 0);
	cr_expect_str_eq(sc_peer_tell(&pod, "open tcp %s %ld %d",
				      sc_net_address(SC_NET_OUTSIDE, SC_NET_POD, AF_INET),
				      sc_nftk.port[SC_NFTK_WORLD], SC_NFTK_OPEN_MS),
			 "ok");
	sc_peer_end(&pod);
	sc_nft_close(&there);
}
