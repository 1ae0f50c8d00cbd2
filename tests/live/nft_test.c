/* SPDX-License-Identifier: Apache-2.0 */
/* That the table of rules is what was asked for, whatever others do to it. */
#include "live/nft_kit.h"

#include "sys/netns.h"

#include <cap-ng.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#define ROUNDS 1000

TestSuite(nft, .init = sc_nftk_init, .fini = sc_nftk_fini, .timeout = 300);

Test(nft, opening_leaves_no_trace)
{
	struct sc_nft *second = NULL;
	uint32_t before = 0, after = 0;
	_cleanup_free_ char *text = sc_nftk_list();

	cr_expect_str_empty(text);
	cr_assert_eq(sc_nft_generation(sc_nftk.nft, &before), 0);
	cr_assert_eq(sc_nft_open(&second, -1, SC_NFTK_TABLE, &sc_nftk.diag), 0);
	cr_assert_eq(sc_nft_generation(sc_nftk.nft, &after), 0);
	cr_expect_eq(before, after);
	cr_expect_eq(sc_nft_exists(sc_nftk.nft), 0);
	cr_expect_eq(sc_nft_delete(second, &sc_nftk.diag), 0, "no table is no failure");
	sc_nft_close(&second);
}

Test(nft, nothing_is_in_the_packets_way_that_need_not_be)
{
	static const struct {
		enum sc_nft_verdict verdict;
		bool has_gate, has_hook;
	} cases[] = {
		{SC_NFT_DROP, true, false},      {SC_NFT_DROP, false, true},
		{SC_NFT_REFUSE_ALL, true, true}, {SC_NFT_DROP, true, false},
		{SC_NFT_REFUSE_NEW, true, true}, {SC_NFT_REFUSE_NEW, false, true},
		{SC_NFT_TRY, true, true},
	};
	_cleanup_free_ char *empty = NULL;

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_nft_element e = sc_nftk_cut(SC_NFTK_CUT, cases[i].verdict);
		struct sc_nft_want w = {.elements = &e, .n = 1, .has_gate = cases[i].has_gate};
		_cleanup_free_ char *text = NULL;

		sc_nftk_set(w);
		text = sc_nftk_list();
		cr_expect_eq(strstr(text, " hook ") != NULL, cases[i].has_hook, "case %zu", i);
		cr_expect_str_empty(sc_nftk_compare(&w).text, "case %zu", i);
		if (cases[i].verdict == SC_NFT_DROP)
			cr_expect_eq(strstr(text, SC_NFT_COMMENT_GATE) != NULL, cases[i].has_gate);
	}
	sc_nftk_set((struct sc_nft_want){0});
	empty = sc_nftk_list();
	cr_expect_null(strstr(empty, " hook "));
}

Test(nft, a_thousand_rounds_leave_the_rules_as_they_were)
{
	struct sc_nft_element e[] = {sc_nftk_cut(SC_NFTK_CUT, SC_NFT_DROP),
				     sc_nftk_cut(SC_NFTK_INNER, SC_NFT_TRY),
				     sc_nftk_cut(SC_NFTK_OTHER, SC_NFT_REFUSE_NEW)};
	struct sc_nft_want all = sc_nftk_want(e, 3);
	struct sc_nft_want two = {.elements = all.elements, .n = 2};
	_cleanup_free_ char *before = NULL, *after = NULL, *empty = NULL, *empty_after = NULL;

	sc_nftk_set((struct sc_nft_want){0});
	empty = sc_nftk_list();
	sc_nftk_set(two);
	before = sc_nftk_list();
	for (int i = 0; i < ROUNDS; i++) {
		sc_nftk_set(all);
		sc_nftk_set(two);
	}
	after = sc_nftk_list();
	cr_expect_str_eq(before, after);
	for (int i = 0; i < ROUNDS; i++) {
		sc_nftk_set((struct sc_nft_want){0});
		sc_nftk_set(all);
	}
	sc_nftk_set((struct sc_nft_want){0});
	empty_after = sc_nftk_list();
	cr_expect_str_eq(empty, empty_after);
	cr_assert_eq(sc_nft_delete(sc_nftk.nft, &sc_nftk.diag), 0);
	cr_expect_eq(sc_nft_exists(sc_nftk.nft), 0);
}

