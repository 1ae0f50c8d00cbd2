/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of reports: whose they are, how many are taken, when they are no longer known. */
#include "engine/app.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define SLOTS 4
#define T0    (1000 * SC_NS_PER_S)

/* A socket in memory: `left` times the same datagram. */
struct socket {
	const char *text;
	struct sc_app_datagram datagram;
	unsigned int left;
};

static int receive(void *ctx, void *buf, size_t room, struct sc_app_datagram *out)
{
	struct socket *s = ctx;

	if (s->left == 0)
		return 0;
	s->left--;
	memcpy(buf, s->text, SC_MIN(room, strlen(s->text)));
	*out = s->datagram;
	out->size = strlen(s->text);
	return 1;
}

struct world {
	struct socket socket;
	struct sc_notify_port port;
	struct sc_app app;
};

static void open_world(struct world *w)
{
	const struct sc_kernel_port kernel = {.slots = SLOTS};

	*w = (struct world){.port = {.ctx = &w->socket, .fd = -1, .receive = receive}};
	cr_assert_eq(sc_app_init(&w->app, &kernel, &w->port), 0);
}

static void send_reports(struct world *w, uint32_t slot, uint64_t id, const char *text,
			 unsigned int n)
{
	w->socket = (struct socket){
		.text = text, .datagram = {.cgroup_id = id, .slot = slot}, .left = n};
}

static const struct sc_app_entry *report(struct world *w, uint32_t slot, uint64_t id,
					 const char *text, uint64_t at_ns)
{
	send_reports(w, slot, id, text, 1);
	sc_app_listen(&w->app, at_ns);
	return &w->app.entries[SC_MIN(slot, SLOTS - 1U)];
}

Test(app, report_is_kept_for_its_cgroup_alone)
{
	struct world w;
	const struct sc_app_entry *e;

	open_world(&w);
	e = report(&w, 2, 77, "HEARTBEAT=1\nQUEUE_DEPTH=5\nGAUGE_3=9", T0);
	cr_expect_eq(e->cgroup_id, 77);
	cr_expect_eq(e->heartbeat_ns, T0);
	cr_expect_eq(e->queue_depth, 5);
	cr_expect_eq(e->gauges[2], 9);
	cr_expect(isnan(e->gauges[0]));
	cr_expect_eq(e->session_ns, 0);
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		cr_expect(slot == 2 || w.app.entries[slot].cgroup_id == 0);
	sc_app_done(&w.app);
}

Test(app, slot_of_another_cgroup_begins_with_nothing)
{
	struct world w;
	const struct sc_app_entry *e;

	open_world(&w);
	report(&w, 1, 77, "HEARTBEAT=1\nQUEUE_DEPTH=5\nSESSION=a\nGAUGE_1=1", T0);
	report(&w, 1, 77, "what?", T0);
	e = report(&w, 1, 78, "GAUGE_2=4", T0 + 1);
	cr_expect_eq(e->cgroup_id, 78);
	cr_expect_eq(e->heartbeat_ns, 0);
	cr_expect_eq(e->sessions, 0);
	cr_expect_eq(e->session_ns, 0);
	cr_expect_eq(e->refused, 0);
	cr_expect(isnan(e->queue_depth));
	cr_expect(isnan(e->gauges[0]));
	cr_expect_eq(e->gauges[1], 4);
	sc_app_done(&w.app);
}

Test(app, malformed_report_changes_nothing_and_is_counted_for_its_sender)
{
	struct world w;
	const struct sc_app_entry *e;

	open_world(&w);
	report(&w, 0, 5, "QUEUE_DEPTH=1", T0);
	e = report(&w, 0, 5, "QUEUE_DEPTH=2\nCGROUP=/other", T0 + 1);
	cr_expect_eq(e->queue_depth, 1);
	cr_expect_eq(e->refused, 1);
	cr_expect_eq(atomic_load(&w.app.malformed), 1);
	cr_expect_eq(atomic_load(&w.app.reports), 1);
	sc_app_done(&w.app);
}

Test(app, sender_without_a_slot_is_a_stranger)
{
	struct world w;

	open_world(&w);
	report(&w, SC_SLOT_NONE, 0, "HEARTBEAT=1", T0);
	cr_expect_eq(atomic_load(&w.app.strangers), 1);
	cr_expect_eq(atomic_load(&w.app.reports), 0);
	sc_app_done(&w.app);
}

