/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a run: under way until its program ends or a bound is reached; then it is killed with
 * all that it started, and told; then buried: reaped, its cgroup removed, forgotten.
 */
#include "worker/probe/exec_impl.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Read at once, so that one that floods leaves the others their turn. */
#define READ_BYTES 16384
/* Between looks at a cgroup that does not go away, beside its events. */
#define BURY_NS (250 * SC_NS_PER_MS)

/* --- burial --- */

static void close_watch(struct sc_exec *run, struct sc_watch *w)
{
	if (w->fd < 0)
		return;
	sc_loop_remove(&run->x->reactor->loop, w);
	sc_close(&w->fd);
}

static void forget(struct sc_exec *run)
{
	void (*gone)(void *owner) = run->gone;
	void *owner = run->owner;

	*run->link = run->next;
	if (run->next)
		run->next->link = run->link;
	run->x->n_runs--;
	sc_alarm_stop(&run->alarm);
	free(run);
	if (gone)
		gone(owner);
}

/* True when the program has ended and was reaped. */
static bool reap(struct sc_exec *run)
{
	siginfo_t info = {0};

	if (run->pid == 0)
		return true;
	if (waitid((idtype_t)P_PIDFD, (id_t)run->exit.fd, &info, WEXITED | WNOHANG) == 0 &&
	    info.si_pid == 0)
		return false;
	close_watch(run, &run->exit);
	run->pid = 0;
	return true;
}

/* Frees the run as soon as nothing of it is left; until then it is looked at again. */
static void bury(struct sc_exec *run)
{
	int r;

	if (!reap(run))
		return;
	sc_loop_remove(&run->x->reactor->loop, &run->group.end);
	r = sc_exec_group_remove(&run->group);
	if (r == 0) {
		forget(run);
		return;
	}
	/* Who joined it after the kill is killed as well. */
	(void)sc_exec_group_kill(&run->group);
	(void)sc_loop_add(&run->x->reactor->loop, &run->group.end, EPOLLPRI);
	sc_alarm_set(run->x->reactor, &run->alarm, sc_mono_ns() + BURY_NS);
}

static void on_group_changed(void *owner, uint32_t events)
{
	(void)events;
	bury(owner);
}

/* --- the end --- */

/* With its cgroup, or by its process group, whose number is its own until it is reaped. The program
 * itself also by its pidfd: it may not have got as far as either. */
static void kill_all(struct sc_exec *run)
{
	bool by_group = sc_exec_group_kill(&run->group) == 0;

	if (run->pid == 0)
		return;
	if (!by_group)
		(void)kill(-run->pid, SIGKILL);
	(void)syscall(SYS_pidfd_send_signal, run->exit.fd, SIGKILL, NULL, 0);
}

static void close_pipes(struct sc_exec *run)
{
	close_watch(run, &run->in);
	close_watch(run, &run->out);
	close_watch(run, &run->err);
	sc_close(&run->failure_fd);
}

static void tell(struct sc_exec *run, enum sc_exec_end end, int status, const char *step)
{
	struct sc_exec_result result = {
		.end = end,
		.status = status,
		.step = step,
		.out = run->text ? run->text : "",
		.out_size = run->size,
		.took_ns = sc_mono_ns() - run->begin_ns,
	};
	struct sc_str err;

	sc_str_init(&err, result.err, sizeof(result.err));
	sc_str_add_printable(&err, run->said, run->said_size);
	if (run->text)
		run->text[run->size] = '\0';
	if (run->done)
		run->done(run->owner, &result);
}

/* The run is not under way any more. Frees it when nothing is left to wait for. */
static void finish(struct sc_exec *run, enum sc_exec_end end, int status, const char *step)
{
	run->has_ended = true;
	sc_alarm_stop(&run->alarm);
	kill_all(run);
	close_pipes(run);
	tell(run, end, status, step);
	free(SC_TAKE_PTR(run->text));
	free(SC_TAKE_PTR(run->input));
	bury(run);
}

