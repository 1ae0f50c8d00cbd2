/* SPDX-License-Identifier: Apache-2.0 */
/* The maps as an operator finds them: pinned, named, and with field names that bpftool shows. */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/wait.h>

static char pin_dir[SC_BPF_PIN_DIR_MAX];

static void open_pinned(void)
{
	char run_dir[32];

	snprintf(run_dir, sizeof(run_dir), "/run/scram-test-%d", getpid());
	sc_box_init();
	cr_assert_eq(sc_bpf_pin_dir(run_dir, pin_dir), 0);
	cr_assert_eq(sc_sandbox_remove_pins(&sc_box, run_dir), 0);
	kit_open(&(struct sc_bpf_options){.slots = KIT_SLOTS, .pin_dir = pin_dir});
}

TestSuite(pin, .init = open_pinned, .fini = kit_fini, .timeout = 300);

/* What `bpftool map dump pinned NAME -j` prints, parsed; the caller's. */
static json_t *dump(const char *map)
{
	const char *bpftool = access("/usr/sbin/bpftool", X_OK) ? "bpftool" : "/usr/sbin/bpftool";
	char path[SC_BPF_PIN_DIR_MAX + 16];
	const char *argv[] = {bpftool, "map", "dump", "pinned", path, "-j", NULL};
	json_t *json;
	FILE *file;
	int out[2];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s", pin_dir, map);
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	pid = sc_helper_exec(-1, argv, out[1], -1);
	cr_assert_gt(pid, 0);
	close(out[1]);
	file = fdopen(out[0], "r");
	json = json_loadf(file, 0, NULL);
	fclose(file);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	return json;
}

static const struct {
	const char *map;
	const char *fields[6];
} documented[] = {
	{"nodes", {"cgroup_id", "parent_id", "born_ns", "lost_ns", "ancestor", "tenant"}},
	{"counts",
	 {"proc_forks", "proc_crashes", "proc_alive", "oom_kills", "tcp_connects",
	  "tcp_connect_latency"}},
	{"kernel", {"pass_ns", "psi_some", "psi_full", "cpu_usage_ns", "flags", "pids_current"}},
	{"tasks", {"pass", "oldest_start_ns", "dstate", "processes"}},
	{"stats",
	 {"wake_attempts", "wake_lost", "slots_exhausted", "processes_full", "ids_full",
	  "too_deep"}},
};

Test(pin, bpftool_shows_the_documented_fields)
{
	if (access("/usr/sbin/bpftool", X_OK) && access("/usr/bin/bpftool", X_OK))
		cr_skip("bpftool is not installed");
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(documented); i++) {
		json_t *all = dump(documented[i].map), *value;

		cr_assert_not_null(all, "%s: no JSON", documented[i].map);
		value = json_object_get(json_object_get(json_array_get(all, 0), "formatted"),
					"value");
		for (unsigned int f = 0; f < 6 && documented[i].fields[f]; f++)
			cr_expect_not_null(json_object_get(value, documented[i].fields[f]),
					   "%s has no %s", documented[i].map,
					   documented[i].fields[f]);
		json_decref(all);
	}
}

Test(pin, the_pinned_map_is_the_one_in_use)
{
	json_t *all, *value;
	int web = kit_mkdir("web");
	uint32_t slot = kit_slot(web);

	all = dump("nodes");
	value = json_object_get(json_object_get(json_array_get(all, slot), "formatted"), "value");
	cr_expect_eq((uint64_t)json_integer_value(json_object_get(value, "cgroup_id")),
		     sc_cgroup_id(web));
	json_decref(all);
}

Test(pin, a_new_agent_takes_the_place_of_a_dead_ones_pins)
{
	struct sc_bpf *dead = kit.bpf;
	char path[SC_BPF_PIN_DIR_MAX + 16];

	/* As if it had been killed: its pins are there and nobody will remove them. */
	kit.bpf = NULL;
	kit_open(&(struct sc_bpf_options){.slots = KIT_SLOTS / 2, .pin_dir = pin_dir});
	snprintf(path, sizeof(path), "%s/nodes", pin_dir);
	cr_expect_eq(access(path, F_OK), 0);
	cr_expect_eq(json_array_size(dump("nodes")), KIT_SLOTS / 2);
	sc_bpf_close(&kit.bpf);
	kit.bpf = dead;
}

Test(pin, closing_removes_the_pins)
{
	char parent[SC_BPF_PIN_DIR_MAX];

	cr_assert_eq(access(pin_dir, F_OK), 0);
	sc_bpf_close(&kit.bpf);
	cr_expect_eq(access(pin_dir, F_OK), -1);
	memcpy(parent, pin_dir, sizeof(parent));
	*strrchr(parent, '/') = '\0';
	cr_expect_eq(access(parent, F_OK), -1, "the directory named by the hash stays");
}

Test(pin, the_default_run_dir_has_the_short_path)
{
	char dir[SC_BPF_PIN_DIR_MAX], other[SC_BPF_PIN_DIR_MAX];

	cr_assert_eq(sc_bpf_pin_dir("/run/scram", dir), 0);
	cr_expect_str_eq(dir, "/sys/fs/bpf/scram/v3");
	cr_assert_eq(sc_bpf_pin_dir("/run/scram2", other), 0);
	cr_expect_str_neq(other, pin_dir);
}

/* Options and parts: what cannot be had is told in words. */
Test(pin, refuses_what_it_cannot_do_and_says_why)
{
	char reason[SC_BPF_REASON_MAX];
	struct sc_bpf *none = NULL;
	struct sc_bpf_options o = {.root_fd = sc_box.dirfd, .slots = SC_BPF_SLOTS_MAX + 1};

	cr_expect_eq(sc_bpf_open(&none, &o, reason), -EINVAL);
	cr_expect_neq(reason[0], '\0');
	o = (struct sc_bpf_options){
		.root_fd = sc_box.dirfd, .slots = 8, .leave_out = 1U << SC_BPF_TREE};
	cr_expect_eq(sc_bpf_open(&none, &o, reason), -EOPNOTSUPP);
	cr_expect_not_null(strstr(reason, "tree"), "%s", reason);
	o.root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	o.leave_out = 0;
	cr_expect_lt(sc_bpf_open(&none, &o, reason), 0);
	cr_expect_neq(reason[0], '\0');
	close(o.root_fd);
	cr_expect_null(none);
}

Test(pin, a_part_left_out_harms_no_other)
{
	struct kit_proc want = {.forks = 1, .alive = 1};
	int web;

	sc_bpf_close(&kit.bpf);
	kit_open(&(struct sc_bpf_options){.slots = 8,
					  .leave_out = 1U << SC_BPF_TCP | 1U << SC_BPF_TASKS});
	cr_expect_eq(sc_bpf_parts(kit.bpf) & (1U << SC_BPF_TCP | 1U << SC_BPF_TASKS), 0);
	cr_expect_neq(sc_bpf_part_reason(kit.bpf, SC_BPF_TCP)[0], '\0');
	cr_expect_eq(sc_bpf_part_reason(kit.bpf, SC_BPF_PROC)[0], '\0');
	cr_expect_eq(sc_bpf_pass_tasks(kit.bpf), -EOPNOTSUPP);
	web = kit_mkdir("web");
	sc_helper_sleep(web);
	kit_expect_proc(web, &want);
}
