/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* 0, or -errno: one byte, with descriptor 0 attached. */
static int send_fd(int to)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	char byte = 'x';
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &part,
			     .msg_iovlen = 1,
			     .msg_control = control.room,
			     .msg_controllen = sizeof(control.room)};

	control.align = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(int)),
	};
	return sendmsg(to, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

Test(io, descriptors_are_refused_in_one_direction)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_expect_eq(send_fd(pair[1]), 0);
	if (!sc_refuse_descriptors(pair[0]))
		cr_skip_test("this kernel cannot");
	cr_expect_eq(send_fd(pair[1]), -EPERM);
	cr_expect_eq(send_fd(pair[0]), 0);
	cr_expect_eq(send(pair[1], "x", 1, MSG_NOSIGNAL), 1);
	sc_close(&pair[0]);
	sc_close(&pair[1]);
}
