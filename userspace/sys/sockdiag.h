/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending the sockets of cgroups from outside, through the kernel's sock_diag (sock_diag(7), the
 * message SOCK_DESTROY): the owner gets ECONNABORTED, the peer a reset if it can still be sent.
 * Mechanism only: which sockets is the caller's to say. One network namespace per handle.
 *
 * What it cannot end: half-open connections that no listener has accepted yet in their handshake
 * (the kernel tells no cgroup for them), what is closed but still sends its rest, MPTCP beyond its
 * subflows, other protocols than TCP and UDP, unix sockets.
 *
 * A handle belongs to one thread at a time. Nothing is allocated after sc_sockdiag_open.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SC_SOCKDIAG_REASON_MAX 160

/*
 * Sockets that processes hold, by inode: to find those that were made in another cgroup, inherited
 * or passed along, which count for where they were made. Memory is the caller's.
 */
struct sc_held_sockets {
	uint32_t *inodes;
	size_t n, max;
	bool is_short; /* there were more than fit */
};

/*
 * Adds the sockets that the process has open now, of every kind and namespace. 0, -ESRCH when it is
 * gone, or what opening /proc/PID/fd said; held may then have some of them. A pid may have passed
 * to another process before the call: look afterwards whether it still belongs to whom it should,
 * and put n back if it does not.
 */
int sc_held_sockets_add(struct sc_held_sockets *held, pid_t pid);
/* Sorts and removes doubles; sc_sockdiag_end wants it so. */
void sc_held_sockets_sort(struct sc_held_sockets *held);

struct sc_sockdiag_want {
	const uint64_t *cgroup_ids; /* ascending */
	size_t n_cgroup_ids;
	/* Asked for a cgroup that is not among those, or has been removed; NULL: none other. */
	bool (*owns)(void *ctx, uint64_t cgroup_id);
	void *ctx;
	const struct sc_held_sockets
		*held;  /* sorted; NULL: sockets made elsewhere are left alone */
	bool listeners; /* listening TCP sockets too */
	bool udp;       /* UDP sockets with a peer too */
};

/* Added to, so that it can go through several namespaces; zeroed by the caller before the first. */
struct sc_sockdiag_result {
	uint32_t ended;   /* destroyed, those made elsewhere included */
	uint32_t left;    /* wanted ones that were there at the last look */
	uint32_t foreign; /* of `ended` and `left`: held by the processes, made in another cgroup */
};

struct sc_sockdiag;

/*
 * A handle for the network namespace of an open nsfs descriptor, which is only borrowed; -1: for
 * the calling thread's. 0; -EOPNOTSUPP when the kernel has no sock_diag for TCP or cannot destroy
 * sockets (CONFIG_INET_DIAG_DESTROY), or -errno, with a reason (SC_SOCKDIAG_REASON_MAX bytes) and
 * *out untouched.
 */
int sc_sockdiag_open(struct sc_sockdiag **out, int netns_fd, char *reason);
void sc_sockdiag_close(struct sc_sockdiag **diag);

/*
 * Destroys the wanted sockets in the namespace: TCP in ESTABLISHED, SYN_SENT, SYN_RECV, CLOSE_WAIT,
 * and in FIN_WAIT while a process holds it; both address families. Looks again until none is there,
 * at most SC_SOCKDIAG_ROUNDS times, since others may be made meanwhile. Each look takes
 * some 0.3 ms and 1 us for each socket of the namespace, destroying one some 20 us and more with
 * what it makes the other end do. 0 also when some are left; or
 * -errno when the kernel cannot be asked, with what had been done until then in result.
 */
#define SC_SOCKDIAG_ROUNDS 4
int sc_sockdiag_end(struct sc_sockdiag *diag, const struct sc_sockdiag_want *want,
		    struct sc_sockdiag_result *result);

/* Only counts the wanted ones that are there, into left and foreign. 0 or -errno. */
int sc_sockdiag_count(struct sc_sockdiag *diag, const struct sc_sockdiag_want *want,
		      struct sc_sockdiag_result *result);
