/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending sockets of cgroups from outside, in an own network namespace. A socket belongs to the
 * cgroup in which it was made: the test goes there for that moment, and keeps both ends itself.
 */
#include "harness/harness.h"
#include "sys/cgroup.h"
#include "sys/sockdiag.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

static struct {
	struct sc_sockdiag *diag;
	int home_fd, cut_fd,
		other_fd; /* cgroups: where the test came from, to be cut, left alone */
	uint64_t cut_id;
} at;

static void init(void)
{
	char path[4096], reason[SC_SOCKDIAG_REASON_MAX], dir[8192];

	sc_box_init();
	cr_assert_eq(sc_netns_enter(), 0);
	cr_assert_eq(sc_cgroup_path_of(getpid(), path, sizeof(path)), 0);
	snprintf(dir, sizeof(dir), "%s%s", sc_box.mount, path);
	at.home_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(at.home_fd, 0);
	at.cut_fd = sc_sandbox_mkdir(&sc_box, "cut");
	at.other_fd = sc_sandbox_mkdir(&sc_box, "other");
	at.cut_id = sc_cgroup_id(at.cut_fd);
	cr_assert_eq(sc_sockdiag_open(&at.diag, -1, reason), 0, "%s", reason);
}

static void fini(void)
{
	sc_sockdiag_close(&at.diag);
	sc_box_fini();
}

TestSuite(sockdiag, .init = init, .fini = fini, .timeout = 300);

static void go(int cgroup_fd)
{
	cr_assert_eq(sc_cgroup_write(cgroup_fd, "cgroup.procs", "0"), 0);
}

static int socket_of(int cgroup_fd, int family, int type)
{
	int fd;

	go(cgroup_fd);
	fd = socket(family, type | SOCK_CLOEXEC, 0);
	go(at.home_fd);
	cr_assert_geq(fd, 0);
	return fd;
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

enum kind { V4, V6, MAPPED, KINDS };

static socklen_t loopback(enum kind kind, union address *a)
{
	memset(a, 0, sizeof(*a));
	if (kind == V4) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(a->v4);
	}
	a->v6.sin6_family = AF_INET6;
	if (kind == V6)
		a->v6.sin6_addr = in6addr_loopback;
	else
		inet_pton(AF_INET6, "::ffff:127.0.0.1", &a->v6.sin6_addr);
	return sizeof(a->v6);
}

static int family_of(enum kind kind)
{
	return kind == V4 ? AF_INET : AF_INET6;
}

/* A listener at a port of its own, which *to gets. */
static int listen_in(int cgroup_fd, enum kind kind, int backlog, union address *to)
{
	int fd = socket_of(cgroup_fd, family_of(kind), SOCK_STREAM);
	socklen_t size = loopback(kind, to);

	cr_assert_eq(bind(fd, &to->any, size), 0);
	cr_assert_eq(listen(fd, backlog), 0);
	cr_assert_eq(getsockname(fd, &to->any, &size), 0);
	return fd;
}

static int connect_in(int cgroup_fd, const union address *to)
{
	int fd = socket_of(cgroup_fd, to->any.sa_family, SOCK_STREAM);

	cr_assert_eq(connect(fd, &to->any, sizeof(to->room)), 0);
	return fd;
}

/* What reading says: bytes, or -errno; -EAGAIN when nothing comes within 2 s. */
static int read_of(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;
	ssize_t n;

	if (poll(&p, 1, (int)sc_scaled_ms(2000)) == 0)
		return -EAGAIN;
	n = recv(fd, &byte, 1, MSG_DONTWAIT);
	return n < 0 ? -errno : (int)n;
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}
#define CLOSE(...) close_all((int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

static bool has_ended(int fd)
{
	int r = read_of(fd);

	return r == -ECONNABORTED || r == -ECONNRESET;
}

static bool works(int from, int to)
{
	return send(from, "x", 1, MSG_NOSIGNAL) == 1 && read_of(to) == 1;
}

