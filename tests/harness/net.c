/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces and the links between them. */
#include "harness/net.h"

#include "base/io.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define IP_MS   30000
#define LINK_MS 30000

/* One link: both ends, and the number that its addresses have in common. */
static const struct link {
	enum sc_net_space a, b;
	unsigned int number;
} links[] = {
	{SC_NET_HOST, SC_NET_OUTSIDE, 1},
	{SC_NET_HOST, SC_NET_POD, 2},
	{SC_NET_OUTSIDE, SC_NET_POD, 3},
};

static const struct {
	const char *v4, *v6;
} addresses[SC_NET_SPACE_COUNT][SC_NET_SPACE_COUNT] = {
	[SC_NET_HOST] = {{"127.0.0.1", "::1"},
			 {"10.77.1.1", "fd77:1::1"},
			 {"10.77.2.1", "fd77:2::1"}},
	[SC_NET_OUTSIDE] = {{"10.77.1.2", "fd77:1::2"},
			    {"127.0.0.1", "::1"},
			    {"10.77.3.2", "fd77:3::2"}},
	[SC_NET_POD] = {{"10.77.2.3", "fd77:2::3"},
			{"10.77.3.3", "fd77:3::3"},
			{"127.0.0.1", "::1"}},
};

const char *sc_net_address(enum sc_net_space of, enum sc_net_space from, int family)
{
	return family == AF_INET ? addresses[of][from].v4 : addresses[of][from].v6;
}

int sc_net_enter(int space_fd)
{
	_cleanup_close_ int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (own < 0 || setns(space_fd, CLONE_NEWNET))
		return -errno;
	return SC_TAKE_FD(own);
}

void sc_net_leave(int *own)
{
	if (*own >= 0 && setns(*own, CLONE_NEWNET))
		perror("cannot go back into the test's network namespace");
	sc_close(own);
}

static int make_space(void)
{
	_cleanup_leave_ int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int err = own < 0 ? -errno : sc_netns_enter();
	int fd;

	if (err)
		return err;
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Lines of ip(8), run by one process inside the namespace. */
static int run_ip(int space_fd, const struct sc_str *lines)
{
	_cleanup_close_ int batch = memfd_create("ip", 0);
	const char *argv[] = {"ip", "-batch", NULL, NULL};
	char path[64];
	int status = 0;
	pid_t pid;
	int err;

	if (batch < 0)
		return -errno;
	err = sc_write_all(batch, lines->data, lines->len);
	if (err)
		return err;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), batch);
	argv[2] = path;
	pid = sc_helper_exec_in(-1, space_fd, argv, -1, STDERR_FILENO);
	if (pid < 0)
		return (int)pid;
	err = sc_wait_child(pid, &status, IP_MS);
	if (err || status == 0)
		return err;
	return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -ENOENT : -EIO;
}

static void name_end(char name[static 16], const struct link *link, enum sc_net_space end)
{
	snprintf(name, 16, "veth%u%c", link->number, end == link->a ? 'a' : 'b');
}

/* Fixed, so that no end has to ask for the other's: IPv6 would take a second for it. */
static void name_mac(char mac[static 20], const struct link *link, enum sc_net_space end)
{
	snprintf(mac, 20, "02:00:00:77:%02x:%02x", link->number, (unsigned int)end);
}

static void add_end(struct sc_str *lines, const struct link *link, enum sc_net_space end)
{
	enum sc_net_space other = end == link->a ? link->b : link->a;
	static const int families[] = {AF_INET, AF_INET6};
	char name[16], mac[20];

	name_end(name, link, end);
	name_mac(mac, link, end);
	sc_str_addf(lines, "link set %s address %s up\n", name, mac);
	name_mac(mac, link, other);
	for (size_t i = 0; i < SC_ARRAY_SIZE(families); i++) {
		const bool is_v4 = families[i] == AF_INET;

		/* Nobody else has these addresses: they need not be looked for first. */
		sc_str_addf(lines, "addr add %s/%s dev %s%s\n",
			    sc_net_address(end, other, families[i]), is_v4 ? "24" : "64", name,
			    is_v4 ? "" : " nodad");
		sc_str_addf(lines, "neigh add %s lladdr %s dev %s nud permanent\n",
			    sc_net_address(other, end, families[i]), mac, name);
	}
}

