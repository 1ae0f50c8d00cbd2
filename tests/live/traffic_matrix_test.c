/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a quarantine holds and what it does not, as one table: how a process came to its socket, by
 * what it speaks. A known gap is asserted to be there: when it closes, table and docs change.
 */
#include "live/traffic_kit.h"

#include "base/io.h"

#include <fcntl.h>
#include <string.h>

TestSuite(traffic_matrix, .init = sc_traffic_init, .fini = sc_traffic_fini, .timeout = 300);

#define ACTIVATED_PORT 7002
#define TAKEN_PORT     7004
#define LOCAL_PORT     7003

enum who {
	MEMBER,     /* in the tenant's cgroup */
	CHILD,      /* in a cgroup below it */
	LATE_CHILD, /* in one that is made below it once it is cut */
	SERVER,     /* a member that serves */
	INCOMER,    /* made its sockets elsewhere, moved in before the cut */
	LATECOMER,  /* and after it */
	LEAVER,     /* a member that moved out after the cut */
	AGAIN,      /* in a cgroup that is removed and made again once it is cut */
	PREFIX,     /* in one that is made only then, and that the kernel knows by its prefix */
	POD,        /* a member in a network namespace of its own */
	ACTIVATED,  /* a member that serves listeners made in two cgroups, of which one is cut */
	BYSTANDER,
	WORLD,
	WHO_COUNT
};

enum how { NEW, OLD, PACKET_NEW, UNIX_OLD }; /* a new socket, or one that was open before the cut */

static const struct sc_traffic_path pod_out = {SC_NET_POD, SC_NET_OUTSIDE, SC_TRAFFIC_ECHO_PORT};
static const struct sc_traffic_path to_local = {SC_NET_HOST, SC_NET_HOST, LOCAL_PORT};
static const struct sc_traffic_path to_activated = {SC_NET_OUTSIDE, SC_NET_HOST, ACTIVATED_PORT};
static const struct sc_traffic_path to_taken = {SC_NET_OUTSIDE, SC_NET_HOST, TAKEN_PORT};

/* One letter for each kind, four of IPv4 and four of IPv6: held, passes as it should, known gap,
 * and a dash where there is no such thing. */
static const struct row {
	const char *name;
	enum who who;
	enum how how;
	const struct sc_traffic_path *path;
	char want[SC_TRAFFIC_KINDS + 1];
} rows[] = {
	/* clang-format off */
	{"new socket",                             MEMBER,     NEW,        &sc_traffic_out, "hhhhhhhh"},
	{"open socket, established flow",          MEMBER,     OLD,        &sc_traffic_out, "hhhhhhhh"},
	{"new socket, to a neighbour on the host", MEMBER,     NEW,        &to_local,       "hhh-hhh-"},
	{"cgroup below",                           CHILD,      NEW,        &sc_traffic_out, "hhhhhhhh"},
	{"cgroup below, open socket",              CHILD,      OLD,        &sc_traffic_out, "hhhhhhhh"},
	{"cgroup made below afterwards",           LATE_CHILD, NEW,        &sc_traffic_out, "hhhhhhhh"},
	{"cgroup made again",                      AGAIN,      NEW,        &sc_traffic_out, "hhhhhhhh"},
	{"cgroup of the tenant, made afterwards",  PREFIX,     NEW,        &sc_traffic_out, "hhhhhhhh"},
	{"own network namespace",                  POD,        NEW,        &pod_out,        "hhhhhhhh"},
	{"own network namespace, open socket",     POD,        OLD,        &pod_out,        "hhhhhhhh"},
	{"from outside, listener made before",     WORLD,      NEW,        &sc_traffic_in,  "hhh-hhh-"},
	{"from outside, accepted before",          WORLD,      OLD,        &sc_traffic_in,  "hhh-hhh-"},
	{"moved out, socket made inside",          LEAVER,     OLD,        &sc_traffic_out, "hhhhhhhh"},
	{"moved out, new socket",                  LEAVER,     NEW,        &sc_traffic_out, "pppppppp"},
	{"moved in before, socket made outside",   INCOMER,    OLD,        &sc_traffic_out, "hhgghhgg"},
	{"moved in after, socket made outside",    LATECOMER,  OLD,        &sc_traffic_out, "gggggggg"},
	{"moved in, new socket",                   LATECOMER,  NEW,        &sc_traffic_out, "hhhhhhhh"},
	{"activated, socket's cgroup not cut",     WORLD,      NEW,        &to_activated,   "g---g---"},
	{"activated, socket's cgroup cut as well", WORLD,      NEW,        &to_taken,       "h---h---"},
	{"packet socket",                          MEMBER,     PACKET_NEW, &sc_traffic_out, "-g---g--"},
	{"unix socket",                            MEMBER,     UNIX_OLD,   &sc_traffic_out, "p-------"},
	{"bystander, new socket",                  BYSTANDER,  NEW,        &sc_traffic_out, "pppppppp"},
	{"bystander, open socket",                 BYSTANDER,  OLD,        &sc_traffic_out, "pppppppp"},
	/* clang-format on */
};

