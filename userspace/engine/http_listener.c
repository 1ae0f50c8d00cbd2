/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/http_listener.h"

#include "base/str.h"

#include <scram/engine.h>

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

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

	*l = (struct sc_http_listener){.fd = -1};
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

void sc_http_listener_renew(const struct sc_http_listener *l)
{
	/* Its address is still its own; of one that listens this changes nothing. */
	if (l->fd >= 0)
		(void)listen(l->fd, BACKLOG);
}

void sc_http_listener_close(struct sc_http_listener *l)
{
	sc_close(&l->fd);
}
