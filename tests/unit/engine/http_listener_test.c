/* SPDX-License-Identifier: Apache-2.0 */
/* Where HTTP is to be served: what option and environment mean, and a port that is taken. */
#include "engine/http_listener.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct asked {
	const char *option, *host, *port;
	int result;
	bool is_off, is_asked;
	const char *where; /* or a part of why */
};

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

Test(http_listener, option_then_environment_then_default)
{
	static const struct asked rows[] = {
		{NULL, NULL, NULL, 0, false, false, "127.0.0.1:8400"},
		{NULL, "", "", 0, false, false, "127.0.0.1:8400"},
		{NULL, "0.0.0.0", NULL, 0, false, true, "0.0.0.0:8400"},
		{NULL, NULL, "9000", 0, false, true, "127.0.0.1:9000"},
		{NULL, "::1", "9000", 0, false, true, "[::1]:9000"},
		{"10.0.0.1:80", "::1", "9000", 0, false, true, "10.0.0.1:80"},
		{"[::1]:80", NULL, NULL, 0, false, true, "[::1]:80"},
		{"localhost:65535", NULL, NULL, 0, false, true, "localhost:65535"},
		{"off", "::1", "9000", 0, true, false, ""},
		{"off:80", NULL, NULL, 0, false, true, "off:80"},
		{"", NULL, NULL, -EINVAL, false, true, "is not HOST:PORT"},
		{"8400", NULL, NULL, -EINVAL, false, true, "is not HOST:PORT"},
		{":8400", NULL, NULL, -EINVAL, false, true, "is not HOST:PORT"},
		{"::1:8400", NULL, NULL, -EINVAL, false, true, "is not HOST:PORT"},
		{"[]:8400", NULL, NULL, -EINVAL, false, true, "is not HOST:PORT"},
		{"a:0", NULL, NULL, -EINVAL, false, true, "is not HOST:PORT"},
		{"a:65536", NULL, NULL, -EINVAL, false, true, "is not HOST:PORT"},
		{"a:+80", NULL, NULL, -EINVAL, false, true, "is not HOST:PORT"},
		{"a:80x", NULL, NULL, -EINVAL, false, true, "is not HOST:PORT"},
		{NULL, NULL, "x", -EINVAL, false, true, "SCRAM_HTTP_PORT=x is not a port"},
		{NULL, NULL, "70000", -EINVAL, false, true, "is not a port"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		const struct asked *a = &rows[i];
		const char *name = a->option ? a->option : a->where;
		struct sc_http_listener l;

		set("SCRAM_HTTP_HOST", a->host);
		set("SCRAM_HTTP_PORT", a->port);
		cr_expect_eq(sc_http_listener_init(&l, a->option), a->result, "%s", name);
		cr_expect_eq(l.is_off, a->is_off, "%s", name);
		cr_expect_eq(l.is_asked, a->is_asked, "%s", name);
		cr_expect_eq(l.fd, -1);
		if (a->result < 0)
			cr_expect(strstr(l.why, a->where), "%s: %s", name, l.why);
		else
			cr_expect_str_eq(l.where, a->where);
	}
}

Test(http_listener, a_taken_port_is_told_and_can_be_tried_again)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(at);
	struct sc_http_listener l;
	char where[32];
	int on = 0;

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, size), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	snprintf(where, sizeof(where), "127.0.0.1:%u", ntohs(at.sin_port));
	cr_assert_eq(sc_http_listener_init(&l, where), 0);
	cr_expect_eq(sc_http_listener_open(&l), -EADDRINUSE);
	cr_expect(strstr(l.why, where) && strstr(l.why, "in use by another program"), "%s", l.why);
	close(fd);
	cr_assert_eq(sc_http_listener_open(&l), 0);
	cr_expect_str_eq(l.why, "");
	size = sizeof(on);
	cr_assert_eq(getsockopt(l.fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size), 0);
	cr_expect_eq(on, 1);
	cr_expect_eq(sc_http_listener_open(&l), 0, "open already");
	sc_http_listener_close(&l);
	cr_expect_eq(l.fd, -1);
}

