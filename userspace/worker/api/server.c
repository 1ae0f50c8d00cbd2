/* SPDX-License-Identifier: Apache-2.0 */
/* The loop, and what the HTTP library calls back: connections and requests come and go here. */
#include "worker/api/api.h"

#include "base/clock.h"
#include "base/log.h"
#include "worker/api/gate.h"
#include "worker/api/wire.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* Of one connection, in the library: head, body in pieces, answer's head. */
#define CONNECTION_MEMORY (32 * 1024)
/* Between two requests of a connection, and without progress in an answer. */
#define IDLE_S      15
#define TURN_MS     500
#define ACCEPTS_MAX 64

static int fd_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

static void call_free(struct sc_call *call)
{
	if (call->shared)
		sc_shared_release(&call->shared);
	else if (call->response)
		MHD_destroy_response(call->response);
	json_decref(call->args);
	free(call->body);
	free(call);
}

static struct sc_call *call_new(struct sc_api *api, struct MHD_Connection *connection)
{
	struct sc_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->api = api;
	call->connection = connection;
	api->counters.requests++;
	return call;
}

/* The checks that need no body; what they find is answered when the body is in. */
static void begin(struct sc_call *call, const char *url, const char *method)
{
	int fd = fd_of(call->connection);
	unsigned int status;

	call->route = sc_route_find(method, url, call, call->allow, &status);
	sc_auth_judge(call, sc_wire_is_tcp(fd));
	if (!call->refusal && !call->route) {
		call->refusal = status;
		call->why = status == 404 ? "no such path" : "not by this method";
	}
	/* The library reads requests in a way that the gate does not see: nothing is safe then. */
	if (!sc_wire_has_passed(fd)) {
		call->refusal = 500;
		call->why = "the request was not checked";
	}
}

static void handle(struct sc_call *call)
{
	if (!call->refusal) {
		call->route->handle(call);
		return;
	}
	if (call->route) {
		call->api->counters.denied++;
		sc_denials_note(call, fd_of(call->connection));
	}
	sc_call_fail(call, call->refusal, "%s", call->why);
}

static bool take_body(struct sc_call *call, const char *data, size_t n)
{
	char *body;

	SC_ASSERT(call->body_size + n <= SC_GATE_BODY_MAX);
	body = realloc(call->body, call->body_size + n + 1);
	if (!body)
		return false;
	memcpy(body + call->body_size, data, n);
	call->body = body;
	call->body_size += n;
	body[call->body_size] = '\0';
	return true;
}

static enum MHD_Result send_answer(struct sc_call *call)
{
	return call->response ? MHD_queue_response(call->connection, call->status, call->response)
			      : MHD_NO;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *n, void **state)
{
	struct sc_call *call = *state;

	(void)version;
	if (!call) {
		call = *state = call_new(arg, connection);
		if (call)
			begin(call, url, method);
		return call ? MHD_YES : MHD_NO;
	}
	if (*n) {
		bool is_taken = take_body(call, data, *n);

		*n = 0;
		return is_taken ? MHD_YES : MHD_NO;
	}
	/* Answered, but without memory for the answer: once more would do it twice. */
	if (!call->status)
		handle(call);
	if (call->is_suspended)
		return MHD_YES;
	return send_answer(call);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode how)
{
	(void)arg;
	(void)how;
	if (*state)
		call_free(*state);
	*state = NULL;
	sc_wire_answered(fd_of(connection));
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **state,
			  enum MHD_ConnectionNotificationCode code)
{
	struct sc_api *api = arg;

	(void)state;
	if (code != MHD_CONNECTION_NOTIFY_CLOSED)
		return;
	sc_wire_close(fd_of(connection));
	api->connections--;
}

