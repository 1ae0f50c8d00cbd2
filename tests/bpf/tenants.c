/* SPDX-License-Identifier: Apache-2.0 */
#include "tenants.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct tenants at;

static void set_tenant(int cgroup_fd, uint32_t tenant)
{
	cr_assert_eq(
		sc_bpf_set_tenant(kit.bpf, kit_slot(cgroup_fd), sc_cgroup_id(cgroup_fd), tenant),
		0);
}

void tenants_init(void)
{
	char dir[1024], path[512] = "";
	FILE *f;

	kit_init();
	cr_assert_eq(sc_netns_enter(), 0);
	f = fopen("/proc/self/cgroup", "re");
	cr_assert_not_null(f);
	while (fgets(path, sizeof(path), f) && strncmp(path, "0::", 3) != 0)
		continue;
	fclose(f);
	path[strcspn(path, "\n")] = '\0';
	snprintf(dir, sizeof(dir), "%s%s", sc_box.mount, path + 3);
	at.home = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(at.home, 0, "%s", dir);
	at.acme = kit_mkdir("acme");
	set_tenant(at.acme, ACME);
	at.deep = kit_mkdir("acme/deep");
	at.other = kit_mkdir("other");
	set_tenant(at.other, OTHER);
	at.nobody = kit_mkdir("nobody");
}

void tenants_go(int cgroup_fd)
{
	kit_move(cgroup_fd, getpid());
}

void tenants_fini(void)
{
	tenants_go(at.home);
	kit_fini();
}