Test(nft, what_others_do_to_the_table_is_seen_and_repaired)
{
	static const char *const deeds[] = {
		"flush ruleset",
		"delete table inet " SC_NFTK_TABLE,
		"flush table inet " SC_NFTK_TABLE,
		"flush chain inet " SC_NFTK_TABLE " input",
		"flush chain inet " SC_NFTK_TABLE " refuse_all",
		"flush chain inet " SC_NFTK_TABLE " try_5",
		"insert rule inet " SC_NFTK_TABLE " output accept",
		"add rule inet " SC_NFTK_TABLE " output counter",
		"add rule inet " SC_NFTK_TABLE " try_5 accept",
		"insert rule inet " SC_NFTK_TABLE " refuse_all tcp dport 22 accept",
		"add table inet " SC_NFTK_TABLE " { flags dormant; }",
		"add chain inet " SC_NFTK_TABLE " input { policy drop; }",
		"add chain inet " SC_NFTK_TABLE " more",
		"add chain inet " SC_NFTK_TABLE " try_6",
		"add set inet " SC_NFTK_TABLE " more { type cgroupsv2; }",
		"add set inet " SC_NFTK_TABLE " new_in_9 { type cgroupsv2; }",
		"add set inet " SC_NFTK_TABLE " drop_in_40 { type cgroupsv2; counter; }",
		"flush set inet " SC_NFTK_TABLE " drop_out_2",
		"flush map inet " SC_NFTK_TABLE " try_in_3",
	};
	struct sc_nft_element e[] = {sc_nftk_cut(SC_NFTK_CUT, SC_NFT_DROP),
				     sc_nftk_cut(SC_NFTK_INNER, SC_NFT_TRY),
				     sc_nftk_cut(SC_NFTK_OTHER, SC_NFT_REFUSE_ALL)};
	struct sc_nft_want w = sc_nftk_want(e, 3);
	_cleanup_free_ char *before = NULL;

	sc_nftk_set(w);
	before = sc_nftk_list();
	cr_assert_not(sc_nftk_compare(&w).is_damaged);
	for (size_t i = 0; i < SC_ARRAY_SIZE(deeds); i++) {
		_cleanup_free_ char *said = sc_nftk_run(
			(const char *const[]){"nft", deeds[i], "", NULL});
		_cleanup_free_ char *after = NULL;
		struct sc_nft_audit audit = sc_nftk_compare(&w);

		cr_expect(!audit.has_table || audit.is_damaged || audit.missing, "%s", deeds[i]);
		cr_expect_str_not_empty(audit.text, "%s", deeds[i]);
		sc_nftk_set(w);
		after = sc_nftk_list();
		cr_expect_str_eq(before, after, "%s", deeds[i]);
		audit = sc_nftk_compare(&w);
		cr_expect_str_empty(audit.text, "%s: %s", deeds[i], audit.text);
	}
}

/* As nft(8) names a cgroup: below /sys/fs/cgroup. */
static void add_element(const char *set, const char *cgroup, const char *verdict)
{
	char text[SC_SANDBOX_PATH_MAX + 1024];

	snprintf(text, sizeof(text), "add element inet %s %s { \"%s/%s\" %s }", SC_NFTK_TABLE, set,
		 sc_box.dir + strlen("/sys/fs/cgroup/"), cgroup, verdict);
	free(sc_nftk_run((const char *const[]){"nft", text, "", NULL}));
}

