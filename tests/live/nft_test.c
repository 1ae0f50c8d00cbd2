/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of nf_tables on real packets, in network namespaces of the test's own: what each verdict
 * lets through, and that the table is what was asked for whatever others do to it.
 */
#include "harness/net.h"

#include "base/str.h"
#include "sys/netns.h"
#include "sys/nft_impl.h"

#include <cap-ng.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define TABLE  "scram_nft_test"
#define ROUNDS 1000
/* What is dropped is waited for so long; what is refused comes at once, or the test fails late. */
#define HELD_MS   100
#define OPEN_MS   5000
#define LIST_SIZE (64 * 1024)

/* Cgroups: cut is level 2 of the hierarchy, inner is below it, other beside it. */
enum place { CUT, INNER, OTHER, WORLD, PLACE_COUNT };

static struct {
	struct sc_net net;
	struct sc_nft *nft;
	int cgroup[WORLD];
	uint64_t id[WORLD];
	struct sc_peer peer[PLACE_COUNT]; /* WORLD is in another namespace */
	long port[PLACE_COUNT];           /* that it serves, by TCP and UDP */
	struct sc_diag diag;
} at;

static void init(void)
{
	static const char *const names[] = {
		[CUT] = "cut", [INNER] = "cut/inner", [OTHER] = "other"};

	sc_box_init();
	cr_assert_eq(sc_net_open(&at.net), 0);
	cr_assert_geq(sc_net_enter(at.net.space[SC_NET_HOST]), 0);
	for (unsigned int i = 0; i < WORLD; i++) {
		at.cgroup[i] = sc_sandbox_mkdir(&sc_box, names[i]);
		at.id[i] = sc_cgroup_id(at.cgroup[i]);
		cr_assert_gt(at.id[i], 0);
	}
	cr_assert_eq(sc_nft_open(&at.nft, -1, TABLE, &at.diag), 0, "%s", at.diag.text);
}

static void fini(void)
{
	for (unsigned int i = 0; i < PLACE_COUNT; i++)
		if (at.peer[i].pid > 0)
			sc_peer_end(&at.peer[i]);
	sc_nft_close(&at.nft);
	sc_net_close(&at.net);
	sc_box_fini();
}

TestSuite(nft, .init = init, .fini = fini, .timeout = 120);

static void start_peers(void)
{
	for (unsigned int i = 0; i < PLACE_COUNT; i++) {
		int space = at.net.space[i == WORLD ? SC_NET_OUTSIDE : SC_NET_HOST];

		cr_assert_eq(sc_peer_start(&at.peer[i], i == WORLD ? -1 : at.cgroup[i], space), 0);
		at.port[i] = sc_peer_number(&at.peer[i], "listen tcp :: 0");
		cr_assert_gt(at.port[i], 0);
		cr_assert_eq(sc_peer_number(&at.peer[i], "listen udp :: %ld", at.port[i]),
			     at.port[i]);
	}
}

static struct sc_nft_element cut(enum place place, enum sc_nft_verdict verdict)
{
	return (struct sc_nft_element){.cgroup_id = at.id[place],
				       .level = place == INNER ? 3 : 2,
				       .verdict = verdict,
				       .number = 5,
				       .tries = 3,
				       .attempt = 1};
}

/* Elements in the order of their ids. */
static struct sc_nft_want want(struct sc_nft_element *e, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		for (uint32_t k = i; k > 0 && e[k].cgroup_id < e[k - 1].cgroup_id; k--) {
			struct sc_nft_element swap = e[k];

			e[k] = e[k - 1];
			e[k - 1] = swap;
		}
	}
	return (struct sc_nft_want){.elements = e, .n = n};
}

static void set(struct sc_nft_want w)
{
	int r = sc_nft_set(at.nft, &w, &at.diag);

	cr_assert_eq(r, 0, "%s: %s", strerror(-r), at.diag.text);
}

