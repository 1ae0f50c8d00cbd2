/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make-cgroup DIRECTORY CGROUP...: makes cgroups (as in /proc/PID/cgroup) with libcgroup, and where
 * that cannot, with mkdir(2) below DIRECTORY, the mount point. Says which way it went. For demos:
 * the agent itself never uses libcgroup, which knows paths only.
 *
 * libcgroup makes a cgroup by its controllers, and switches them on in all parents. Only what the
 * root already hands down is used, so that nothing outside of the new subtree changes; on a hybrid
 * host that is mostly nothing, and the second way is the normal one.
 */
#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define CONTROLLERS_MAX 256

static void free_group(struct cgroup **group)
{
	cgroup_free(group);
}

/* The first controller that the root hands down, in text; NULL when there is none. */
static const char *find_controller(const char *mount, char text[static CONTROLLERS_MAX])
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", mount);
	if (sc_read_file_at(AT_FDCWD, path, text, CONTROLLERS_MAX) <= 1)
		return NULL;
	text[strcspn(text, " \n")] = '\0';
	return text;
}

static const char *make_with_libcgroup(const char *cgroup, const char *controller)
{
	_cleanup_(free_group) struct cgroup *group = cgroup_new_cgroup(cgroup + 1);
	int err;

	if (!group || !cgroup_add_controller(group, controller))
		return "out of memory";
	err = cgroup_create_cgroup(group, 0);
	return err ? cgroup_strerror(err) : NULL;
}

static int make(const char *mount, const char *cgroup, const char *controller)
{
	const char *why = "the root hands down no controller";
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s%s", mount, cgroup) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (controller)
		why = make_with_libcgroup(cgroup, controller);
	if (!why) {
		printf("%s made with libcgroup\n", cgroup);
		return 0;
	}
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	printf("%s made with mkdir (libcgroup: %s)\n", cgroup, why);
	return 0;
}

int main(int argc, char **argv)
{
	char text[CONTROLLERS_MAX];
	const char *controller;

	if (argc < 3) {
		fprintf(stderr, "usage: make-cgroup MOUNT CGROUP...\n");
		return 2;
	}
	controller = cgroup_init() == 0 ? find_controller(argv[1], text) : NULL;
	for (int i = 2; i < argc; i++) {
		int err = make(argv[1], argv[i], controller);

		if (err) {
			fprintf(stderr, "make-cgroup: %s: %s\n", argv[i], strerror(-err));
			return 1;
		}
	}
	return 0;
}
