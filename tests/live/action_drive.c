/* SPDX-License-Identifier: Apache-2.0 */
/* Drives a run on the real kernel, and makes processes that cannot die. */
#include "live/action_drive.h"

#include "base/clock.h"
#include "wire/effector.h"
#include "sys/cgroup.h"
#include "sys/pidfd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGE 4096

struct sc_effector sc_live_effector(void)
{
	static struct sc_cgroup_fs fs = {.root_fd = -1};
	static struct sc_effector_host host = {.fs = &fs};

	if (fs.root_fd < 0)
		cr_assert_eq(sc_cgroup_fs_open(&fs, NULL), 0);
	return sc_effector_real(&host);
}

/* As the agent's loop: until the time, or until the kernel says that the cgroup changed. */
static void wait_for(const struct sc_action_run *run, uint64_t next_ns)
{
	struct pollfd p = {.fd = run->events_fd, .events = POLLPRI};
	uint64_t now_ns = sc_mono_ns(), wait_ns = next_ns > now_ns ? next_ns - now_ns : 0;
	struct timespec timeout = {.tv_sec = (time_t)(wait_ns / SC_NS_PER_S),
				   .tv_nsec = (long)(wait_ns % SC_NS_PER_S)};

	ppoll(&p, 1, &timeout, NULL);
}

void sc_live_drive(struct sc_action_run *run, bool releases)
{
	struct sc_effector eff = sc_live_effector();
	enum sc_action_step step = SC_STEP_AGAIN;

	(releases ? run->ops->release : run->ops->apply)(run, &eff);
	while (step != SC_STEP_DONE) {
		uint64_t next_ns = 0;

		step = run->ops->verify(run, &eff, sc_mono_ns(), &next_ns);
		if (step == SC_STEP_APPLY)
			run->ops->apply(run, &eff);
		else if (step == SC_STEP_AGAIN)
			wait_for(run, next_ns);
	}
	sc_action_close(run, &eff);
}

static int act(struct sc_action_run *run, const struct sc_action_request *request, bool releases)
{
	struct sc_effector eff = sc_live_effector();
	int r = sc_action_prepare(run, request, &eff);

	if (r == 0)
		sc_live_drive(run, releases);
	return r;
}

int sc_live_act(struct sc_action_run *run, const struct sc_action_request *request)
{
	return act(run, request, false);
}

int sc_live_release(struct sc_action_run *run, const struct sc_action_request *request)
{
	return act(run, request, true);
}

char sc_live_state(pid_t pid)
{
	struct sc_process process;

	return sc_process_read(pid, &process) == 0 ? process.state : 0;
}

bool sc_live_is_alive(pid_t pid)
{
	char state = sc_live_state(pid);

	return state && state != 'Z' && state != 'X';
}

/* Holds the pipe's mutex until the page comes. */
static void *hold_the_pipe(void *arg)
{
	struct sc_dstate *d = arg;
	ssize_t n = write(d->pipe[1], d->page, 64);

	return (void *)(intptr_t)n;
}

static int write_to_the_pipe(void *arg)
{
	const struct sc_dstate *d = arg;

	if (write(d->pipe[1], "x", 1) != 1)
		return 1;
	while (pause())
		continue;
	return 0;
}

static bool is_in_dstate(void *arg)
{
	const struct sc_dstate *d = arg;

	return sc_live_state(d->pid) == 'D';
}

int sc_dstate_begin(struct sc_dstate *d, int cgroup_fd)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	struct pollfd fault = {.events = POLLIN};
	pthread_t thread;

	*d = (struct sc_dstate){.uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)};
	if (d->uffd < 0 || ioctl(d->uffd, UFFDIO_API, &api) < 0)
		return -errno;
	d->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)d->page;
	reg.range.len = PAGE;
	if (d->page == MAP_FAILED || ioctl(d->uffd, UFFDIO_REGISTER, &reg) < 0 ||
	    pipe2(d->pipe, O_CLOEXEC) < 0)
		return -errno;
	if (pthread_create(&thread, NULL, hold_the_pipe, d))
		return -EAGAIN;
	d->thread = thread;
	fault.fd = d->uffd;
	if (poll(&fault, 1, 60000) != 1)
		return -ETIMEDOUT;
	d->pid = sc_helper_call(cgroup_fd, write_to_the_pipe, d);
	return d->pid < 0 ? d->pid : sc_wait_until(is_in_dstate, d, 30000);
}

void sc_dstate_end(struct sc_dstate *d)
{
	struct uffdio_zeropage zero = {.range = {.start = (uintptr_t)d->page, .len = PAGE}};

	if (ioctl(d->uffd, UFFDIO_ZEROPAGE, &zero) == 0)
		pthread_join(d->thread, NULL);
	munmap(d->page, PAGE);
	close(d->uffd);
	close(d->pipe[0]);
	close(d->pipe[1]);
}