Test(nft, elements_that_others_add_are_seen_and_taken_away)
{
	struct sc_nft_element e[] = {sc_nftk_cut(SC_NFTK_CUT, SC_NFT_DROP),
				     sc_nftk_cut(SC_NFTK_INNER, SC_NFT_TRY)};
	struct sc_nft_want w = sc_nftk_want(e, 2);
	static const char *const deeds[][3] = {
		{"try_in_3", "other", ": accept"},      {"try_in_3", "other", ": jump try_5"},
		{"try_out_3", "other", ": goto try_5"}, {"drop_in_2", "other", ""},
		{"drop_in_2", "cut/inner", ""},         {"try_in_3", "cut", ": jump refuse_all"},
	};
	_cleanup_free_ char *before = NULL;

	if (strncmp(sc_box.dir, "/sys/fs/cgroup/", strlen("/sys/fs/cgroup/")) != 0)
		cr_skip("nft(8) finds cgroups below /sys/fs/cgroup only");
	sc_nftk_set(w);
	before = sc_nftk_list();
	for (size_t i = 0; i < SC_ARRAY_SIZE(deeds); i++) {
		_cleanup_free_ char *after = NULL;

		add_element(deeds[i][0], deeds[i][1], deeds[i][2]);
		cr_expect_str_not_empty(sc_nftk_compare(&w).text, "case %zu", i);
		sc_nftk_set(w);
		after = sc_nftk_list();
		cr_expect_str_eq(before, after, "case %zu", i);
	}
}

Test(nft, elements_that_are_missing_or_too_much_are_told_apart)
{
	struct sc_nft_element e[] = {sc_nftk_cut(SC_NFTK_CUT, SC_NFT_DROP),
				     sc_nftk_cut(SC_NFTK_INNER, SC_NFT_REFUSE_NEW),
				     sc_nftk_cut(SC_NFTK_OTHER, SC_NFT_DROP)};
	struct sc_nft_want all = sc_nftk_want(e, 3), none = {0};
	struct sc_nft_want one = {.elements = all.elements, .n = 1};
	struct sc_nft_audit audit;

	audit = sc_nftk_compare(&none);
	cr_expect_not(audit.has_table);
	sc_nftk_set(one);
	audit = sc_nftk_compare(&all);
	cr_expect(audit.has_table);
	cr_expect_eq(audit.missing, 2);
	cr_expect_eq(audit.foreign, 0);
	sc_nftk_set(all);
	audit = sc_nftk_compare(&one);
	cr_expect_eq(audit.missing, 0);
	cr_expect_eq(audit.foreign, 2);
	audit = sc_nftk_compare(&all);
	cr_expect(!audit.is_damaged && !audit.missing && !audit.foreign);
	cr_expect_str_empty(audit.text);
}

Test(nft, another_agents_change_in_between_is_noticed)
{
	struct sc_nft_element e[] = {sc_nftk_cut(SC_NFTK_CUT, SC_NFT_DROP),
				     sc_nftk_cut(SC_NFTK_OTHER, SC_NFT_REFUSE_NEW)};
	struct sc_nft_want both = sc_nftk_want(e, 2), none = {0};
	struct sc_nft_want one = {.elements = both.elements, .n = 1};
	struct sc_nft *second = NULL;
	struct sc_nft_audit audit;

	cr_assert_eq(sc_nft_open(&second, -1, SC_NFTK_TABLE, &sc_nftk.diag), 0);
	for (int i = 0; i < 50; i++) {
		sc_nftk_set(both);
		cr_assert_eq(sc_nft_set(second, i % 2 ? &none : &one, &sc_nftk.diag), 0);
	}
	sc_nftk_set(both);
	audit = sc_nftk_compare(&both);
	cr_expect_str_empty(audit.text);
	sc_nft_close(&second);
}

Test(nft, a_change_is_made_while_others_change_rules_all_the_time)
{
	static const char *const churn[] = {
		"sh", "-c", "while nft 'add table inet churn; delete table inet churn'; do :; done",
		NULL};
	struct sc_nft_element e[] = {sc_nftk_cut(SC_NFTK_CUT, SC_NFT_DROP),
				     sc_nftk_cut(SC_NFTK_OTHER, SC_NFT_REFUSE_NEW)};
	struct sc_nft_want both = sc_nftk_want(e, 2);
	struct sc_nft_want one = {.elements = both.elements, .n = 1};
	pid_t pid = sc_helper_exec(-1, churn, -1, -1);
	uint32_t before = 0, now = 0;

	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_nft_generation(sc_nftk.nft, &before), 0);
	do
		cr_assert_eq(sc_nft_generation(sc_nftk.nft, &now), 0);
	while (now == before);
	for (int i = 0; i < 200; i++)
		sc_nftk_set(i % 2 ? both : one);
	kill(pid, SIGKILL);
	sc_wait_child(pid, NULL, SC_NFTK_OPEN_MS);
}

