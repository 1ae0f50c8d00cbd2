/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/secret.h"

#include "engine/notify.h"
#include "engine/ops.h"
#include "engine/probe_set.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* One at a time: the worker asks again when it is told so. */
struct sc_secret {
	struct sc_sync_job job;
	struct sc_engine *engine;
	struct sc_reply_to to;
	char path[PATH_MAX];
	int fd; /* or -errno */
};

/* --- on the sync thread --- */

/* What another user could have put there is no secret of the operator's, and might be somebody
 * else's file behind a link. */
static int check(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

static void run(struct sc_sync_job *job)
{
	struct sc_secret *s = (struct sc_secret *)job;
	_cleanup_close_ int fd = open(s->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int r = fd < 0 ? -errno : check(fd);

	s->fd = r < 0 ? r : SC_TAKE_FD(fd);
}

/* --- on the loop --- */

static const char *explain(int error)
{
	switch (error) {
	case EPERM:
		return "its secret file is not root's alone to write";
	case EINVAL:
		return "its secret file is no regular file";
	default:
		return strerror(error);
	}
}

static void finish(struct sc_sync_job *job)
{
	struct sc_secret *s = (struct sc_secret *)job;
	int r = SC_MIN(s->fd, 0);
	struct sc_str reply;
	struct sc_json j;

	sc_str_init_heap(&reply);
	sc_json_init(&j, &reply);
	sc_json_object_begin(&j);
	sc_json_member_i64(&j, "exit", r < 0 ? SC_EXIT_FAILED : SC_EXIT_DONE);
	sc_json_member_text(&j, "error", r < 0 ? explain(-r) : NULL);
	sc_json_object_end(&j);
	sc_control_reply_fd(&s->engine->control, s->to, &reply, SC_MAX(s->fd, -1));
	s->fd = -1;
}

static const char *file_of_probe(const struct sc_engine *e, const char *name)
{
	for (size_t i = 0; i < e->probes->n; i++)
		if (strcmp(e->probes->probe[i].name, name) == 0)
			return e->probes->probe[i].token_file;
	return NULL;
}

void sc_op_secret(struct sc_op_call *call)
{
	struct sc_secret *s = call->e->secret;
	const char *sink = sc_op_text(call, "sink");
	const char *name = sink ? sink : sc_op_need(call, "probe", "whose secret it is");
	const char *path;

	if (!call->who.worker)
		sc_op_fail(call, SC_EXIT_USAGE, "only a worker is given secrets");
	if (call->exit != SC_EXIT_DONE)
		return;
	path = sink ? sc_notifiers_secret_file(call->e, sink) : file_of_probe(call->e, name);
	if (s->job.is_busy)
		sc_op_fail(call, SC_EXIT_FAILED, "the one before is not open yet");
	else if (!path)
		sc_op_fail(call, SC_EXIT_FAILED, "it has none");
	else if (!sc_strcopy(s->path, sizeof(s->path), path))
		sc_op_fail(call, SC_EXIT_FAILED, "the name of its file is too long");
	if (call->exit != SC_EXIT_DONE)
		return;
	s->to = call->to;
	call->is_deferred = true;
	sc_syncer_order(&call->e->syncer, &s->job);
}

int sc_secret_open(struct sc_engine *e)
{
	struct sc_secret *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->job = (struct sc_sync_job){.run = run, .finish = finish};
	s->engine = e;
	s->fd = -1;
	e->secret = s;
	return 0;
}

void sc_secret_close(struct sc_engine *e)
{
	struct sc_secret *s = SC_TAKE_PTR(e->secret);

	if (s)
		sc_close(&s->fd);
	free(s);
}
