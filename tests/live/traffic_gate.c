/* SPDX-License-Identifier: Apache-2.0 */
/* The gate as somebody else on the host sees it. */
#include "live/traffic_kit.h"

#include "sys/bpf.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <string.h>

static bool is_on_packets(const struct bpf_link_info *info)
{
	return info->type == BPF_LINK_TYPE_CGROUP &&
	       (info->cgroup.attach_type == BPF_CGROUP_INET_INGRESS ||
		info->cgroup.attach_type == BPF_CGROUP_INET_EGRESS);
}

static unsigned int each_link(bool detaches)
{
	uint64_t root = sc_cgroup_id(sc_kit.root_fd);
	unsigned int n = 0;
	__u32 id = 0;

	while (bpf_link_get_next_id(id, &id) == 0) {
		_cleanup_close_ int fd = bpf_link_get_fd_by_id(id);
		struct bpf_link_info info = {0};
		__u32 len = sizeof(info);

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) || !is_on_packets(&info) ||
		    info.cgroup.cgroup_id != root)
			continue;
		n++;
		if (detaches)
			cr_assert_eq(bpf_link_detach(fd), 0);
	}
	return n;
}

unsigned int sc_traffic_attached(void)
{
	return each_link(false);
}

unsigned int sc_traffic_detach(void)
{
	return each_link(true);
}

unsigned int sc_traffic_pins(void)
{
	char path[SC_BPF_PIN_DIR_MAX];
	unsigned int n = 0;
	struct dirent *e;
	DIR *dir;

	cr_assert_eq(sc_bpf_pin_dir(sc_kit.run_dir, path), 0);
	*strrchr(path, '/') = '\0'; /* all versions */
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}
