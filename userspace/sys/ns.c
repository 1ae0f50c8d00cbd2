/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/ns.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>

/* Opens some files, reads lines, and little else. */
#define STACK_SIZE ((size_t)PTHREAD_STACK_MIN + 256 * 1024)

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
	if (v->type == CLONE_NEWNS && unshare(CLONE_FS) < 0)
		return -errno;
	return setns(v->ns_fd, v->type) < 0 ? -errno : 0;
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

int sc_ns_run(int ns_fd, int type, int (*fn)(void *arg), void *arg)
{
	struct visit v = {ns_fd, type, fn, arg, 0};
	pthread_attr_t attr;
	pthread_t thread;
	int r = pthread_attr_init(&attr);

	if (r)
		return -r;
	r = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (!r)
		r = keep_pace(&attr);
	if (!r)
		r = pthread_create(&thread, &attr, visit, &v);
	if (r == EPERM) { /* no SCHED_FIFO for it: then as it comes */
		pthread_attr_setinheritsched(&attr, PTHREAD_INHERIT_SCHED);
		r = pthread_create(&thread, &attr, visit, &v);
	}
	pthread_attr_destroy(&attr);
	if (r)
		return -r;
	pthread_join(thread, NULL);
	return v.result;
}
