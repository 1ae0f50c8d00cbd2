/* SPDX-License-Identifier: Apache-2.0 */
/* The framing, over a socket pair. */
#include "engine/protocol.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

struct pair {
	int near;
	int far;
};

static struct pair open_pair(void)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	return (struct pair){fds[0], fds[1]};
}

static void send_bytes(int fd, const void *data, size_t n)
{
	cr_assert_eq(send(fd, data, n, MSG_NOSIGNAL), (ssize_t)n);
}

Test(protocol, message_survives_the_wire_in_pieces)
{
	static const char wire[] = "\x05\0\0\0hello";
	struct pair p = open_pair();
	struct sc_frame_reader r;
	char buf[16];

	sc_frame_reader_init(&r, buf, sizeof(buf));
	for (size_t i = 0; i < sizeof(wire) - 1; i++) {
		cr_assert_eq(sc_frame_read(&r, p.near), 0, "before byte %zu", i);
		send_bytes(p.far, wire + i, 1);
	}
	cr_assert_eq(sc_frame_read(&r, p.near), 1);
	cr_assert_eq(r.size, 5);
	cr_assert_str_eq(r.data, "hello");
}

Test(protocol, reader_never_takes_the_next_message)
{
	struct pair p = open_pair();
	struct sc_frame_reader r;
	char buf[16];

	sc_frame_reader_init(&r, buf, sizeof(buf));
	send_bytes(p.far, "\x01\0\0\0a\x02\0\0\0bc", 11);
	cr_assert_eq(sc_frame_read(&r, p.near), 1);
	cr_assert_str_eq(r.data, "a");
	sc_frame_reader_reset(&r);
	cr_assert_eq(sc_frame_read(&r, p.near), 1);
	cr_assert_str_eq(r.data, "bc");
	sc_frame_reader_reset(&r);
	cr_assert_eq(sc_frame_read(&r, p.near), 0);
}

Test(protocol, bad_lengths_and_endings_have_their_error)
{
	static const struct {
		const char *what;
		const char *wire;
		size_t n;
		int error;
	} cases[] = {
		{"closed before a message", "", 0, -ENODATA},
		{"closed inside the header", "\x05\0", 2, -ECONNRESET},
		{"closed inside the payload", "\x05\0\0\0he", 6, -ECONNRESET},
		{"no payload", "\0\0\0\0", 4, -EMSGSIZE},
		{"one byte over the limit", "\x10\0\0\0", 4, -EMSGSIZE},
		{"the most that four bytes can say", "\xff\xff\xff\xff", 4, -EMSGSIZE},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct pair p = open_pair();
		struct sc_frame_reader r;
		char buf[16];

		sc_frame_reader_init(&r, buf, sizeof(buf));
		send_bytes(p.far, cases[i].wire, cases[i].n);
		close(p.far);
		cr_assert_eq(sc_frame_read(&r, p.near), cases[i].error, "%s", cases[i].what);
		close(p.near);
	}
}

Test(protocol, payload_may_fill_the_limit_exactly)
{
	struct pair p = open_pair();
	struct sc_frame_reader r;
	char buf[16];

	sc_frame_reader_init(&r, buf, sizeof(buf));
	send_bytes(p.far, "\x0f\0\0\0fifteen-letters", 19);
	cr_assert_eq(sc_frame_read(&r, p.near), 1);
	cr_assert_str_eq(r.data, "fifteen-letters");
}

Test(protocol, writer_goes_on_where_a_full_socket_stopped_it)
{
	size_t size = 4UL * 1024 * 1024;
	_cleanup_free_ char *data = malloc(size);
	struct pair p = open_pair();
	struct sc_frame_reader r;
	struct sc_frame_writer w;
	unsigned int stops = 0;
	int received = 0;
	int sent = 0;

	cr_assert_not_null(data);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 31 % 251);
	sc_frame_reader_init_heap(&r, SC_REPLY_SIZE_MAX);
	sc_frame_writer_init(&w, data, size);
	while (!received) {
		if (!sent) {
			sent = sc_frame_write(&w, p.far);
			stops += sent == 0;
		}
		received = sc_frame_read(&r, p.near);
		cr_assert(sent >= 0 && received >= 0);
	}
	cr_assert_gt(stops, 1);
	cr_assert_eq(r.size, size);
	cr_assert_eq(memcmp(r.data, data, size), 0);
	sc_frame_reader_done(&r);
}

Test(protocol, writing_to_a_gone_peer_is_an_error_and_no_signal)
{
	struct pair p = open_pair();
	struct sc_frame_writer w;

	close(p.far);
	sc_frame_writer_init(&w, "x", 1);
	cr_assert_eq(sc_frame_write(&w, p.near), -EPIPE);
}

Test(protocol, every_operation_is_found_by_its_name)
{
	for (int op = 0; op < SC_OP_COUNT; op++) {
		cr_assert_eq(sc_op_find(sc_op_name((enum sc_op)op)), op);
		if (op)
			cr_assert_lt(strcmp(sc_op_name((enum sc_op)(op - 1)),
					    sc_op_name((enum sc_op)op)),
				     0, "alphabetical");
	}
	cr_assert_eq(sc_op_find("explode"), -ENOENT);
	cr_assert(sc_op_is_write(SC_OP_FIRE));
	cr_assert_not(sc_op_is_write(SC_OP_STATUS));
}