static void set_one(enum place place, enum sc_nft_verdict verdict)
{
	struct sc_nft_element e = cut(place, verdict);

	set(want(&e, 1));
}

/* How `to` is reached from `from`. */
static const char *address(enum place to, enum place from, int family)
{
	enum sc_net_space a = to == WORLD ? SC_NET_OUTSIDE : SC_NET_HOST;
	enum sc_net_space b = from == WORLD ? SC_NET_OUTSIDE : SC_NET_HOST;

	return sc_net_address(a, b, family);
}

static const char *open_(enum place from, enum place to, const char *proto, int family,
			 unsigned int ms)
{
	return sc_peer_tell(&at.peer[from], "open %s %s %ld %u", proto, address(to, from, family),
			    at.port[to], ms);
}

/* Opens, sends, waits for the echo. */
static const char *talk(enum place from, enum place to, const char *proto, int family,
			unsigned int ms)
{
	const char *word = open_(from, to, proto, family, ms);
	static char kept[SC_PEER_WORD_MAX];
	long handle = at.peer[from].number[0];

	if (strcmp(word, "ok") != 0)
		return word;
	(void)sc_strcopy(kept, sizeof(kept),
			 sc_peer_tell(&at.peer[from], "talk %ld %u", handle, ms));
	sc_peer_tell(&at.peer[from], "close %ld", handle);
	return kept;
}

/* One attempt and what is to come of it; both families. */
struct attempt {
	enum place from, to;
	const char *proto, *want;
};

static void attempt_all(const struct attempt *attempts, size_t n)
{
	static const int families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < n; i++) {
		const struct attempt *a = &attempts[i];
		bool is_held = !strcmp(a->want, "timeout");

		for (size_t f = 0; f < SC_ARRAY_SIZE(families); f++)
			cr_expect_str_eq(talk(a->from, a->to, a->proto, families[f],
					      is_held ? HELD_MS : OPEN_MS),
					 a->want, "%u to %u by %s, family %d: %s", a->from, a->to,
					 a->proto, families[f], at.peer[a->from].word);
	}
}

#define ATTEMPT_ALL(...)                                             \
	do {                                                         \
		static const struct attempt list_[] = {__VA_ARGS__}; \
		attempt_all(list_, SC_ARRAY_SIZE(list_));            \
	} while (0)

/* A bystander's traffic, next door and to the world. */
static void expect_bystander_untouched(void)
{
	ATTEMPT_ALL({OTHER, WORLD, "tcp", "ok"}, {OTHER, WORLD, "udp", "ok"},
		    {WORLD, OTHER, "tcp", "ok"}, {WORLD, OTHER, "udp", "ok"});
}

/* An open connection: its handle at `from`. */
static long establish(enum place from, enum place to, int family)
{
	cr_assert_str_eq(open_(from, to, "tcp", family, OPEN_MS), "ok");
	return at.peer[from].number[0];
}

Test(nft, refuses_new_connections_and_lets_the_others_go_on)
{
	long out, in, below;

	start_peers();
	out = establish(CUT, WORLD, AF_INET);
	in = establish(WORLD, CUT, AF_INET6);
	below = establish(INNER, WORLD, AF_INET);
	set_one(CUT, SC_NFT_REFUSE_NEW);
	ATTEMPT_ALL({CUT, WORLD, "tcp", "refused"}, {WORLD, CUT, "tcp", "refused"},
		    {INNER, WORLD, "tcp", "refused"}, {WORLD, INNER, "tcp", "refused"},
		    {OTHER, CUT, "tcp", "refused"}, {CUT, OTHER, "tcp", "refused"},
		    {CUT, WORLD, "udp", "ok"}, {WORLD, CUT, "udp", "ok"});
	expect_bystander_untouched();
	cr_expect_str_eq(sc_peer_tell(&at.peer[CUT], "talk %ld %d", out, OPEN_MS), "ok");
	cr_expect_str_eq(sc_peer_tell(&at.peer[WORLD], "talk %ld %d", in, OPEN_MS), "ok");
	cr_expect_str_eq(sc_peer_tell(&at.peer[INNER], "talk %ld %d", below, OPEN_MS), "ok");
	set((struct sc_nft_want){0});
	ATTEMPT_ALL({CUT, WORLD, "tcp", "ok"}, {WORLD, INNER, "tcp", "ok"});
}