static struct sc_sockdiag_result end_with(const struct sc_sockdiag_want *want)
{
	struct sc_sockdiag_result r = {0};

	cr_assert_eq(sc_sockdiag_end(at.diag, want, &r), 0);
	return r;
}

static struct sc_sockdiag_want want_cut(void)
{
	return (struct sc_sockdiag_want){.cgroup_ids = &at.cut_id, .n_cgroup_ids = 1};
}

static void expect(struct sc_sockdiag_result r, uint32_t ended, uint32_t left, uint32_t foreign)
{
	cr_assert_eq(r.ended, ended, "ended %u, want %u", r.ended, ended);
	cr_assert_eq(r.left, left, "left %u, want %u", r.left, left);
	cr_assert_eq(r.foreign, foreign, "foreign %u, want %u", r.foreign, foreign);
}

Test(sockdiag, ends_what_is_established_and_nothing_of_a_bystander)
{
	for (enum kind kind = V4; kind < KINDS; kind++) {
		struct sc_sockdiag_want want = want_cut();
		struct sc_sockdiag_result left = {0};
		union address to;
		int listener = listen_in(at.other_fd, kind, 8, &to);
		int client = connect_in(at.cut_fd, &to), server = accept(listener, NULL, NULL);
		int by = connect_in(at.other_fd, &to), by_server = accept(listener, NULL, NULL);

		cr_assert(works(client, server) && works(by, by_server));
		cr_assert_eq(sc_sockdiag_count(at.diag, &want, &left), 0);
		expect(left, 0, 1, 0);
		expect(end_with(&want), 1, 0, 0);
		cr_assert_eq(read_of(client), -ECONNABORTED, "kind %d", kind);
		cr_assert_eq(read_of(server), -ECONNRESET, "kind %d", kind);
		cr_assert(works(by, by_server) && works(by_server, by), "kind %d", kind);
		expect(end_with(&want), 0, 0, 0);
		CLOSE(client, server, by, by_server, listener);
	}
}

Test(sockdiag, ends_the_servers_side_and_what_nobody_has_accepted)
{
	for (enum kind kind = V4; kind < KINDS; kind++) {
		struct sc_sockdiag_want want = want_cut();
		union address to;
		int listener = listen_in(at.cut_fd, kind, 8, &to);
		int accepted = connect_in(at.other_fd, &to), server = accept(listener, NULL, NULL);
		int waiting = connect_in(at.other_fd, &to), after;

		cr_assert(works(accepted, server));
		expect(end_with(&want), 2, 0, 0);
		cr_assert_eq(read_of(accepted), -ECONNRESET);
		cr_assert_eq(read_of(waiting), -ECONNRESET);
		/* The listener was not told of. */
		after = connect_in(at.other_fd, &to);
		want.listeners = true;
		/* What still waits in it goes with it. */
		expect(end_with(&want), 1, 0, 0);
		cr_assert_eq(read_of(after), -ECONNRESET);
		cr_assert_eq(connect(socket_of(at.other_fd, to.any.sa_family, SOCK_STREAM), &to.any,
				     sizeof(to.room)),
			     -1);
		cr_assert_eq(errno, ECONNREFUSED);
		CLOSE(accepted, server, waiting, after, listener);
	}
}

Test(sockdiag, ends_what_is_still_connecting_and_what_is_half_closed)
{
	struct sc_sockdiag_want want = want_cut();
	union address to;
	int listener = listen_in(at.other_fd, V4, 0, &to);
	int half = connect_in(at.cut_fd, &to), server = accept(listener, NULL, NULL), err = 0;
	int filler = connect_in(at.other_fd, &to), syn = socket_of(at.cut_fd, AF_INET, SOCK_STREAM);
	socklen_t size = sizeof(err);

	/* The queue of the listener is full: this one gets no answer. */
	fcntl(syn, F_SETFL, O_NONBLOCK);
	cr_assert_eq(connect(syn, &to.any, sizeof(to.room)), -1);
	cr_assert_eq(errno, EINPROGRESS);
	cr_assert_eq(shutdown(half, SHUT_WR), 0);
	cr_assert_eq(read_of(server), 0);
	expect(end_with(&want), 2, 0, 0);
	cr_assert_eq(getsockopt(syn, SOL_SOCKET, SO_ERROR, &err, &size), 0);
	cr_assert_eq(err, ECONNABORTED);
	cr_assert_eq(read_of(half), -ECONNABORTED);
	CLOSE(filler, listener);
}

