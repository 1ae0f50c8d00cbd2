/* SPDX-License-Identifier: Apache-2.0 */
/* The gate without its agent: it stays, is adopted, is released offline; and is put back when
 * somebody takes it away. */
#include "gate_kit.h"

#include "kit.h"

#include "base/io.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

TestSuite(gate_life, .init = gate_init, .fini = gate_fini, .timeout = 300);

/* The path of a pin; valid until the next call. */
static const char *pin(const char *name)
{
	static char path[SC_BPF_PIN_DIR_MAX + 64];
	const char *slash = strrchr(kit_gate.pin_dir, '/');

	snprintf(path, sizeof(path), "%.*s/gate%d/%s", (int)(slash - kit_gate.pin_dir),
		 kit_gate.pin_dir, SC_GATE_SCHEMA, name);
	return path;
}

Test(gate_life, closing_without_a_cut_leaves_nothing_behind)
{
	int web = gate_mkdir("web");

	gate_cut_one(web, 1, SC_GATE_DROP);
	cr_expect_eq(access(pin("link_in"), F_OK), 0);
	cr_assert_eq(sc_gate_end(kit_gate.gate, 1), 0);
	sc_gate_close(&kit_gate.gate);
	cr_expect_null(kit_gate.gate);
	cr_expect_eq(access(pin(""), F_OK), -1);
	cr_expect(gate_reaches(gate_udp(web, AF_INET), gate_udp(-1, AF_INET)));
	gate_open();
}

Test(gate_life, closing_with_a_cut_leaves_the_gate_and_opening_takes_it_over)
{
	int web = gate_mkdir("web"), in = gate_udp(web, AF_INET), out = gate_udp(-1, AF_INET);
	const struct sc_gate_cut *cut;
	struct sc_gate_health health;
	struct sc_gate_entry entry;

	gate_cut_one(web, 1, SC_GATE_DROP);
	gate_glob(1, gate_path("new"));
	cr_expect_not(gate_reaches(in, out));
	sc_gate_close(&kit_gate.gate);
	cr_expect_not(gate_reaches(in, out), "no agent");
	cr_expect_not(gate_reaches(gate_udp(gate_mkdir("new"), AF_INET), out), "born meanwhile");

	gate_open();
	cut = sc_gate_cut(kit_gate.gate, 1);
	cr_expect_eq(cut->mode, SC_GATE_DROP);
	cr_expect_str_eq(cut->name, "cut 1");
	cr_expect_eq(cut->packets_out, 3);
	cr_expect_eq(cut->made, 1);
	cr_expect_eq(sc_gate_look(kit_gate.gate, sc_cgroup_id(web), &entry), 0);
	gate_cut(1, SC_GATE_DROP);
	gate_put(web, 1);
	gate_glob(1, gate_path("new"));
	cr_expect_eq(cut->packets_out, 3, "told again, it goes on counting");
	cr_expect_not(gate_reaches(in, out));
	cr_assert_eq(sc_gate_audit(kit_gate.gate, &health), 0);
	cr_expect_eq(health.lost, 0, "%s", health.what);
	cr_expect_eq(health.state.globs, 1);
	cr_assert_eq(sc_gate_end(kit_gate.gate, 1), 0);
	cr_expect(gate_reaches(in, out));
	cr_expect(gate_reaches(gate_udp(gate_mkdir("new2"), AF_INET), out));
}

struct stream {
	_Atomic uint64_t sent, refused;
	_Atomic bool is_over;
	int fd;
	struct gate_address to;
};

static int pump(void *arg)
{
	struct stream *s = arg;

	while (!s->is_over) {
		s->refused += gate_send(s->fd, &s->to, 8) == -EPERM;
		s->sent++;
	}
	return 0;
}

static bool is_flowing(void *arg)
{
	return ((struct stream *)arg)->sent > 1000;
}