Test(nft, refuses_everything_and_says_so)
{
	long out, in;

	start_peers();
	out = establish(CUT, WORLD, AF_INET);
	in = establish(WORLD, INNER, AF_INET6);
	set_one(CUT, SC_NFT_REFUSE_ALL);
	ATTEMPT_ALL({CUT, WORLD, "tcp", "refused"}, {WORLD, CUT, "tcp", "refused"},
		    {INNER, WORLD, "tcp", "refused"}, {WORLD, INNER, "tcp", "refused"},
		    {CUT, WORLD, "udp", "eperm"});
	cr_expect_str_eq(sc_peer_tell(&at.peer[CUT], "talk %ld %d", out, OPEN_MS), "reset");
	cr_expect_str_eq(sc_peer_tell(&at.peer[WORLD], "talk %ld %d", in, OPEN_MS), "reset");
	/* ICMP and ICMPv6 admin-prohibited, as icmp(7) and net/ipv6/icmp.c hand them on. */
	cr_expect_str_eq(talk(WORLD, CUT, "udp", AF_INET, OPEN_MS), "unreach");
	cr_expect_str_neq(talk(WORLD, CUT, "udp", AF_INET6, OPEN_MS), "timeout");
	expect_bystander_untouched();
	set((struct sc_nft_want){0});
	ATTEMPT_ALL({CUT, WORLD, "udp", "ok"}, {WORLD, INNER, "tcp", "ok"});
}

Test(nft, drops_without_a_word)
{
	long out;

	start_peers();
	out = establish(CUT, WORLD, AF_INET);
	set_one(CUT, SC_NFT_DROP);
	ATTEMPT_ALL({CUT, WORLD, "tcp", "timeout"}, {WORLD, CUT, "tcp", "timeout"},
		    {INNER, WORLD, "tcp", "timeout"}, {CUT, WORLD, "udp", "eperm"},
		    {WORLD, INNER, "udp", "timeout"});
	cr_expect_str_eq(sc_peer_tell(&at.peer[CUT], "talk %ld %d", out, HELD_MS), "timeout");
	expect_bystander_untouched();
	set((struct sc_nft_want){0});
	cr_expect_str_eq(sc_peer_tell(&at.peer[CUT], "talk %ld %d", out, OPEN_MS), "ok");
}

Test(nft, leaves_the_drop_to_a_gate_and_refuses_nothing_of_it)
{
	struct sc_nft_element e[] = {cut(CUT, SC_NFT_REFUSE_ALL), cut(INNER, SC_NFT_DROP)};
	struct sc_nft_want w = want(e, 2);
	struct sc_nft_audit audit;
	struct sc_nft_counts counts[2];
	unsigned int i = w.elements[0].verdict == SC_NFT_DROP ? 0 : 1;

	start_peers();
	w.has_gate = true;
	set(w);
	/* There is no gate here, so what is left to it passes. */
	ATTEMPT_ALL({INNER, WORLD, "tcp", "ok"}, {CUT, WORLD, "tcp", "refused"});
	cr_assert_eq(sc_nft_compare(at.nft, &w, counts, &audit, &at.diag), 0);
	cr_expect_gt(counts[i].packets_in, 0);
	cr_expect_gt(counts[i].packets_out, 0);
	w.has_gate = false;
	set(w);
	ATTEMPT_ALL({INNER, WORLD, "tcp", "timeout"}, {CUT, WORLD, "tcp", "refused"});
}

