/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/ns.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens some files, reads lines, and little else. */
#define STACK_SIZE ((size_t)PTHREAD_STACK_MIN + 256 * 1024)

/* A disk that spins up may take longer; the next time finds it. */
#define WAIT_NS (250 * SC_NS_PER_MS)

struct visit {
	int ns_fd;
	int type;
	int (*fn)(void *arg);
	void *arg;
	int result;
};

/* A mount namespace is entered only with a root and a directory of one's own (setns(2)). */
static int enter(const struct visit *v)
{
	_cleanup_close_ int proc_fd = -1;

	if (v->type != CLONE_NEWNS)
		return setns(v->ns_fd, v->type) < 0 ? -errno : 0;
	proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc_fd < 0 || unshare(CLONE_FS) < 0 || setns(v->ns_fd, CLONE_NEWNS) < 0 ||
	    fchdir(proc_fd) < 0)
		return -errno;
	return 0;
}

static void *visit(void *arg)
{
	struct visit *v = arg;

	v->result = enter(v);
	if (v->result == 0)
		v->result = v->fn(v->arg);
	return NULL;
}

/* By itself a new thread is not SCHED_FIFO where its maker is (SCHED_RESET_ON_FORK), and would keep
 * it waiting behind whoever is. */
static int keep_pace(pthread_attr_t *attr)
{
	struct sched_param param;
	int policy = sched_getscheduler(0);

	if (policy < 0 || sched_getparam(0, &param) < 0)
		return errno;
	policy &= ~SCHED_RESET_ON_FORK;
	if (policy != SCHED_FIFO)
		return 0;
	pthread_attr_setinheritsched(attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(attr, policy);
	return pthread_attr_setschedparam(attr, &param);
}

static int begin_visit(struct visit *v, pthread_t *thread)
{
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);

	if (r)
		return -r;
	r = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (!r)
		r = keep_pace(&attr);
	if (!r)
		r = pthread_create(thread, &attr, visit, v);
	if (r == EPERM) { /* no SCHED_FIFO for it: then as it comes */
		pthread_attr_setinheritsched(&attr, PTHREAD_INHERIT_SCHED);
		r = pthread_create(thread, &attr, visit, v);
	}
	pthread_attr_destroy(&attr);
	return -r;
}

int sc_ns_run(int ns_fd, int type, int (*fn)(void *arg), void *arg)
{
	struct visit v = {ns_fd, type, fn, arg, 0};
	pthread_t thread;
	int r = begin_visit(&v, &thread);

	if (r < 0)
		return r;
	pthread_join(thread, NULL);
	return v.result;
}

/* --- errands --- */

/* Owned by the asker alone, and freed when its thread is joined: it may end whenever it likes. */
struct sc_ns_errand {
	struct visit visit;
	pthread_t thread;
	int ns_fd; /* of its own */
	ino_t ns;
	int (*fn)(const char *path);
	char path[SC_NS_PATH_MAX];
	bool gives_fd;
};

static int run_errand(void *arg)
{
	struct sc_ns_errand *errand = arg;

	return errand->fn(errand->path);
}

static void free_errand(struct sc_ns_errand *errand)
{
	sc_close(&errand->ns_fd);
	free(errand);
}

static void reap(struct sc_ns_errands *errands)
{
	for (size_t i = 0; i < SC_NS_LATE_MAX; i++) {
		struct sc_ns_errand *errand = errands->late[i];

		if (!errand || pthread_tryjoin_np(errand->thread, NULL) != 0)
			continue;
		if (errand->gives_fd && errand->visit.result >= 0)
			close(errand->visit.result);
		free_errand(errand);
		errands->late[i] = NULL;
	}
}

/* A place for it to be late in; -ETIMEDOUT when the same is late already, -EBUSY. */
static int find_room(const struct sc_ns_errands *errands, const struct sc_ns_errand *errand)
{
	int room = -EBUSY;

	for (size_t i = SC_NS_LATE_MAX; i-- > 0;) {
		const struct sc_ns_errand *late = errands->late[i];

		if (!late)
			room = (int)i;
		else if (late->fn == errand->fn && late->ns == errand->ns &&
			 strcmp(late->path, errand->path) == 0)
			return -ETIMEDOUT;
	}
	return room;
}

static struct sc_ns_errand *new_errand(int ns_fd, int (*fn)(const char *path), const char *path)
{
	struct sc_ns_errand *errand = calloc(1, sizeof(*errand));
	struct stat st;

	if (!errand)
		return NULL;
	errand->ns_fd = fcntl(ns_fd, F_DUPFD_CLOEXEC, 0);
	errand->fn = fn;
	errand->visit = (struct visit){errand->ns_fd, CLONE_NEWNS, run_errand, errand, 0};
	if (errand->ns_fd < 0 || fstat(ns_fd, &st) < 0 ||
	    !sc_strcopy(errand->path, sizeof(errand->path), path)) {
		free_errand(errand);
		return NULL;
	}
	errand->ns = st.st_ino;
	return errand;
}

int sc_ns_ask(struct sc_ns_errands *errands, int ns_fd, int (*fn)(const char *path),
	      const char *path, bool gives_fd)
{
	struct sc_ns_errand *errand = new_errand(ns_fd, fn, path);
	uint64_t until = sc_mono_ns() + WAIT_NS;
	struct timespec end = {.tv_sec = (time_t)(until / SC_NS_PER_S),
			       .tv_nsec = (long)(until % SC_NS_PER_S)};
	int room, r;

	if (!errand)
		return -ENOMEM;
	errand->gives_fd = gives_fd;
	reap(errands);
	room = find_room(errands, errand);
	r = room < 0 ? room : begin_visit(&errand->visit, &errand->thread);
	if (r == 0 && pthread_clockjoin_np(errand->thread, NULL, CLOCK_MONOTONIC, &end) != 0) {
		errands->late[room] = errand;
		return -ETIMEDOUT;
	}
	r = r < 0 ? r : errand->visit.result;
	free_errand(errand);
	return r;
}

void sc_ns_errands_done(struct sc_ns_errands *errands)
{
	reap(errands);
}
