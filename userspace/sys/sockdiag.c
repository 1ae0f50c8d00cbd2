/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sock_diag: dumps the sockets of a namespace, picks the wanted ones, destroys them. They are
 * picked first and destroyed afterwards, because a dump keeps its place in a hash bucket by
 * counting.
 */
#include "sys/sockdiag.h"

#include "base/mem.h"
#include "sys/netns.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* 0.9 MB; what is beyond is met by the next look. */
#define PICKED_MAX 16384
/* The kernel fills at most 32 KiB of a dump at once. */
#define REPLY_MAX 32768

#define STATE(s) (1U << (s))
#define FLOWS                                                                 \
	(STATE(TCP_ESTABLISHED) | STATE(TCP_SYN_SENT) | STATE(TCP_SYN_RECV) | \
	 STATE(TCP_CLOSE_WAIT) | STATE(TCP_FIN_WAIT1) | STATE(TCP_FIN_WAIT2))
/* Without a process behind it such a socket only sends its rest. Up to 6.11 destroying one leaves
 * it there for ever (tcp_abort of an orphan). */
#define ENDING (STATE(TCP_FIN_WAIT1) | STATE(TCP_FIN_WAIT2))

struct picked {
	struct inet_diag_req_v2 req;
	bool is_foreign;
};

struct sc_sockdiag {
	struct nl_sock *nl;
	uint32_t seq;
	/* Of the look under way. */
	const struct sc_sockdiag_want *want;
	uint8_t protocol;
	uint32_t found, found_foreign;
	uint32_t n_picked;
	struct picked picked[PICKED_MAX];
	_Alignas(8) char reply[REPLY_MAX];
};

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 req;
};

static int ask(struct sc_sockdiag *d, uint16_t type, uint16_t flags,
	       const struct inet_diag_req_v2 *req)
{
	struct request r = {
		.header = {.nlmsg_len = sizeof(r),
			   .nlmsg_type = type,
			   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
			   .nlmsg_seq = ++d->seq},
		.req = *req,
	};
	int n = nl_sendto(d->nl, &r, sizeof(r));

	/* libnl has numbers of its own; what it got from the kernel is in errno. */
	return n < 0 ? -(errno ?: EIO) : 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int compare_inodes(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static bool is_owned(const struct sc_sockdiag_want *want, uint64_t cgroup_id)
{
	if (bsearch(&cgroup_id, want->cgroup_ids, want->n_cgroup_ids, sizeof(cgroup_id),
		    compare_ids))
		return true;
	return want->owns && want->owns(want->ctx, cgroup_id);
}

static bool is_held(const struct sc_sockdiag_want *want, uint32_t inode)
{
	return inode && want->held &&
	       bsearch(&inode, want->held->inodes, want->held->n, sizeof(inode), compare_inodes);
}

/* Request sockets come without an id: only full sockets have a cgroup. */
static bool cgroup_of(struct nlmsghdr *header, uint64_t *id)
{
	struct nlattr *attr = nlmsg_find_attr(header, sizeof(struct inet_diag_msg),
					      INET_DIAG_CGROUP_ID);

	if (!attr || nla_len(attr) < (int)sizeof(*id))
		return false;
	*id = nla_get_u64(attr);
	return true;
}

static void look_at_socket(struct sc_sockdiag *d, struct nlmsghdr *header)
{
	const struct inet_diag_msg *msg = nlmsg_data(header);
	bool is_foreign = false;
	struct picked *p;
	uint64_t id;

	if (!nlmsg_valid_hdr(header, sizeof(*msg)))
		return;
	if (STATE(msg->idiag_state) & ENDING && !msg->idiag_inode)
		return;
	if (!cgroup_of(header, &id) || !is_owned(d->want, id)) {
		is_foreign = is_held(d->want, msg->idiag_inode);
		if (!is_foreign)
			return;
	}
	d->found++;
	d->found_foreign += is_foreign;
	if (d->n_picked == PICKED_MAX)
		return;
	p = &d->picked[d->n_picked++];
	*p = (struct picked){
		.req = {.sdiag_family = msg->idiag_family,
			.sdiag_protocol = d->protocol,
			.id = msg->id},
		.is_foreign = is_foreign,
	};
}

/* Takes the messages of one datagram. 1 at the end of the answer, 0 when more is to come, -errno.
 */
static int take_reply(struct sc_sockdiag *d, int size)
{
	struct nlmsghdr *h = (struct nlmsghdr *)d->reply;

	for (; nlmsg_ok(h, size); h = nlmsg_next(h, &size)) {
		const struct nlmsgerr *e = nlmsg_data(h);

		if (h->nlmsg_seq != d->seq)
			continue; /* the rest of an answer that was given up */
		/* Both begin with an error; that of a finished dump is its outcome. */
		if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE)
			return nlmsg_datalen(h) >= (int)sizeof(e->error) && e->error ? e->error : 1;
		if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY)
			look_at_socket(d, h);
	}
	return 0;
}