Test(nft, of_two_verdicts_the_stronger_holds)
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

	start_peers();
	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_nft_element e[] = {cut(CUT, cases[i].outer), cut(INNER, cases[i].inner)};
		unsigned int ms = *cases[i].tcp == 't' ? HELD_MS : OPEN_MS;

		set(want(e, 2));
		cr_expect_str_eq(open_(INNER, WORLD, "tcp", AF_INET, ms), cases[i].tcp, "case %zu",
				 i);
	}
}

static uint32_t count_passing(enum place from, enum place to, int family)
{
	uint32_t n = 0;

	for (int i = 0; i < 8; i++)
		n += !strcmp(talk(from, to, "tcp", family, OPEN_MS), "ok");
	return n;
}

Test(nft, lets_exactly_so_many_new_connections_through)
{
	struct sc_nft_element e = cut(CUT, SC_NFT_TRY);
	struct sc_nft_want w = want(&e, 1);
	struct sc_nft_counts counts;
	struct sc_nft_audit audit;

	start_peers();
	set(w);
	cr_expect_eq(count_passing(CUT, WORLD, AF_INET), 3);
	cr_expect_eq(count_passing(WORLD, INNER, AF_INET6), 0, "one allowance, both ways");
	cr_assert_eq(sc_nft_compare(at.nft, &w, &counts, &audit, &at.diag), 0);
	cr_expect_eq(counts.passed, 3);
	cr_expect_eq(counts.packets_out, 8);
	cr_expect_eq(counts.packets_in, 8);
	/* The same attempt again changes nothing, another one begins anew. */
	set(w);
	cr_expect_eq(count_passing(CUT, WORLD, AF_INET), 0);
	e.attempt = 2;
	set(w);
	cr_expect_eq(count_passing(WORLD, CUT, AF_INET6), 3);
	e.tries = 5;
	set(w);
	cr_expect_eq(count_passing(CUT, WORLD, AF_INET), 5);
	ATTEMPT_ALL({CUT, WORLD, "udp", "ok"});
	set_one(CUT, SC_NFT_REFUSE_NEW);
	cr_expect_eq(count_passing(CUT, WORLD, AF_INET), 0);
}

Test(nft, counts_what_it_holds_back_by_cgroup_and_direction)
{
	struct sc_nft_element e[] = {cut(CUT, SC_NFT_REFUSE_NEW), cut(OTHER, SC_NFT_REFUSE_NEW)};
	struct sc_nft_want w = want(e, 2);
	struct sc_nft_counts counts[2];
	struct sc_nft_audit audit;
	unsigned int c = w.elements[0].cgroup_id == at.id[CUT] ? 0 : 1;

	start_peers();
	set(w);
	for (int i = 0; i < 5; i++)
		talk(CUT, WORLD, "tcp", AF_INET, OPEN_MS);
	for (int i = 0; i < 3; i++)
		talk(WORLD, INNER, "tcp", AF_INET, OPEN_MS);
	cr_assert_eq(sc_nft_compare(at.nft, &w, counts, &audit, &at.diag), 0);
	cr_expect_eq(counts[c].packets_out, 5);
	cr_expect_eq(counts[c].packets_in, 3);
	cr_expect_eq(counts[c].bytes_in, 3 * 60, "a SYN has 60 bytes: %lu", counts[c].bytes_in);
	cr_expect_eq(counts[1 - c].packets_out + counts[1 - c].packets_in, 0);
	cr_expect_str_empty(audit.text);
}

/* Runs nft(8) in the test's namespace: what it printed, the caller's. */
static char *run_nft(const char *const argv[])
{
	char *text = calloc(1, LIST_SIZE);
	int fd = memfd_create("nft", MFD_CLOEXEC), status = -1;
	pid_t pid = sc_helper_exec(-1, argv, fd, STDERR_FILENO);

	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_child(pid, &status, OPEN_MS), 0);
	cr_assert_eq(status, 0, "nft %s %s failed", argv[1], argv[2]);
	cr_assert_geq(pread(fd, text, LIST_SIZE - 1, 0), 0);
	close(fd);
	return text;
}