Test(gate_life, not_a_packet_passes_while_the_gate_changes_hands)
{
	int web = gate_mkdir("web"), out = gate_udp(-1, AF_INET), rounds = 20;
	struct stream *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	s->fd = gate_udp(web, AF_INET);
	s->to = gate_where(out);
	gate_cut_one(web, 1, SC_GATE_DROP);
	pid = sc_helper_call(-1, pump, s);
	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_until(is_flowing, s, 30000), 0);
	if (sc_scaled_ms(1) > 1)
		rounds = 3;
	for (int i = 0; i < rounds; i++) {
		sc_gate_close(&kit_gate.gate);
		gate_open();
	}
	s->is_over = true;
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	cr_expect_eq(gate_drain(out), 0);
	cr_expect_eq(s->sent, s->refused, "%llu passed",
		     (unsigned long long)(s->sent - s->refused));
	cr_expect_eq(sc_gate_cut(kit_gate.gate, 1)->packets_out, s->sent, "each counted once");
}

struct doomed {
	int cgroup_fd, ready;
};

static int open_cut_and_wait(void *arg)
{
	const struct doomed *d = arg;
	char byte = 0;

	gate_open();
	gate_cut_one(d->cgroup_fd, 1, SC_GATE_DROP);
	if (write(d->ready, &byte, 1) != 1)
		return 1;
	while (pause())
		continue;
	return 0;
}

Test(gate_life, sigkill_of_the_agent_changes_nothing)
{
	int web = gate_mkdir("web"), in = gate_udp(web, AF_INET), out = gate_udp(-1, AF_INET);
	struct doomed d = {.cgroup_fd = web};
	int ready[2];
	pid_t pid;
	char byte;

	sc_gate_close(&kit_gate.gate);
	cr_assert_eq(pipe(ready), 0);
	d.ready = ready[1];
	pid = sc_helper_call(-1, open_cut_and_wait, &d);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	cr_expect_not(gate_reaches(in, out));
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	cr_expect_not(gate_reaches(in, out));
	gate_open();
	cr_expect_eq(sc_gate_cut(kit_gate.gate, 1)->mode, SC_GATE_DROP);
	cr_assert_eq(sc_gate_end(kit_gate.gate, 1), 0);
	cr_expect(gate_reaches(in, out));
}

Test(gate_life, a_cut_can_be_released_without_an_agent)
{
	int a = gate_mkdir("a"), b = gate_mkdir("b"), out = gate_udp(-1, AF_INET);
	int from_a = gate_udp(a, AF_INET), from_b = gate_udp(b, AF_INET);
	struct sc_gate *offline = NULL;
	char reason[SC_GATE_REASON_MAX];

	gate_cut_one(a, 1, SC_GATE_DROP);
	gate_cut_one(b, 2, SC_GATE_ALL);
	sc_gate_close(&kit_gate.gate);

	cr_assert_eq(sc_gate_open_pinned(&offline, kit_gate.pin_dir, reason), 0, "%s", reason);
	cr_expect_str_eq(sc_gate_cut(offline, 1)->fire_id, "00000000-0000-4000-8000-000000000001");
	cr_assert_eq(sc_gate_end(offline, 1), 0);
	sc_gate_close(&offline);
	cr_expect(gate_reaches(from_a, out));
	cr_expect_not(gate_reaches(from_b, out), "the other stands");

	cr_assert_eq(sc_gate_open_pinned(&offline, kit_gate.pin_dir, reason), 0, "%s", reason);
	cr_assert_eq(sc_gate_end(offline, 2), 0);
	sc_gate_close(&offline);
	cr_expect(gate_reaches(from_b, out));
	cr_expect_eq(access(pin(""), F_OK), -1, "the last one takes the pins with it");
	cr_expect_eq(sc_gate_open_pinned(&offline, kit_gate.pin_dir, reason), -ENOENT);
	cr_expect_neq(reason[0], '\0');
	gate_open();
}

static void detach_out(void)
{
	int fd = bpf_obj_get(pin("link_out"));

	cr_assert_eq(bpf_link_detach(fd), 0);
	close(fd);
}

static void unpin_in(void)
{
	cr_assert_eq(unlink(pin("link_in")), 0);
}