static void on_alarm(void *owner)
{
	struct sc_exec *run = owner;

	if (run->has_ended)
		bury(run);
	else
		finish(run, SC_EXEC_OVER_BUDGET, 0, NULL);
}

/* --- its output and input --- */

/* Reads some: 1 more may come, 0 end, -EAGAIN nothing now, -EFBIG too much, -ENOMEM. */
static int read_out(struct sc_exec *run)
{
	ssize_t n;

	if (run->room - run->size < READ_BYTES) {
		size_t room = run->size + 2 * READ_BYTES;
		char *text = realloc(run->text, room + 1);

		if (!text)
			return -ENOMEM;
		run->text = text;
		run->room = room;
	}
	n = read(run->out.fd, run->text + run->size, READ_BYTES);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	run->size += (size_t)n;
	return run->size > SC_EXEC_OUT_MAX ? -EFBIG : n > 0;
}

static int read_err(struct sc_exec *run)
{
	char more[READ_BYTES];
	ssize_t n = read(run->err.fd, more, sizeof(more));
	size_t keep;

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	keep = SC_MIN((size_t)n, sizeof(run->said) - run->said_size);
	memcpy(run->said + run->said_size, more, keep);
	run->said_size += keep;
	return n > 0;
}

/* Nobody writes any more, or nothing works: the pipe is not looked at again. */
static void settle(struct sc_exec *run, struct sc_watch *w, int r)
{
	if (r <= 0 && r != -EAGAIN)
		close_watch(run, w);
}

static void on_out(void *owner, uint32_t events)
{
	struct sc_exec *run = owner;
	int r = read_out(run);

	(void)events;
	if (r == -EFBIG || r == -ENOMEM)
		finish(run, SC_EXEC_OVER_OUTPUT, 0, NULL);
	else
		settle(run, &run->out, r);
}

static void on_err(void *owner, uint32_t events)
{
	struct sc_exec *run = owner;

	(void)events;
	settle(run, &run->err, read_err(run));
}

static void on_in(void *owner, uint32_t events)
{
	struct sc_exec *run = owner;
	size_t left = run->input_size - run->input_sent;
	ssize_t n = left ? write(run->in.fd, run->input + run->input_sent, left) : 0;

	(void)events;
	if (n > 0)
		run->input_sent += (size_t)n;
	if (n < 0 ? errno != EAGAIN && errno != EINTR : run->input_sent == run->input_size)
		close_watch(run, &run->in);
}

/* What it had said when it ended is in the pipes. 0, or as read_out. */
static int drain(struct sc_exec *run)
{
	int r = 1;

	for (int i = 0; i < SC_EXEC_ERR_MAX && run->err.fd >= 0 && r == 1; i++)
		r = read_err(run);
	r = 1;
	while (run->out.fd >= 0 && r == 1)
		r = read_out(run);
	return r == -EFBIG || r == -ENOMEM ? r : 0;
}