static char *list(void)
{
	return run_nft((const char *const[]){"nft", "-s", "list", "ruleset", NULL});
}

Test(nft, opening_leaves_no_trace)
{
	struct sc_nft *second = NULL;
	uint32_t before = 0, after = 0;
	_cleanup_free_ char *text = list();

	cr_expect_str_empty(text);
	cr_assert_eq(sc_nft_generation(at.nft, &before), 0);
	cr_assert_eq(sc_nft_open(&second, -1, TABLE, &at.diag), 0);
	cr_assert_eq(sc_nft_generation(at.nft, &after), 0);
	cr_expect_eq(before, after);
	cr_expect_eq(sc_nft_exists(at.nft), 0);
	cr_expect_eq(sc_nft_delete(second, &at.diag), 0, "no table is no failure");
	sc_nft_close(&second);
}

Test(nft, a_thousand_rounds_leave_the_rules_as_they_were)
{
	struct sc_nft_element e[] = {cut(CUT, SC_NFT_DROP), cut(INNER, SC_NFT_TRY),
				     cut(OTHER, SC_NFT_REFUSE_NEW)};
	struct sc_nft_want all = want(e, 3);
	struct sc_nft_want two = {.elements = all.elements, .n = 2};
	_cleanup_free_ char *before = NULL, *after = NULL, *empty = NULL, *empty_after = NULL;

	set((struct sc_nft_want){0});
	empty = list();
	set(two);
	before = list();
	for (int i = 0; i < ROUNDS; i++) {
		set(all);
		set(two);
	}
	after = list();
	cr_expect_str_eq(before, after);
	for (int i = 0; i < ROUNDS; i++) {
		set((struct sc_nft_want){0});
		set(all);
	}
	set((struct sc_nft_want){0});
	empty_after = list();
	cr_expect_str_eq(empty, empty_after);
	cr_assert_eq(sc_nft_delete(at.nft, &at.diag), 0);
	cr_expect_eq(sc_nft_exists(at.nft), 0);
}

static struct sc_nft_audit compare(const struct sc_nft_want *w)
{
	struct sc_nft_audit audit;

	cr_assert_eq(sc_nft_compare(at.nft, w, NULL, &audit, &at.diag), 0, "%s", at.diag.text);
	return audit;
}

Test(nft, what_others_do_to_the_table_is_seen_and_repaired)
{
	static const char *const deeds[] = {
		"flush ruleset",
		"delete table inet " TABLE,
		"flush table inet " TABLE,
		"flush chain inet " TABLE " input",
		"flush chain inet " TABLE " refuse_all",
		"flush chain inet " TABLE " try_5",
		"insert rule inet " TABLE " output accept",
		"add rule inet " TABLE " output counter",
		"add rule inet " TABLE " try_5 accept",
		"insert rule inet " TABLE " refuse_all tcp dport 22 accept",
		"add table inet " TABLE " { flags dormant; }",
		"add chain inet " TABLE " input { policy drop; }",
		"add chain inet " TABLE " more",
		"add chain inet " TABLE " try_6",
		"add set inet " TABLE " more { type cgroupsv2; }",
		"add set inet " TABLE " new_in_9 { type cgroupsv2; }",
		"add set inet " TABLE " drop_in_40 { type cgroupsv2; counter; }",
		"flush set inet " TABLE " drop_out_2",
		"flush map inet " TABLE " try_in_3",
	};
	struct sc_nft_element e[] = {cut(CUT, SC_NFT_DROP), cut(INNER, SC_NFT_TRY),
				     cut(OTHER, SC_NFT_REFUSE_ALL)};
	struct sc_nft_want w = want(e, 3);
	_cleanup_free_ char *before = NULL;

	set(w);
	before = list();
	cr_assert_not(compare(&w).is_damaged);
	for (size_t i = 0; i < SC_ARRAY_SIZE(deeds); i++) {
		_cleanup_free_ char *said = run_nft(
			(const char *const[]){"nft", deeds[i], "", NULL});
		_cleanup_free_ char *after = NULL;
		struct sc_nft_audit audit = compare(&w);

		cr_expect(!audit.has_table || audit.is_damaged || audit.missing, "%s", deeds[i]);
		cr_expect_str_not_empty(audit.text, "%s", deeds[i]);
		set(w);
		after = list();
		cr_expect_str_eq(before, after, "%s", deeds[i]);
		audit = compare(&w);
		cr_expect_str_empty(audit.text, "%s: %s", deeds[i], audit.text);
	}
}

