/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/http_listener.h"

#include "base/io.h"
#include "base/str.h"
#include "engine/protocol.h"

#include <scram/engine.h>

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Connections that wait while the worker is busy or started again. */
#define BACKLOG 256

static bool is_port(const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && port >= 1 && port <= 65535;
}

/* HOST:PORT or [HOST]:PORT. */
static bool split(struct sc_http_listener *l, const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (n == 0 || n >= sizeof(l->host) || !is_port(colon + 1))
		return false;
	if (text[0] == '[') {
		if (n < 3 || text[n - 1] != ']')
			return false;
		text++;
		n -= 2;
	} else if (memchr(text, ':', n)) {
		return false;
	}
	memcpy(l->host, text, n);
	l->host[n] = '\0';
	return sc_strcopy(l->port, sizeof(l->port), colon + 1);
}

int sc_http_listener_init(struct sc_http_listener *l, const char *option)
{
	const char *host = getenv("SCRAM_HTTP_HOST"), *port = getenv("SCRAM_HTTP_PORT");

	*l = (struct sc_http_listener){.fd = -1, .local_fd = -1};
	(void)split(l, SC_DEFAULT_HTTP);
	if (option && strcmp(option, "off") == 0) {
		l->is_off = true;
		return 0;
	}
	l->is_asked = option || (host && host[0]) || (port && port[0]);
	if (option && !split(l, option)) {
		snprintf(l->why, sizeof(l->why),
			 "--http %.64s is not HOST:PORT (as %s, or [::1]:8400) and not off", option,
			 SC_DEFAULT_HTTP);
		return -EINVAL;
	}
	if (!option && port && port[0] && (!is_port(port) || strlen(port) >= sizeof(l->port))) {
		snprintf(l->why, sizeof(l->why), "SCRAM_HTTP_PORT=%.32s is not a port", port);
		return -EINVAL;
	}
	if (!option && port && port[0])
		(void)sc_strcopy(l->port, sizeof(l->port), port);
	if (!option && host && host[0] && !sc_strcopy(l->host, sizeof(l->host), host)) {
		snprintf(l->why, sizeof(l->why), "SCRAM_HTTP_HOST is too long");
		return -EINVAL;
	}
	snprintf(l->where, sizeof(l->where), strchr(l->host, ':') ? "[%s]:%s" : "%s:%s", l->host,
		 l->port);
	return 0;
}

static int listen_at(const struct addrinfo *at)
{
	_cleanup_close_ int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
					0);
	const int on = 1;

	/* A predecessor's connections in TIME_WAIT must not keep the port. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, at->ai_addr, at->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return SC_TAKE_FD(fd);
}

static void explain(struct sc_http_listener *l, int error)
{
	if (error == -EADDRINUSE)
		snprintf(l->why, sizeof(l->why),
			 "HTTP: %s is in use by another program; choose another with "
			 "--http HOST:PORT, or --http off",
			 l->where);
	else
		snprintf(l->why, sizeof(l->why), "HTTP: cannot listen on %s: %s", l->where,
			 strerror(-error));
}

/* The first address that can be had, those of IPv4 first: "localhost" is 127.0.0.1 to most who
 * ask, and a host may have no IPv6 though its names do. The error is that of the last one tried. */
static int listen_at_any(const struct addrinfo *list)
{
	int r = -EADDRNOTAVAIL;

	for (int is_other = 0; is_other < 2; is_other++)
		for (const struct addrinfo *at = list; at && r < 0; at = at->ai_next)
			if ((at->ai_family != AF_INET) == is_other)
				r = listen_at(at);
	return r;
}

int sc_http_listener_open(struct sc_http_listener *l)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *list = NULL;
	int r;

	if (l->is_off || l->fd >= 0)
		return 0;
	r = getaddrinfo(l->host, l->port, &hints, &list);
	if (r != 0) {
		snprintf(l->why, sizeof(l->why), "HTTP: %s: %s", l->where, gai_strerror(r));
		return -EADDRNOTAVAIL;
	}
	r = listen_at_any(list);
	freeaddrinfo(list);
	if (r < 0) {
		explain(l, r);
		return r;
	}
	l->fd = r;
	l->why[0] = '\0';
	return 0;
}

/* --- api.sock --- */

/* Never open to more than it shall be, from the first moment on: a socket file takes its group from
 * the thread, and its mode from the socket and the umask. */
static int bind_local(int fd, const struct sockaddr_un *at, gid_t group)
{
	bool has_group = group != (gid_t)-1;
	mode_t mode = has_group ? 0660 : 0600;
	int r, before = 0;

	if (fchmod(fd, mode) < 0)
		return -errno;
	if (has_group)
		before = setfsgid(group);
	r = bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0 ? -errno : 0;
	if (has_group)
		(void)setfsgid((gid_t)before);
	/* What the umask took away. */
	return r == 0 && chmod(at->sun_path, mode) < 0 ? -errno : r;
}

static int listen_local(struct sc_http_listener *l)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	if (unlink(l->local.sun_path) < 0 && errno != ENOENT)
		return -errno;
	r = bind_local(fd, &l->local, l->group);
	if (r < 0)
		return r;
	(void)sc_refuse_descriptors(fd);
	if (listen(fd, BACKLOG) < 0)
		return -errno;
	sc_close(&l->local_fd);
	l->local_fd = SC_TAKE_FD(fd);
	return 0;
}

int sc_http_listener_open_local(struct sc_http_listener *l, const char *run_dir)
{
	const struct group *group = getgrnam("scram");
	int n, r = -ENAMETOOLONG;

	l->group = group ? group->gr_gid : (gid_t)-1;
	l->local.sun_family = AF_UNIX;
	n = snprintf(l->local.sun_path, sizeof(l->local.sun_path), "%s/%s", run_dir, SC_API_SOCKET);
	if (n < (int)sizeof(l->local.sun_path))
		r = listen_local(l);
	if (r < 0)
		snprintf(l->local_why, sizeof(l->local_why), "HTTP: cannot listen on %.100s: %s",
			 l->local.sun_path, strerror(-r));
	return r;
}

/* --- both --- */

void sc_http_listener_renew(struct sc_http_listener *l)
{
	struct pollfd local = {.fd = l->local_fd};

	/* Its address is still its own; of one that listens this changes nothing. */
	if (l->fd >= 0)
		(void)listen(l->fd, BACKLOG);
	/* A Unix socket that was shut down stays so; who waits in it has been cut off. */
	if (poll(&local, 1, 0) > 0 && local.revents & (POLLHUP | POLLERR))
		(void)listen_local(l);
}

void sc_http_listener_close(struct sc_http_listener *l)
{
	sc_close(&l->fd);
	if (l->local_fd >= 0)
		(void)unlink(l->local.sun_path);
	sc_close(&l->local_fd);
}