/* Paths stay escaped: decoded, an escaped slash would look like a real one. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
	(void)arg;
	(void)connection;
	return strlen(text);
}

void sc_server_add(struct sc_api *api, int fd)
{
	struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
	socklen_t size = sizeof(from);

	(void)getpeername(fd, (struct sockaddr *)&from, &size);
	if (api->connections >= SC_API_CONNECTIONS_MAX) {
		sc_wire_refuse(fd, 503, "too many connections");
		sc_close(&fd);
		return;
	}
	if (sc_wire_open(fd, from.ss_family != AF_UNIX) < 0) {
		sc_close(&fd);
		return;
	}
	api->connections++;
	if (MHD_add_connection(api->daemon, fd, (struct sockaddr *)&from, size) == MHD_YES)
		return;
	api->connections--; /* the library has closed it */
	sc_wire_close(fd);
}

static void accept_some(struct sc_api *api, int listener_fd)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		int fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		sc_server_add(api, fd);
	}
}

static struct MHD_Daemon *start(struct sc_api *api)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME,
				0, NULL, NULL, on_request, api, MHD_OPTION_NOTIFY_COMPLETED,
				on_completed, api, MHD_OPTION_NOTIFY_CONNECTION, on_connection, api,
				MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, api,
				MHD_OPTION_CONNECTION_LIMIT, SC_API_CONNECTIONS_MAX + 1,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
				MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_STRICT_FOR_CLIENT,
				1, MHD_OPTION_END);
}

int sc_server_turn(struct sc_api *api, int wait_ms)
{
	struct pollfd fds[] = {
		{.fd = api->library_fd, .events = POLLIN},
		{.fd = sc_link_fd(&api->link), .events = POLLIN},
		{.fd = api->tcp_fd, .events = POLLIN},
		{.fd = api->local_fd, .events = POLLIN},
	};
	MHD_UNSIGNED_LONG_LONG ms = TURN_MS;
	uint64_t now_ns;
	int r;

	if (MHD_get_timeout(api->daemon, &ms) != MHD_YES || ms > (unsigned int)wait_ms)
		ms = (unsigned int)wait_ms;
	/* The library looks at a call that goes on when it runs, but does not ask to be run. */
	if (api->has_resumed)
		ms = 0;
	api->has_resumed = false;
	if (poll(fds, SC_ARRAY_SIZE(fds), (int)ms) < 0 && errno != EINTR)
		return -errno;
	for (int i = 2; i < 4; i++)
		if (fds[i].revents)
			accept_some(api, fds[i].fd);
	if (MHD_run(api->daemon) != MHD_YES)
		return -EIO;
	r = sc_asks_pump(api);
	now_ns = sc_mono_ns();
	if (now_ns - api->looked_ns > SC_NS_PER_S) {
		sc_wire_expire(now_ns);
		sc_streams_wake(api, false);
		sc_denials_tell(api);
		api->looked_ns = now_ns;
	}
	return r;
}

/* The TCP socket came, or there is none. */
static void take_listener(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	const char *listen = json_string_value(json_object_get(reply, "listen"));

	(void)owner;
	if (sc_reply_exit(reply) != SC_EXIT_DONE || *fd < 0)
		return;
	sc_close(&api->tcp_fd);
	api->tcp_fd = SC_TAKE_FD(*fd);
	sc_strcopy(api->listen, sizeof(api->listen), listen ? listen : "");
}

void sc_server_ask_listener(struct sc_api *api)
{
	sc_api_ask(api, json_pack("{s:s}", "op", "listener"), take_listener, NULL);
}

void sc_api_init(struct sc_api *api)
{
	api->tcp_fd = api->local_fd = -1;
	api->asks_end = &api->asks;
	sc_denials_init(api);
}

int sc_server_open(struct sc_api *api)
{
	const union MHD_DaemonInfo *info;

	api->looked_ns = sc_mono_ns();
	api->daemon = start(api);
	info = api->daemon ? MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info)
		return -ENOMEM;
	api->library_fd = info->epoll_fd;
	return 0;
}

int sc_server_run(struct sc_api *api)
{
	int r = sc_server_open(api);

	if (r == 0)
		sc_server_ask_listener(api);
	while (r == 0)
		r = sc_server_turn(api, TURN_MS);
	return r < 0 ? r : 0;
}
