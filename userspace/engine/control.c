/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/control.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/refusals.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#define GROUPS_MAX 256

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

static void turn_away(struct sc_control *c, const struct sc_principal *who, const char *why)
{
	char name[32];

	c->refused++;
	snprintf(name, sizeof(name), "uid:%u", who->uid);
	sc_refusals_note(c->engine, &(struct sc_refusal){.channel = SC_CONTROL_SOCKET,
							 .who = name,
							 .what = "connect",
							 .why = why,
							 .count = 1});
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
	if (!identify(fd, &who))
		return;
	if (!is_allowed(c, fd, &who)) {
		turn_away(c, &who, "neither root nor of the group scram");
		return;
	}
	p = free_place(c, &who);
	if (!p) {
		turn_away(c, &who, "all places are taken");
		return;
	}
	if (sc_control_peer_begin(p, fd, &who) == 0)
		(void)SC_TAKE_FD(fd);
}

static void on_rest_over(void *owner, uint32_t events)
{
	struct sc_control *c = owner;
	uint64_t expirations;

	(void)events;
	(void)!read(c->rest_timer.fd, &expirations, sizeof(expirations));
	sc_control_end_rest(c);
}

void sc_control_expire(struct sc_control *c, uint64_t mono_ns)
{
	if (c->rests)
		c->rests = sc_loop_change(c->loop, &c->listener, EPOLLIN) < 0;
	for (size_t i = 0; i < SC_CONTROL_PLACES; i++) {
		struct sc_control_peer *p = &c->peers[i];

		if (p->watch.fd >= 0 && p->deadline_ns && mono_ns > p->deadline_ns)
			sc_control_peer_drop(p, "it did not read or finish a message in time");
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
	(void)sc_refuse_descriptors(fd);
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
		.rest_timer = {.fd = -1, .ready = on_rest_over, .owner = c},
		.loop = loop,
		.engine = engine,
	};
	for (size_t i = 0; i < SC_CONTROL_PLACES; i++)
		sc_control_peer_init(c, &c->peers[i]);
	c->rest_timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r = c->rest_timer.fd < 0 ? -errno : sc_loop_add(loop, &c->rest_timer, EPOLLIN);
	if (r < 0)
		return r;
	r = bind_socket(c, run_dir);
	if (r < 0)
		return r;
	return sc_loop_add(loop, &c->listener, EPOLLIN);
}

void sc_control_close(struct sc_control *c, const char *run_dir)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];

	for (size_t i = 0; i < SC_CONTROL_PLACES; i++)
		if (c->peers[i].watch.fd >= 0)
			sc_control_peer_drop(&c->peers[i], NULL);
	if (c->rest_timer.fd >= 0) {
		sc_loop_remove(c->loop, &c->rest_timer);
		sc_close(&c->rest_timer.fd);
	}
	if (c->listener.fd < 0)
		return;
	sc_loop_remove(c->loop, &c->listener);
	sc_close(&c->listener.fd);
	if (snprintf(path, sizeof(path), "%s/%s", run_dir, SC_CONTROL_SOCKET) < (int)sizeof(path))
		(void)unlink(path);
}
