/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of the kernel as it writes them, and as a hostile or newer one might. */
#include "sys/cgroup.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(sys_cgroup, mountinfo_line_gives_the_mount_and_what_it_shows)
{
	static const struct {
		const char *line, *mount, *root; /* mount NULL: not usable */
	} cases[] = {
		{"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
		 "/sys/fs/cgroup/unified", ""},
		{"30 23 0:26 / /sys/fs/cgroup rw shared:9 master:2 - cgroup2 cgroup2 rw,nsdelegate",
		 "/sys/fs/cgroup", ""},
		{"30 23 0:26 /pods/a /mnt rw - cgroup2 none rw", "/mnt", "/pods/a"},
		{"30 23 0:26 / /a\\040b\\011c\\134d\\012 rw - cgroup2 none rw", "/a b\tc\\d\n", ""},
		{"30 23 0:26 / /a\\04 rw - cgroup2 none rw", "/a\\04", ""},
		{"30 23 0:26 /a\\040b /m rw - cgroup2 none rw", "/m", "/a b"},
		{"30 23 0:26 /.. /mnt rw - cgroup2 none rw", NULL, NULL},
		{"30 23 0:26 /../../x /mnt rw - cgroup2 none rw", NULL, NULL},
		{"30 23 0:26 / /mnt rw - cgroup cgroup rw,freezer", NULL, NULL},
		{"30 23 0:26 / /mnt rw - cgroup22 x rw", NULL, NULL},
		{"30 23 0:26 / /mnt rw", NULL, NULL},
		{"30 23 - cgroup2 x rw", NULL, NULL},
		{" - cgroup2 x rw", NULL, NULL},
		{"", NULL, NULL},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		char mount[PATH_MAX] = "kept", root[PATH_MAX] = "kept";
		bool found = sc_cgroup_mountinfo_line(cases[i].line, mount, root);

		cr_assert_eq(found, cases[i].mount != NULL, "case %zu", i);
		cr_assert_str_eq(mount, found ? cases[i].mount : "kept", "case %zu", i);
		cr_assert_str_eq(root, found ? cases[i].root : "kept", "case %zu", i);
	}
}

Test(sys_cgroup, mountinfo_field_too_long_is_refused)
{
	char line[2 * PATH_MAX], mount[PATH_MAX], root[PATH_MAX];
	int n = snprintf(line, sizeof(line), "30 23 0:26 / /");

	memset(line + n, 'a', PATH_MAX);
	snprintf(line + n + PATH_MAX, 64, " rw - cgroup2 none rw");
	cr_assert_not(sc_cgroup_mountinfo_line(line, mount, root));
}

Test(sys_cgroup, events_are_read_in_any_order_and_need_populated)
{
	static const struct {
		const char *text;
		int result;
		struct sc_cgroup_events events;
	} cases[] = {
		{"populated 1\nfrozen 0\n", 0, {true, false}},
		{"populated 0\nfrozen 1\n", 0, {false, true}},
		{"frozen 1\npopulated 1\n", 0, {true, true}},
		{"populated 1\n", 0, {true, false}},
		{"populated 1", 0, {true, false}},
		{"new_key 7\npopulated 1\nfrozen 1\n", 0, {true, true}},
		{"frozen 1\n", -EINVAL, {0}},
		{"populated \n", -EINVAL, {0}},
		{"populated x\n", -EINVAL, {0}},
		{"unpopulated 1\n", -EINVAL, {0}},
		{"", -EINVAL, {0}},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_cgroup_events events = {0};

		cr_assert_eq(sc_cgroup_events_parse(cases[i].text, &events), cases[i].result,
			     "case %zu", i);
		cr_assert_eq(events.populated, cases[i].events.populated, "case %zu", i);
		cr_assert_eq(events.frozen, cases[i].events.frozen, "case %zu", i);
	}
}
