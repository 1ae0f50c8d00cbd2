/* SPDX-License-Identifier: Apache-2.0 */
/* The ground the actions stand on: cgroups by id and by path, with names that tenants choose. */
#include "live/action_drive.h"

#include "sys/cgroup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

TestSuite(action_cgroup, .init = sc_box_init, .fini = sc_box_fini, .timeout = 300);

Test(action_cgroup, hostile_names_survive_the_way_from_id_to_path_and_back)
{
	static const char long_name[] = /* 255 bytes, the most there is */
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";
	static const char *const names[] = {
		"web",        "a b",       "\033[31mred",     "%n%s",
		"q\"uo'te\\", "\xff\xfe",  "\xe2\x80\xaertl", "x (deleted)",
		"..x",        "tab\there", long_name,
	};
	struct sc_cgroup_fs fs;

	cr_assert_eq(sc_cgroup_fs_open(&fs, NULL), 0);
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++) {
		char path[PATH_MAX], want[PATH_MAX];
		int made = sc_sandbox_mkdir(&sc_box, names[i]), fd, again;

		cr_assert_geq(made, 0, "case %zu", i);
		snprintf(want, sizeof(want), "%s/%s", sc_box.cgroup, names[i]);
		fd = sc_cgroup_open(&fs, sc_cgroup_id(made));
		cr_assert_geq(fd, 0);
		cr_assert_eq(sc_cgroup_path(&fs, fd, path, sizeof(path)), 0);
		cr_assert_str_eq(path, want);
		cr_assert_eq(sc_cgroup_path(&fs, fd, path, strlen(want)), -ENAMETOOLONG);
		again = sc_cgroup_open_path(&fs, want);
		cr_assert_eq(sc_cgroup_id(again), sc_cgroup_id(made));
		close(again);
		close(made);
		cr_assert_eq(sc_sandbox_rmdir(&sc_box, names[i]), 0);
		cr_assert_eq(sc_cgroup_path(&fs, fd, path, sizeof(path)), -ESTALE);
		made = sc_sandbox_mkdir(&sc_box, names[i]);
		cr_assert_eq(sc_cgroup_path(&fs, fd, path, sizeof(path)), -ESTALE, "re-created");
		close(made);
		close(fd);
	}
	sc_cgroup_fs_close(&fs);
}

Test(action_cgroup, removed_cgroup_named_like_its_ghost_is_not_taken_for_it)
{
	int web = sc_sandbox_mkdir(&sc_box, "web"), ghost;
	struct sc_cgroup_fs fs;
	char path[PATH_MAX];

	cr_assert_eq(sc_cgroup_fs_open(&fs, NULL), 0);
	ghost = sc_sandbox_mkdir(&sc_box, "web (deleted)");
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "web"), 0);
	cr_assert_eq(sc_cgroup_path(&fs, web, path, sizeof(path)), -ESTALE);
	cr_assert_eq(sc_cgroup_path(&fs, ghost, path, sizeof(path)), 0);
	sc_cgroup_fs_close(&fs);
}

Test(action_cgroup, path_never_leaves_the_mount)
{
	static const char *const paths[] = {"/..",      "/../..",   "/../../etc",
					    "relative", "/no/such", "//etc"};
	struct sc_cgroup_fs fs;

	cr_assert_eq(sc_cgroup_fs_open(&fs, NULL), 0);
	for (size_t i = 0; i < SC_ARRAY_SIZE(paths); i++)
		cr_assert_lt(sc_cgroup_open_path(&fs, paths[i]), 0, "%s", paths[i]);
	cr_assert_eq(sc_cgroup_open(&fs, 0xfffffffffULL), -ESTALE);
	cr_assert_eq(sc_cgroup_open(&fs, 0), -ESTALE);
	sc_cgroup_fs_close(&fs);
}

Test(action_cgroup, mount_is_found_from_any_directory_on_it_and_only_there)
{
	struct sc_cgroup_fs fs = {.root_fd = -7};
	struct sc_cgroup_fs whole;

	cr_assert_eq(sc_cgroup_fs_open(&fs, "/proc"), -EINVAL);
	cr_assert_eq(sc_cgroup_fs_open(&fs, "/no/such"), -ENOENT);
	cr_assert_eq(fs.root_fd, -7, "untouched on failure");
	cr_assert_eq(sc_cgroup_fs_open(&fs, sc_box.dir), 0);
	cr_assert_eq(sc_cgroup_fs_open(&whole, NULL), 0);
	cr_assert_str_eq(fs.mount, sc_box.mount);
	cr_assert_str_eq(fs.mount, whole.mount);
	sc_cgroup_fs_close(&fs);
	sc_cgroup_fs_close(&whole);
}

Test(action_cgroup, members_are_bounded_and_say_when_there_are_more)
{
	int web = sc_sandbox_mkdir(&sc_box, "web"), inner = sc_sandbox_mkdir(&sc_box, "web/inner");
	pid_t pids[8];
	bool is_all;

	for (int i = 0; i < 3; i++) {
		sc_helper_sleep(web);
		sc_helper_sleep(inner);
	}
	cr_assert_eq(sc_cgroup_members(web, pids, 8, &is_all), 6);
	cr_assert(is_all);
	cr_assert_eq(sc_cgroup_members(web, pids, 8, &is_all), 6, "a second look sees the same");
	cr_assert_eq(sc_cgroup_members(web, pids, 6, &is_all), 6);
	cr_assert(is_all);
	cr_assert_eq(sc_cgroup_members(web, pids, 5, &is_all), 5);
	cr_assert_not(is_all);
	cr_assert_eq(sc_cgroup_members(web, pids, 2, &is_all), 2);
	cr_assert_not(is_all);
}

Test(action_cgroup, walk_over_very_many_cgroups_ends_and_says_so)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	pid_t pids[8];
	char name[32];
	bool is_all;

	for (int i = 0; i <= SC_CGROUP_WALK_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i);
		cr_assert_eq(mkdirat(web, name, 0755), 0);
	}
	cr_assert_eq(sc_cgroup_members(web, pids, 8, &is_all), 0);
	cr_assert_not(is_all);
}

Test(action_cgroup, ids_go_from_the_own_cgroup_up_to_the_root)
{
	int web = sc_sandbox_mkdir(&sc_box, "web"), inner = sc_sandbox_mkdir(&sc_box, "web/inner");
	pid_t pid = sc_helper_sleep(inner);
	struct sc_cgroup_fs fs;
	uint64_t ids[8], root;

	cr_assert_eq(sc_cgroup_fs_open(&fs, NULL), 0);
	cr_assert_eq(sc_cgroup_id_of(fs.root_fd, &root), 0);
	cr_assert_eq(sc_cgroup_ids_of(&fs, pid, ids, 8), 4);
	cr_assert_eq(ids[0], sc_cgroup_id(inner));
	cr_assert_eq(ids[1], sc_cgroup_id(web));
	cr_assert_eq(ids[2], sc_cgroup_id(sc_box.dirfd));
	cr_assert_eq(ids[3], root);
	cr_assert_eq(sc_cgroup_ids_of(&fs, pid, ids, 3), -E2BIG);
	cr_assert_eq(sc_cgroup_ids_of(&fs, 0x3fffff, ids, 8), -ESRCH);
	sc_cgroup_fs_close(&fs);
}