static void unpin_map(void)
{
	cr_assert_eq(unlink(pin("gates")), 0);
}

static void unpin_all(void)
{
	static const char *const names[] = {"link_in",    "link_out",   "link_mkdir",
					    "link_rmdir", "gates",      "gate_cuts",
					    "gate_state", "gate_globs", "gate_filter",
					    "gate_peers", "link_send",  "link_create"};

	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++)
		unlink(pin(names[i]));
	cr_assert_eq(rmdir(pin("")), 0);
}

Test(gate_life, what_somebody_takes_away_is_seen_and_put_back)
{
	static const struct {
		const char *name;
		void (*harm)(void);
		const char *what;
	} rows[] = {
		{"detached", detach_out, "link_out is detached"},
		{"unpinned", unpin_in, "link_in is not pinned"},
		{"map unpinned", unpin_map, "gates is not pinned"},
		{"rm -r", unpin_all, "link_in is not pinned; link_out is not pinned"},
	};
	int web = gate_mkdir("web"), in = gate_udp(web, AF_INET), out = gate_udp(-1, AF_INET);
	struct sc_gate_health health;
	char reason[SC_GATE_REASON_MAX];

	gate_cut_one(web, 1, SC_GATE_DROP);
	gate_glob(1, gate_path("new"));
	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		rows[i].harm();
		cr_assert_eq(sc_gate_audit(kit_gate.gate, &health), 0);
		cr_expect_gt(health.lost, 0, "%s", rows[i].name);
		cr_expect(strncmp(health.what, rows[i].what, strlen(rows[i].what)) == 0, "%s: %s",
			  rows[i].name, health.what);
		cr_assert_eq(sc_gate_repair(kit_gate.gate, reason), 0, "%s: %s", rows[i].name,
			     reason);
		cr_assert_eq(sc_gate_audit(kit_gate.gate, &health), 0);
		cr_expect_eq(health.lost, 0, "%s: %s", rows[i].name, health.what);
		cr_expect_not(gate_reaches(in, out));

		/* And is good enough for the next agent. */
		sc_gate_close(&kit_gate.gate);
		cr_expect_not(gate_reaches(in, out), "%s", rows[i].name);
		gate_open();
		cr_expect_not(gate_reaches(in, out), "%s", rows[i].name);
	}
}

Test(gate_life, a_gate_of_another_root_is_moved_with_what_it_holds)
{
	int web = gate_mkdir("web"), db = gate_mkdir("db"), out = gate_udp(-1, AF_INET);
	int from_web = gate_udp(web, AF_INET), from_db = gate_udp(db, AF_INET);
	struct sc_gate_options o = {.root_fd = web, .pin_dir = kit_gate.pin_dir};
	char reason[SC_GATE_REASON_MAX];

	sc_gate_close(&kit_gate.gate);
	cr_assert_eq(sc_gate_open(&kit_gate.gate, &o, reason), 0, "%s", reason);
	gate_cut_one(web, 1, SC_GATE_DROP);
	gate_put(db, 1);
	cr_expect_not(gate_reaches(from_web, out));
	cr_expect(gate_reaches(from_db, out), "outside of what it supervises");
	sc_gate_close(&kit_gate.gate);
	gate_open();
	cr_expect_not(gate_reaches(from_web, out));
	cr_expect_not(gate_reaches(from_db, out));
}

/* As when an agent dies between the end of a cut and the removal of its entries. */
Test(gate_life, an_entry_of_an_older_cut_with_the_number_holds_nothing)
{
	int web = gate_mkdir("web"), in = gate_udp(web, AF_INET), out = gate_udp(-1, AF_INET);
	uint64_t id = sc_cgroup_id(web);
	struct sc_gate_entry entry;
	int map = bpf_obj_get(pin("gates"));

	gate_cut_one(web, 1, SC_GATE_DROP);
	cr_expect_not(gate_reaches(in, out));
	cr_assert_eq(sc_gate_look(kit_gate.gate, id, &entry), 0);
	entry.serial--;
	cr_assert_eq(bpf_map_update_elem(map, &id, &entry, BPF_ANY), 0);
	cr_expect(gate_reaches(in, out));
	cr_expect_eq(sc_gate_look(kit_gate.gate, id, &entry), -ENOENT);
	gate_put(web, 1);
	cr_expect_not(gate_reaches(in, out), "put again, it is the new one's");
	close(map);
}