Test(http_listener, what_a_worker_shut_down_listens_again)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(at);
	struct sc_http_listener l;
	char where[32];

	cr_assert_eq(bind(fd, (struct sockaddr *)&at, size), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	close(fd);
	snprintf(where, sizeof(where), "127.0.0.1:%u", ntohs(at.sin_port));
	cr_assert_eq(sc_http_listener_init(&l, where), 0);
	cr_assert_eq(sc_http_listener_open(&l), 0);
	cr_assert_eq(shutdown(l.fd, SHUT_RDWR), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_expect_lt(connect(fd, (struct sockaddr *)&at, size), 0);
	close(fd);
	sc_http_listener_renew(&l);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_expect_eq(connect(fd, (struct sockaddr *)&at, size), 0);
	close(fd);
	sc_http_listener_close(&l);
}

/* --- api.sock --- */

static char dir[] = "/tmp/scram-listener-XXXXXX";
static struct sc_http_listener local;

static void begin_local(void)
{
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(sc_http_listener_init(&local, "off"), 0);
}

static void end_local(void)
{
	sc_http_listener_close(&local);
	cr_expect_eq(rmdir(dir), 0, "nothing is left in the run directory");
}

/* What connecting to it gives: 0 or -errno. */
static int knock(void)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (struct sockaddr *)&local.local, sizeof(local.local)) < 0 ? -errno : 0;
}

TestSuite(api_sock, .init = begin_local, .fini = end_local);

Test(api_sock, is_made_also_where_http_is_off)
{
	struct stat st;

	cr_assert_eq(sc_http_listener_open_local(&local, dir), 0, "%s", local.local_why);
	cr_expect_eq(sc_http_listener_open(&local), 0);
	cr_expect_lt(local.fd, 0, "and no port is");
	cr_expect_eq(knock(), 0);
	cr_assert_eq(stat(local.local.sun_path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, local.group == (gid_t)-1 ? 0600U : 0660U);
	cr_expect(local.group == (gid_t)-1 || st.st_gid == local.group || getuid() != 0);
}

Test(api_sock, takes_the_place_of_one_that_is_left)
{
	cr_assert_eq(sc_http_listener_open_local(&local, dir), 0);
	sc_close(&local.local_fd); /* as a process that is killed does */
	cr_expect_eq(knock(), -ECONNREFUSED);
	cr_expect_eq(sc_http_listener_open_local(&local, dir), 0);
	cr_expect_eq(knock(), 0);
}

Test(api_sock, says_why_it_is_not_there)
{
	char in_the_way[64];

	snprintf(in_the_way, sizeof(in_the_way), "%s/api.sock", dir);
	cr_assert_eq(mkdir(in_the_way, 0700), 0);
	cr_expect_lt(sc_http_listener_open_local(&local, dir), 0);
	cr_expect(strstr(local.local_why, in_the_way), "%s", local.local_why);
	cr_expect_lt(local.local_fd, 0);
	sc_http_listener_close(&local);
	cr_expect_eq(rmdir(in_the_way), 0, "what is not its own is left alone");
}

Test(api_sock, is_made_anew_when_a_worker_shut_it_down)
{
	int before;

	cr_assert_eq(sc_http_listener_open_local(&local, dir), 0);
	before = local.local_fd;
	sc_http_listener_renew(&local);
	cr_expect_eq(local.local_fd, before, "one that listens stays");
	cr_expect_eq(knock(), 0);
	cr_assert_eq(shutdown(local.local_fd, SHUT_RDWR), 0);
	cr_expect_eq(knock(), -ECONNREFUSED);
	sc_http_listener_renew(&local);
	cr_expect_eq(knock(), 0);
}
