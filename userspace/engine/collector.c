/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/collector.h"

#include "base/bell.h"
#include "base/clock.h"

#include <limits.h>

/* A pass begins before the tick that it is for by this and twice what the last one took. */
#define PASS_LEAD_NS (5 * SC_NS_PER_MS)

int sc_collector_init(struct sc_collector *c, const struct sc_kernel_port *kernel,
		      struct sc_app *app)
{
	int r;

	*c = (struct sc_collector){
		.kernel = kernel, .app = app, .order_bell = -1, .report_bell = -1};
	/* A slot can have a LEARN, a RECYCLE and a FREE waiting. */
	r = sc_spsc_init(&c->orders, sizeof(struct sc_collect_order), kernel->slots * 3 + 1);
	if (r == 0)
		r = sc_spsc_init(&c->reports, sizeof(struct sc_collect_report),
				 kernel->slots * 2 + 1);
	if (r < 0)
		return r;
	c->order_bell = sc_bell_open();
	c->report_bell = sc_bell_open();
	return c->order_bell < 0 || c->report_bell < 0 ? -EMFILE : 0;
}

static void note_pass(struct sc_collector *c, int r, _Atomic uint64_t *when)
{
	if (r < 0) {
		atomic_fetch_add(&c->pass_failures, 1);
		atomic_store(&c->pass_error, r);
		return;
	}
	atomic_store(when, sc_mono_ns());
}

static void run_passes(struct sc_collector *c)
{
	uint64_t begin = sc_mono_ns();
	uint64_t number = 0;
	int r;

	if (begin >= atomic_load(&c->pass_due_ns) && atomic_exchange(&c->pass_wanted, false)) {
		r = c->kernel->pass_cgroups(c->kernel->ctx);
		note_pass(c, r, &c->cgroup_pass_ns);
		atomic_store(&c->pass_us, (sc_mono_ns() - begin) / SC_NS_PER_US);
	}
	if (begin - atomic_load(&c->task_pass_ns) < SC_TASK_PASS_INTERVAL_NS)
		return;
	r = c->kernel->pass_tasks(c->kernel->ctx, &number);
	if (r == 0)
		atomic_store(&c->task_pass, number);
	note_pass(c, r, &c->task_pass_ns);
}

static void report_recycled(struct sc_collector *c, uint32_t slot)
{
	struct sc_collect_report report = {.kind = SC_COLLECT_RECYCLE, .slot = slot};

	/* The queue has room for one answer of each kind for every slot. */
	SC_ASSERT(sc_spsc_push(&c->reports, &report));
}

static void recycle(struct sc_collector *c)
{
	uint64_t now = sc_mono_ns();

	if (c->n_to_recycle == 0 ||
	    (c->n_to_recycle < SC_RECYCLE_MAX && now - c->recycled_ns < SC_RECYCLE_INTERVAL_NS))
		return;
	c->kernel->recycle(c->kernel->ctx, c->to_recycle, c->n_to_recycle);
	for (size_t i = 0; i < c->n_to_recycle; i++)
		report_recycled(c, c->to_recycle[i]);
	c->n_to_recycle = 0;
	c->recycled_ns = now;
	sc_bell_ring(c->report_bell);
}

static void learn(struct sc_collector *c, const struct sc_collect_order *order,
		  struct sc_collect_report *report)
{
	char path[PATH_MAX];

	if (c->kernel->path_of(c->kernel->ctx, order->cgroup_id, path, sizeof(path)) == 0)
		report->path = strdup(path);
}

static void audit(struct sc_audit_job *job)
{
	job->result = job->traffic->ops->audit(job->traffic->ctx, job->cuts, job->n, job->counts,
					       &job->out);
}

