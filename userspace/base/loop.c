/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <errno.h>

int sc_loop_init(struct sc_loop *loop)
{
	loop->pending = 0;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll_fd < 0 ? -errno : 0;
}

void sc_loop_done(struct sc_loop *loop)
{
	sc_close(&loop->epoll_fd);
}

static int control(struct sc_loop *loop, int op, struct sc_watch *w, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = w};

	return epoll_ctl(loop->epoll_fd, op, w->fd, &event) < 0 ? -errno : 0;
}

int sc_loop_add(struct sc_loop *loop, struct sc_watch *w, uint32_t events)
{
	return control(loop, EPOLL_CTL_ADD, w, events);
}

int sc_loop_change(struct sc_loop *loop, struct sc_watch *w, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, w, events);
}

void sc_loop_remove(struct sc_loop *loop, struct sc_watch *w)
{
	for (int i = 0; i < loop->pending; i++)
		if (loop->batch[i].data.ptr == w)
			loop->batch[i].data.ptr = NULL;
	(void)control(loop, EPOLL_CTL_DEL, w, 0);
}

int sc_loop_once(struct sc_loop *loop, int timeout_ms)
{
	int n = epoll_wait(loop->epoll_fd, loop->batch, SC_LOOP_BATCH, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	loop->pending = n;
	for (int i = 0; i < n; i++) {
		struct sc_watch *w = loop->batch[i].data.ptr;

		if (w)
			w->ready(w->owner, loop->batch[i].events);
	}
	loop->pending = 0;
	return 0;
}
