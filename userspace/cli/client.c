/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "base/clock.h"
#include "base/str.h"
#include "engine/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

struct call {
	const char *run_dir;
	uint64_t deadline_ns;
	uint64_t timeout_ns;
	struct sc_diag *diag;
};

static void reader_done(struct sc_frame_reader *r)
{
	sc_frame_reader_done(r);
}

static int fail_connect(const struct call *c, int err)
{
	if (err == -ENOENT || err == -ECONNREFUSED)
		return sc_diag_set(c->diag, err, 0, 0, "no agent listens at %s/%s", c->run_dir,
				   SC_CONTROL_SOCKET);
	if (err == -EACCES || err == -EPERM)
		return sc_diag_set(c->diag, -EACCES, 0, 0,
				   "not permitted to speak to the agent at %s/%s; be root or a "
				   "member of the group scram",
				   c->run_dir, SC_CONTROL_SOCKET);
	return sc_diag_set(c->diag, err, 0, 0, "cannot connect to %s/%s: %s", c->run_dir,
			   SC_CONTROL_SOCKET, strerror(-err));
}

/*
 * The path of a socket is limited to 107 bytes (unix(7)), that of a directory is not: a longer one
 * is reached through its descriptor.
 */
static int socket_address(const char *run_dir, int dirfd, struct sockaddr_un *address)
{
	struct sc_str path;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	sc_str_init(&path, address->sun_path, sizeof(address->sun_path));
	sc_str_addf(&path, "%s/%s", run_dir, SC_CONTROL_SOCKET);
	if (path.truncated) {
		sc_str_reset(&path);
		sc_str_addf(&path, "/proc/self/fd/%d/%s", dirfd, SC_CONTROL_SOCKET);
	}
	return path.truncated ? -ENAMETOOLONG : 0;
}

static int wait_for(const struct call *c, int fd, short events)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		uint64_t now = sc_mono_ns();
		uint64_t left = c->deadline_ns > now ? c->deadline_ns - now : 0;
		int n = left ? poll(&p, 1, (int)(left / SC_NS_PER_MS) + 1) : 0;

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && sc_mono_ns() >= c->deadline_ns)
			return sc_diag_set(c->diag, -ETIMEDOUT, 0, 0,
					   "the agent at %s did not answer within %llu s",
					   c->run_dir,
					   (unsigned long long)(c->timeout_ns / SC_NS_PER_S));
	}
}

/* Owns nothing on failure; a full backlog (EAGAIN of connect) counts as no answer. */
static int open_socket(const struct call *c)
{
	_cleanup_close_ int dirfd = open(c->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	struct sockaddr_un address;
	int r;

	if (dirfd < 0)
		return fail_connect(c, -errno);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_connect(c, -errno);
	r = socket_address(c->run_dir, dirfd, &address);
	if (r == 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = -errno;
	if (r == -EAGAIN)
		return sc_diag_set(c->diag, -ETIMEDOUT, 0, 0,
				   "the agent at %s takes no further callers", c->run_dir);
	if (r < 0)
		return fail_connect(c, r);
	return SC_TAKE_FD(fd);
}

static int fail_receive(const struct call *c, int err)
{
	if (err == -ENODATA || err == -ECONNRESET || err == -EPIPE)
		return sc_diag_set(c->diag, -ECONNRESET, 0, 0,
				   "the agent went away before it had answered");
	if (err == -EMSGSIZE)
		return sc_diag_set(c->diag, -EPROTO, 0, 0,
				   "what answered is not the agent, or of another version: it "
				   "announced a reply of impossible length");
	return sc_diag_set(c->diag, err, 0, 0, "no answer from the agent: %s", strerror(-err));
}

static int send_request(const struct call *c, int fd, json_t *request)
{
	_cleanup_free_ char *text = json_dumps(request, JSON_COMPACT);
	struct sc_frame_writer writer;
	int r;

	if (!text)
		return sc_diag_set(
			c->diag, -EINVAL, 0, 0,
			"the request cannot be written as JSON; is every argument UTF-8?");
	if (strlen(text) > SC_REQUEST_SIZE_MAX)
		return sc_diag_set(c->diag, -E2BIG, 0, 0,
				   "the request is %zu bytes long; %lu are the limit", strlen(text),
				   SC_REQUEST_SIZE_MAX);
	sc_frame_writer_init(&writer, text, strlen(text));
	for (;;) {
		r = sc_frame_write(&writer, fd);
		/* A peer that hung up may have said why before: the reply is looked for all the
		 * same. */
		if (r == 1 || r == -EPIPE || r == -ECONNRESET)
			return 0;
		if (r == 0)
			r = wait_for(c, fd, POLLOUT);
		if (r < 0)
			return r == -ETIMEDOUT ? r : fail_receive(c, r);
	}
}

static int receive_reply(const struct call *c, int fd, struct sc_frame_reader *reader)
{
	for (;;) {
		int r = sc_frame_read(reader, fd);

		if (r == 1)
			return 0;
		if (r < 0)
			return fail_receive(c, r);
		r = wait_for(c, fd, POLLIN);
		if (r < 0)
			return r;
	}
}

static bool is_reply(const json_t *root)
{
	const json_t *status = json_object_get(root, "exit");
	const json_t *error = json_object_get(root, "error");

	return json_is_integer(status) && json_integer_value(status) >= 0 &&
	       json_integer_value(status) <= 255 &&
	       (!error || json_is_null(error) || json_is_string(error));
}

int sc_client_call(const struct sc_client *client, json_t *request, json_t **reply,
		   struct sc_diag *diag)
{
	struct call c = {
		.run_dir = client->run_dir,
		.timeout_ns = client->timeout_ns,
		.deadline_ns = sc_mono_ns() + client->timeout_ns,
		.diag = diag,
	};
	_cleanup_(reader_done) struct sc_frame_reader reader = {0};
	_cleanup_close_ int fd = open_socket(&c);
	json_error_t why;
	json_t *root;
	int r;

	sc_frame_reader_init_heap(&reader, SC_REPLY_SIZE_MAX);
	if (fd < 0)
		return fd;
	r = send_request(&c, fd, request);
	if (r == 0)
		r = receive_reply(&c, fd, &reader);
	if (r < 0)
		return r;
	root = json_loadb(reader.data, reader.size, JSON_REJECT_DUPLICATES, &why);
	if (!root || !is_reply(root)) {
		json_decref(root);
		return sc_diag_set(diag, -EPROTO, 0, 0,
				   "what answered is not the agent, or of another version: %s",
				   root ? "no valid exit status" : why.text);
	}
	*reply = root;
	return 0;
}
