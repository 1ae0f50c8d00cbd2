/* SPDX-License-Identifier: Apache-2.0 */
/* The port of traffic on the real kernel: what each mode does, where, and what is put back. */
#include "live/port_kit.h"

#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

TestSuite(traffic_port, .init = port_init, .fini = port_fini, .timeout = 300);

Test(traffic_port, nothing_can_be_cut_before_it_is_armed)
{
	const struct sc_cut_member none = {1, 1};
	struct sc_cut cut = port_cut(0, SC_CUT_DROP, &none, 1);
	struct sc_cut_report report = {0};
	char why[256] = "";

	cr_expect_eq(port.ops->can(port.ctx, SC_CUT_DROP, why, sizeof(why)), -EOPNOTSUPP);
	cr_expect_not_null(strstr(why, "not armed"), "%s", why);
	cr_expect_eq(port.ops->can(port.ctx, SC_CUT_REFUSE_NEW, why, sizeof(why)), -EOPNOTSUPP);
	cr_expect_eq(port.ops->set_gate(port.ctx, &cut, &report), -EOPNOTSUPP);
	cr_expect(report.text[0] && !report.has_gate);
	cr_expect_eq(port.ops->set_rules(port.ctx, &cut, &report), -EOPNOTSUPP);
	cr_expect_not(port.ops->is_gated(port.ctx, 0, 1));
	cut.mode = SC_CUT_NONE;
	cr_expect_eq(port.ops->set_rules(port.ctx, &cut, &report), 0);
}

Test(traffic_port, armed_with_nothing_cut_touches_no_packet_and_disarms_without_a_trace)
{
	struct sc_peer peer = port_peer(sc_sandbox_mkdir(&sc_box, "a"), SC_NET_HOST);

	port_arm();
	port_arm();
	cr_expect(port_has_table(SC_NET_HOST));
	cr_expect_gt(port_pins(), 0);
	port_expect_open(&peer, SC_NET_HOST);
	port.ops->disarm(port.ctx);
	cr_expect_not(port_has_table(SC_NET_HOST));
	cr_expect_eq(port_pins(), 0);
	port_arm();
	cr_expect(port_has_table(SC_NET_HOST), "and can be armed again");
}

Test(traffic_port, a_quarantine_drops_all_and_a_release_restores_all)
{
	int a = sc_sandbox_mkdir(&sc_box, "a"), b = sc_sandbox_mkdir(&sc_box, "b");
	int below = sc_sandbox_mkdir(&sc_box, "a/below");
	struct sc_peer member = port_peer(a, SC_NET_HOST), child = port_peer(below, SC_NET_HOST);
	struct sc_peer bystander = port_peer(b, SC_NET_HOST);
	struct sc_cut_member m = port_member(a);
	long old = port_flow(&child), other = port_flow(&bystander);
	struct sc_cut_report report;

	port_arm();
	report = port_set_one(3, SC_CUT_DROP, &m);
	cr_expect(report.has_gate && report.has_rules && report.error == 0);
	cr_expect(report.gate_begin_ns && report.gate_begin_ns <= report.gate_end_ns);
	cr_expect(report.rules_begin_ns && report.rules_begin_ns <= report.rules_end_ns);
	cr_expect_eq(report.namespaces, 1);
	cr_expect_eq(report.flows_ended, 1);
	cr_expect_eq(report.flows_left, 0);
	cr_expect_str_neq(port_try(&member, "tcp", SC_NET_HOST, PORT_HELD_MS), "ok");
	cr_expect_str_neq(port_try(&child, "udp", SC_NET_HOST, PORT_HELD_MS), "ok");
	cr_expect_str_neq(sc_peer_tell(&child, "talk %ld %u", old, PORT_HELD_MS), "ok");
	cr_expect(port.ops->is_gated(port.ctx, 3, sc_cgroup_id(below)));
	cr_expect_not(port.ops->is_gated(port.ctx, 3, sc_cgroup_id(b)));
	port_expect_open(&bystander, SC_NET_HOST);
	cr_expect_str_eq(sc_peer_tell(&bystander, "talk %ld %u", other, PORT_OPEN_MS), "ok");
	port_set_one(3, SC_CUT_NONE, &m);
	cr_expect_not(port.ops->is_gated(port.ctx, 3, m.cgroup_id));
	port_expect_open(&member, SC_NET_HOST);
	port_expect_open(&child, SC_NET_HOST);
}

