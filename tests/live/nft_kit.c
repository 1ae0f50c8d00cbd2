/* SPDX-License-Identifier: Apache-2.0 */
#include "live/nft_kit.h"

#include "base/str.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define LIST_SIZE (64 * 1024)

struct sc_nftk sc_nftk;

void sc_nftk_init(void)
{
	static const char *const names[] = {
		[SC_NFTK_CUT] = "cut", [SC_NFTK_INNER] = "cut/inner", [SC_NFTK_OTHER] = "other"};

	sc_box_init();
	cr_assert_eq(sc_net_open(&sc_nftk.net), 0);
	cr_assert_geq(sc_net_enter(sc_nftk.net.space[SC_NET_HOST]), 0);
	for (unsigned int i = 0; i < SC_NFTK_WORLD; i++) {
		sc_nftk.cgroup[i] = sc_sandbox_mkdir(&sc_box, names[i]);
		sc_nftk.id[i] = sc_cgroup_id(sc_nftk.cgroup[i]);
		cr_assert_gt(sc_nftk.id[i], 0);
	}
	cr_assert_eq(sc_nft_open(&sc_nftk.nft, -1, SC_NFTK_TABLE, &sc_nftk.diag), 0, "%s",
		     sc_nftk.diag.text);
}

void sc_nftk_fini(void)
{
	for (unsigned int i = 0; i < SC_NFTK_PLACE_COUNT; i++)
		if (sc_nftk.peer[i].pid > 0)
			sc_peer_end(&sc_nftk.peer[i]);
	sc_nft_close(&sc_nftk.nft);
	sc_net_close(&sc_nftk.net);
	sc_box_fini();
}

void sc_nftk_start_peers(void)
{
	for (unsigned int i = 0; i < SC_NFTK_PLACE_COUNT; i++) {
		int space = sc_nftk.net.space[i == SC_NFTK_WORLD ? SC_NET_OUTSIDE : SC_NET_HOST];

		cr_assert_eq(sc_peer_start(&sc_nftk.peer[i],
					   i == SC_NFTK_WORLD ? -1 : sc_nftk.cgroup[i], space),
			     0);
		sc_nftk.port[i] = sc_peer_number(&sc_nftk.peer[i], "listen tcp :: 0");
		cr_assert_gt(sc_nftk.port[i], 0);
		cr_assert_eq(sc_peer_number(&sc_nftk.peer[i], "listen udp :: %ld", sc_nftk.port[i]),
			     sc_nftk.port[i]);
	}
}

struct sc_nft_element sc_nftk_cut(enum sc_nftk_place place, enum sc_nft_verdict verdict)
{
	return (struct sc_nft_element){.cgroup_id = sc_nftk.id[place],
				       .level = place == SC_NFTK_INNER ? 3 : 2,
				       .verdict = verdict,
				       .number = 5,
				       .tries = 3,
				       .attempt = 1};
}

struct sc_nft_want sc_nftk_want(struct sc_nft_element *e, uint32_t n)
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

void sc_nftk_set(struct sc_nft_want w)
{
	int r = sc_nft_set(sc_nftk.nft, &w, &sc_nftk.diag);

	cr_assert_eq(r, 0, "%s: %s", strerror(-r), sc_nftk.diag.text);
}

void sc_nftk_set_one(enum sc_nftk_place place, enum sc_nft_verdict verdict)
{
	struct sc_nft_element e = sc_nftk_cut(place, verdict);

	sc_nftk_set(sc_nftk_want(&e, 1));
}

static const char *address(enum sc_nftk_place to, enum sc_nftk_place from, int family)
{
	enum sc_net_space a = to == SC_NFTK_WORLD ? SC_NET_OUTSIDE : SC_NET_HOST;
	enum sc_net_space b = from == SC_NFTK_WORLD ? SC_NET_OUTSIDE : SC_NET_HOST;

	return sc_net_address(a, b, family);
}

const char *sc_nftk_open(enum sc_nftk_place from, enum sc_nftk_place to, const char *proto,
			 int family, unsigned int ms)
{
	return sc_peer_tell(&sc_nftk.peer[from], "open %s %s %ld %u", proto,
			    address(to, from, family), sc_nftk.port[to], ms);
}

const char *sc_nftk_talk(enum sc_nftk_place from, enum sc_nftk_place to, const char *proto,
			 int family, unsigned int ms)
{
	const char *word = sc_nftk_open(from, to, proto, family, ms);
	static char kept[SC_PEER_WORD_MAX];
	long handle = sc_nftk.peer[from].number[0];

	if (strcmp(word, "ok") != 0)
		return word;
	(void)sc_strcopy(kept, sizeof(kept),
			 sc_peer_tell(&sc_nftk.peer[from], "talk %ld %u", handle, ms));
	sc_peer_tell(&sc_nftk.peer[from], "close %ld", handle);
	return kept;
}

void sc_nftk_attempt_all(const struct sc_nftk_attempt *attempts, size_t n)
{
	static const int families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < n; i++) {
		const struct sc_nftk_attempt *a = &attempts[i];
		bool is_held = !strcmp(a->want, "timeout");

		for (size_t f = 0; f < SC_ARRAY_SIZE(families); f++)
			cr_expect_str_eq(sc_nftk_talk(a->from, a->to, a->proto, families[f],
						      is_held ? SC_NFTK_HELD_MS : SC_NFTK_OPEN_MS),
					 a->want, "%u to %u by %s, family %d: %s", a->from, a->to,
					 a->proto, families[f], sc_nftk.peer[a->from].word);
	}
}

uint32_t sc_nftk_count_passing(enum sc_nftk_place from, enum sc_nftk_place to, int family)
{
	uint32_t n = 0;

	for (int i = 0; i < 8; i++)
		n += !strcmp(sc_nftk_talk(from, to, "tcp", family, SC_NFTK_OPEN_MS), "ok");
	return n;
}

char *sc_nftk_run(const char *const argv[])
{
	char *text = calloc(1, LIST_SIZE);
	int fd = memfd_create("nft", MFD_CLOEXEC), status = -1;
	pid_t pid = sc_helper_exec(-1, argv, fd, STDERR_FILENO);

	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_child(pid, &status, SC_NFTK_OPEN_MS), 0);
	cr_assert_eq(status, 0, "nft %s %s failed", argv[1], argv[2]);
	cr_assert_geq(pread(fd, text, LIST_SIZE - 1, 0), 0);
	close(fd);
	return text;
}

char *sc_nftk_list(void)
{
	return sc_nftk_run((const char *const[]){"nft", "-s", "list", "ruleset", NULL});
}

struct sc_nft_audit sc_nftk_compare(const struct sc_nft_want *w)
{
	struct sc_nft_audit audit;

	cr_assert_eq(sc_nft_compare(sc_nftk.nft, w, NULL, &audit, &sc_nftk.diag), 0, "%s",
		     sc_nftk.diag.text);
	return audit;
}
