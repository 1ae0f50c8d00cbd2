/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/cli/fake_agent.h"

#include "base/str.h"
#include "engine/protocol.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void take_request(struct fake_agent *agent, int fd)
{
	struct sc_frame_reader reader;
	struct pollfd p = {.fd = fd, .events = POLLIN};

	sc_frame_reader_init(&reader, agent->request, sizeof(agent->request));
	while (sc_frame_read(&reader, fd) == 0)
		poll(&p, 1, -1);
	agent->requests++;
}

static void send_all(int fd, const void *data, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t sent = send(fd, (const char *)data + done, n - done, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		done += (size_t)sent;
	}
}

static void send_header(int fd, size_t n)
{
	unsigned char header[SC_FRAME_HEADER_SIZE];

	for (int i = 0; i < SC_FRAME_HEADER_SIZE; i++)
		header[i] = (unsigned char)(n >> (8 * i));
	send_all(fd, header, sizeof(header));
}

static void wait_for_release(struct fake_agent *agent)
{
	struct pollfd p = {.fd = agent->release[0], .events = POLLIN};

	poll(&p, 1, -1);
}

/* One connection; false when there was none. */
static bool serve_one(struct fake_agent *agent, const char *text, size_t n)
{
	_cleanup_close_ int fd = accept(agent->listen_fd, NULL, NULL);

	if (fd < 0)
		return false;
	if (agent->manner != FAKE_REFUSES)
		take_request(agent, fd);
	switch (agent->manner) {
	case FAKE_ANSWERS:
	case FAKE_REFUSES:
		send_header(fd, n);
		send_all(fd, text, n);
		break;
	case FAKE_DRIBBLES:
		send_header(fd, n);
		for (size_t i = 0; i < n; i++)
			send_all(fd, text + i, 1);
		break;
	case FAKE_STOPS_SHORT:
		send_header(fd, n);
		send_all(fd, text, n / 2);
		break;
	case FAKE_BOASTS:
		send_header(fd, SC_REPLY_SIZE_MAX + 1);
		break;
	case FAKE_KEEPS_SILENT:
		wait_for_release(agent);
		break;
	case FAKE_HANGS_UP:
		break;
	}
	return true;
}

static void *serve(void *arg)
{
	struct fake_agent *agent = arg;
	const char *text = agent->text ? agent->text : "";
	size_t n;

	do {
		n = strcspn(text, "\n");
		if (!serve_one(agent, text, n))
			return NULL;
		text += n + (text[n] == '\n');
	} while (*text);
	return NULL;
}

void fake_agent_start(struct fake_agent *agent, enum fake_manner manner, const char *text)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*agent = (struct fake_agent){.manner = manner, .text = text};
	sc_strcopy(agent->dir, sizeof(agent->dir), "/tmp/scram-test-XXXXXX");
	cr_assert_not_null(mkdtemp(agent->dir));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", agent->dir,
		 SC_CONTROL_SOCKET);
	agent->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(agent->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(agent->listen_fd, 1), 0);
	cr_assert_eq(pipe(agent->release), 0);
	cr_assert_eq(pthread_create(&agent->thread, NULL, serve, agent), 0);
}

void fake_agent_stop(struct fake_agent *agent)
{
	char path[128];

	/* A thread that nobody called wakes up from accept(2), too. */
	shutdown(agent->listen_fd, SHUT_RDWR);
	close(agent->release[1]);
	pthread_join(agent->thread, NULL);
	close(agent->release[0]);
	close(agent->listen_fd);
	snprintf(path, sizeof(path), "%s/%s", agent->dir, SC_CONTROL_SOCKET);
	unlink(path);
	snprintf(path, sizeof(path), "%s/%s", agent->dir, SC_STATE_FILE);
	unlink(path);
	rmdir(agent->dir);
}
