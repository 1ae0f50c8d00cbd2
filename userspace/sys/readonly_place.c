/* SPDX-License-Identifier: Apache-2.0 */
/* A directory as BPF programs see it: the device of its superblock, which stat(2) does not tell for
 * every file system (a btrfs subvolume has a device of its own), and its inode. */
#include "sys/readonly_lsm.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

/* ID PARENT MAJOR:MINOR ...: that of the mount (proc(5)); -ENOENT. */
static int device_of_mount(uint64_t mount_id, __u64 *device)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/thread-self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;

	if (!f)
		return -errno;
	while (getline(&line, &cap, f) > 0) {
		uint64_t id, major, minor;

		if (sscanf(line, "%" SCNu64 " %*u %" SCNu64 ":%" SCNu64, &id, &major, &minor) !=
			    3 ||
		    id != mount_id)
			continue;
		*device = major << 20 | minor;
		return 0;
	}
	return -ENOENT;
}

int sc_lsm_place(const char *path, struct sc_readonly_place *out)
{
	struct sc_readonly_place place = {0};
	struct statx st;
	int r;

	if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_TYPE | STATX_MNT_ID, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.stx_mode))
		return -ENOTDIR;
	r = device_of_mount(st.stx_mnt_id, &place.device);
	if (r < 0)
		return r;
	place.inode = st.stx_ino;
	*out = place;
	return 0;
}
