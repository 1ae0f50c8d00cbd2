/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe/prober.h"

#include "worker/probe/notify.h"
#include "worker/probe/schedule.h"

#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

/* --- what the core says --- */

json_t *sc_prober_ask(struct sc_prober *p, const char *request, size_t size, int *fd)
{
	_cleanup_link_message_ struct sc_link_message reply = {.fd = -1};
	int r = p->link_error ? p->link_error : sc_link_ask(p->link, request, size, &reply);
	json_t *root = r == 0 ? json_loadb(reply.text, reply.size, JSON_REJECT_DUPLICATES, NULL)
			      : NULL;

	if (fd)
		*fd = SC_TAKE_FD(reply.fd);
	if (!root)
		p->link_error = r < 0 ? r : -EPROTO;
	return root;
}

/* What is to be asked, anew. */
static void ask_list(struct sc_prober *p)
{
	static const char request[] = "{\"op\":\"probe.list\"}";
	json_t *reply = sc_prober_ask(p, request, sizeof(request) - 1, NULL);
	int r = reply ? sc_schedule_update(p->schedule, reply) : 0;

	if (r < 0)
		sc_log_error("the list of probes: %s", strerror(-r));
	r = reply ? sc_notify_update(p->notify, json_object_get(reply, "notify")) : 0;
	if (r < 0)
		sc_log_error("the list of those who are told: %s", strerror(-r));
	json_decref(reply);
}

static void take_changed(struct sc_prober *p, const struct sc_link_message *m)
{
	json_t *root = json_loadb(m->text, m->size, JSON_REJECT_DUPLICATES, NULL);
	uint64_t conditions = (uint64_t)json_integer_value(json_object_get(root, "conditions"));
	uint64_t seq = (uint64_t)json_integer_value(json_object_get(root, "seq"));

	json_decref(root);
	if (conditions != p->conditions) {
		p->conditions = conditions;
		ask_list(p);
	}
	/* After the list: it says who is told of what was written since. */
	sc_notify_changed(p->notify, seq);
}

/* Takes all that has come; what is asked meanwhile may bring more. */
static void drain(struct sc_prober *p)
{
	int r = 1;

	while (r == 1 && !p->stops && !p->link_error) {
		_cleanup_link_message_ struct sc_link_message m = {.fd = -1};

		r = sc_link_take(p->link, 0, &m);
		if (r < 0)
			p->link_error = r;
		else if (r == 1 && sc_link_is_event(&m, SC_EVENT_STOP))
			p->stops = true;
		else if (r == 1 && sc_link_is_event(&m, SC_EVENT_CHANGED))
			take_changed(p, &m);
	}
}

/* Wakes the loop, which drains the link before each turn. */
static void on_link(void *owner, uint32_t events)
{
	(void)owner;
	(void)events;
}

/* --- the process --- */

static int read_hello(struct sc_prober *p, const struct sc_link_message *hello)
{
	json_t *root = json_loadb(hello->text, hello->size, JSON_REJECT_DUPLICATES, NULL);
	const char *host = json_string_value(json_object_get(root, "host"));
	const char *cgroup = json_string_value(json_object_get(root, "cgroup"));
	const char *why = json_string_value(json_object_get(root, "cgroup_why"));
	int r = root ? 0 : -EPROTO;

	sc_strcopy(p->host, sizeof(p->host), host ? host : "");
	if (r == 0 && sc_execs_init(&p->execs, &p->reactor, cgroup) < 0)
		why = strerror(errno);
	if (r == 0 && p->execs.cgroup_fd < 0)
		sc_log_warning("programs run without a cgroup of their own: %s; what one leaves "
			       "behind may outlive it",
			       why ? why : "none was given");
	p->notify = sc_notify_new(p, root);
	json_decref(root);
	return r;
}

int sc_prober_init(struct sc_prober *p, struct sc_link *link, const struct sc_link_message *hello)
{
	int r;

	*p = (struct sc_prober){.link = link,
				.execs = {.cgroup_fd = -1},
				.link_watch = {.fd = sc_link_fd(link), .ready = on_link}};
	r = sc_reactor_init(&p->reactor);
	if (r < 0)
		return r;
	r = read_hello(p, hello);
	if (r == 0)
		p->schedule = sc_schedule_new(p);
	if (r == 0 && (!p->schedule || !p->notify))
		r = -ENOMEM;
	if (r == 0)
		r = sc_loop_add(&p->reactor.loop, &p->link_watch, EPOLLIN);
	if (r < 0)
		sc_prober_done(p);
	return r;
}

void sc_prober_done(struct sc_prober *p)
{
	sc_schedule_free(&p->schedule);
	sc_notify_free(&p->notify);
	sc_execs_done(&p->execs);
	sc_loop_remove(&p->reactor.loop, &p->link_watch);
	sc_reactor_done(&p->reactor);
}

/* Programs that spoil the cgroups of the others end it: the core makes all of them anew. */
int sc_prober_run(struct sc_prober *p)
{
	int r = 0;

	ask_list(p);
	while (r == 0) {
		drain(p);
		if (p->stops || p->link_error)
			return p->stops ? 0 : p->link_error;
		if (p->execs.is_spoiled) {
			sc_log_error("a program has made cgroups beside its own");
			return -EOWNERDEAD;
		}
		r = sc_reactor_turn(&p->reactor);
	}
	return r;
}
