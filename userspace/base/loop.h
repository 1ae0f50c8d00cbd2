/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small event loop over epoll(7): descriptors in, one call per ready descriptor. One thread owns
 * it. A watch lives in its owner's memory and may be removed, also by its own call, at any moment.
 */
#pragma once

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define SC_LOOP_BATCH 32

struct sc_watch {
	int fd;
	void (*ready)(void *owner, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR */
	void *owner;
};

struct sc_loop {
	int epoll_fd;
	struct epoll_event batch[SC_LOOP_BATCH];
	int pending; /* events of the batch not yet handed out */
};

/* 0 or -errno. */
int sc_loop_init(struct sc_loop *loop);
void sc_loop_done(struct sc_loop *loop);

/* Watches w->fd for events; the watch must stay where it is until removed. 0 or -errno. */
int sc_loop_add(struct sc_loop *loop, struct sc_watch *w, uint32_t events);
int sc_loop_change(struct sc_loop *loop, struct sc_watch *w, uint32_t events);
/* Forgets the watch, events of the running batch included; does not close the descriptor. */
void sc_loop_remove(struct sc_loop *loop, struct sc_watch *w);

/* Waits at most timeout_ms (-1 = until something is ready) and hands out one batch. 0 or -errno. */
int sc_loop_once(struct sc_loop *loop, int timeout_ms);