Test(traffic_port, refuse_new_answers_at_once_and_lets_established_go_on)
{
	int a = sc_sandbox_mkdir(&sc_box, "a");
	struct sc_peer member = port_peer(a, SC_NET_HOST);
	struct sc_cut_member m = port_member(a);
	long old = port_flow(&member);

	port_arm();
	cr_expect_eq(port_set_one(0, SC_CUT_REFUSE_NEW, &m).flows_ended, 0);
	cr_expect_str_eq(port_try(&member, "tcp", SC_NET_HOST, PORT_OPEN_MS), "refused");
	cr_expect_str_eq(port_try(&member, "udp", SC_NET_HOST, PORT_OPEN_MS), "ok");
	cr_expect_str_eq(sc_peer_tell(&member, "talk %ld %u", old, PORT_OPEN_MS), "ok");
	cr_expect_eq(port_set_one(0, SC_CUT_REFUSE_ALL, &m).flows_ended, 1);
	cr_expect_str_eq(port_try(&member, "tcp", SC_NET_HOST, PORT_OPEN_MS), "refused");
	cr_expect_str_neq(port_try(&member, "udp", SC_NET_HOST, PORT_HELD_MS), "ok");
	cr_expect_str_neq(sc_peer_tell(&member, "talk %ld %u", old, PORT_HELD_MS), "ok");
	port_set_one(0, SC_CUT_NONE, &m);
	port_expect_open(&member, SC_NET_HOST);
}

Test(traffic_port, half_open_lets_so_many_through_for_each_attempt)
{
	int a = sc_sandbox_mkdir(&sc_box, "a");
	struct sc_peer member = port_peer(a, SC_NET_HOST);
	struct sc_cut_member m = port_member(a);
	struct sc_cut cut = port_cut(9, SC_CUT_TRY, &m, 1);
	struct sc_cut_counts counts;

	port_arm();
	port_set_one(9, SC_CUT_REFUSE_NEW, &m);
	cut.tries = 2;
	for (cut.attempt = 1; cut.attempt <= 2; cut.attempt++) {
		port_set(&cut);
		cr_expect_str_eq(port_try(&member, "tcp", SC_NET_HOST, PORT_OPEN_MS), "ok");
		cr_expect_str_eq(port_try(&member, "tcp", SC_NET_HOST, PORT_OPEN_MS), "ok");
		cr_expect_str_eq(port_try(&member, "tcp", SC_NET_HOST, PORT_OPEN_MS), "refused");
		port.ops->count(port.ctx, 9, &counts);
		cr_expect_eq(counts.passed, 2);
		port_set(&cut);
		cr_expect_str_eq(port_try(&member, "tcp", SC_NET_HOST, PORT_OPEN_MS), "refused",
				 "told again is not another attempt");
	}
	port_set_one(9, SC_CUT_NONE, &m);
}

Test(traffic_port, of_two_cuts_the_stronger_holds_and_its_release_leaves_the_weaker)
{
	int a = sc_sandbox_mkdir(&sc_box, "a");
	struct sc_peer member = port_peer(a, SC_NET_HOST);
	struct sc_cut_member m = port_member(a);

	struct sc_cut weaker = port_cut(1, SC_CUT_REFUSE_NEW, &m, 1);
	struct sc_cut_audit seen;

	port_arm();
	port_set(&weaker);
	port_set_one(2, SC_CUT_DROP, &m);
	seen = port_audit(&weaker, 1, NULL);
	cr_expect_not(seen.differs, "of the stronger one nothing was told: %s", seen.text);
	cr_expect_str_neq(port_try(&member, "udp", SC_NET_HOST, PORT_HELD_MS), "ok");
	cr_expect(port.ops->is_gated(port.ctx, 1, m.cgroup_id), "the stronger holds it for both");
	port_set_one(2, SC_CUT_NONE, &m);
	cr_expect_str_eq(port_try(&member, "udp", SC_NET_HOST, PORT_OPEN_MS), "ok");
	cr_expect_str_eq(port_try(&member, "tcp", SC_NET_HOST, PORT_OPEN_MS), "refused");
	cr_expect(port.ops->is_gated(port.ctx, 1, m.cgroup_id));
	port_set_one(1, SC_CUT_NONE, &m);
	port_expect_open(&member, SC_NET_HOST);
}

Test(traffic_port, a_member_in_another_namespace_is_refused_there_too)
{
	int a = sc_sandbox_mkdir(&sc_box, "a"), b = sc_sandbox_mkdir(&sc_box, "b");
	struct sc_peer pod = port_peer(a, SC_NET_POD), bystander = port_peer(b, SC_NET_POD);
	struct sc_cut_member m = port_member(a);

	port_arm();
	cr_expect_eq(port_set_one(0, SC_CUT_REFUSE_ALL, &m).namespaces, 2);
	cr_expect(port_has_table(SC_NET_POD));
	cr_expect_str_eq(port_try(&pod, "tcp", SC_NET_POD, PORT_OPEN_MS), "refused");
	port_expect_open(&bystander, SC_NET_POD);
	cr_expect_eq(port_set_one(0, SC_CUT_NONE, &m).namespaces, 1);
	cr_expect_not(port_has_table(SC_NET_POD), "nothing is cut there any more");
	port_expect_open(&pod, SC_NET_POD);
}