struct stage {
	struct sc_peer peer[WHO_COUNT];
	long open[SC_ARRAY_SIZE(rows)][SC_TRAFFIC_KINDS]; /* handles of OLD rows */
	int acme, outside;
};

static struct stage stage;

static void open_all(void)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		struct sc_peer *peer = &stage.peer[row->who];

		for (size_t k = 0; row->how == OLD && k < SC_TRAFFIC_KINDS; k++) {
			if (row->want[k] == '-')
				continue;
			stage.open[i][k] = sc_traffic_open(peer, &sc_traffic_kinds[k], row->path,
							   SC_TRAFFIC_OPEN_MS);
			cr_assert_str_eq(sc_peer_tell(peer, "talk %ld %d", stage.open[i][k],
						      SC_TRAFFIC_OPEN_MS),
					 "ok", "%s", row->name);
		}
		if (row->how == UNIX_OLD)
			stage.open[i][0] = sc_peer_number(peer, "open unix %s/socket 0 30000",
							  sc_kit.box.tmp);
	}
}

/* A manager makes the listener in the cgroup of its own and leaves it to the service. */
static void activate(int cgroup_fd, int port)
{
	struct sc_peer manager = sc_traffic_peer(cgroup_fd, SC_NET_HOST);

	cr_assert_geq(sc_peer_number(&manager, "listen tcp :: %d", port), 0);
	cr_assert_eq(
		sc_peer_hand_over(&manager, (int)manager.number[1], &stage.peer[ACTIVATED], "tcp"),
		0);
	sc_peer_end(&manager);
}

static void set_up(void)
{
	stage.acme = sc_kit_mkdir("acme");
	stage.outside = sc_kit_mkdir("free");
	stage.peer[MEMBER] = sc_traffic_peer(stage.acme, SC_NET_HOST);
	stage.peer[CHILD] = sc_traffic_peer(sc_kit_mkdir("acme/below"), SC_NET_HOST);
	stage.peer[SERVER] = sc_traffic_peer(stage.acme, SC_NET_HOST);
	stage.peer[INCOMER] = sc_traffic_peer(stage.outside, SC_NET_HOST);
	stage.peer[LATECOMER] = sc_traffic_peer(stage.outside, SC_NET_HOST);
	stage.peer[LEAVER] = sc_traffic_peer(stage.acme, SC_NET_HOST);
	stage.peer[POD] = sc_traffic_peer(stage.acme, SC_NET_POD);
	stage.peer[ACTIVATED] = sc_traffic_peer(stage.acme, SC_NET_HOST);
	stage.peer[BYSTANDER] = sc_traffic_peer(stage.outside, SC_NET_HOST);
	stage.peer[WORLD] = sc_traffic_world;
	sc_traffic_serve(&stage.peer[SERVER]);
	cr_assert_geq(
		sc_peer_number(&stage.peer[SERVER], "listen unix %s/socket 0", sc_kit.box.tmp), 0);
	cr_assert_geq(sc_peer_number(&stage.peer[BYSTANDER], "listen tcp :: %d", LOCAL_PORT), 0);
	cr_assert_geq(sc_peer_number(&stage.peer[BYSTANDER], "listen udp :: %d", LOCAL_PORT), 0);
	activate(stage.outside, ACTIVATED_PORT);
	activate(sc_kit_mkdir("acme-socket"), TAKEN_PORT);
	open_all();
	cr_assert_eq(sc_peer_join(&stage.peer[INCOMER], stage.acme), 0);
}

/* What happens once the tenant is cut. */
static void go_on(void)
{
	stage.peer[LATE_CHILD] = sc_traffic_peer(sc_kit_mkdir("acme/later"), SC_NET_HOST);
	sc_kit_rmdir("acme-again");
	stage.peer[AGAIN] = sc_traffic_peer(sc_kit_mkdir("acme-again"), SC_NET_HOST);
	stage.peer[PREFIX] = sc_traffic_peer(sc_kit_mkdir("acme-new"), SC_NET_HOST);
	cr_assert_eq(sc_peer_join(&stage.peer[LEAVER], stage.outside), 0);
}

