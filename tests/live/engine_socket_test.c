/* SPDX-License-Identifier: Apache-2.0 */
/* Who and what may come by the control socket, and how much fits: the ticks go on all the same. */
#include "live/engine_kit.h"

#include "base/clock.h"
#include "base/str.h"
#include "engine/protocol.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(engine_socket, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

#define NOBODY 65534
/* Places for peers (SC_CONTROL_PEERS_MAX in engine/control.h). */
#define PEERS_MAX      32
#define CONDITIONS_MAX 1024

static int connect_control(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", sc_kit.run_dir,
			       SC_CONTROL_SOCKET) >= (int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -errno;
}

/* Waits until the agent closed the connection without a word. */
static bool is_dropped(int fd, unsigned int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char c;

	return poll(&p, 1, (int)sc_scaled_ms(ms)) == 1 && recv(fd, &c, 1, MSG_DONTWAIT) <= 0;
}

/* Returns whether the header went out. */
static bool send_frame(int fd, uint32_t size, const void *data, size_t n)
{
	uint32_t header = htole32(size);

	if (send(fd, &header, sizeof(header), MSG_NOSIGNAL) != (ssize_t)sizeof(header))
		return false;
	if (n)
		(void)!send(fd, data, n, MSG_NOSIGNAL);
	return true;
}

/* Sends this as one message; the exit member of the reply. */
static int ask(int fd, const char *request)
{
	static char buf[64 * 1024];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct sc_frame_reader r;
	json_t *reply;
	int exit, got = 0;

	cr_assert(send_frame(fd, (uint32_t)strlen(request), request, strlen(request)));
	sc_frame_reader_init(&r, buf, sizeof(buf));
	while (got == 0 && poll(&p, 1, SC_KIT_EVENT_MS) == 1)
		got = sc_frame_read(&r, fd);
	cr_assert_eq(got, 1, "no reply to %s", request);
	reply = json_loads(r.data, 0, NULL);
	exit = (int)json_integer_value(json_object_get(reply, "exit"));
	json_decref(reply);
	return exit;
}

/* In a child, where no assertion may be made: 0 when the agent lets this user in. */
static int try_as_nobody(void *arg)
{
	int fd;

	(void)arg;
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		return 100;
	fd = connect_control();
	if (fd < 0)
		return -fd;
	return is_dropped(fd, SC_KIT_EVENT_MS / 3) ? EPERM : 0;
}

static int status_as_nobody(void)
{
	pid_t pid = sc_helper_call(sc_kit.agent_fd, try_as_nobody, NULL);
	int status = 0;

	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_child(pid, &status, SC_KIT_EVENT_MS), 0);
	return WEXITSTATUS(status);
}

Test(engine_socket, other_users_are_refused_by_mode_and_by_credentials)
{
	char path[SC_SANDBOX_PATH_MAX + 32];
	json_t *status;

	sc_kit_start("");
	snprintf(path, sizeof(path), "%s/%s", sc_kit.run_dir, SC_CONTROL_SOCKET);
	cr_expect_eq(status_as_nobody(), EACCES);
	/* Even where the file's mode would let them in. */
	cr_assert_eq(chmod(path, 0666), 0);
	cr_expect_eq(status_as_nobody(), EPERM);
	status = sc_rig_json(&sc_kit, "status");
	cr_expect_eq(sc_kit_number(json_object_get(status, "lost"), "control_refused"), 1);
	json_decref(status);
}

Test(engine_socket, nonsense_is_refused_and_the_next_request_answered)
{
	static const char *const requests[] = {
		"garbage",
		"[]",
		"\"ping\"",
		"{}",
		"{\"op\":1}",
		"{\"op\":\"explode\"}",
		"{\"op\":\"fire\"}",
		"{\"op\":\"fire\",\"id\":{}}",
		"{\"op\":\"ping\",\"op\":\"status\"}",
		"{\"op\":\"show\",\"fire\":\"\"}",
		"{\"op\":\"register\",\"conditions\":[1,[],{}]}",
		"{\"op\":\"why\",\"condition\":\"\\u0000x\"}",
		"{\"op\":\"release\",\"what\":\"/\\u0000\"}",
		"\x80\xff\xfe",
		"{\"op\":\"pi",
	};
	int fd;

	sc_kit_start("");
	fd = connect_control();
	cr_assert_geq(fd, 0);
	for (size_t i = 0; i < SC_ARRAY_SIZE(requests); i++) {
		cr_expect_neq(ask(fd, requests[i]), 0, "%s", requests[i]);
		cr_expect_eq(ask(fd, "{\"op\":\"ping\"}"), 0, "after %s", requests[i]);
	}
	close(fd);
	sc_kit_wait_ticks(3);
}

