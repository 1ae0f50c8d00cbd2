/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/processes.h"

#include "sys/bpf.h"
#include "sys/pidfd.h"
#include "sys/spawn.h"
#include "sys/subgroup.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>

static int open_own_dir(void)
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

/* As the pins: one agent's is not another's. */
static void name_group(struct sc_processes_host *h, const char *root_path, const char *run_dir)
{
	char link[64], dir[PATH_MAX];
	char tag[SC_BPF_RUN_TAG_MAX];
	ssize_t n;

	sc_bpf_run_tag(run_dir, tag);
	snprintf(h->group, sizeof(h->group), "scram-probe%s%s", tag[0] ? "-" : "", tag);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", h->root_fd);
	n = readlink(link, dir, sizeof(dir) - 1);
	if (n < 0)
		return;
	dir[n] = '\0';
	if (snprintf(h->group_dir, PATH_MAX, "%s/%s", dir, h->group) >= PATH_MAX ||
	    snprintf(h->group_path, PATH_MAX, "%s/%s", root_path[1] ? root_path : "", h->group) >=
		    PATH_MAX)
		h->group_dir[0] = '\0';
}

void sc_processes_open(struct sc_processes_host *host, int root_fd, const char *root_path,
		       const char *run_dir)
{
	*host = (struct sc_processes_host){.dir_fd = open_own_dir(), .root_fd = root_fd};
	if (root_fd >= 0)
		name_group(host, root_path, run_dir);
}

void sc_processes_close(struct sc_processes_host *host)
{
	sc_close(&host->dir_fd);
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

static void without_group(struct sc_program *program, const char *what, int error)
{
	program->has_group = false;
	program->group_limits[0] = '\0';
	snprintf(program->group_why, sizeof(program->group_why), "%s: %s", what, strerror(error));
}

/* It starts without one when there can be none. */
static void make_group(struct sc_processes_host *h, struct sc_program *program,
		       struct sc_subgroup *group)
{
	int r = -EOPNOTSUPP;

	program->has_group = true;
	program->group_why[0] = '\0';
	if (h->group_dir[0])
		r = sc_subgroup_make(h->root_fd, h->group, program->user, program->group, group);
	if (r < 0)
		without_group(program, "its cgroup cannot be made", -r);
	else
		sc_strcopy(program->group_limits, sizeof(program->group_limits), group->limits);
}

static int start(void *ctx, struct sc_program *program)
{
	struct sc_processes_host *h = ctx;
	struct sc_subgroup group = {.procs_fd = -1};
	struct sc_spawn s = {
		.dirfd = h->dir_fd,
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
	int r = s.dirfd;

	if (program->wants_group)
		make_group(h, program, &group);
	s.procs_fd = group.procs_fd;
	if (r >= 0)
		r = sc_spawn(&s, &program->pid, &program->pidfd, &step);
	if (r < 0 && strcmp(step, SC_SPAWN_STEP_CGROUP) == 0) {
		without_group(program, "its cgroup cannot be joined", -r);
		s.procs_fd = -1;
		r = sc_spawn(&s, &program->pid, &program->pidfd, &step);
	}
	sc_close(&group.procs_fd);
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

static bool has_program(void *ctx, const char *name)
{
	const struct sc_processes_host *h = ctx;

	return h->dir_fd >= 0 && faccessat(h->dir_fd, name, X_OK, 0) == 0;
}

static int clear_group(void *ctx)
{
	const struct sc_processes_host *h = ctx;

	return sc_subgroup_clear(h->root_fd, h->group);
}

struct sc_process_port sc_processes_real(struct sc_processes_host *host)
{
	bool has_group = host->group_dir[0] != '\0';

	return (struct sc_process_port){
		.ctx = host,
		.has_program = has_program,
		.group_dir = has_group ? host->group_dir : NULL,
		.group_path = has_group ? host->group_path : NULL,
		.clear_group = has_group ? clear_group : NULL,
		.find_user = find_user,
		.start = start,
		.reap = reap,
		.signal = send_signal,
		.facts = tell_facts,
	};
}
