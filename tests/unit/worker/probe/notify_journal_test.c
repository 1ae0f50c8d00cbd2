/* SPDX-License-Identifier: Apache-2.0 */
/* The system's journal is never waited for, and its absence is an error. */
#include "worker/probe/sysjournal.h"

#include "base/mem.h"
#include "base/str.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MANY 100000 /* more than any queue of a socket */

static const struct sc_message message = {.kind = SC_RECORD_FIRE_VERIFIED,
					  .name = "fire-verified",
					  .id = "0123456789abcdef0123456789abcdef",
					  .priority = 2};
static const struct sc_notify_origin origin = {.host = "h", .version = "9"};

static int listen_at(char dir[], char *path, size_t size)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	cr_assert(mkdtemp(dir));
	snprintf(path, size, "%s/s", dir);
	cr_assert(sc_strcopy(at.sun_path, sizeof(at.sun_path), path));
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

Test(sysjournal, fields_come_whole_and_nothing_can_be_slipped_in)
{
	char dir[] = "/tmp/scram-unit-XXXXXX", path[64], got[8192];
	struct sc_notification n = {.message = &message, .seq = 5, .text = "one\nPRIORITY=7"};
	_cleanup_close_ int fd = listen_at(dir, path, sizeof(path));
	ssize_t size;

	snprintf(n.fields.fire, sizeof(n.fields.fire), "f");
	cr_assert_eq(sc_sysjournal_send(path, &n, &origin), 0);
	size = recv(fd, got, sizeof(got) - 1, 0);
	cr_assert_gt(size, 0);
	cr_expect_eq(memcmp(got, "MESSAGE\n\x0e\0\0\0\0\0\0\0one\nPRIORITY=7\nMESSAGE_ID=", 42), 0);
	got[size] = '\0';
	cr_expect(memmem(got, (size_t)size, "\nPRIORITY=2\n", 12));
	cr_expect(memmem(got, (size_t)size, "\nSCRAM_FIRE_ID=f\n", 17));
	cr_expect(memmem(got, (size_t)size, "\nSCRAM_SEQ=5\n", 13));
	cr_expect(!memmem(got, (size_t)size, "SCRAM_CONDITION=", 16), "empty fields are left out");
	unlink(path);
	rmdir(dir);
}

Test(sysjournal, nobody_there_is_told)
{
	char dir[] = "/tmp/scram-unit-XXXXXX", path[64];
	struct sc_notification n = {.message = &message, .seq = 5, .text = "x"};
	int fd;

	cr_expect_eq(sc_sysjournal_send("/nonexistent/socket", &n, &origin), -ENOENT);
	fd = listen_at(dir, path, sizeof(path));
	close(fd);
	cr_expect_eq(sc_sysjournal_send(path, &n, &origin), -ECONNREFUSED);
	unlink(path);
	rmdir(dir);
}

Test(sysjournal, one_that_hangs_is_not_waited_for)
{
	char dir[] = "/tmp/scram-unit-XXXXXX", path[64];
	struct sc_notification n = {.message = &message, .seq = 5, .text = "x"};
	_cleanup_close_ int fd = listen_at(dir, path, sizeof(path));
	int r = 0;

	for (int i = 0; i < MANY && r == 0; i++)
		r = sc_sysjournal_send(path, &n, &origin);
	cr_expect_eq(r, -EAGAIN);
	unlink(path);
	rmdir(dir);
}