static void on_exit_ready(void *owner, uint32_t events)
{
	struct sc_exec *run = owner;
	struct sc_exec_failure failure;
	siginfo_t info = {0};
	int r;

	(void)events;
	if (run->has_ended) {
		bury(run);
		return;
	}
	/* It stays unreaped until its process group is killed. */
	if (waitid((idtype_t)P_PIDFD, (id_t)run->exit.fd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0)
		return;
	r = drain(run);
	if (read(run->failure_fd, &failure, sizeof(failure)) == (ssize_t)sizeof(failure))
		finish(run, SC_EXEC_NOT_RUN, failure.error, sc_exec_step_name(failure.step));
	else if (r < 0)
		finish(run, SC_EXEC_OVER_OUTPUT, 0, NULL);
	else if (info.si_code == CLD_EXITED)
		finish(run, SC_EXEC_EXITED, info.si_status, NULL);
	else
		finish(run, SC_EXEC_SIGNALLED, info.si_status, NULL);
}

/* --- the start --- */

static int watch(struct sc_exec *run)
{
	struct sc_loop *loop = &run->x->reactor->loop;
	int r = sc_loop_add(loop, &run->exit, EPOLLIN);

	if (r == 0)
		r = sc_loop_add(loop, &run->out, EPOLLIN);
	if (r == 0)
		r = sc_loop_add(loop, &run->err, EPOLLIN);
	if (r == 0 && run->in.fd >= 0)
		r = sc_loop_add(loop, &run->in, EPOLLOUT);
	return r;
}

/* A run that did not come to be: whoever was forked is killed and reaped at once, it is our own
 * code yet or killed by the kernel before it is the program's. */
static void undo(struct sc_exec *run)
{
	siginfo_t info;

	kill_all(run);
	if (run->pid && run->exit.fd < 0)
		(void)kill(run->pid, SIGKILL);
	if (run->pid)
		(void)waitid(P_PID, (id_t)run->pid, &info, WEXITED);
	close_pipes(run);
	close_watch(run, &run->exit);
	(void)sc_exec_group_remove(&run->group);
	free(run->text);
	free(run->input);
	free(run);
}

static struct sc_exec *new_run(struct sc_execs *x, const struct sc_exec_order *order)
{
	struct sc_exec *run = calloc(1, sizeof(*run));

	if (!run)
		return NULL;
	*run = (struct sc_exec){
		.x = x,
		.done = order->done,
		.gone = order->gone,
		.owner = order->owner,
		.exit = {.fd = -1, .ready = on_exit_ready, .owner = run},
		.in = {.fd = -1, .ready = on_in, .owner = run},
		.out = {.fd = -1, .ready = on_out, .owner = run},
		.err = {.fd = -1, .ready = on_err, .owner = run},
		.failure_fd = -1,
		.alarm = {.ring = on_alarm, .owner = run},
		.group = {.fd = -1, .end = {.fd = -1, .ready = on_group_changed, .owner = run}},
		.begin_ns = sc_mono_ns(),
	};
	return run;
}

int sc_exec_start(struct sc_execs *x, const struct sc_exec_order *order, struct sc_exec **out)
{
	struct sc_exec *run;
	int r;

	if (order->input_size > SC_EXEC_INPUT_MAX)
		return -E2BIG;
	run = x->n_runs < SC_EXEC_MAX ? new_run(x, order) : NULL;
	if (!run)
		return x->n_runs < SC_EXEC_MAX ? -ENOMEM : -EAGAIN;
	r = sc_exec_prepare(run, order);
	if (r == 0)
		r = watch(run);
	if (r < 0) {
		undo(run);
		return r;
	}
	run->next = x->runs;
	run->link = &x->runs;
	if (run->next)
		run->next->link = &run->next;
	x->runs = run;
	x->n_runs++;
	sc_alarm_set(x->reactor, &run->alarm, run->begin_ns + order->budget_ns);
	*out = run;
	return 0;
}

void sc_exec_cancel(struct sc_exec *run)
{
	run->done = NULL;
	run->gone = NULL;
	if (!run->has_ended)
		finish(run, SC_EXEC_OVER_BUDGET, 0, NULL);
}

int sc_execs_init(struct sc_execs *x, struct sc_reactor *reactor, const char *cgroup)
{
	*x = (struct sc_execs){.reactor = reactor, .cgroup_fd = -1};
	if (!cgroup)
		return 0;
	x->cgroup_fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return x->cgroup_fd < 0 ? -errno : 0;
}

void sc_execs_done(struct sc_execs *x)
{
	struct sc_exec *next;

	for (struct sc_exec *run = x->runs; run; run = next) {
		next = run->next;
		sc_exec_cancel(run);
	}
	while (x->runs) { /* not ended yet */
		struct sc_exec *run = x->runs;

		close_watch(run, &run->exit);
		sc_loop_remove(&x->reactor->loop, &run->group.end);
		sc_close(&run->group.end.fd);
		sc_close(&run->group.fd);
		forget(run);
	}
	sc_close(&x->cgroup_fd);
}
