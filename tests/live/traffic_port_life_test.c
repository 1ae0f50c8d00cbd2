/* SPDX-License-Identifier: Apache-2.0 */
/* The port of traffic over time: what is counted, cgroups that come and go, agents that do. */
#include "live/port_kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

TestSuite(traffic_port_life, .init = port_init, .fini = port_fini, .timeout = 300);

#define SHOTS 5

static void shoot(int cgroup_fd, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		(void)sc_net_shot(cgroup_fd, port_net.space[SC_NET_HOST],
				  sc_net_address(SC_NET_OUTSIDE, SC_NET_HOST, AF_INET), PORT_SINK);
}

static long arrived(void)
{
	struct sc_peer_counts counts;

	cr_assert_eq(sc_peer_count(&port_world, &counts), 0);
	return counts.received;
}

Test(traffic_port_life, what_is_held_back_is_counted_once_with_its_destination)
{
	int a = sc_sandbox_mkdir(&sc_box, "a"), b = sc_sandbox_mkdir(&sc_box, "b");
	struct sc_cut_member ma = port_member(a), mb = port_member(b);
	struct sc_cut cuts[] = {port_cut(4, SC_CUT_DROP, &ma, 1), port_cut(5, SC_CUT_DROP, &mb, 1)};
	struct sc_cut_counts counts[2], gate;
	char top[72];

	snprintf(top, sizeof(top), "%s:%d/udp",
		 sc_net_address(SC_NET_OUTSIDE, SC_NET_HOST, AF_INET), PORT_SINK);
	port_arm();
	port_set(&cuts[0]);
	port_set(&cuts[1]);
	shoot(a, SHOTS);
	shoot(b, 2);
	cr_expect_eq(arrived(), 0);
	port_audit(cuts, 2, counts);
	cr_expect_eq(counts[0].packets_out, SHOTS);
	cr_expect_eq(counts[0].packets_in, 0);
	cr_expect_eq(counts[1].packets_out, 2);
	cr_expect_eq(counts[0].bytes_out * 2, counts[1].bytes_out * SHOTS);
	cr_expect_gt(counts[0].first_ns, 0);
	cr_expect_str_eq(counts[0].top, top);
	cr_expect_eq(counts[0].top_packets, SHOTS);
	port.ops->count(port.ctx, 4, &gate);
	cr_expect_eq(gate.packets_out, SHOTS, "without asking the kernel");
	cr_expect_eq(gate.bytes_out, counts[0].bytes_out);
	port_set_one(4, SC_CUT_NONE, &ma);
	port_set_one(5, SC_CUT_NONE, &mb);
	shoot(a, 1);
	cr_expect_eq(arrived(), 1);
}

Test(traffic_port_life, refusals_are_counted_through_a_flush)
{
	int a = sc_sandbox_mkdir(&sc_box, "a");
	struct sc_peer peer = port_peer(a, SC_NET_HOST);
	struct sc_cut_member m = port_member(a);
	struct sc_cut cut = port_cut(0, SC_CUT_REFUSE_ALL, &m, 1);
	struct sc_cut_counts counts;

	port_arm();
	port_set(&cut);
	for (uint64_t round = 1; round <= 3; round++) {
		shoot(a, SHOTS);
		port_audit(&cut, 1, &counts);
		cr_expect_eq(counts.packets_out, round * SHOTS);
		port_audit(&cut, 1, &counts);
		cr_expect_eq(counts.packets_out, round * SHOTS, "looking counts nothing");
		port_delete_table(SC_NET_HOST);
		cr_expect(port_audit(&cut, 1, &counts).differs);
		port_set(&cut);
	}
	cr_expect_str_eq(port_try(&peer, "tcp", SC_NET_HOST, PORT_OPEN_MS), "refused");
	port_set_one(0, SC_CUT_NONE, &m);
	memcpy(cut.fire_id, "11111111", 8);
	port_set(&cut);
	port_audit(&cut, 1, &counts);
	cr_expect_eq(counts.packets_out, 0, "another fire begins at zero");
	port_set_one(0, SC_CUT_NONE, &m);
}