Test(traffic_port, a_cut_ends_also_where_its_processes_are_no_more)
{
	int a = sc_sandbox_mkdir(&sc_box, "a"), b = sc_sandbox_mkdir(&sc_box, "b");
	struct sc_peer pod = port_peer(a, SC_NET_POD), bystander = port_peer(b, SC_NET_POD);
	struct sc_cut_member m = port_member(a);

	port_arm();
	port_set_one(0, SC_CUT_REFUSE_ALL, &m);
	sc_peer_end(&pod);
	port_set_one(0, SC_CUT_NONE, &m);
	cr_expect_not(port_has_table(SC_NET_POD));
	port_expect_open(&bystander, SC_NET_POD);
}

/* As ip-netns(8) does: it lives on without a process. */
static void bind_space(enum sc_net_space space, const char *file)
{
	char from[32];
	int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	snprintf(from, sizeof(from), "/proc/self/fd/%d", port_net.space[space]);
	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount(from, file, NULL, MS_BIND, NULL), 0);
}

Test(traffic_port, a_cut_ends_also_in_a_namespace_that_has_no_process_now)
{
	int a = sc_sandbox_mkdir(&sc_box, "a");
	struct sc_peer pod = port_peer(a, SC_NET_POD);
	struct sc_cut_member m = port_member(a);
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%s/the pod", sc_box.tmp);
	bind_space(SC_NET_POD, file);
	port_arm();
	port_set_one(0, SC_CUT_REFUSE_ALL, &m);
	sc_peer_end(&pod);
	cr_assert(port_has_table(SC_NET_POD));
	port_set_one(0, SC_CUT_NONE, &m);
	cr_expect_not(port_has_table(SC_NET_POD), "it would refuse whoever comes back");
	pod = port_peer(a, SC_NET_POD);
	port_expect_open(&pod, SC_NET_POD);
}

Test(traffic_port, connections_end_also_of_processes_that_moved_out)
{
	int a = sc_sandbox_mkdir(&sc_box, "a"), below = sc_sandbox_mkdir(&sc_box, "a/below");
	struct sc_peer peer = port_peer(below, SC_NET_HOST);
	struct sc_cut_member m = port_member(a);

	port_flow(&peer);
	cr_assert_eq(sc_peer_join(&peer, sc_sandbox_mkdir(&sc_box, "free")), 0);
	port_arm();
	cr_expect_eq(port_set_one(0, SC_CUT_REFUSE_ALL, &m).flows_ended, 1);
	port_set_one(0, SC_CUT_NONE, &m);
}

Test(traffic_port, a_release_leaves_the_other_cut_of_the_same_namespace)
{
	int a = sc_sandbox_mkdir(&sc_box, "a"), b = sc_sandbox_mkdir(&sc_box, "b");
	struct sc_peer first = port_peer(a, SC_NET_POD), second = port_peer(b, SC_NET_POD);
	struct sc_cut_member ma = port_member(a), mb = port_member(b);

	port_arm();
	port_set_one(1, SC_CUT_REFUSE_ALL, &ma);
	cr_expect_eq(port_set_one(2, SC_CUT_REFUSE_NEW, &mb).namespaces, 2);
	port_set_one(1, SC_CUT_NONE, &ma);
	port_expect_open(&first, SC_NET_POD);
	cr_expect_str_eq(port_try(&second, "tcp", SC_NET_POD, PORT_OPEN_MS), "refused");
	port_set_one(2, SC_CUT_NONE, &mb);
	cr_expect_not(port_has_table(SC_NET_POD));
}