Test(nft, is_repaired_by_setting_the_same_again)
{
	struct sc_nft_element e = cut(CUT, SC_NFT_REFUSE_NEW);

	start_peers();
	set(want(&e, 1));
	free(run_nft((const char *const[]){"nft", "flush", "ruleset", NULL}));
	ATTEMPT_ALL({CUT, WORLD, "tcp", "ok"});
	set(want(&e, 1));
	ATTEMPT_ALL({CUT, WORLD, "tcp", "refused"});
}

Test(nft, elements_that_are_missing_or_too_much_are_told_apart)
{
	struct sc_nft_element e[] = {cut(CUT, SC_NFT_DROP), cut(INNER, SC_NFT_REFUSE_NEW),
				     cut(OTHER, SC_NFT_DROP)};
	struct sc_nft_want all = want(e, 3), none = {0};
	struct sc_nft_want one = {.elements = all.elements, .n = 1};
	struct sc_nft_audit audit;

	audit = compare(&none);
	cr_expect_not(audit.has_table);
	set(one);
	audit = compare(&all);
	cr_expect(audit.has_table);
	cr_expect_eq(audit.missing, 2);
	cr_expect_eq(audit.foreign, 0);
	set(all);
	audit = compare(&one);
	cr_expect_eq(audit.missing, 0);
	cr_expect_eq(audit.foreign, 2);
	audit = compare(&all);
	cr_expect(!audit.is_damaged && !audit.missing && !audit.foreign);
	cr_expect_str_empty(audit.text);
}

Test(nft, a_predecessors_table_is_adopted_with_its_counters)
{
	struct sc_nft_element e[] = {cut(CUT, SC_NFT_TRY), cut(OTHER, SC_NFT_REFUSE_NEW)};
	struct sc_nft_want w = want(e, 2);
	struct sc_nft_counts counts[2];
	struct sc_nft_audit audit;
	uint32_t before = 0, after = 0;

	start_peers();
	set(w);
	cr_expect_eq(count_passing(CUT, WORLD, AF_INET), 3);
	sc_nft_close(&at.nft);
	cr_assert_eq(sc_nft_open(&at.nft, -1, TABLE, &at.diag), 0);
	cr_assert_eq(sc_nft_generation(at.nft, &before), 0);
	set(w);
	cr_assert_eq(sc_nft_generation(at.nft, &after), 0);
	cr_expect_eq(before, after, "nothing was sent");
	cr_expect_eq(count_passing(CUT, WORLD, AF_INET), 0, "the allowance was used up before");
	cr_assert_eq(sc_nft_compare(at.nft, &w, counts, &audit, &at.diag), 0);
	cr_expect_eq(counts[0].passed + counts[1].passed, 3);
	/* And changed where it differs, without losing the rest. */
	e[0].cgroup_id == at.id[OTHER] ? (e[0].verdict = SC_NFT_DROP)
				       : (e[1].verdict = SC_NFT_DROP);
	set(w);
	cr_assert_eq(sc_nft_compare(at.nft, &w, counts, &audit, &at.diag), 0);
	cr_expect_eq(counts[0].passed + counts[1].passed, 3);
	ATTEMPT_ALL({OTHER, WORLD, "tcp", "timeout"});
}

