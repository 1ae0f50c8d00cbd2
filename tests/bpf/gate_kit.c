/* SPDX-License-Identifier: Apache-2.0 */
#include "gate_kit.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>

struct gate_kit kit_gate;

void gate_open(void)
{
	struct sc_gate_options o = {.root_fd = sc_box.dirfd, .pin_dir = kit_gate.pin_dir};
	char reason[SC_GATE_REASON_MAX];
	int err = sc_gate_open(&kit_gate.gate, &o, reason);

	cr_assert_eq(err, 0, "open: %s: %s", strerror(-err), reason);
}

static void stay_on_this_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

void gate_init(void)
{
	struct gate_address self;
	char run_dir[32];

	stay_on_this_cpu();
	snprintf(run_dir, sizeof(run_dir), "/run/scram-test-%d", getpid());
	sc_box_init();
	cr_assert_eq(sc_netns_enter(), 0);
	cr_assert_eq(sc_bpf_pin_dir(run_dir, kit_gate.pin_dir), 0);
	cr_assert_eq(sc_sandbox_remove_pins(&sc_box, run_dir), 0);
	gate_open();
	kit_gate.marker = gate_udp(-1, AF_INET);
	self = gate_where(kit_gate.marker);
	cr_assert_eq(connect(kit_gate.marker, (struct sockaddr *)&self.at, self.size), 0);
}

void gate_fini(void)
{
	sc_gate_close(&kit_gate.gate);
	sc_box_fini();
}

int gate_mkdir(const char *name)
{
	int fd = sc_sandbox_mkdir(&sc_box, name);

	cr_assert_geq(fd, 0, "mkdir %s: %s", name, strerror(-fd));
	return fd;
}

const char *gate_path(const char *name)
{
	static char path[SC_SANDBOX_PATH_MAX];

	snprintf(path, sizeof(path), "%.200s/%.200s", sc_box.cgroup, name);
	return path;
}

void gate_cut(uint32_t number, enum sc_gate_mode mode)
{
	struct sc_gate_wish wish = {.number = number, .mode = mode};
	char name[32], fire[40];
	int err;

	snprintf(name, sizeof(name), "cut %u", number);
	snprintf(fire, sizeof(fire), "00000000-0000-4000-8000-%012u", number);
	wish.name = name;
	wish.fire_id = fire;
	err = sc_gate_set(kit_gate.gate, &wish);
	cr_assert_eq(err, 0, "set: %s", strerror(-err));
}

/* /scram-test-PID-N is one below the root, the cgroups of a test are below that. */
static uint32_t level_of(int cgroup_fd)
{
	char link[32], path[SC_SANDBOX_PATH_MAX];
	uint32_t level = 0;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", cgroup_fd);
	n = readlink(link, path, sizeof(path) - 1);
	cr_assert_gt(n, 0);
	path[n] = '\0';
	for (const char *p = path + strlen(sc_box.mount); *p; p++)
		level += *p == '/';
	return level;
}

void gate_put(int cgroup_fd, uint32_t number)
{
	int err = sc_gate_put(kit_gate.gate, sc_cgroup_id(cgroup_fd), level_of(cgroup_fd), number);

	cr_assert_eq(err, 0, "put: %s", strerror(-err));
}

void gate_cut_one(int cgroup_fd, uint32_t number, enum sc_gate_mode mode)
{
	gate_cut(number, mode);
	gate_put(cgroup_fd, number);
}

void gate_glob(uint32_t number, const char *glob)
{
	int n = sc_gate_set_globs(kit_gate.gate, number, &glob, 1);

	cr_assert_eq(n, 1, "%s: %d (%s)", glob, n, sc_gate_globs_reason(kit_gate.gate));
}

struct making {
	int family, type, protocol;
	int to; /* where to send the new socket */
};