Test(traffic_port_life, a_cgroup_made_anew_is_cut_before_its_first_packet)
{
	const char *globs[SC_CUT_GLOBS_MAX];
	char texts[SC_CUT_GLOBS_MAX][SC_SANDBOX_PATH_MAX + 32];
	int a = sc_sandbox_mkdir(&sc_box, "a");
	struct sc_cut_member m = port_member(a);
	struct sc_cut cut = port_cut(0, SC_CUT_DROP, &m, 1);
	struct sc_cut_report report;
	int fd;

	for (uint32_t i = 0; i < SC_CUT_GLOBS_MAX; i++) {
		globs[i] = texts[i];
		snprintf(texts[i], sizeof(texts[i]), "%s/t%u%s", sc_box.cgroup, i,
			 i % 2 ? "-*" : "");
	}
	cut.globs = globs;
	cut.n_globs = SC_CUT_GLOBS_MAX;
	port_arm();
	report = port_set(&cut);
	cr_expect(report.is_globs_in_kernel);
	fd = sc_sandbox_mkdir(&sc_box, "t62");
	cr_expect(port.ops->is_gated(port.ctx, 0, sc_cgroup_id(fd)));
	shoot(fd, 1);
	fd = sc_sandbox_mkdir(&sc_box, "t63-x");
	shoot(fd, 1);
	cr_expect_eq(arrived(), 0);
	fd = sc_sandbox_mkdir(&sc_box, "t64");
	cr_expect_not(port.ops->is_gated(port.ctx, 0, sc_cgroup_id(fd)));
	snprintf(texts[7], sizeof(texts[7]), "%s/*/web", sc_box.cgroup);
	report = port_set(&cut);
	cr_expect_not(report.is_globs_in_kernel, "one of them only userspace can match");
	port_set_one(0, SC_CUT_NONE, &m);
}

Test(traffic_port_life, a_member_that_vanished_harms_nothing)
{
	int a = sc_sandbox_mkdir(&sc_box, "a"), b = sc_sandbox_mkdir(&sc_box, "b");
	struct sc_cut_member both[] = {port_member(a), port_member(b)};
	struct sc_peer peer = port_peer(b, SC_NET_HOST);
	struct sc_cut cut = port_cut(0, SC_CUT_REFUSE_ALL, both, 2);
	struct sc_cut_report report;

	port_arm();
	close(a);
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "a"), 0);
	report = port_set(&cut);
	cr_expect(report.has_gate && report.has_rules);
	cr_expect_not(port_audit(&cut, 1, NULL).differs);
	cr_expect_str_eq(port_try(&peer, "tcp", SC_NET_HOST, PORT_OPEN_MS), "refused");
	cut = port_cut(0, SC_CUT_REFUSE_ALL, &both[1], 1);
	port_set(&cut);
	cr_expect_not(port_audit(&cut, 1, NULL).differs);
	port_set_one(0, SC_CUT_NONE, &both[1]);
}

/* A process that was in a removed cgroup keeps the sockets it made there; connections are not ended
 * here, for that would end them before the gate is asked. */
Test(traffic_port_life, sockets_of_a_removed_cgroup_stay_cut)
{
	int a = sc_sandbox_mkdir(&sc_box, "a"), b = sc_sandbox_mkdir(&sc_box, "b");
	struct sc_cut_member m[] = {port_member(a), port_member(b)};
	struct sc_peer peer = port_peer(a, SC_NET_HOST);
	struct sc_cut cuts[] = {port_cut(0, SC_CUT_DROP, &m[0], 1),
				port_cut(0, SC_CUT_DROP, &m[1], 1)};
	struct sc_cut_report report = {0};
	long handle = sc_peer_number(&peer, "open udp %s %d %d",
				     sc_net_address(SC_NET_OUTSIDE, SC_NET_HOST, AF_INET),
				     PORT_ECHO, PORT_OPEN_MS);

	port_arm();
	cr_assert_eq(port.ops->set_gate(port.ctx, &cuts[0], &report), 0);
	cr_assert_eq(sc_peer_join(&peer, sc_sandbox_mkdir(&sc_box, "free")), 0);
	close(a);
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "a"), 0);
	cr_assert_eq(port.ops->set_gate(port.ctx, &cuts[1], &report), 0);
	cr_expect_str_neq(sc_peer_tell(&peer, "talk %ld %u", handle, PORT_HELD_MS), "ok");
	cuts[1].mode = SC_CUT_NONE;
	cr_assert_eq(port.ops->set_gate(port.ctx, &cuts[1], &report), 0);
	cr_expect_str_eq(sc_peer_tell(&peer, "talk %ld %u", handle, PORT_OPEN_MS), "ok",
			 "it was the gate that held it");
}

