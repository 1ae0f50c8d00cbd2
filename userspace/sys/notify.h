/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The notify socket: datagrams from any program on the host, and the kernel's word on which cgroup
 * the sender lives in. What a message says about its sender is never looked at.
 */
#pragma once

#include "sys/cgroup.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#define SC_NOTIFY_SOCKET "notify.sock"

struct report_bpf;

struct sc_notify {
	int fd;                        /* -1 = closed */
	const struct sc_cgroup_fs *fs; /* borrowed */
	bool has_pidfd;                /* the kernel hands over the sender itself, not its number */
	bool has_info;            /* it tells the cgroup by pidfd; found out when it does not */
	struct report_bpf *limit; /* NULL = the kernel lets everything pass */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

struct sc_notify_datagram {
	size_t size;        /* as sent; over the room given: cut */
	uint64_t cgroup_id; /* of the sender; 0 = not to be told: its process is not visible here,
			       lives outside the mount, or was gone */
};

/*
 * Makes the socket in run_dir, for every user to write to. fs is borrowed until the close. 0, or
 * -errno with nothing left behind but notify->fd -1. Sets the umask for a moment: before there are
 * threads.
 */
int sc_notify_open(struct sc_notify *notify, const struct sc_cgroup_fs *fs, const char *run_dir);
/* Closes it and removes its file. Harmless when it is not open. */
void sc_notify_close(struct sc_notify *notify);

/*
 * Takes the oldest datagram, at most `room` bytes of it; never waits for one. 1, 0 when there is
 * none, -errno. The cgroup is the one of the sending process at this moment, or at its end when it
 * is gone: by pidfd since Linux 6.16. Before, by the process number: one that started after the
 * datagram was sent has only inherited the number, and nothing is told. /proc/PID/cgroup, which
 * waits for the kernel's cgroup_mutex, is read before 6.13 only.
 */
int sc_notify_receive(struct sc_notify *notify, void *buf, size_t room,
		      struct sc_notify_datagram *out);

/*
 * Has the kernel refuse what a cgroup sends over its allowance, in the sender and before it takes a
 * place in the queue: a datagram costs cost_ns of it, and what is not used grows to burst_ns. The
 * sender is not told. 0, or -errno where the kernel cannot: then everything passes. Before the
 * capabilities are reduced.
 */
int sc_notify_limit(struct sc_notify *notify, uint64_t cost_ns, uint64_t burst_ns);
/* How many were refused so, of all since the start, and of one cgroup; the latter may begin anew
 * when thousands of cgroups report. Any thread; the second is a system call. */
uint64_t sc_notify_refused(const struct sc_notify *notify);
uint64_t sc_notify_refused_of(const struct sc_notify *notify, uint64_t cgroup_id);
/* For sc_notify_close. */
void sc_notify_limit_free(struct sc_notify *notify);