static void obey(struct sc_collector *c, const struct sc_collect_order *order)
{
	struct sc_collect_report report = {
		.kind = SC_COLLECT_LEARN, .slot = order->slot, .cgroup_id = order->cgroup_id};

	switch (order->kind) {
	case SC_COLLECT_FREE:
		free(order->path);
		return;
	case SC_COLLECT_RECYCLE:
		c->to_recycle[c->n_to_recycle++] = order->slot;
		if (c->n_to_recycle == SC_RECYCLE_MAX)
			recycle(c);
		return;
	case SC_COLLECT_AUDIT:
		audit(order->audit);
		report.kind = SC_COLLECT_AUDIT;
		SC_ASSERT(sc_spsc_push(&c->reports, &report));
		return;
	case SC_COLLECT_LEARN:
		learn(c, order, &report);
		SC_ASSERT(sc_spsc_push(&c->reports, &report));
		return;
	}
}

/* How long until a pass is due; a second at most. */
static int pass_wait_ms(struct sc_collector *c)
{
	uint64_t now = sc_mono_ns(), due = atomic_load(&c->pass_due_ns);

	if (!atomic_load(&c->pass_wanted))
		return 1000;
	return due <= now ? 0 : (int)SC_MIN((due - now) / SC_NS_PER_MS + 1, (uint64_t)1000);
}

/* Until there is an order or a report, or a pass is due. */
static void wait_for_work(struct sc_collector *c)
{
	struct pollfd p[] = {
		{.fd = c->order_bell, .events = POLLIN},
		{.fd = c->app->port->receive ? c->app->port->fd : -1, .events = POLLIN},
	};

	(void)poll(p, SC_ARRAY_SIZE(p), pass_wait_ms(c));
	sc_bell_clear(c->order_bell);
}

static void *collect(void *arg)
{
	struct sc_collector *c = arg;
	struct sc_collect_order order;

	while (!atomic_load(&c->stop)) {
		bool answered = false;

		wait_for_work(c);
		sc_app_listen(c->app, sc_mono_ns());
		while (sc_spsc_pop(&c->orders, &order)) {
			obey(c, &order);
			answered = true;
		}
		if (answered)
			sc_bell_ring(c->report_bell);
		run_passes(c);
		recycle(c);
	}
	return NULL;
}

int sc_collector_start(struct sc_collector *c)
{
	int r = pthread_create(&c->thread, NULL, collect, c);

	if (r != 0)
		return -r;
	(void)pthread_setname_np(c->thread, "scram-collect");
	c->running = true;
	return 0;
}

void sc_collector_done(struct sc_collector *c)
{
	struct sc_collect_order order;
	struct sc_collect_report report;

	if (c->running) {
		atomic_store(&c->stop, true);
		sc_bell_ring(c->order_bell);
		pthread_join(c->thread, NULL);
		c->running = false;
	}
	while (c->orders.items && sc_spsc_pop(&c->orders, &order))
		free(order.path);
	while (c->reports.items && sc_spsc_pop(&c->reports, &report))
		free(report.path);
	sc_spsc_done(&c->orders);
	sc_spsc_done(&c->reports);
	sc_close(&c->order_bell);
	sc_close(&c->report_bell);
}

int sc_collector_pass_now(struct sc_collector *c)
{
	atomic_store(&c->pass_wanted, true);
	run_passes(c);
	return atomic_load(&c->pass_error);
}

void sc_collector_ask_pass(struct sc_collector *c, uint64_t tick_ns, uint64_t interval_ns)
{
	uint64_t lead = PASS_LEAD_NS + 2 * atomic_load(&c->pass_us) * SC_NS_PER_US;

	lead = SC_MIN(lead, interval_ns / 2);
	atomic_store(&c->pass_due_ns, tick_ns > lead ? tick_ns - lead : 0);
	atomic_store(&c->pass_wanted, true);
	sc_bell_ring(c->order_bell);
}

bool sc_collector_order(struct sc_collector *c, const struct sc_collect_order *order)
{
	return sc_spsc_push(&c->orders, order);
}
