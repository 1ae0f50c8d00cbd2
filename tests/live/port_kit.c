/* SPDX-License-Identifier: Apache-2.0 */
/* The port of traffic with a network around it, and ways to see what passes. */
#include "live/port_kit.h"

#include "base/io.h"
#include "base/str.h"
#include "sys/nft.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

struct sc_traffic port;
struct sc_net port_net = {.space = {-1, -1, -1}};
struct sc_peer port_world = {.fd = -1};
char port_gate_dir[SC_BPF_PIN_DIR_MAX];
char port_table[SC_TRAFFIC_TABLE_MAX];

static struct sc_cgroup_fs fs;
static char pins[SC_BPF_PIN_DIR_MAX];

void port_open(void)
{
	struct sc_traffic_host host = {.fs = &fs, .root_fd = sc_box.dirfd, .pin_dir = pins};

	cr_assert_eq(sc_traffic_wire_open(&host, &port), 0);
}

void port_arm(void)
{
	char why[256] = "";

	cr_assert_eq(port.ops->arm(port.ctx, why, sizeof(why)), 0, "%s", why);
	for (int mode = 0; mode < SC_CUT_MODE_COUNT; mode++)
		cr_assert_eq(port.ops->can(port.ctx, (enum sc_cut_mode)mode, why, sizeof(why)), 0,
			     "%s", why);
}

struct sc_peer port_peer(int cgroup_fd, enum sc_net_space space)
{
	struct sc_peer peer;

	cr_assert_eq(sc_peer_start(&peer, cgroup_fd, port_net.space[space]), 0);
	return peer;
}

void port_init(void)
{
	sc_box_init();
	cr_assert_eq(sc_net_open(&port_net), 0);
	cr_assert_geq(sc_net_enter(port_net.space[SC_NET_HOST]), 0);
	cr_assert_eq(sc_cgroup_fs_open(&fs, sc_box.mount), 0);
	cr_assert_eq(sc_bpf_pin_dir(sc_box.tmp, pins), 0);
	cr_assert_eq(sc_sandbox_remove_pins(&sc_box, sc_box.tmp), 0);
	snprintf(port_gate_dir, sizeof(port_gate_dir), "%.*s", (int)(strrchr(pins, '/') - pins),
		 pins);
	sc_traffic_table_name(pins, port_table);
	port_open();
	port_world = port_peer(-1, SC_NET_OUTSIDE);
	cr_assert_str_eq(sc_peer_tell(&port_world, "listen tcp :: %d", PORT_ECHO), "ok");
	cr_assert_str_eq(sc_peer_tell(&port_world, "listen udp :: %d", PORT_ECHO), "ok");
	cr_assert_str_eq(sc_peer_tell(&port_world, "sink udp :: %d", PORT_SINK), "ok");
}

void port_fini(void)
{
	if (port.ctx)
		port.ops->disarm(port.ctx);
	sc_traffic_wire_close(&port);
	sc_net_close(&port_net);
	sc_cgroup_fs_close(&fs);
	sc_box_fini();
}

struct sc_cut_member port_member(int cgroup_fd)
{
	/* /scram-test-PID-N/NAME */
	return (struct sc_cut_member){.cgroup_id = sc_cgroup_id(cgroup_fd), .level = 2};
}

struct sc_cut_report port_set(const struct sc_cut *cut)
{
	struct sc_cut_report report = {0};

	cr_assert_eq(port.ops->set_gate(port.ctx, cut, &report), 0, "%s", report.text);
	cr_assert_eq(port.ops->set_rules(port.ctx, cut, &report), 0, "%s", report.text);
	cr_assert_eq(port.ops->end_flows(port.ctx, cut, &report), 0, "%s", report.text);
	return report;
}

struct sc_cut port_cut(uint32_t number, enum sc_cut_mode mode, const struct sc_cut_member *members,
		       uint32_t n)
{
	return (struct sc_cut){.number = number,
			       .mode = mode,
			       .fire_id = PORT_FIRE,
			       .name = "tenant acme",
			       .members = members,
			       .n_members = n};
}

struct sc_cut_report port_set_one(uint32_t number, enum sc_cut_mode mode,
				  const struct sc_cut_member *member)
{
	struct sc_cut cut = port_cut(number, mode, member, 1);

	return port_set(&cut);
}

const char *port_try(struct sc_peer *peer, const char *proto, enum sc_net_space from,
		     unsigned int ms)
{
	long handle = sc_peer_number(peer, "open %s %s %d %u", proto,
				     sc_net_address(SC_NET_OUTSIDE, from, AF_INET), PORT_ECHO, ms);
	char word[SC_PEER_WORD_MAX];

	if (handle < 0)
		return peer->word;
	sc_strcopy(word, sizeof(word), sc_peer_tell(peer, "talk %ld %u", handle, ms));
	sc_peer_tell(peer, "close %ld", handle);
	sc_strcopy(peer->word, sizeof(peer->word), word);
	return peer->word;
}

void port_expect_open(struct sc_peer *peer, enum sc_net_space from)
{
	cr_expect_str_eq(port_try(peer, "tcp", from, PORT_OPEN_MS), "ok");
	cr_expect_str_eq(port_try(peer, "udp", from, PORT_OPEN_MS), "ok");
}

long port_flow(struct sc_peer *peer)
{
	long handle = sc_peer_number(peer, "open tcp %s %d %u",
				     sc_net_address(SC_NET_OUTSIDE, SC_NET_HOST, AF_INET),
				     PORT_ECHO, PORT_OPEN_MS);

	cr_assert_str_eq(sc_peer_tell(peer, "talk %ld %u", handle, PORT_OPEN_MS), "ok");
	return handle;
}

struct sc_cut_audit port_audit(const struct sc_cut *cuts, uint32_t n, struct sc_cut_counts *counts)
{
	static struct sc_cut_counts all[SC_CUTS_MAX];
	struct sc_cut_audit out;

	cr_assert_eq(port.ops->audit(port.ctx, cuts, n, all, &out), 0, "%s", out.text);
	for (uint32_t i = 0; counts && i < n; i++)
		counts[i] = all[cuts[i].number];
	return out;
}

bool port_has_table(enum sc_net_space space)
{
	_cleanup_nft_ struct sc_nft *nft = NULL;
	struct sc_diag diag = {0};

	cr_assert_eq(sc_nft_open(&nft, port_net.space[space], port_table, &diag), 0, "%s",
		     diag.text);
	return sc_nft_exists(nft) == 1;
}

void port_delete_table(enum sc_net_space space)
{
	_cleanup_nft_ struct sc_nft *nft = NULL;

	cr_assert_eq(sc_nft_open(&nft, port_net.space[space], port_table, NULL), 0);
	cr_assert_eq(sc_nft_delete(nft, NULL), 0);
}

unsigned int port_pins(void)
{
	unsigned int n = 0;
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/gate1", port_gate_dir);
	dir = opendir(path);
	while (dir && (e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}