/* Makes the links that begin in this space, then sets up the ends that are in it. */
static int make_links(struct sc_net *net, enum sc_net_space space, bool is_second_pass)
{
	_cleanup_str_ struct sc_str lines;
	char a[16], b[16];

	sc_str_init_heap(&lines);
	for (size_t i = 0; i < SC_ARRAY_SIZE(links); i++) {
		const struct link *link = &links[i];

		name_end(a, link, link->a);
		name_end(b, link, link->b);
		if (is_second_pass && (link->a == space || link->b == space))
			add_end(&lines, link, space);
		else if (!is_second_pass && link->a == space)
			sc_str_addf(&lines,
				    "link add %s type veth peer name %s netns /proc/%d/fd/%d\n", a,
				    b, getpid(), net->space[link->b]);
	}
	return lines.len ? run_ip(net->space[space], &lines) : 0;
}

struct reach {
	int fd;
	struct sockaddr_in6 to;
};

/* Of UDP, connect(2) looks up the route and sends nothing. */
static bool is_routed(void *arg)
{
	const struct reach *r = arg;

	return connect(r->fd, (const struct sockaddr *)&r->to, sizeof(r->to)) == 0;
}

static int wait_for_route(struct sc_net *net, enum sc_net_space from, enum sc_net_space to)
{
	_cleanup_leave_ int own = sc_net_enter(net->space[from]);
	_cleanup_close_ int fd = own < 0 ? -1 : socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct reach r = {.fd = fd, .to = {.sin6_family = AF_INET6, .sin6_port = htons(9)}};

	if (own < 0 || fd < 0)
		return own < 0 ? own : -errno;
	inet_pton(AF_INET6, sc_net_address(to, from, AF_INET6), &r.to.sin6_addr);
	return sc_wait_until(is_routed, &r, LINK_MS);
}

static int make_net(struct sc_net *net)
{
	int err = 0;

	for (int i = 0; i < SC_NET_SPACE_COUNT; i++) {
		net->space[i] = make_space();
		if (net->space[i] < 0)
			return net->space[i];
	}
	for (int i = 0; i < 2 * SC_NET_SPACE_COUNT && !err; i++)
		err = make_links(net, i % SC_NET_SPACE_COUNT, i >= SC_NET_SPACE_COUNT);
	for (size_t i = 0; i < SC_ARRAY_SIZE(links) && !err; i++) {
		err = wait_for_route(net, links[i].a, links[i].b);
		if (!err)
			err = wait_for_route(net, links[i].b, links[i].a);
	}
	return err;
}

int sc_net_open(struct sc_net *net)
{
	int err;

	for (int i = 0; i < SC_NET_SPACE_COUNT; i++)
		net->space[i] = -1;
	err = make_net(net);
	if (err)
		sc_net_close(net);
	return err;
}

void sc_net_close(struct sc_net *net)
{
	for (int i = 0; i < SC_NET_SPACE_COUNT; i++)
		sc_close(&net->space[i]);
}

struct shot {
	struct sockaddr_in6 to;
	socklen_t len;
};

static int shoot(void *arg)
{
	static const char data[16] = "shot";
	const struct shot *s = arg;
	int fd;

	fd = socket(s->to.sin6_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	return sendto(fd, data, sizeof(data), 0, (const struct sockaddr *)&s->to, s->len) < 0
		       ? errno
		       : 0;
}

int sc_net_shot(int cgroup_fd, int space_fd, const char *address, uint16_t port)
{
	/* Born there: what is looked at in the cgroup is never anywhere else. */
	_cleanup_leave_ int own = space_fd < 0 ? -1 : sc_net_enter(space_fd);
	struct shot s = {.len = sizeof(struct sockaddr_in6)};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&s.to;
	int status = 0;
	pid_t pid;
	int err;

	if (space_fd >= 0 && own < 0)
		return own;
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		s.len = sizeof(*v4);
		v4->sin_family = AF_INET;
	} else if (inet_pton(AF_INET6, address, &s.to.sin6_addr) == 1) {
		s.to.sin6_family = AF_INET6;
	} else {
		return -EINVAL;
	}
	s.to.sin6_port = htons(port); /* the same place in IPv4 */
	pid = sc_helper_call(cgroup_fd, shoot, &s);
	if (pid < 0)
		return (int)pid;
	err = sc_wait_child(pid, &status, LINK_MS);
	if (err)
		return err;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}