Test(nft, another_agents_change_in_between_is_noticed)
{
	struct sc_nft_element e[] = {cut(CUT, SC_NFT_DROP), cut(OTHER, SC_NFT_REFUSE_NEW)};
	struct sc_nft_want both = want(e, 2), none = {0};
	struct sc_nft_want one = {.elements = both.elements, .n = 1};
	struct sc_nft *second = NULL;
	struct sc_nft_audit audit;

	cr_assert_eq(sc_nft_open(&second, -1, TABLE, &at.diag), 0);
	for (int i = 0; i < 50; i++) {
		set(both);
		cr_assert_eq(sc_nft_set(second, i % 2 ? &none : &one, &at.diag), 0);
	}
	set(both);
	audit = compare(&both);
	cr_expect_str_empty(audit.text);
	sc_nft_close(&second);
}

Test(nft, a_change_is_made_while_others_change_rules_all_the_time)
{
	static const char *const churn[] = {
		"sh", "-c", "while nft 'add table inet churn; delete table inet churn'; do :; done",
		NULL};
	struct sc_nft_element e[] = {cut(CUT, SC_NFT_DROP), cut(OTHER, SC_NFT_REFUSE_NEW)};
	struct sc_nft_want both = want(e, 2);
	struct sc_nft_want one = {.elements = both.elements, .n = 1};
	pid_t pid = sc_helper_exec(-1, churn, -1, -1);
	uint32_t before = 0, now = 0;

	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_nft_generation(at.nft, &before), 0);
	do
		cr_assert_eq(sc_nft_generation(at.nft, &now), 0);
	while (now == before);
	for (int i = 0; i < 200; i++)
		set(i % 2 ? both : one);
	kill(pid, SIGKILL);
	sc_wait_child(pid, NULL, OPEN_MS);
}

Test(nft, lost_answers_are_made_up_for_by_looking)
{
	static struct sc_nft_element e[64];
	struct sc_nft_want w = {.elements = e};
	struct sc_nft_audit audit;
	int tiny = 6 * 1024;

	cr_assert_eq(setsockopt(at.nft->socket.fd, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny)), 0);
	for (uint32_t i = 0; i < SC_ARRAY_SIZE(e); i++)
		e[i] = (struct sc_nft_element){.cgroup_id = i + 1, .level = 2};
	set(w);
	for (w.n = 30; w.n < SC_ARRAY_SIZE(e); w.n += 30)
		set(w); /* sixty questions, and room for a few answers */
	w.n -= 30;
	audit = compare(&w);
	cr_expect_str_empty(audit.text);
	w.n = 0;
	set(w);
	audit = compare(&w);
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
	set(w);
	audit = compare(&w);
	cr_expect_str_empty(audit.text, "%s", audit.text);
	for (uint32_t i = 0; i < w.n; i += 3)
		e[i].verdict = SC_NFT_REFUSE_NEW;
	set(w);
	w.n = 1000;
	set(w);
	audit = compare(&w);
	cr_expect_str_empty(audit.text, "%s", audit.text);
}

Test(nft, a_table_in_another_namespace_holds_there_alone)
{
	struct sc_nft_element e = cut(CUT, SC_NFT_REFUSE_NEW);
	struct sc_nft_want w = want(&e, 1);
	struct sc_nft *there = NULL;
	struct sc_peer pod;
	uint64_t before = 0, after = 0;

	start_peers();
	cr_assert_eq(sc_netns_own(&before), 0);
	cr_assert_eq(sc_nft_open(&there, at.net.space[SC_NET_POD], TABLE, &at.diag), 0);
	cr_assert_eq(sc_netns_own(&after), 0);
	cr_expect_eq(before, after, "the caller stays where it is");
	cr_assert_eq(sc_nft_set(there, &w, &at.diag), 0);
	cr_expect_eq(sc_nft_exists(there), 1);
	cr_expect_eq(sc_nft_exists(at.nft), 0);
	cr_assert_eq(sc_peer_start(&pod, at.cgroup[CUT], at.net.space[SC_NET_POD]), 0);
	cr_expect_str_eq(sc_peer_tell(&pod, "open tcp %s %ld %d",
				      sc_net_address(SC_NET_OUTSIDE, SC_NET_POD, AF_INET),
				      at.port[WORLD], OPEN_MS),
			 "refused");
	ATTEMPT_ALL({CUT, WORLD, "tcp", "ok"});
	cr_expect_eq(sc_nft_delete(there, &at.diag), 0);
	cr_expect_str_eq(sc_peer_tell(&pod, "open tcp %s %ld %d",
				      sc_net_address(SC_NET_OUTSIDE, SC_NET_POD, AF_INET),
				      at.port[WORLD], OPEN_MS),
			 "ok");
	sc_peer_end(&pod);
	sc_nft_close(&there);
}