Test(traffic_port_life, what_an_agent_leaves_cut_stays_so_and_the_next_one_takes_it_up)
{
	int a = sc_sandbox_mkdir(&sc_box, "a");
	struct sc_peer peer = port_peer(a, SC_NET_HOST), pod = port_peer(a, SC_NET_POD);
	struct sc_peer bystander = port_peer(-1, SC_NET_POD);
	struct sc_cut_member m = port_member(a);
	struct sc_cut cut = port_cut(7, SC_CUT_DROP, &m, 1);
	static struct sc_cut_found found[SC_CUTS_MAX];
	struct sc_cut_counts counts;

	port_arm();
	cr_expect_eq(port.ops->found(port.ctx, found), 0);
	port_set(&cut);
	shoot(a, SHOTS);
	port.ops->disarm(port.ctx);
	sc_traffic_wire_close(&port);
	cr_expect_gt(port_pins(), 0);
	shoot(a, SHOTS);
	port_open();
	cr_assert_eq(port.ops->found(port.ctx, found), 1, "before it is armed");
	cr_expect_eq(found[0].number, 7);
	cr_expect_eq(found[0].mode, SC_CUT_DROP);
	cr_expect_str_eq(found[0].fire_id, PORT_FIRE);
	cr_expect_str_eq(found[0].name, "tenant acme");
	port_arm();
	cr_expect_eq(port.ops->found(port.ctx, found), 1);
	shoot(a, SHOTS);
	port_set(&cut);
	shoot(a, SHOTS);
	cr_expect_eq(arrived(), 0);
	port.ops->count(port.ctx, 7, &counts);
	cr_expect_eq(counts.packets_out, 4 * SHOTS, "counted on through the change of agents");
	sc_peer_end(&pod);
	port_set_one(7, SC_CUT_NONE, &m);
	port_expect_open(&peer, SC_NET_HOST);
	port_expect_open(&bystander, SC_NET_POD);
	port.ops->disarm(port.ctx);
	cr_expect_eq(port_pins(), 0);
	cr_expect_not(port_has_table(SC_NET_HOST));
	cr_expect_not(port_has_table(SC_NET_POD));
}

Test(traffic_port_life, what_stands_pinned_is_released_also_where_the_gate_cannot_be_loaded)
{
	int a = sc_sandbox_mkdir(&sc_box, "a");
	struct sc_peer peer = port_peer(a, SC_NET_HOST);
	struct sc_cut_member m = port_member(a);
	struct sc_cut cut = port_cut(7, SC_CUT_NONE, &m, 1);
	struct sc_cut_report report = {0};

	port_arm();
	port_set_one(7, SC_CUT_DROP, &m);
	port_set_one(8, SC_CUT_REFUSE_NEW, &m);
	sc_traffic_wire_close(&port);
	port_open();
	cr_assert_eq(port.ops->set_gate(port.ctx, &cut, &report), 0, "%s", report.text);
	cr_expect_neq(port_pins(), 0, "the other cut stands");
	cut.number = 8;
	cr_assert_eq(port.ops->set_gate(port.ctx, &cut, &report), 0, "%s", report.text);
	cr_expect_eq(port_pins(), 0);
	cr_assert_eq(port.ops->set_gate(port.ctx, &cut, &report), 0, "harmless when repeated");
	port_arm();
	port_set_one(8, SC_CUT_NONE, &m);
	port_expect_open(&peer, SC_NET_HOST);
}

Test(traffic_port_life, a_table_left_where_no_member_lives_any_more_is_found_and_removed)
{
	int a = sc_sandbox_mkdir(&sc_box, "a"), b = sc_sandbox_mkdir(&sc_box, "b");
	struct sc_peer pod = port_peer(a, SC_NET_POD);
	struct sc_peer bystander = port_peer(b, SC_NET_POD);
	struct sc_cut_member m = port_member(a);

	port_arm();
	port_set_one(0, SC_CUT_DROP, &m);
	sc_traffic_wire_close(&port);
	sc_peer_end(&pod);
	cr_expect(port_has_table(SC_NET_POD));
	port_open();
	port_arm();
	port_set_one(0, SC_CUT_DROP, &m);
	port_set_one(0, SC_CUT_NONE, &m);
	cr_expect_not(port_has_table(SC_NET_POD));
	port_expect_open(&bystander, SC_NET_POD);
}

Test(traffic_port_life, a_number_taken_by_another_group_holds_nothing_of_the_old_one)
{
	int a = sc_sandbox_mkdir(&sc_box, "a"), b = sc_sandbox_mkdir(&sc_box, "b");
	struct sc_peer peer = port_peer(a, SC_NET_HOST);
	struct sc_cut_member ma = port_member(a), mb = port_member(b);
	struct sc_cut cut = port_cut(7, SC_CUT_DROP, &mb, 1);

	port_arm();
	port_set_one(7, SC_CUT_DROP, &ma);
	sc_traffic_wire_close(&port);
	port_open();
	port_arm();
	memcpy(cut.fire_id, "11111111", 8);
	memcpy(cut.name, "tenant beta", 12);
	port_set(&cut);
	port_expect_open(&peer, SC_NET_HOST);
	port_set_one(7, SC_CUT_NONE, &mb);
}