static int take_answer(struct sc_sockdiag *d)
{
	int fd = nl_socket_get_fd(d->nl), r;

	do {
		ssize_t n = recv(fd, d->reply, sizeof(d->reply), MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			r = 0;
		else if (n < 0)
			r = -errno;
		else if ((size_t)n > sizeof(d->reply))
			r = -EMSGSIZE;
		else
			r = take_reply(d, (int)n);
	} while (!r);
	return r < 0 ? r : 0;
}

static int look_at(struct sc_sockdiag *d, uint8_t family, uint8_t protocol, uint32_t states)
{
	const struct inet_diag_req_v2 req = {
		.sdiag_family = family, .sdiag_protocol = protocol, .idiag_states = states};
	int err;

	d->protocol = protocol;
	err = ask(d, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &req);
	return err ? err : take_answer(d);
}

static int look(struct sc_sockdiag *d, const struct sc_sockdiag_want *want)
{
	const uint32_t tcp = FLOWS | (want->listeners ? STATE(TCP_LISTEN) : 0);
	const uint8_t families[] = {AF_INET, AF_INET6};
	int err = 0;

	d->want = want;
	d->found = d->found_foreign = d->n_picked = 0;
	for (unsigned int i = 0; !err && i < SC_ARRAY_SIZE(families); i++) {
		err = look_at(d, families[i], IPPROTO_TCP, tcp);
		/* A UDP socket with a peer is ESTABLISHED. A kernel without udp_diag has none to
		 * show. */
		if (!err && want->udp)
			err = look_at(d, families[i], IPPROTO_UDP, STATE(TCP_ESTABLISHED));
		if (err == -ENOENT)
			err = 0; /* without IPv6, or without udp_diag */
	}
	return err;
}

static int destroy_picked(struct sc_sockdiag *d, struct sc_sockdiag_result *result)
{
	for (uint32_t i = 0; i < d->n_picked; i++) {
		const struct picked *p = &d->picked[i];
		int err = ask(d, SOCK_DESTROY, NLM_F_ACK, &p->req);

		if (!err)
			err = take_answer(d);
		if (err == -ENOENT) /* it has ended by itself */
			continue;
		if (err)
			return err;
		result->ended++;
		result->foreign += p->is_foreign;
	}
	return 0;
}

int sc_sockdiag_end(struct sc_sockdiag *d, const struct sc_sockdiag_want *want,
		    struct sc_sockdiag_result *result)
{
	int err = look(d, want);

	for (int round = 1; !err && d->found && round < SC_SOCKDIAG_ROUNDS; round++) {
		err = destroy_picked(d, result);
		if (!err)
			err = look(d, want);
	}
	if (err)
		return err;
	result->left += d->found;
	result->foreign += d->found_foreign;
	return 0;
}

int sc_sockdiag_count(struct sc_sockdiag *d, const struct sc_sockdiag_want *want,
		      struct sc_sockdiag_result *result)
{
	int err = look(d, want);

	if (err)
		return err;
	result->left += d->found;
	result->foreign += d->found_foreign;
	return 0;
}

/* Both questions are put so that no socket answers: no state, and a socket that cannot be. */
static int probe(struct sc_sockdiag *d, char *reason)
{
	const struct inet_diag_req_v2 none = {.sdiag_family = AF_INET,
					      .sdiag_protocol = IPPROTO_TCP};
	int err = look_at(d, AF_INET, IPPROTO_TCP, 0);

	if (err) {
		snprintf(reason, SC_SOCKDIAG_REASON_MAX, "listing sockets (tcp_diag): %s",
			 strerror(-err));
		return err == -ENOENT ? -EOPNOTSUPP : err;
	}
	err = ask(d, SOCK_DESTROY, NLM_F_ACK, &none);
	if (!err)
		err = take_answer(d);
	if (!err || err == -ENOENT)
		return 0;
	snprintf(reason, SC_SOCKDIAG_REASON_MAX, "destroying sockets (INET_DIAG_DESTROY): %s",
		 strerror(-err));
	return err;
}

static int connect_here(void *nl)
{
	errno = 0;
	return nl_connect(nl, NETLINK_SOCK_DIAG) < 0 ? -(errno ?: EIO) : 0;
}

int sc_sockdiag_open(struct sc_sockdiag **out, int netns_fd, char *reason)
{
	_cleanup_(sc_sockdiag_close) struct sc_sockdiag *d = calloc(1, sizeof(*d));
	int err;

	reason[0] = '\0';
	if (!d)
		return -ENOMEM;
	d->nl = nl_socket_alloc();
	if (!d->nl)
		return -ENOMEM;
	/* A socket stays in the namespace in which it was made. */
	err = netns_fd < 0 ? connect_here(d->nl) : sc_netns_run(netns_fd, connect_here, d->nl);
	if (err) {
		snprintf(reason, SC_SOCKDIAG_REASON_MAX, "a sock_diag socket: %s", strerror(-err));
		return err == -EPROTONOSUPPORT ? -EOPNOTSUPP : err;
	}
	err = probe(d, reason);
	if (err)
		return err;
	*out = SC_TAKE_PTR(d);
	return 0;
}

void sc_sockdiag_close(struct sc_sockdiag **dp)
{
	struct sc_sockdiag *d = *dp;

	if (!d)
		return;
	nl_socket_free(d->nl);
	free(d);
	*dp = NULL;
}
