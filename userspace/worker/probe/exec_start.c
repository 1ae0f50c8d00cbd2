/* SPDX-License-Identifier: Apache-2.0 */
/* What a run is made of: pipes, cgroup, environment, process. */
#include "worker/probe/exec_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

struct ends {
	int in, out, err, failure; /* the child's */
};

static void close_ends(struct ends *e)
{
	sc_close(&e->in);
	sc_close(&e->out);
	sc_close(&e->err);
	sc_close(&e->failure);
}

static int make_pipe(int *reader, int *writer)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	*reader = pair[0];
	*writer = pair[1];
	return 0;
}

/* Ours never wait; the child's are as programs expect them. */
static int make_pipes(struct sc_exec *run, struct ends *e)
{
	int r = make_pipe(&run->out.fd, &e->out);

	if (r == 0)
		r = make_pipe(&run->err.fd, &e->err);
	if (r == 0)
		r = make_pipe(&run->failure_fd, &e->failure);
	if (r == 0 && run->input)
		r = make_pipe(&e->in, &run->in.fd);
	if (r == 0 && !run->input)
		e->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (r < 0 || e->in < 0)
		return r < 0 ? r : -errno;
	if (fcntl(run->out.fd, F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(run->err.fd, F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(run->failure_fd, F_SETFL, O_NONBLOCK) < 0 ||
	    (run->input && fcntl(run->in.fd, F_SETFL, O_NONBLOCK) < 0))
		return -errno;
	return 0;
}

static int fill_env(const char *const *more, const char **env)
{
	size_t n = 0;

	env[n++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	env[n++] = "LANG=C";
	for (; more && *more; more++) {
		if (n == SC_EXEC_ENV_MAX)
			return -E2BIG;
		env[n++] = *more;
	}
	env[n] = NULL;
	return 0;
}

static int fork_program(struct sc_exec *run, const struct sc_exec_order *order, struct ends *e)
{
	const char *env[SC_EXEC_ENV_MAX + 1];
	struct sc_exec_child child = {
		.argv = order->argv,
		.env = env,
		.budget_ns = order->budget_ns,
		.group_fd = run->group.fd,
		.in = e->in,
		.out = e->out,
		.err = e->err,
		.failure_fd = e->failure,
		.parent = getpid(),
	};
	int r = fill_env(order->env, env);

	if (r == 0)
		r = sc_exec_fork(&child);
	if (r < 0)
		return r;
	run->pid = r;
	run->exit.fd = (int)syscall(SYS_pidfd_open, run->pid, 0);
	return run->exit.fd < 0 ? -errno : 0;
}

static int make_parts(struct sc_exec *run, const struct sc_exec_order *order, struct ends *e)
{
	struct sc_execs *x = run->x;
	int r;

	if (order->input) {
		run->input = malloc(order->input_size + 1);
		if (!run->input)
			return -ENOMEM;
		memcpy(run->input, order->input, order->input_size);
		run->input_size = order->input_size;
	}
	r = make_pipes(run, e);
	if (r < 0 || x->cgroup_fd < 0)
		return r;
	r = sc_exec_group_make(&run->group, x->cgroup_fd, x->counter++);
	x->cgroups_failed += r < 0;
	/* The names and the number are ours: a program has left its run to make some. */
	x->is_spoiled |= r == -EEXIST || r == -EAGAIN;
	return r;
}

int sc_exec_prepare(struct sc_exec *run, const struct sc_exec_order *order)
{
	struct ends e = {-1, -1, -1, -1};
	int r = make_parts(run, order, &e);

	if (r == 0)
		r = fork_program(run, order, &e);
	close_ends(&e);
	return r;
}