/* Where paths differ from the kernel's. */
static int open_in_cgroup_namespace(void *arg)
{
	struct sc_gate_options o = {.root_fd = sc_box.dirfd, .pin_dir = kit_gate.pin_dir};
	struct sc_gate_wish wish = {.number = 1, .mode = SC_GATE_DROP, .fire_id = "", .name = ""};
	const char *glob = "/web";
	char reason[SC_GATE_REASON_MAX];
	struct sc_gate *g = NULL;

	(void)arg;
	if (unshare(CLONE_NEWCGROUP) || sc_gate_open(&g, &o, reason) || sc_gate_set(g, &wish))
		return 1;
	if (!strstr(sc_gate_globs_reason(g), "cgroup namespace"))
		return 2;
	if (sc_gate_set_globs(g, 1, &glob, 1) != 0)
		return 3;
	return sc_gate_end(g, 1) ? 4 : 0;
}

Test(gate_life, in_a_cgroup_namespace_globs_are_left_to_userspace_and_it_is_said)
{
	cr_expect_str_eq(sc_gate_globs_reason(kit_gate.gate), "");
	cr_expect_eq(kit_run(-1, open_in_cgroup_namespace, NULL), 0);
}

/* What an operator types. */
static void expect_dump(const char *map, const char *want)
{
	const char *bpftool = access("/usr/sbin/bpftool", X_OK) ? "bpftool" : "/usr/sbin/bpftool";
	const char *argv[] = {bpftool, "map", "dump", "pinned", pin(map), NULL};
	static char text[1 << 20];
	size_t size = 0;
	ssize_t n;
	int out[2];
	pid_t pid;

	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	pid = sc_helper_exec(-1, argv, out[1], -1);
	cr_assert_gt(pid, 0);
	close(out[1]);
	while ((n = read(out[0], text + size, sizeof(text) - 1 - size)) > 0)
		size += (size_t)n;
	text[size] = '\0';
	close(out[0]);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	cr_expect_not_null(strstr(text, want), "%s: no %s in %.400s", map, want, text);
}

Test(gate_life, bpftool_shows_what_stands)
{
	int web = gate_mkdir("web");

	if (access("/usr/sbin/bpftool", X_OK) && access("/usr/bin/bpftool", X_OK))
		cr_skip("bpftool is not installed");
	gate_cut_one(web, 0, SC_GATE_DROP);
	gate_glob(0, gate_path("new"));
	expect_dump("gate_cuts", "\"name\": \"cut 0\"");
	expect_dump("gate_cuts", "\"packets_out\": 0");
	expect_dump("gates", "\"cut\": 0");
	expect_dump("gate_state", "\"levels\": ");
	expect_dump("gate_globs", "\"serial\": 1");
}

Test(gate_life, pins_of_another_layout_are_refused_and_left_alone)
{
	char reason[SC_GATE_REASON_MAX];
	struct sc_gate *other = NULL;
	struct sc_gate_options o = {.root_fd = sc_box.dirfd, .pin_dir = kit_gate.pin_dir};
	int fd;

	sc_gate_close(&kit_gate.gate);
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "gates", 8, 8, 16, NULL);
	cr_assert_geq(fd, 0);
	cr_assert_eq(sc_mkdir_p(pin(""), 0700), 0);
	cr_assert_eq(bpf_obj_pin(fd, pin("gates")), 0);
	cr_expect_lt(sc_gate_open(&other, &o, reason), 0);
	cr_expect_null(other);
	cr_expect_not_null(strstr(reason, "gates"), "%s", reason);
	cr_expect_eq(access(pin("gates"), F_OK), 0);
	cr_assert_eq(unlink(pin("gates")), 0);
	gate_open();
}