Test(app, session_begins_with_another_id_only)
{
	struct world w;
	const struct sc_app_entry *e;

	open_world(&w);
	e = report(&w, 0, 5, "SESSION=a", T0);
	cr_expect_eq(e->sessions, 1);
	report(&w, 0, 5, "SESSION=a\nHEARTBEAT=1", T0 + 5);
	cr_expect_eq(e->sessions, 1);
	cr_expect_eq(e->session_ns, T0);
	report(&w, 0, 5, "SESSION=b", T0 + 9);
	cr_expect_eq(e->sessions, 2);
	cr_expect_eq(e->session_ns, T0 + 9);
	sc_app_done(&w.app);
}

Test(app, flood_uses_up_its_own_allowance_and_no_other)
{
	struct world w;
	uint64_t now = T0;

	open_world(&w);
	send_reports(&w, 0, 5, "HEARTBEAT=1", 1000);
	while (w.socket.left)
		sc_app_listen(&w.app, now);
	cr_expect_eq(atomic_load(&w.app.reports), SC_APP_BURST);
	cr_expect_eq(w.app.entries[0].refused, 1000 - SC_APP_BURST);
	cr_expect_eq(atomic_load(&w.app.throttled), 1000 - SC_APP_BURST);

	report(&w, 1, 6, "HEARTBEAT=1", now);
	cr_expect_eq(w.app.entries[1].heartbeat_ns, now);
	cr_expect_eq(w.app.entries[1].refused, 0);

	now += SC_NS_PER_S;
	send_reports(&w, 0, 5, "HEARTBEAT=1", 1000);
	while (w.socket.left)
		sc_app_listen(&w.app, now);
	cr_expect_eq(atomic_load(&w.app.reports), SC_APP_BURST + 1 + SC_APP_PER_S);
	sc_app_done(&w.app);
}

Test(app, one_look_takes_a_bounded_number)
{
	struct world w;

	open_world(&w);
	send_reports(&w, 0, 5, "HEARTBEAT=1", SC_APP_BATCH + 10);
	sc_app_listen(&w.app, T0);
	cr_expect_eq(w.socket.left, 10);
	cr_expect_eq(atomic_load(&w.app.heard_ns), 0, "the socket was not found empty");
	sc_app_listen(&w.app, T0 + 1);
	cr_expect_eq(atomic_load(&w.app.heard_ns), T0 + 1);
	sc_app_done(&w.app);
}

Test(app, silence_is_counted_from_the_end_of_a_gap)
{
	struct world w;
	struct sc_source source = {0};

	open_world(&w);
	sc_app_listen(&w.app, T0);
	sc_app_listen(&w.app, T0 + SC_APP_STALE_NS);
	sc_app_fill_source(&w.app, &source);
	cr_expect_eq(source.app_since_ns, T0);
	cr_expect_eq(source.app_heard_ns, T0 + SC_APP_STALE_NS);
	sc_app_listen(&w.app, T0 + 3 * SC_APP_STALE_NS);
	sc_app_fill_source(&w.app, &source);
	cr_expect_eq(source.app_since_ns, T0 + 3 * SC_APP_STALE_NS);
	sc_app_done(&w.app);
}

static uint64_t refused_in_kernel(void *ctx)
{
	(void)ctx;
	return 12;
}

Test(app, what_the_kernel_refused_is_counted_once_and_nothing_is_judged_twice)
{
	struct world w;

	open_world(&w);
	w.port.refused = refused_in_kernel;
	send_reports(&w, 0, 5, "HEARTBEAT=1", 2 * SC_APP_BURST);
	w.socket.datagram.refused = 7;
	sc_app_listen(&w.app, T0);
	cr_expect_eq(atomic_load(&w.app.reports), 2 * SC_APP_BURST);
	cr_expect_eq(w.app.entries[0].refused, 7);
	send_reports(&w, 0, 5, "HEARTBEAT=1", 1);
	w.socket.datagram.refused = 9;
	sc_app_listen(&w.app, T0);
	cr_expect_eq(w.app.entries[0].refused, 9);
	/* The kernel forgot the cgroup and began anew. */
	send_reports(&w, 0, 5, "HEARTBEAT=1", 1);
	w.socket.datagram.refused = 2;
	sc_app_listen(&w.app, T0);
	cr_expect_eq(w.app.entries[0].refused, 11);
	sc_app_done(&w.app);
}
