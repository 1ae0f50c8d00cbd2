/* SPDX-License-Identifier: Apache-2.0 */
/* Peers: processes of tests/programs/netpeer, and how they are told what to do. */
#include "harness/net.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Longer than any wait that a test asks a peer for. */
#define ANSWER_MS 60000
#define END_MS    30000
#define LINE_SIZE 256

struct start {
	const char *path;
	int sock;
};

static int exec_peer(void *arg)
{
	const struct start *s = arg;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	char *const argv[] = {(char *)"netpeer", NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(s->sock, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	execv(s->path, argv);
	return 127;
}

/* Beside the program under test, where `make programs` puts it. */
static void name_program(char path[static PATH_MAX])
{
	const char *scram = getenv("SCRAM");
	const char *slash = scram ? strrchr(scram, '/') : NULL;

	if (slash)
		snprintf(path, PATH_MAX, "%.*s/programs/netpeer", (int)(slash - scram), scram);
	else
		snprintf(path, PATH_MAX, "build/programs/netpeer");
}

int sc_peer_start(struct sc_peer *peer, int cgroup_fd, int space_fd)
{
	char path[PATH_MAX];
	/* Born there: a member that is elsewhere for a moment would be cut there as well. */
	_cleanup_leave_ int own = space_fd < 0 ? -1 : sc_net_enter(space_fd);
	struct start start = {.path = path};
	int pair[2];
	int err;

	*peer = (struct sc_peer){.fd = -1};
	if (space_fd >= 0 && own < 0)
		return own;
	name_program(path);
	if (access(path, X_OK) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	start.sock = pair[1];
	peer->pid = sc_helper_call(cgroup_fd, exec_peer, &start);
	close(pair[1]);
	peer->fd = pair[0];
	if (peer->pid < 0) {
		err = (int)peer->pid;
		sc_close(&peer->fd);
		return err;
	}
	err = sc_peer_send(peer, "count");
	if (!err)
		err = sc_peer_answer(peer);
	if (err)
		sc_peer_end(peer);
	return err;
}

void sc_peer_end(struct sc_peer *peer)
{
	if (peer->fd < 0)
		return;
	sc_close(&peer->fd);
	kill(peer->pid, SIGKILL);
	sc_wait_child(peer->pid, NULL, END_MS);
}

int sc_peer_join(struct sc_peer *peer, int cgroup_fd)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", peer->pid);
	return sc_cgroup_write(cgroup_fd, "cgroup.procs", text);
}

static int send_line(struct sc_peer *peer, const char *fmt, va_list args)
{
	char line[LINE_SIZE];
	int n = vsnprintf(line, sizeof(line), fmt, args);

	if (n >= (int)sizeof(line))
		return -E2BIG;
	return send(peer->fd, line, (size_t)n, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int sc_peer_send(struct sc_peer *peer, const char *fmt, ...)
{
	va_list args;
	int err;

	va_start(args, fmt);
	err = send_line(peer, fmt, args);
	va_end(args);
	return err;
}

int sc_peer_answer(struct sc_peer *peer)
{
	struct pollfd p = {.fd = peer->fd, .events = POLLIN};
	char line[LINE_SIZE];
	ssize_t n;
	int used = 0;

	snprintf(peer->word, sizeof(peer->word), "gone");
	memset(peer->number, 0, sizeof(peer->number));
	if (poll(&p, 1, (int)sc_scaled_ms(ANSWER_MS)) <= 0)
		return -ETIMEDOUT;
	n = recv(peer->fd, line, sizeof(line) - 1, 0);
	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	line[n] = '\0';
	sscanf(line, "%15s%n", peer->word, &used);
	sscanf(line + used, "%ld %ld %ld %ld %ld", &peer->number[0], &peer->number[1],
	       &peer->number[2], &peer->number[3], &peer->number[4]);
	return 0;
}

const char *sc_peer_tell(struct sc_peer *peer, const char *fmt, ...)
{
	va_list args;
	int err;

	va_start(args, fmt);
	err = send_line(peer, fmt, args);
	va_end(args);
	if (err || sc_peer_answer(peer))
		return "gone";
	return peer->word;
}

long sc_peer_number(struct sc_peer *peer, const char *fmt, ...)
{
	va_list args;
	int err;

	va_start(args, fmt);
	err = send_line(peer, fmt, args);
	va_end(args);
	if (err || sc_peer_answer(peer) || strcmp(peer->word, "ok") != 0)
		return -1;
	return peer->number[0];
}

int sc_peer_hand_over(struct sc_peer *from, int fd, struct sc_peer *to, const char *proto)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, from->pid, 0);
	_cleanup_close_ int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS}};
	char line[LINE_SIZE];
	struct iovec part = {.iov_base = line};
	struct msghdr msg = {.msg_iov = &part,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	int err;

	if (copy < 0)
		return -errno;
	memcpy(CMSG_DATA(&control.head), &copy, sizeof(copy));
	part.iov_len = (size_t)snprintf(line, sizeof(line), "adopt %s", proto);
	if (sendmsg(to->fd, &msg, MSG_NOSIGNAL) < 0)
		return -errno;
	err = sc_peer_answer(to);
	return err ? err : strcmp(to->word, "ok") ? -EPROTO : 0;
}

int sc_peer_count(struct sc_peer *peer, struct sc_peer_counts *out)
{
	int err = sc_peer_send(peer, "count");

	if (!err)
		err = sc_peer_answer(peer);
	if (!err)
		*out = (struct sc_peer_counts){.received = peer->number[0],
					       .accepted = peer->number[1],
					       .sent = peer->number[2],
					       .echoed = peer->number[3],
					       .failed = peer->number[4]};
	return err;
}