static int make_socket(void *arg)
{
	const struct making *m = arg;
	int fd = socket(m->family, m->type | SOCK_CLOEXEC | SOCK_NONBLOCK, m->protocol);
	char control[CMSG_SPACE(sizeof(int))] = {0}, nothing = 0;
	struct iovec iov = {&nothing, 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (fd < 0)
		return errno;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(m->to, &msg, 0) == 1 ? 0 : errno;
}

static int receive_fd(int from)
{
	char control[CMSG_SPACE(sizeof(int))], nothing;
	struct iovec iov = {&nothing, 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (recvmsg(from, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

int gate_socket(int cgroup_fd, int family, int type, int protocol)
{
	struct making m = {family, type, protocol, -1};
	int pair[2], status = -1, fd;
	pid_t pid;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	m.to = pair[1];
	pid = sc_helper_call(cgroup_fd, make_socket, &m);
	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_child(pid, &status, 30000), 0);
	fd = receive_fd(pair[0]);
	close(pair[0]);
	close(pair[1]);
	return WIFEXITED(status) && WEXITSTATUS(status) ? -WEXITSTATUS(status) : fd;
}

static void bind_loopback(int fd, int family)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	int err = family == AF_INET ? bind(fd, (struct sockaddr *)&v4, sizeof(v4))
				    : bind(fd, (struct sockaddr *)&v6, sizeof(v6));

	cr_assert_eq(err, 0, "bind: %s", strerror(errno));
}

int gate_udp(int cgroup_fd, int family)
{
	int fd = gate_socket(cgroup_fd, family, SOCK_DGRAM, 0);

	cr_assert_geq(fd, 0, "socket: %s", strerror(-fd));
	bind_loopback(fd, family);
	return fd;
}

int gate_listener(int cgroup_fd, int family)
{
	int fd = gate_socket(cgroup_fd, family, SOCK_STREAM, 0);

	cr_assert_geq(fd, 0, "socket: %s", strerror(-fd));
	bind_loopback(fd, family);
	cr_assert_eq(listen(fd, 64), 0);
	return fd;
}

struct gate_address gate_where(int fd)
{
	struct gate_address a = {.size = sizeof(a.at)};

	cr_assert_eq(getsockname(fd, (struct sockaddr *)&a.at, &a.size), 0);
	a.port = ntohs(a.at.ss_family == AF_INET ? ((struct sockaddr_in *)&a.at)->sin_port
						 : ((struct sockaddr_in6 *)&a.at)->sin6_port);
	return a;
}

int gate_send(int fd, const struct gate_address *to, size_t size)
{
	static const char zeros[2048];

	if (sendto(fd, zeros, size, 0, (const struct sockaddr *)&to->at, to->size) < 0)
		return -errno;
	return 0;
}

void gate_settle(void)
{
	struct pollfd arrival = {.fd = kit_gate.marker, .events = POLLIN};
	char byte = 0;

	cr_assert_eq(send(kit_gate.marker, &byte, 1, 0), 1);
	cr_assert_eq(poll(&arrival, 1, (int)sc_scaled_ms(5000)), 1, "loopback is stuck");
	cr_assert_eq(recv(kit_gate.marker, &byte, 1, 0), 1);
}

int gate_drain(int fd)
{
	char buf[2048];
	int n = 0;

	gate_settle();
	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
		n++;
	return n;
}

bool gate_reaches(int from, int to)
{
	struct gate_address a = gate_where(to);

	gate_drain(to);
	gate_send(from, &a, 8);
	return gate_drain(to) == 1;
}

#define HANDSHAKE 3 /* packets, each sent when the one before is taken in */

static int try_connect(int cgroup_fd, int listener, int *server)
{
	struct gate_address a = gate_where(listener);
	int fd = gate_socket(cgroup_fd, a.at.ss_family, SOCK_STREAM, 0);

	cr_assert_geq(fd, 0, "socket: %s", strerror(-fd));
	if (connect(fd, (struct sockaddr *)&a.at, a.size) < 0)
		cr_assert(errno == EINPROGRESS || errno == EPERM, "connect: %s", strerror(errno));
	for (int i = 0; i < HANDSHAKE; i++)
		gate_settle();
	*server = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return fd;
}

bool gate_connects(int cgroup_fd, int listener)
{
	int server, client = try_connect(cgroup_fd, listener, &server);
	bool is_there = server >= 0;

	close(client);
	if (is_there)
		close(server);
	return is_there;
}

void gate_connect(int cgroup_fd, int listener, int *client, int *server)
{
	*client = try_connect(cgroup_fd, listener, server);
	cr_assert_geq(*server, 0, "no connection: %s", strerror(errno));
}