Test(nft, lost_answers_are_made_up_for_by_looking)
{
	static struct sc_nft_element e[64];
	struct sc_nft_want w = {.elements = e};
	struct sc_nft_audit audit;
	int tiny = 6 * 1024;

	cr_assert_eq(setsockopt(sc_nftk.nft->socket.fd, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny)),
		     0);
	for (uint32_t i = 0; i < SC_ARRAY_SIZE(e); i++)
		e[i] = (struct sc_nft_element){.cgroup_id = i + 1, .level = 2};
	sc_nftk_set(w);
	for (w.n = 30; w.n < SC_ARRAY_SIZE(e); w.n += 30)
		sc_nftk_set(w); /* sixty questions, and room for a few answers */
	w.n -= 30;
	audit = sc_nftk_compare(&w);
	cr_expect_str_empty(audit.text);
	w.n = 0;
	sc_nftk_set(w);
	audit = sc_nftk_compare(&w);
	cr_expect_str_empty(audit.text);
}

Test(nft, holds_thousands_of_cgroups_on_many_levels)
{
	static struct sc_nft_element e[SC_NFT_ELEMENTS_MAX];
	struct sc_nft_want w = {.elements = e, .n = SC_NFT_ELEMENTS_MAX};
	struct sc_nft_audit audit;

	for (uint32_t i = 0; i < w.n; i++)
		e[i] = (struct sc_nft_element){.cgroup_id = 3 * i + 1,
					       .level = 1 + i % SC_NFT_LEVEL_MAX,
					       .verdict = i / 8 % SC_NFT_VERDICT_COUNT,
					       .number = i % SC_NFT_TRIES_MAX,
					       .tries = 1 + i % SC_NFT_TRIES_MAX,
					       .attempt = i % SC_NFT_TRIES_MAX};
	sc_nftk_set(w);
	audit = sc_nftk_compare(&w);
	cr_expect_str_empty(audit.text, "%s", audit.text);
	for (uint32_t i = 0; i < w.n; i += 3)
		e[i].verdict = SC_NFT_REFUSE_NEW;
	sc_nftk_set(w);
	w.n = 1000;
	sc_nftk_set(w);
	audit = sc_nftk_compare(&w);
	cr_expect_str_empty(audit.text, "%s", audit.text);
}

Test(nft, refusals_of_the_kernel_come_in_words)
{
	struct sc_nft_reply reply = {.what = SC_NFT_TRANSACTION};

	sc_nft_batch_reset(&sc_nftk.nft->batch);
	sc_nft_transaction_begin(&sc_nftk.nft->batch, 0);
	sc_nft_put_rules_refuse_all(&sc_nftk.nft->batch, "nosuchtable");
	sc_nft_transaction_end(&sc_nftk.nft->batch, true);
	cr_expect_eq(sc_nft_exchange(&sc_nftk.nft->socket, &sc_nftk.nft->batch, &reply), -ENOENT);
	cr_expect(strstr(reply.text, "a new rule"), "%s", reply.text);
	cr_expect(strstr(reply.text, "No such file or directory"), "%s", reply.text);
	cr_expect(strstr(reply.text, "at byte "), "%s", reply.text);
	/* The rest of the answers must not be taken for those of the next request. */
	sc_nftk_set_one(SC_NFTK_CUT, SC_NFT_DROP);
}

