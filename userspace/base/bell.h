/* SPDX-License-Identifier: Apache-2.0 */
/* A doorbell between threads over eventfd(2): ringing never blocks, rings before a wait are not
 * lost. */
#pragma once

#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>

/* The descriptor, to be closed by the caller, or -errno. */
static inline int sc_bell_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

static inline void sc_bell_ring(int fd)
{
	uint64_t one = 1;

	/* Fails only when 2^64 - 2 rings are waiting, and then the bell is heard all the same. */
	(void)!write(fd, &one, sizeof(one));
}

/* Takes the rings that are waiting, if any. */
static inline void sc_bell_clear(int fd)
{
	uint64_t rings;

	(void)!read(fd, &rings, sizeof(rings));
}

/* Waits for a ring, at most timeout_ms (-1 = for ever), and clears the bell. */
static inline void sc_bell_wait(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	(void)poll(&p, 1, timeout_ms);
	sc_bell_clear(fd);
}