Test(engine_socket, frames_of_a_wrong_size_are_dropped)
{
	static const uint32_t sizes[] = {0, SC_REQUEST_SIZE_MAX + 1, 0x7fffffff, 0xffffffff};

	sc_kit_start("");
	for (size_t i = 0; i < SC_ARRAY_SIZE(sizes); i++) {
		int fd = connect_control();

		cr_assert_geq(fd, 0);
		cr_assert(send_frame(fd, sizes[i], "x", 1));
		cr_expect(is_dropped(fd, SC_KIT_EVENT_MS), "%u bytes announced", sizes[i]);
		close(fd);
	}
	cr_expect_eq(sc_rig_run(&sc_kit, "ping"), 0);
}

/* Ticks that took longer than their interval, or began late by that much, are few; a busy host
 * makes some. */
static void expect_ticks_in_time(void)
{
	json_t *status = sc_rig_json(&sc_kit, "status");
	const json_t *tick = json_object_get(status, "tick");

	cr_expect_leq(sc_kit_number(tick, "overruns"), 2 + sc_kit_number(tick, "count") / 4);
	json_decref(status);
}

Test(engine_socket, silent_half_and_vanishing_peers_do_not_hold_up_the_ticks)
{
	int web = sc_kit_mkdir("web");
	int fds[PEERS_MAX - 8]; /* the command line needs places, too */

	sc_kit_start(
		"conditions:\n"
		"  - {id: crowd, scope: \"@ROOT@/*\", when: \"proc.alive >= 2\", action: {kind: "
		"process-exit}, auto_fire: true, live: true}\n");
	for (size_t i = 0; i < SC_ARRAY_SIZE(fds); i++) {
		fds[i] = connect_control();
		cr_assert_geq(fds[i], 0);
		if (i % 3 == 0) /* else silent */
			cr_assert(send_frame(fds[i], 1000, "{\"op\":", i % 2 ? 6 : 0));
	}
	for (int i = 0; i < 200; i++) {
		static const char request[] = "{\"op\":\"status\"}";
		int fd = connect_control();

		cr_assert_geq(fd, 0);
		/* Refused already when all places are taken. */
		(void)send_frame(fd, sizeof(request) - 1, request, sizeof(request) - 1);
		close(fd); /* before the reply */
	}
	sc_kit_wait_ticks(SC_KIT_TICKS);
	sc_kit_sleeper(web);
	sc_kit_sleeper(web);
	sc_kit_wait("crowd", "outcome", "emptied", 1);
	expect_ticks_in_time();
	for (size_t i = 0; i < SC_ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

Test(engine_socket, full_house_fires_all_the_same_and_opens_again)
{
	int web = sc_kit_mkdir("web");
	int fds[PEERS_MAX + 8];

	sc_kit_start(
		"conditions:\n"
		"  - {id: crowd, scope: \"@ROOT@/*\", when: \"proc.alive >= 2\", action: {kind: "
		"process-exit}, auto_fire: true, live: true}\n");
	for (size_t i = 0; i < SC_ARRAY_SIZE(fds); i++) {
		fds[i] = connect_control();
		cr_assert_geq(fds[i], 0);
	}
	cr_expect(is_dropped(fds[PEERS_MAX], SC_KIT_EVENT_MS), "more than there are places for");
	sc_kit_sleeper(web);
	sc_kit_sleeper(web);
	cr_expect_eq(sc_wait_populated(web, false, SC_KIT_EVENT_MS), 0);
	for (size_t i = 0; i < SC_ARRAY_SIZE(fds); i++)
		close(fds[i]);
	sc_kit_wait("crowd", "outcome", "emptied", 1);
}

static void write_conditions(unsigned int n)
{
	_cleanup_str_ struct sc_str yaml;

	sc_str_init_heap(&yaml);
	sc_str_add(&yaml, "conditions:\n");
	for (unsigned int i = 0; i < n; i++)
		sc_str_addf(&yaml, "  - {id: c%u, action: {kind: process-exit}}\n", i);
	sc_kit_write(yaml.data);
}

Test(engine_socket, one_condition_too_many_is_refused_with_its_number)
{
	char one[] = "one.json", line[SC_SANDBOX_PATH_MAX + 64];
	_cleanup_close_ int dirfd = open(sc_kit.box.tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = openat(dirfd, one, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	json_t *status;

	cr_assert_gt(dprintf(fd, "{\"id\": \"more\", \"action\": {\"kind\": \"process-exit\"}}"),
		     0);
	write_conditions(CONDITIONS_MAX);
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	write_conditions(CONDITIONS_MAX + 1);
	sc_kit_expect("reload", 1, "1024");
	snprintf(line, sizeof(line), "register %s/%s", sc_kit.box.tmp, one);
	sc_kit_expect(line, 1, "1024");
	status = sc_rig_json(&sc_kit, "status");
	cr_expect_eq(sc_kit_number(json_object_get(status, "conditions"), "registered"),
		     CONDITIONS_MAX);
	json_decref(status);
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGTERM, NULL), 0);
	cr_expect_eq(sc_rig_start(&sc_kit, NULL), -ECHILD, "it starts with one too many");
}
