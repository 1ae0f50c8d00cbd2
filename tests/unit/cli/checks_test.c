/* SPDX-License-Identifier: Apache-2.0 */
/* check, verify and the findings of doctor: what needs no agent. */
#include "cli/args.h"
#include "cli/checks.h"
#include "cli/cli.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static void quiet(void)
{
	cr_redirect_stdout();
	cr_redirect_stderr();
}

static int scram(const char *verb, const char *a, const char *b)
{
	char *argv[] = {"scram", (char *)(uintptr_t)verb, (char *)(uintptr_t)a,
			(char *)(uintptr_t)b, NULL};

	return sc_cli_main(b ? 4 : a ? 3 : 2, argv);
}

static void write_temp(char *path, const char *text)
{
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

Test(doctor, security_modules_are_told_by_whole_names)
{
	cr_expect(sc_lsm_has("lockdown,capability,bpf\n", "bpf"));
	cr_expect(sc_lsm_has("bpf", "bpf"));
	cr_expect(sc_lsm_has("bpf,yama", "bpf"));
	cr_expect_not(sc_lsm_has("bpfilter,yama", "bpf"));
	cr_expect_not(sc_lsm_has("ebpf", "bpf"));
	cr_expect_not(sc_lsm_has("", "bpf"));
	cr_expect_not(sc_lsm_has(",,", "bpf"));
}

Test(doctor, a_cut_without_an_agent_is_red_and_says_how_to_undo_it)
{
	char dir[] = "/tmp/scram-test-XXXXXX";
	char path[64];
	struct sc_args args = {.run_dir = dir, .state_dir = dir};
	struct sc_finding f = {0};
	const struct sc_check *cuts;
	size_t n;
	FILE *file;

	cuts = sc_checks(&n);
	for (; n > 0 && strcmp(cuts->name, "cuts") != 0; n--)
		cuts++;
	cr_assert_neq(n, 0);
	cr_assert_not_null(mkdtemp(dir));
	cuts->look(&args, &f);
	cr_expect_str_empty(f.text, "no state file, nothing to tell");
	snprintf(path, sizeof(path), "%s/state.json", dir);
	file = fopen(path, "w");
	fputs("{\"isolations\":[{\"group\":\"tenant acme\"},{\"group\":\"cgroup /x\"}]}", file);
	fclose(file);
	cuts->look(&args, &f);
	unlink(path);
	rmdir(dir);
	cr_expect_eq(f.level, SC_LEVEL_RED);
	cr_expect_not_null(strstr(f.text, "2 cuts"), "%s", f.text);
	cr_expect_not_null(strstr(f.fix, "scram release acme --offline"), "%s", f.fix);
}

/* A directory for pins with one of each kind; what the two living agents hold stays locked. */
static void make_pins(char *dir, int locked[2])
{
	static const char *const names[] = {"v3",
					    "0123456789abcdef",
					    "0123456789abcdef/v2",
					    "0123456789abcdef/gate1",
					    "fedcba9876543210",
					    "fedcba9876543210/v3",
					    "v4",
					    "other",
					    "other/v3"};
	char path[128];

	cr_assert_not_null(mkdtemp(dir));
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		cr_assert_eq(mkdir(path, 0700), 0);
	}
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, i ? "v4" : "fedcba9876543210/v3");
		locked[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		cr_assert_eq(flock(locked[i], LOCK_SH), 0);
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

Test(doctor, maps_of_killed_agents_are_told_with_the_command_that_removes_them)
{
	char dir[] = "/tmp/scram-test-XXXXXX", want[2][64], path[64];
	struct sc_finding f = {0};
	int locked[2];

	make_pins(dir, locked);
	sc_find_pins(dir, &f);
	cr_expect_eq(f.level, SC_LEVEL_YELLOW);
	cr_expect_not_null(strstr(f.text, "maps of 2 agents"), "%s", f.text);
	cr_expect_eq(strncmp(f.fix, "sudo rm -r /tmp/", 16), 0, "%s", f.fix);
	snprintf(want[0], sizeof(want[0]), "%s/v3", dir);
	snprintf(want[1], sizeof(want[1]), "%s/0123456789abcdef/v2", dir);
	for (int i = 0; i < 2; i++)
		cr_expect_not_null(strstr(f.fix, want[i]), "%s", f.fix);
	cr_expect_eq(strlen(f.fix), strlen("sudo rm -r  ") + strlen(want[0]) + strlen(want[1]));
	/* More than the command has room for: none is cut short. */
	for (int i = 10; i < 40; i++) {
		snprintf(path, sizeof(path), "%s/v%d", dir, i);
		cr_assert_eq(mkdir(path, 0700), 0);
	}
	sc_find_pins(dir, &f);
	cr_expect_not_null(strstr(f.text, "maps of 32 agents"), "%s", f.text);
	cr_expect_not_null(strstr(f.text, "names the first"), "%s", f.text);
	for (char *at = strstr(f.fix, " /"); at; at = strstr(at, " /")) {
		at++;
		snprintf(path, sizeof(path), "%.*s", (int)strcspn(at, " "), at);
		cr_expect_eq(access(path, F_OK), 0, "%s", path);
	}
	close(locked[0]);
	close(locked[1]);
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

Test(doctor, where_no_agent_has_died_nothing_is_to_be_removed)
{
	char dir[] = "/tmp/scram-test-XXXXXX";
	struct sc_finding f = {0};

	cr_assert_not_null(mkdtemp(dir));
	sc_find_pins(dir, &f);
	rmdir(dir);
	cr_expect_eq(f.level, SC_LEVEL_GREEN);
	cr_expect_str_empty(f.fix);
	f = (struct sc_finding){0};
	sc_find_pins(dir, &f);
	cr_expect_str_empty(f.text, "no such directory, nothing to tell");
}

Test(doctor, mount_lines_are_taken_apart)
{
	static const struct {
		const char *line;
		bool found;
		const char *point;
		const char *options;
	} cases[] = {
		{"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate",
		 true, "/sys/fs/cgroup", "rw,nsdelegate"},
		{"31 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 none rw", true,
		 "/sys/fs/cgroup/unified", "rw"},
		{"30 23 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", false, "", ""},
		{"30 23 0:26 / /x rw - cgroup2", false, "", ""},
		{"", false, "", ""},
		{" - ", false, "", ""},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_mount mount = {0};

		cr_assert_eq(sc_mount_parse(cases[i].line, "cgroup2", &mount), cases[i].found,
			     "case %zu", i);
		cr_assert_str_eq(mount.point, cases[i].point);
		cr_assert_str_eq(mount.options, cases[i].options);
	}
}

Test(doctor, kernel_releases_compare_as_numbers)
{
	cr_assert_eq(sc_kernel_number("6.1.0-23-amd64"), 6001);
	cr_assert_eq(sc_kernel_number("5.15.167"), 5015);
	cr_assert_eq(sc_kernel_number("6.12"), 6012);
	cr_assert_eq(sc_kernel_number("7-rc1"), 7000);
	cr_assert_eq(sc_kernel_number("nonsense"), 0);
	cr_assert_eq(sc_kernel_number("99999999999.1"), 0);
}

Test(doctor, every_check_has_a_name_and_a_level)
{
	size_t n;
	const struct sc_check *checks = sc_checks(&n);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			cr_assert_str_neq(checks[i].name, checks[k].name);
	for (int level = 0; level < SC_LEVEL_COUNT; level++)
		cr_assert_not_null(sc_level_name((enum sc_level)level));
}

static const char good[] = "conditions:\n"
			   "  - id: crash-loop\n"
			   "    description: a component keeps crashing\n"
			   "    scope: /workload/*\n"
			   "    when: increase(proc.crashes[60s]) >= 3\n"
			   "    hold: 5s\n"
			   "    action: {kind: process-exit}\n"
			   "    auto_fire: true\n"
			   "    live: true\n"
			   "    registered_by: ops\n";

Test(check, says_a_good_condition_in_words, .init = quiet)
{
	char path[] = "/tmp/scram-test-XXXXXX";
	char want[512];

	write_temp(path, good);
	cr_expect_eq(scram("check", path, NULL), 0);
	unlink(path);
	snprintf(want, sizeof(want),
		 "%s: 1 condition, no fault\n"
		 "  crash-loop: process-exit of each cgroup /workload/* when the increase of "
		 "proc.crashes over 1m is at least 3, for 5s; by itself, live; at most once per "
		 "cgroup in 1m\n",
		 path);
	fflush(stdout);
	cr_assert_stdout_eq_str(want);
}

Test(check, gives_each_fault_its_place_and_goes_on_to_the_next_file, .init = quiet)
{
	char path[] = "/tmp/scram-test-XXXXXX";
	char want[512];

	write_temp(path, "conditions:\n"
			 "  - id: x\n"
			 "    description: d\n"
			 "    when: increase(proc.chrashes[60s]) >= 3\n"
			 "    action: {kind: process-exit}\n"
			 "    registered_by: ops\n");
	cr_expect_eq(scram("check", path, path), 1);
	unlink(path);
	snprintf(want, sizeof(want),
		 "%s:4:20: unknown signal `proc.chrashes`; did you mean proc.crashes?\n", path);
	snprintf(want + strlen(want), sizeof(want) - strlen(want),
		 "%s:4:20: unknown signal `proc.chrashes`; did you mean proc.crashes?\n", path);
	fflush(stdout);
	cr_assert_stdout_eq_str(want);
}

Test(check, absent_file_is_a_fault, .init = quiet)
{
	cr_assert_eq(scram("check", "/nonexistent/scram.yaml", NULL), 1);
	cr_assert_eq(scram("check", NULL, NULL), 2);
}

Test(verify, missing_journal_is_no_verdict_of_ok, .init = quiet)
{
	cr_assert_neq(scram("verify", "--state-dir", "/nonexistent/scram"), 0);
}

Test(release, offline_without_a_journal_makes_none, .init = quiet)
{
	char dir[] = "/tmp/scram-test-XXXXXX";
	char *argv[] = {"scram", "release", "--offline", "/w", "--state-dir", dir, NULL};

	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(sc_cli_main(6, argv), 1);
	cr_assert_eq(rmdir(dir), 0, "nothing was made in it");
}