Test(nft, refusals_of_the_kernel_come_in_words)
{
	struct sc_nft_reply reply = {.what = SC_NFT_TRANSACTION};

	sc_nft_batch_reset(&at.nft->batch);
	sc_nft_transaction_begin(&at.nft->batch, 0);
	sc_nft_put_rules_refuse_all(&at.nft->batch, "nosuchtable");
	sc_nft_transaction_end(&at.nft->batch, true);
	cr_expect_eq(sc_nft_exchange(&at.nft->socket, &at.nft->batch, &reply), -ENOENT);
	cr_expect(strstr(reply.text, "a new rule"), "%s", reply.text);
	cr_expect(strstr(reply.text, "No such file or directory"), "%s", reply.text);
	cr_expect(strstr(reply.text, "at byte "), "%s", reply.text);
	/* The rest of the answers must not be taken for those of the next request. */
	set_one(CUT, SC_NFT_DROP);
}

Test(nft, a_stale_generation_is_refused_whole)
{
	struct sc_nft_reply reply = {.what = SC_NFT_TRANSACTION};
	struct sc_nft_element e = cut(CUT, SC_NFT_DROP);
	uint32_t generation = 0;

	set(want(&e, 1));
	cr_assert_eq(sc_nft_generation(at.nft, &generation), 0);
	sc_nft_batch_reset(&at.nft->batch);
	sc_nft_transaction_begin(&at.nft->batch, generation - 1);
	sc_nft_put_table_gone(&at.nft->batch, TABLE);
	sc_nft_transaction_end(&at.nft->batch, true);
	cr_expect_eq(sc_nft_exchange(&at.nft->socket, &at.nft->batch, &reply), -ERESTART);
	cr_expect_eq(sc_nft_exists(at.nft), 1);
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
	r = sc_nft_open(&nft, -1, TABLE, &diag);
	return r == -EPERM && strstr(diag.text, "CAP_NET_ADMIN") && !nft ? 0 : 2;
}

Test(nft, says_which_right_is_missing)
{
	pid_t pid = sc_helper_call(-1, open_without_rights, NULL);
	int status = -1;

	cr_assert_eq(sc_wait_child(pid, &status, OPEN_MS), 0);
	cr_expect_eq(status, 0);
}

Test(nft, finds_the_namespaces_that_processes_live_in)
{
	static struct sc_netns_list list;
	uint64_t own = 0, pod = 0;
	struct sc_peer peer;
	int fd;

	start_peers();
	cr_assert_eq(sc_netns_own(&own), 0);
	sc_netns_list_init(&list);
	cr_assert_eq(sc_netns_list_cgroup(&list, at.cgroup[CUT]), 0);
	cr_expect_eq(list.n, 1);
	cr_expect_eq(list.found[0].inode, own);
	/* In a descendant of the cgroup, and in another namespace. */
	cr_assert_eq(sc_peer_start(&peer, at.cgroup[INNER], at.net.space[SC_NET_POD]), 0);
	cr_assert_eq(sc_netns_list_cgroup(&list, at.cgroup[CUT]), 0);
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