static bool owns_all_but_other(void *ctx, uint64_t cgroup_id)
{
	(*(int *)ctx)++;
	return cgroup_id != sc_cgroup_id(at.other_fd);
}

Test(sockdiag, asks_whose_a_cgroup_is_that_was_not_named)
{
	struct sc_sockdiag_want want = want_cut();
	union address to;
	int listener = listen_in(at.other_fd, V6, 8, &to), asked = 0;
	int below_fd = sc_sandbox_mkdir(&sc_box, "cut/below");
	int client = connect_in(below_fd, &to), server = accept(listener, NULL, NULL);
	int named = connect_in(at.cut_fd, &to);

	close(below_fd);
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "cut/below"), 0);
	want.owns = owns_all_but_other;
	want.ctx = &asked;
	expect(end_with(&want), 2, 0, 0);
	cr_assert_eq(read_of(client), -ECONNABORTED);
	cr_assert_eq(read_of(named), -ECONNABORTED);
	cr_assert_eq(read_of(server), -ECONNRESET);
	cr_assert_gt(asked, 0);
}

static int hold_for_ever(void *arg)
{
	(void)arg;
	return pause();
}

Test(sockdiag, ends_what_a_process_holds_but_made_elsewhere_when_told)
{
	uint32_t inodes[256];
	struct sc_held_sockets held = {.inodes = inodes, .max = SC_ARRAY_SIZE(inodes)};
	struct sc_sockdiag_want want = want_cut();
	union address to;
	int listener = listen_in(at.other_fd, V4, 8, &to), spare = dup(listener);
	int client = connect_in(at.other_fd, &to), server = accept(listener, NULL, NULL);
	pid_t pid;
	struct sc_sockdiag_result r;
	int by, by_server;

	/* Inherits all of the above; what the test makes later is a bystander's. */
	pid = sc_helper_call(at.cut_fd, hold_for_ever, NULL);
	cr_assert_gt(pid, 0);
	by = connect_in(at.other_fd, &to);
	by_server = accept(listener, NULL, NULL);

	expect(end_with(&want), 0, 0, 0);
	cr_assert(works(client, server));

	cr_assert_eq(sc_held_sockets_add(&held, pid), 0);
	cr_assert_eq(sc_held_sockets_add(&held, pid), 0);
	sc_held_sockets_sort(&held);
	cr_assert_not(held.is_short);
	for (size_t i = 1; i < held.n; i++)
		cr_assert_lt(inodes[i - 1], inodes[i]);
	want.held = &held;
	/* The process holds both ends; the second may end by the reset of the first. */
	r = end_with(&want);
	cr_assert(r.ended == 1 || r.ended == 2);
	expect(r, r.ended, 0, r.ended);
	cr_assert(has_ended(client) && has_ended(server));
	cr_assert(works(by, by_server));
	want.listeners = true;
	expect(end_with(&want), 1, 0, 1);
	close(spare);
}

Test(sockdiag, says_when_a_process_holds_more_than_fits_or_is_gone)
{
	uint32_t inodes[1];
	struct sc_held_sockets held = {.inodes = inodes, .max = 1};
	pid_t pid;

	socket_of(at.cut_fd, AF_INET, SOCK_DGRAM);
	socket_of(at.cut_fd, AF_INET, SOCK_DGRAM);
	pid = sc_helper_call(at.cut_fd, hold_for_ever, NULL);
	cr_assert_eq(sc_held_sockets_add(&held, pid), 0);
	cr_assert(held.is_short);
	cr_assert_eq(held.n, 1);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	cr_assert_eq(sc_held_sockets_add(&held, pid), -ESRCH);
}

