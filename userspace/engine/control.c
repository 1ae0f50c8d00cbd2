/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/control.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/ops.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define GROUPS_MAX 256

static void drop_peer(struct sc_control_peer *p)
{
	sc_loop_remove(p->control->loop, &p->watch);
	sc_close(&p->watch.fd);
	sc_frame_reader_done(&p->reader);
	sc_str_done(&p->reply);
	p->waiting = false;
	p->serial++;
}

static void send_some(struct sc_control_peer *p)
{
	int r = sc_frame_write(&p->writer, p->watch.fd);

	if (r == 0)
		return;
	if (r < 0) {
		drop_peer(p);
		return;
	}
	sc_str_done(&p->reply);
	sc_frame_reader_reset(&p->reader);
	p->waiting = false;
	p->deadline_ns = sc_mono_ns() + SC_CONTROL_PEER_TIMEOUT_NS;
	(void)sc_loop_change(p->control->loop, &p->watch, EPOLLIN);
}

static void receive_some(struct sc_control_peer *p)
{
	struct sc_control *c = p->control;
	int r = sc_frame_read(&p->reader, p->watch.fd);

	if (r == 0)
		return;
	if (r < 0) {
		drop_peer(p);
		return;
	}
	p->waiting = true;
	p->deadline_ns = 0;
	/* Nothing more is read until the answer is out; a hang-up is still noticed. */
	(void)sc_loop_change(c->loop, &p->watch, 0);
	sc_ops_serve(c->engine, &p->who, (struct sc_reply_to){(uint32_t)(p - c->peers), p->serial},
		     p->reader.data, p->reader.size);
}

static void peer_ready(void *owner, uint32_t events)
{
	struct sc_control_peer *p = owner;

	if (events & EPOLLOUT)
		send_some(p);
	else if (events & EPOLLIN)
		receive_some(p);
	else
		drop_peer(p);
}

/* Root, or a member of the group scram by primary or supplementary group. */
static bool is_allowed(const struct sc_control *c, int fd, const struct sc_principal *who)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof(groups);

	if (who->uid == 0)
		return true;
	if (c->group == (gid_t)-1)
		return false;
	if (who->gid == c->group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(gid_t); i++)
		if (groups[i] == c->group)
			return true;
	return false;
}

static bool identify(int fd, struct sc_principal *who)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return false;
	*who = (struct sc_principal){.uid = cred.uid, .gid = cred.gid, .pid = cred.pid};
	return true;
}

/* The last places are kept for root: others must not be able to lock the operator out. */
static struct sc_control_peer *free_place(struct sc_control *c, const struct sc_principal *who)
{
	size_t n = who->uid == 0 ? SC_CONTROL_PEERS_MAX
				 : SC_CONTROL_PEERS_MAX - SC_CONTROL_PEERS_ROOT;

	for (size_t i = 0; i < n; i++)
		if (c->peers[i].watch.fd < 0)
			return &c->peers[i];
	return NULL;
}

static void accept_peer(void *owner, uint32_t events)
{
	struct sc_control *c = owner;
	_cleanup_close_ int fd = accept4(c->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct sc_control_peer *p;
	struct sc_principal who;

	(void)events;
	if (fd < 0) {
		/* Out of descriptors or memory the connection stays in the queue: not asked again
		 * before the next housekeeping, or the loop would spin on it. */
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			c->rests = sc_loop_change(c->loop, &c->listener, 0) == 0;
		return;
	}
	p = identify(fd, &who) && is_allowed(c, fd, &who) ? free_place(c, &who) : NULL;
	if (!p) {
		c->refused++;
		return;
	}
	p->who = who;
	p->waiting = false;
	p->deadline_ns = sc_mono_ns() + SC_CONTROL_PEER_TIMEOUT_NS;
	p->watch.fd = SC_TAKE_FD(fd);
	sc_frame_reader_init_heap(&p->reader, SC_REQUEST_SIZE_MAX);
	if (sc_loop_add(c->loop, &p->watch, EPOLLIN) < 0)
		drop_peer(p);
}

void sc_control_reply(struct sc_control *c, struct sc_reply_to to, struct sc_str *reply)
{
	struct sc_control_peer *p = to.place < SC_CONTROL_PEERS_MAX ? &c->peers[to.place] : NULL;

	if (!p || p->watch.fd < 0 || p->serial != to.serial || !p->waiting) {
		sc_str_done(reply);
		return;
	}
	if (reply->truncated || reply->len == 0 || reply->len > SC_REPLY_SIZE_MAX) {
		sc_log_error("reply to uid %u dropped: %zu bytes%s", p->who.uid, reply->len,
			     reply->truncated ? ", out of memory" : "");
		sc_str_done(reply);
		drop_peer(p);
		return;
	}
	p->reply = *reply;
	*reply = (struct sc_str){0};
	sc_frame_writer_init(&p->writer, p->reply.data, p->reply.len);
	p->deadline_ns = sc_mono_ns() + SC_CONTROL_PEER_TIMEOUT_NS;
	(void)sc_loop_change(c->loop, &p->watch, EPOLLOUT);
}

void sc_control_expire(struct sc_control *c, uint64_t mono_ns)
{
	if (c->rests)
		c->rests = sc_loop_change(c->loop, &c->listener, EPOLLIN) < 0;
	for (size_t i = 0; i < SC_CONTROL_PEERS_MAX; i++) {
		struct sc_control_peer *p = &c->peers[i];

		if (p->watch.fd >= 0 && p->deadline_ns && mono_ns > p->deadline_ns)
			drop_peer(p);
	}
}

static int bind_socket(struct sc_control *c, const char *run_dir)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct group *group = getgrnam("scram");
	mode_t mask;
	int r;

	c->group = group ? group->gr_gid : (gid_t)-1;
	if (fd < 0)
		return -errno;
	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", run_dir, SC_CONTROL_SOCKET) >=
	    (int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	/* The state directory's lock is held: a socket found here belongs to a dead predecessor. */
	(void)unlink(addr.sun_path);
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0)
		return r;
	if (group && (chown(addr.sun_path, 0, group->gr_gid) < 0 || chmod(addr.sun_path, 0660) < 0))
		return -errno;
	if (listen(fd, SC_CONTROL_PEERS_MAX) < 0)
		return -errno;
	c->listener.fd = SC_TAKE_FD(fd);
	return 0;
}

int sc_control_open(struct sc_control *c, struct sc_loop *loop, struct sc_engine *engine,
		    const char *run_dir)
{
	int r;

	*c = (struct sc_control){
		.listener = {.fd = -1, .ready = accept_peer, .owner = c},
		.loop = loop,
		.engine = engine,
	};
	for (size_t i = 0; i < SC_CONTROL_PEERS_MAX; i++) {
		c->peers[i].watch = (struct sc_watch){
			.fd = -1, .ready = peer_ready, .owner = &c->peers[i]};
		c->peers[i].control = c;
	}
	r = bind_socket(c, run_dir);
	if (r < 0)
		return r;
	return sc_loop_add(loop, &c->listener, EPOLLIN);
}

void sc_control_close(struct sc_control *c, const char *run_dir)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];

	for (size_t i = 0; i < SC_CONTROL_PEERS_MAX; i++)
		if (c->peers[i].watch.fd >= 0)
			drop_peer(&c->peers[i]);
	if (c->listener.fd < 0)
		return;
	sc_loop_remove(c->loop, &c->listener);
	sc_close(&c->listener.fd);
	if (snprintf(path, sizeof(path), "%s/%s", run_dir, SC_CONTROL_SOCKET) < (int)sizeof(path))
		(void)unlink(path);
}
