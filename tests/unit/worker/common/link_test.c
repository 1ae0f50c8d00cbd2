/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's end of a link, with the test as the core. */
#include "worker/common/link.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define HELLO   "{\"event\":\"hello\",\"version\":\"1\"}"
#define CHANGED "{\"event\":\"changed\",\"seq\":"
#define DONE    "{\"exit\":0,\"error\":null}"
#define FAILED  "{\"exit\":1,\"error\":\"no\"}"

static void say_with(int fd, const char *text, int along)
{
	struct sc_frame_writer w;

	sc_frame_writer_init(&w, text, strlen(text));
	w.fd = along;
	cr_assert_eq(sc_frame_write(&w, fd), 1);
}

static void say(int fd, const char *text)
{
	say_with(fd, text, -1);
}

/* A link that has had its hello; returns the core's end. */
static int open_link(struct sc_link *link)
{
	_cleanup_link_message_ struct sc_link_message hello = {.fd = -1};
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	say(pair[1], HELLO);
	cr_assert_eq(sc_link_open_fd(link, pair[0], &hello), 0);
	cr_assert(sc_link_is_event(&hello, "hello"));
	cr_assert_str_eq(hello.text, HELLO);
	return pair[1];
}

static void expect(struct sc_link *link, const char *text)
{
	_cleanup_link_message_ struct sc_link_message m = {.fd = -1};

	cr_assert_eq(sc_link_take(link, 0, &m), 1, "nothing where %s was to come", text);
	cr_expect_str_eq(m.text, text);
}

Test(link, only_hello_opens_it)
{
	static const struct {
		const char *text;
		int result;
	} first[] = {{DONE, -EPROTO}, {CHANGED "1}", -EPROTO}, {"{\"event\":\"hell\"}", -EPROTO}};

	for (size_t i = 0; i < SC_ARRAY_SIZE(first); i++) {
		struct sc_link_message hello = {.fd = 77};
		struct sc_link link;
		int pair[2];

		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		say(pair[1], first[i].text);
		cr_expect_eq(sc_link_open_fd(&link, pair[0], &hello), first[i].result, "%s",
			     first[i].text);
		cr_expect_eq(hello.fd, 77, "hello was touched");
		cr_expect_eq(fcntl(pair[0], F_GETFD), FD_CLOEXEC, "the descriptor is the caller's");
		close(pair[0]);
		close(pair[1]);
	}
}

Test(link, what_is_no_socket_is_no_link)
{
	struct sc_link_message hello = {.fd = -1};
	struct sc_link link;
	_cleanup_close_ int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	cr_expect_eq(sc_link_open_fd(&link, file, &hello), -ENOTSOCK);
	cr_expect_eq(sc_link_open_fd(&link, 9999, &hello), -EBADF);
}

Test(link, events_that_come_before_the_reply_are_kept_in_order)
{
	_cleanup_link_message_ struct sc_link_message reply = {.fd = -1};
	struct sc_link_message none = {.fd = -1};
	struct sc_link link;
	_cleanup_close_ int core = open_link(&link);

	say(core, CHANGED "1}");
	say(core, "{\"event\":\"run\",\"id\":7}");
	say(core, CHANGED "2}");
	say(core, DONE);
	say(core, "{\"event\":\"stop\"}");
	cr_assert_eq(sc_link_ask(&link, "{}", 2, &reply), 0);
	cr_expect_str_eq(reply.text, DONE);
	cr_expect_eq(reply.kind, SC_LINK_REPLY);
	/* Of `changed` the last one tells all. */
	expect(&link, "{\"event\":\"run\",\"id\":7}");
	expect(&link, CHANGED "2}");
	expect(&link, "{\"event\":\"stop\"}");
	cr_expect_eq(sc_link_take(&link, 0, &none), 0);
	sc_link_close(&link);
}

Test(link, more_events_than_can_be_kept_end_it)
{
	struct sc_link_message reply = {.fd = -1};
	struct sc_link link;
	_cleanup_close_ int core = open_link(&link);

	for (int i = 0; i <= SC_LINK_KEPT_MAX; i++)
		say(core, "{\"event\":\"run\"}");
	say(core, DONE);
	cr_expect_eq(sc_link_ask(&link, "{}", 2, &reply), -ENOBUFS);
	sc_link_close(&link);
}

Test(link, one_request_at_a_time)
{
	_cleanup_link_message_ struct sc_link_message m = {.fd = -1};
	struct sc_link link;
	_cleanup_close_ int core = open_link(&link);

	cr_assert_eq(sc_link_send(&link, "{}", 2), 0);
	cr_expect_eq(sc_link_send(&link, "{}", 2), -EBUSY);
	say(core, DONE);
	cr_assert_eq(sc_link_take(&link, 1000, &m), 1);
	cr_expect_eq(sc_link_send(&link, "{}", 2), 0);
	sc_link_close(&link);
}

Test(link, a_reply_that_nobody_asked_for_is_refused)
{
	struct sc_link_message m = {.fd = -1};
	struct sc_link link;
	_cleanup_close_ int core = open_link(&link);

	say(core, DONE);
	cr_expect_eq(sc_link_take(&link, 1000, &m), -EPROTO);
	sc_link_close(&link);
}

Test(link, the_end_of_the_core_is_told)
{
	struct sc_link_message m = {.fd = -1};
	struct sc_link link;
	int core = open_link(&link);

	close(core);
	cr_expect_eq(sc_link_take(&link, -1, &m), -ENODATA);
	sc_link_close(&link);
}

/* Replies that the core gives to the helpers, and what they make of them. */
Test(link, ready_and_segment_take_the_core_at_its_word)
{
	_cleanup_close_ int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct stat want, got;
	struct sc_link link;
	_cleanup_close_ int core = open_link(&link);
	uint64_t first = 0;
	int fd;

	say(core, DONE);
	cr_expect_eq(sc_link_ready(&link, "listening on \"x\""), 0);
	say(core, FAILED);
	cr_expect_eq(sc_link_ready(&link, NULL), -EPERM);
	say(core, FAILED);
	cr_expect_eq(sc_link_segment(&link, 3, &first), -ENOENT);
	cr_expect_eq(first, 0, "it does not say");
	say(core, "{\"number\":3,\"first\":14,\"last\":15,\"exit\":1,\"error\":\"no\"}");
	cr_expect_eq(sc_link_segment(&link, 3, &first), -ENOENT);
	cr_expect_eq(first, 14);
	say_with(core, DONE, file);
	fd = sc_link_segment(&link, 3, &first);
	cr_expect_eq(first, 14);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fstat(file, &want), 0);
	cr_assert_eq(fstat(fd, &got), 0);
	cr_expect_eq(got.st_rdev, want.st_rdev);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	sc_link_close(&link);
}

Test(link, a_descriptor_that_nobody_takes_is_closed)
{
	_cleanup_close_ int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct sc_link link;
	_cleanup_close_ int core = open_link(&link);
	int before, after;

	before = dup(file);
	close(before);
	for (int i = 0; i < 3; i++) {
		_cleanup_link_message_ struct sc_link_message m = {.fd = -1};

		say_with(core, CHANGED "1}", file);
		cr_assert_eq(sc_link_take(&link, 1000, &m), 1);
		cr_expect_geq(m.fd, 0);
	}
	after = dup(file);
	close(after);
	cr_expect_eq(after, before, "descriptors are left over");
	sc_link_close(&link);
}