Test(nft, a_stale_generation_is_refused_whole)
{
	struct sc_nft_reply reply = {.what = SC_NFT_TRANSACTION};
	struct sc_nft_element e = sc_nftk_cut(SC_NFTK_CUT, SC_NFT_DROP);
	uint32_t generation = 0;

	sc_nftk_set(sc_nftk_want(&e, 1));
	cr_assert_eq(sc_nft_generation(sc_nftk.nft, &generation), 0);
	sc_nft_batch_reset(&sc_nftk.nft->batch);
	sc_nft_transaction_begin(&sc_nftk.nft->batch, generation - 1);
	sc_nft_put_table_gone(&sc_nftk.nft->batch, SC_NFTK_TABLE);
	sc_nft_transaction_end(&sc_nftk.nft->batch, true);
	cr_expect_eq(sc_nft_exchange(&sc_nftk.nft->socket, &sc_nftk.nft->batch, &reply), -ERESTART);
	cr_expect_eq(sc_nft_exists(sc_nftk.nft), 1);
}

static int open_without_rights(void *arg)
{
	struct sc_nft *nft = NULL;
	struct sc_diag diag = {0};
	int r;

	(void)arg;
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_apply(CAPNG_SELECT_CAPS))
		return 1;
	r = sc_nft_open(&nft, -1, SC_NFTK_TABLE, &diag);
	return r == -EPERM && strstr(diag.text, "CAP_NET_ADMIN") && !nft ? 0 : 2;
}

Test(nft, says_which_right_is_missing)
{
	pid_t pid = sc_helper_call(-1, open_without_rights, NULL);
	int status = -1;

	cr_assert_eq(sc_wait_child(pid, &status, SC_NFTK_OPEN_MS), 0);
	cr_expect_eq(status, 0);
}

static int tell_policy(void *arg)
{
	*(int *)arg = sched_getscheduler(0);
	return 7;
}

/* A helper of the hand must not fall behind those whom the hand goes before. */
Test(nft, a_visit_to_a_namespace_keeps_the_pace_of_the_visitor)
{
	struct sched_param first = {.sched_priority = 1}, none = {0};
	int policy = -1, fd = sc_nftk.net.space[SC_NET_POD];

	cr_assert_eq(sc_netns_run(fd, tell_policy, &policy), 7);
	cr_expect_eq(policy, SCHED_OTHER);
	cr_assert_eq(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first), 0);
	cr_expect_eq(sc_netns_run(fd, tell_policy, &policy), 7);
	cr_expect_eq(policy, SCHED_FIFO);
	cr_assert_eq(sched_setscheduler(0, SCHED_OTHER, &none), 0);
	cr_expect_eq(sc_netns_run(-1, tell_policy, &policy), -EBADF);
}

Test(nft, finds_the_namespaces_that_processes_live_in)
{
	static struct sc_netns_list list;
	uint64_t own = 0, pod = 0;
	struct sc_peer peer;
	int fd;

	sc_nftk_start_peers();
	cr_assert_eq(sc_netns_own(&own), 0);
	sc_netns_list_init(&list);
	cr_assert_eq(sc_netns_list_cgroup(&list, sc_nftk.cgroup[SC_NFTK_CUT]), 0);
	cr_expect_eq(list.n, 1);
	cr_expect_eq(list.found[0].inode, own);
	/* In a descendant of the cgroup, and in another namespace. */
	cr_assert_eq(
		sc_peer_start(&peer, sc_nftk.cgroup[SC_NFTK_INNER], sc_nftk.net.space[SC_NET_POD]),
		0);
	cr_assert_eq(sc_netns_list_cgroup(&list, sc_nftk.cgroup[SC_NFTK_CUT]), 0);
	cr_assert_eq(list.n, 2);
	cr_expect(list.is_all);
	cr_assert_eq(sc_netns_of(peer.pid, &pod), 0);
	cr_expect_neq(pod, own);
	cr_expect_eq(list.found[1].inode, pod);
	cr_expect_eq(list.found[1].pid, peer.pid);
	fd = sc_netns_open(peer.pid, pod);
	cr_expect_geq(fd, 0);
	cr_expect_eq(sc_netns_open(peer.pid, own), -ESTALE);
	sc_close(&fd);
	sc_netns_list_init(&list);
	cr_assert_eq(sc_netns_list_host(&list), 0);
	cr_expect_geq(list.n, 3);
	sc_peer_end(&peer);
	cr_expect_eq(sc_netns_of(peer.pid, &pod), -ESRCH);
	cr_expect_eq(sc_netns_open(peer.pid, 0), -ESRCH);
}