Test(traffic_port, a_process_that_enters_a_namespace_of_another_cut_is_nobodys_doing)
{
	int a = sc_sandbox_mkdir(&sc_box, "a"), b = sc_sandbox_mkdir(&sc_box, "b");
	struct sc_peer first = port_peer(a, SC_NET_POD), second;
	struct sc_cut_member ma = port_member(a), mb = port_member(b);
	struct sc_cut cuts[] = {port_cut(1, SC_CUT_REFUSE_ALL, &ma, 1),
				port_cut(2, SC_CUT_REFUSE_ALL, &mb, 1)};
	struct sc_cut_audit seen;

	port_arm();
	port_set(&cuts[0]);
	port_set(&cuts[1]);
	cr_expect_eq(port_audit(cuts, 2, NULL).new_spaces, 0);
	second = port_peer(b, SC_NET_POD);
	seen = port_audit(cuts, 2, NULL);
	cr_expect(seen.new_spaces == 1 && !seen.differs, "%s", seen.text);
	port_delete_table(SC_NET_POD);
	cr_expect(port_audit(cuts, 2, NULL).differs, "what was there is missing");
	port_set(&cuts[0]);
	port_set(&cuts[1]);
	seen = port_audit(cuts, 2, NULL);
	cr_expect(seen.new_spaces == 0 && !seen.differs, "%s", seen.text);
	cr_expect_str_eq(port_try(&first, "tcp", SC_NET_POD, PORT_OPEN_MS), "refused");
	cr_expect_str_eq(port_try(&second, "tcp", SC_NET_POD, PORT_OPEN_MS), "refused");
}

Test(traffic_port, a_namespace_that_processes_enter_later_is_seen_and_cut)
{
	int a = sc_sandbox_mkdir(&sc_box, "a");
	struct sc_cut_member m = port_member(a);
	struct sc_cut cut = port_cut(0, SC_CUT_REFUSE_ALL, &m, 1);
	struct sc_cut_audit seen;
	struct sc_peer pod;

	port_arm();
	port_set(&cut);
	cr_expect_eq(port_audit(&cut, 1, NULL).new_spaces, 0);
	pod = port_peer(a, SC_NET_POD);
	seen = port_audit(&cut, 1, NULL);
	cr_expect_eq(seen.new_spaces, 1);
	cr_expect_not(seen.differs, "it is nobody's doing: %s", seen.text);
	port_set(&cut);
	cr_expect_eq(port_audit(&cut, 1, NULL).new_spaces, 0);
	cr_expect_str_eq(port_try(&pod, "tcp", SC_NET_POD, PORT_OPEN_MS), "refused");
}

Test(traffic_port, rules_that_somebody_removed_are_seen_missing_and_put_back)
{
	static const enum sc_net_space spaces[] = {SC_NET_HOST, SC_NET_POD};
	int a = sc_sandbox_mkdir(&sc_box, "a");
	struct sc_peer peers[] = {port_peer(a, SC_NET_HOST), port_peer(a, SC_NET_POD)};
	struct sc_cut_member m = port_member(a);
	struct sc_cut cut = port_cut(0, SC_CUT_REFUSE_ALL, &m, 1);

	port_arm();
	port_set(&cut);
	cr_assert_not(port_audit(&cut, 1, NULL).differs);
	for (size_t i = 0; i < SC_ARRAY_SIZE(spaces); i++) {
		struct sc_cut_audit seen;

		port_delete_table(spaces[i]);
		seen = port_audit(&cut, 1, NULL);
		cr_expect(seen.differs && seen.missing > 0, "%s", seen.text);
		cr_expect_neq(seen.text[0], '\0');
		cr_expect_str_neq(port_try(&peers[i], "tcp", spaces[i], PORT_HELD_MS), "ok",
				  "the gate holds meanwhile");
		port_set(&cut);
		seen = port_audit(&cut, 1, NULL);
		cr_expect_not(seen.differs, "%s", seen.text);
		cr_expect_str_eq(port_try(&peers[i], "tcp", spaces[i], PORT_OPEN_MS), "refused");
	}
}

Test(traffic_port, a_gate_that_somebody_detached_is_seen_and_attached_again)
{
	int a = sc_sandbox_mkdir(&sc_box, "a");
	struct sc_peer member = port_peer(a, SC_NET_HOST);
	struct sc_cut_member m = port_member(a);
	struct sc_cut cut = port_cut(0, SC_CUT_DROP, &m, 1);
	_cleanup_close_ int link = -1;
	char path[SC_BPF_PIN_DIR_MAX + 32];
	struct sc_cut_audit seen;

	port_arm();
	port_set(&cut);
	snprintf(path, sizeof(path), "%s/gate1/link_out", port_gate_dir);
	link = bpf_obj_get(path);
	cr_assert_geq(link, 0, "%s", path);
	cr_assert_eq(bpf_link_detach(link), 0);
	seen = port_audit(&cut, 1, NULL);
	cr_expect(seen.is_gate_lost && seen.differs && seen.text[0]);
	port_set(&cut);
	seen = port_audit(&cut, 1, NULL);
	cr_expect_not(seen.differs, "%s", seen.text);
	cr_expect_str_neq(port_try(&member, "udp", SC_NET_HOST, PORT_HELD_MS), "ok");
}
