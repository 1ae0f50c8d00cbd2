/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/worker/probe/server.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX 65536

static const struct sc_server_row *table;
static size_t n_rows;

static void say(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		data += sent;
		n -= (size_t)sent;
	}
}

/* Up to the end of the body that Content-Length tells of. */
static void read_request(int fd, char *request)
{
	size_t size = 0;

	for (;;) {
		ssize_t n = recv(fd, request + size, REQUEST_MAX - 1 - size, 0);
		const char *end, *length;

		size += n > 0 ? (size_t)n : 0;
		request[size] = '\0';
		end = strstr(request, "\r\n\r\n");
		length = strcasestr(request, "Content-Length:");
		if (n <= 0 || (end && (!length || size >= (size_t)(end + 4 - request) +
								  strtoul(length + 15, NULL, 10))))
			return;
	}
}

static bool has_all(const char *request, const char *needs)
{
	while (*needs) {
		size_t n = strcspn(needs, "\n");
		char line[512];

		snprintf(line, sizeof(line), "%.*s", (int)n, needs);
		if (!strstr(request, line))
			return false;
		needs += n + (needs[n] == '\n');
	}
	return true;
}

static void go_on(int fd, const struct sc_server_row *row)
{
	static const struct timespec moment = {.tv_nsec = 20000000};
	char byte = 'x';

	while ((row->then == SC_SERVER_HANG || row->then == SC_SERVER_FIRST) &&
	       recv(fd, &byte, 1, 0) > 0)
		continue;
	while (row->then == SC_SERVER_DRIP && send(fd, &byte, 1, MSG_NOSIGNAL) == 1)
		nanosleep(&moment, NULL);
	while (row->then == SC_SERVER_FLOOD &&
	       send(fd, row->more, strlen(row->more), MSG_NOSIGNAL) > 0)
		continue;
}

static void *serve(void *arg)
{
	_cleanup_close_ int fd = (int)(intptr_t)arg;
	static const char bad[] = "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n";
	_cleanup_free_ char *request = calloc(1, REQUEST_MAX);
	const struct sc_server_row *row;
	const char *path;
	size_t i;

	if (!request)
		return NULL;
	if (table[0].then != SC_SERVER_FIRST)
		read_request(fd, request);
	path = strchr(request, '/');
	i = path ? strtoul(path + 1, NULL, 10) : 0;
	if (i >= n_rows)
		return NULL;
	row = &table[i];
	if (row->needs && !has_all(request, row->needs)) {
		fprintf(stderr, "# request of %s:\n%s\n", row->name, request);
		say(fd, bad, sizeof(bad) - 1);
		return NULL;
	}
	say(fd, row->says, row->size ? row->size : strlen(row->says));
	go_on(fd, row);
	return NULL;
}

static _Noreturn void accept_all(int listener)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0 || pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd))
			_exit(1);
		pthread_detach(thread);
	}
}

void sc_server_start(struct sc_server *s, const struct sc_server_row *rows, size_t n)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t parent = getpid();

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, size), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	cr_assert_eq(listen(fd, 512), 0);
	s->port = ntohs(at.sin_port);
	table = rows;
	n_rows = n;
	s->pid = fork();
	cr_assert_geq(s->pid, 0);
	if (s->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	accept_all(fd);
}

void sc_server_stop(struct sc_server *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}