Test(traffic_port_life, offline_one_cut_is_released_by_name_and_the_others_stand)
{
	int a = sc_sandbox_mkdir(&sc_box, "a"), b = sc_sandbox_mkdir(&sc_box, "b");
	struct sc_peer first = port_peer(a, SC_NET_HOST), second = port_peer(b, SC_NET_HOST);
	struct sc_peer pod = port_peer(a, SC_NET_POD);
	struct sc_cut_member ma = port_member(a), mb = port_member(b);
	struct sc_cut beta = port_cut(2, SC_CUT_REFUSE_ALL, &mb, 1);
	struct sc_cut_report report = {0};

	cr_expect_eq(sc_traffic_offline_release(sc_box.tmp, NULL, &report), -ENOENT);
	memcpy(beta.fire_id, "11111111", 8);
	memcpy(beta.name, "tenant beta", 12);
	port_arm();
	port_set_one(1, SC_CUT_DROP, &ma);
	port_set(&beta);
	sc_traffic_wire_close(&port);
	cr_expect_eq(sc_traffic_offline_release(sc_box.tmp, "tenant none", &report), -ENOENT);
	cr_expect_str_neq(port_try(&first, "udp", SC_NET_HOST, PORT_HELD_MS), "ok");
	cr_expect_eq(sc_traffic_offline_release(sc_box.tmp, "tenant acme", &report), 1, "%s",
		     report.text);
	cr_expect_not_null(strstr(report.text, "1 other"), "%s", report.text);
	cr_expect_eq(report.namespaces, 2);
	port_expect_open(&first, SC_NET_HOST);
	port_expect_open(&pod, SC_NET_POD);
	cr_expect_str_neq(port_try(&second, "udp", SC_NET_HOST, PORT_HELD_MS), "ok");
	report = (struct sc_cut_report){0};
	cr_expect_eq(sc_traffic_offline_release(sc_box.tmp, beta.fire_id, &report), 1);
	cr_expect_eq(report.text[0], '\0', "%s", report.text);
	port_expect_open(&second, SC_NET_HOST);
	cr_expect_eq(port_pins(), 0);
	cr_expect_not(port_has_table(SC_NET_HOST));
	cr_expect_not(port_has_table(SC_NET_POD));
}

/* The collector of another agent thread, over one cut that stands all the time. */
struct collector {
	struct sc_cut cut;
	_Atomic bool stop;
	unsigned int audits, differed, busy;
	struct sc_cut_counts counts[SC_CUTS_MAX];
};

static void *collect(void *arg)
{
	struct collector *c = arg;

	while (!atomic_load(&c->stop) || c->audits == 0) {
		struct sc_cut_audit out;
		int r = port.ops->audit(port.ctx, &c->cut, 1, c->counts, &out);

		c->busy += r == -EBUSY;
		c->audits += r == 0;
		c->differed += r == 0 && out.differs;
		if (r < 0 && r != -EBUSY)
			return (void *)"failed";
	}
	return NULL;
}

Test(traffic_port_life, cuts_come_and_go_while_the_collector_looks_at_others)
{
	static const enum sc_cut_mode modes[] = {SC_CUT_DROP, SC_CUT_REFUSE_ALL, SC_CUT_REFUSE_NEW,
						 SC_CUT_NONE};
	static struct collector c;
	int a = sc_sandbox_mkdir(&sc_box, "a"), b = sc_sandbox_mkdir(&sc_box, "b");
	struct sc_cut_member ma = port_member(a), mb = port_member(b);
	struct sc_peer pod = port_peer(a, SC_NET_POD);
	pthread_t thread;
	void *failed;

	port_arm();
	c.cut = port_cut(0, SC_CUT_REFUSE_ALL, &ma, 1);
	port_set(&c.cut);
	cr_assert_eq(pthread_create(&thread, NULL, collect, &c), 0);
	for (int round = 0; round < 100; round++) {
		port_set_one(1, modes[round % 4], &mb);
		cr_expect_eq(port.ops->is_gated(port.ctx, 1, mb.cgroup_id), round % 4 != 3);
	}
	atomic_store(&c.stop, true);
	pthread_join(thread, &failed);
	cr_expect_null(failed);
	cr_expect_gt(c.audits, 0);
	cr_expect_eq(c.differed, 0, "%u of %u", c.differed, c.audits);
	cr_expect_str_eq(port_try(&pod, "tcp", SC_NET_POD, PORT_OPEN_MS), "refused");
	port_set_one(0, SC_CUT_NONE, &ma);
}

Test(traffic_port_life, the_table_has_the_name_of_its_run_directory)
{
	static const struct {
		const char *pins, *table;
	} cases[] = {
		{"/sys/fs/bpf/scram/v1", "scram"},
		{"/sys/fs/bpf/scram/v22", "scram"},
		{"/sys/fs/bpf/scram/0123456789abcdef/v1", "scram_0123456789abcdef"},
	};
	char table[SC_TRAFFIC_TABLE_MAX];

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		sc_traffic_table_name(cases[i].pins, table);
		cr_expect_str_eq(table, cases[i].table);
	}
}