static bool have_more_arrived(void *before)
{
	return sc_traffic_arrived(&sc_traffic_world) > *(long *)before;
}

/* A packet socket gets no echo: what passes is seen where it arrives. */
static bool frame_passes(struct sc_peer *peer, const struct sc_traffic_kind *kind, unsigned int ms)
{
	long handle = sc_peer_number(peer, "open packet %s %d 30000",
				     sc_net_address(SC_NET_OUTSIDE, SC_NET_HOST, kind->family),
				     SC_TRAFFIC_SINK_PORT);
	long before = sc_traffic_arrived(&sc_traffic_world);

	return handle >= 0 && !strcmp(sc_peer_tell(peer, "talk %ld 30000", handle), "ok") &&
	       sc_wait_until(have_more_arrived, &before, ms) == 0;
}

/* Where the kernel has it, packet sockets are refused: the one gap that depends on the machine, and
 * that doctor tells of. */
static bool has_bpf_lsm(void)
{
	char list[256] = "";

	sc_read_file_at(AT_FDCWD, "/sys/kernel/security/lsm", list, sizeof(list));
	return strstr(list, "bpf") != NULL;
}

static char want_of(const struct row *row, size_t k)
{
	return row->how == PACKET_NEW && row->want[k] == 'g' && has_bpf_lsm() ? 'h' : row->want[k];
}

static bool passes(size_t i, size_t k)
{
	const struct row *row = &rows[i];
	struct sc_peer *peer = &stage.peer[row->who];
	unsigned int ms = want_of(row, k) == 'h' ? SC_TRAFFIC_HELD_MS : SC_TRAFFIC_OPEN_MS;

	/* Only now: the next change of the cut looks for such sockets, and ends what it can. */
	if (row->who == LATECOMER && k == 0)
		cr_assert_eq(sc_peer_join(peer, stage.acme), 0);
	if (row->how == PACKET_NEW)
		return frame_passes(peer, &sc_traffic_kinds[k], ms);
	if (row->how == NEW)
		return !strcmp(sc_traffic_try(peer, &sc_traffic_kinds[k], row->path, ms), "ok");
	return !strcmp(sc_peer_tell(peer, "talk %ld %u", stage.open[i][k], ms), "ok");
}

/* One cell: a held one must leave no trace on the other side either. */
static void look(size_t i, size_t k, char *shown)
{
	const struct row *row = &rows[i];
	char want = want_of(row, k);
	long before = sc_traffic_arrived(&sc_traffic_world);
	bool passed = want != '-' && passes(i, k);

	if (want == '-') {
		*shown = '-';
		return;
	}
	*shown = !passed ? 'h' : want == 'p' ? 'p' : 'g';
	cr_expect_eq(*shown, want, "%s by %s: %s (%s)", row->name, sc_traffic_kinds[k].name,
		     passed ? "passes" : "is held", stage.peer[row->who].word);
	/* To what comes from outside the host itself may answer that there is nothing. */
	if (!passed && row->who != WORLD)
		cr_expect_eq(sc_traffic_arrived(&sc_traffic_world), before,
			     "%s by %s: packets arrived", row->name, sc_traffic_kinds[k].name);
}

static void print(char shown[][SC_TRAFFIC_KINDS])
{
	static const char *const words[] = {
		['-'] = "", ['h'] = "held", ['p'] = "passes", ['g'] = "GAP"};

	fprintf(stderr, "%-40s", "tenant-quarantine");
	for (size_t k = 0; k < SC_TRAFFIC_KINDS; k++)
		fprintf(stderr, " %-6s", sc_traffic_kinds[k].name);
	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		fprintf(stderr, "\n%-40s", rows[i].name);
		for (size_t k = 0; k < SC_TRAFFIC_KINDS; k++)
			fprintf(stderr, " %-6s", words[(unsigned char)shown[i][k]]);
	}
	fprintf(stderr, "\n");
}

Test(traffic_matrix, quarantine_holds_what_the_table_says)
{
	char shown[SC_ARRAY_SIZE(rows)][SC_TRAFFIC_KINDS];

	sc_kit_mkdir("acme-again");
	set_up();
	sc_traffic_start("");
	sc_traffic_fire("cut");
	go_on();
	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++)
		for (size_t k = 0; k < SC_TRAFFIC_KINDS; k++)
			look(i, k, &shown[i][k]);
	print(shown);
	sc_kit_expect("doctor", 0, has_bpf_lsm() ? "refused to what is cut" : "through AF_PACKET");
}
