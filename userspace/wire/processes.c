/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/processes.h"

#include "sys/pidfd.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>

int sc_processes_open_dir(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;
	int fd;

	if (n < 0)
		return -errno;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return -ENOENT;
	slash[1] = '\0';
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool find_user(void *ctx, const char *name, unsigned int *user, unsigned int *group)
{
	const struct passwd *p = getpwnam(name);

	(void)ctx;
	if (!p || p->pw_uid == 0 || p->pw_gid == 0)
		return false;
	*user = p->pw_uid;
	*group = p->pw_gid;
	return true;
}

static int start(void *ctx, struct sc_program *program)
{
	struct sc_spawn s = {
		.dirfd = *(int *)ctx,
		.program = program->name,
		.env = program->env,
		.link_fd = program->link_fd,
		.uid = program->user,
		.gid = program->group,
		.memory_max = program->memory_max,
		.files_max = program->files_max,
		.tasks_max = program->tasks_max,
	};
	const char *step = "program";
	int r = s.dirfd < 0 ? s.dirfd : sc_spawn(&s, &program->pid, &program->pidfd, &step);

	if (r < 0)
		snprintf(program->why, sizeof(program->why), "%s cannot be started: %s: %s",
			 program->name, step, strerror(-r));
	return r;
}

static int reap(void *ctx, int pidfd, int *status)
{
	(void)ctx;
	return sc_process_reap(pidfd, status);
}

static int send_signal(void *ctx, int pidfd, int signo)
{
	(void)ctx;
	return sc_pidfd_signal(pidfd, signo);
}

static int tell_facts(void *ctx, int pid, struct sc_program_facts *out)
{
	struct sc_process_facts f;
	int r = sc_process_facts(pid, &f);

	(void)ctx;
	if (r < 0)
		return r;
	*out = (struct sc_program_facts){
		.user = f.uid,
		.caps = f.caps,
		.has_filter = f.seccomp == 2,
		.has_no_gain = f.has_no_gain,
		.rss_bytes = f.rss_bytes,
	};
	return 0;
}

struct sc_process_port sc_processes_real(int *dir_fd)
{
	return (struct sc_process_port){
		.ctx = dir_fd,
		.find_user = find_user,
		.start = start,
		.reap = reap,
		.signal = send_signal,
		.facts = tell_facts,
	};
}
