/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe/reactor.h"

#include "worker/probe/http.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>

int sc_reactor_init(struct sc_reactor *r)
{
	int e;

	*r = (struct sc_reactor){0};
	e = sc_loop_init(&r->loop);
	if (e < 0)
		return e;
	r->multi = curl_multi_init();
	if (!r->multi) {
		sc_loop_done(&r->loop);
		return -ENOMEM;
	}
	/* Each connection is used once. */
	curl_multi_setopt(r->multi, CURLMOPT_MAXCONNECTS, 1L);
	return 0;
}

void sc_reactor_done(struct sc_reactor *r)
{
	SC_ASSERT(!r->alarms);
	curl_multi_cleanup(r->multi);
	r->multi = NULL;
	sc_loop_done(&r->loop);
}

static void link_alarm(struct sc_alarm **list, struct sc_alarm *a)
{
	a->next = *list;
	a->link = list;
	if (a->next)
		a->next->link = &a->next;
	*list = a;
}

static void unlink_alarm(struct sc_alarm *a)
{
	*a->link = a->next;
	if (a->next)
		a->next->link = a->link;
	a->link = NULL;
}

void sc_alarm_set(struct sc_reactor *r, struct sc_alarm *alarm, uint64_t at_ns)
{
	sc_alarm_stop(alarm);
	alarm->at_ns = SC_MAX(at_ns, 1ULL);
	link_alarm(&r->alarms, alarm);
}

void sc_alarm_stop(struct sc_alarm *alarm)
{
	if (alarm->link)
		unlink_alarm(alarm);
	alarm->at_ns = 0;
}

/* Those that are due at the begin, each once: what it sets again rings in the next turn. */
static void ring_due(struct sc_reactor *r, uint64_t now_ns)
{
	struct sc_alarm *due = NULL, *next;

	for (struct sc_alarm *a = r->alarms; a; a = next) {
		next = a->next;
		if (a->at_ns > now_ns)
			continue;
		unlink_alarm(a);
		link_alarm(&due, a);
	}
	while (due) {
		struct sc_alarm *a = due;

		sc_alarm_stop(a);
		a->ring(a->owner);
	}
}

/* Milliseconds to the next alarm, rounded up. */
static int wait_ms(const struct sc_reactor *r)
{
	const uint64_t longest = 3600 * SC_NS_PER_S;
	uint64_t now = sc_mono_ns(), at = now + longest;

	for (const struct sc_alarm *a = r->alarms; a; a = a->next)
		at = SC_MIN(at, a->at_ns);
	return at <= now ? 0 : (int)((at - now + SC_NS_PER_MS - 1) / SC_NS_PER_MS);
}

int sc_reactor_turn(struct sc_reactor *r)
{
	/* An epoll descriptor is readable when one of its own is ready: libcurl waits for both. */
	struct curl_waitfd loop = {.fd = r->loop.epoll_fd, .events = CURL_WAIT_POLLIN};
	int running, e;

	if (curl_multi_poll(r->multi, &loop, 1, wait_ms(r), NULL) != CURLM_OK)
		return -EIO;
	ring_due(r, sc_mono_ns());
	e = sc_loop_once(&r->loop, 0);
	if (e < 0)
		return e;
	if (curl_multi_perform(r->multi, &running) != CURLM_OK)
		return -EIO;
	sc_http_collect(r);
	return 0;
}