Test(sockdiag, ends_udp_with_a_peer_when_told)
{
	for (enum kind kind = V4; kind < KINDS; kind++) {
		struct sc_sockdiag_want want = want_cut();
		union address to;
		socklen_t size = loopback(kind, &to);
		int server = socket_of(at.cut_fd, family_of(kind), SOCK_DGRAM);
		int client = socket_of(at.cut_fd, family_of(kind), SOCK_DGRAM);

		cr_assert_eq(bind(server, &to.any, size), 0);
		cr_assert_eq(getsockname(server, &to.any, &size), 0);
		cr_assert_eq(connect(client, &to.any, size), 0);
		cr_assert(works(client, server));
		expect(end_with(&want), 0, 0, 0);
		want.udp = true;
		expect(end_with(&want), 1, 0, 0);
		cr_assert_eq(read_of(client), -ECONNABORTED, "kind %d", kind);
		CLOSE(server, client);
	}
}

Test(sockdiag, ends_a_thousand_in_one_go)
{
	enum { N = 1000 };
	struct rlimit files = {.rlim_cur = 4096, .rlim_max = 4096};
	static int clients[N], servers[N];
	struct sc_sockdiag_want want = want_cut();
	union address to;
	int listener = listen_in(at.other_fd, V4, 1024, &to), by, by_server;

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	go(at.cut_fd);
	for (int i = 0; i < N; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM, 0);
		cr_assert_eq(connect(clients[i], &to.any, sizeof(to.room)), 0);
		servers[i] = accept(listener, NULL, NULL);
	}
	go(at.home_fd);
	by = connect_in(at.other_fd, &to);
	by_server = accept(listener, NULL, NULL);
	expect(end_with(&want), N, 0, 0);
	for (int i = 0; i < N; i++) {
		cr_assert_eq(read_of(clients[i]), -ECONNABORTED);
		cr_assert_eq(read_of(servers[i]), -ECONNRESET);
	}
	cr_assert(works(by, by_server));
}

Test(sockdiag, works_in_the_namespace_that_is_given_and_in_no_other)
{
	_cleanup_close_ int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	_cleanup_(sc_sockdiag_close) struct sc_sockdiag *there = NULL;
	char reason[SC_SOCKDIAG_REASON_MAX];
	struct sc_sockdiag_want want = want_cut();
	struct sc_sockdiag_result r = {0};
	union address to;
	int listener = listen_in(at.other_fd, V4, 8, &to);
	int client = connect_in(at.cut_fd, &to), server = accept(listener, NULL, NULL);

	cr_assert_eq(sc_netns_enter(), 0);
	cr_assert_eq(sc_sockdiag_open(&there, -1, reason), 0, "%s", reason);
	cr_assert_eq(sc_sockdiag_end(there, &want, &r), 0);
	expect(r, 0, 0, 0);
	cr_assert(works(client, server));
	sc_sockdiag_close(&there);
	cr_assert_eq(sc_sockdiag_open(&there, here, reason), 0, "%s", reason);
	cr_assert_eq(sc_sockdiag_end(there, &want, &r), 0);
	expect(r, 1, 0, 0);
	cr_assert_eq(read_of(client), -ECONNABORTED);
}

Test(sockdiag, refuses_a_descriptor_of_no_namespace)
{
	char reason[SC_SOCKDIAG_REASON_MAX];
	struct sc_sockdiag *none = NULL;

	cr_assert_eq(sc_sockdiag_open(&none, at.cut_fd, reason), -EINVAL);
	cr_assert_null(none);
	cr_assert_str_not_empty(reason);
}
