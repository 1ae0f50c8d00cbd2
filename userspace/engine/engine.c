/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's life: the loop and what wakes it. */
#include "engine/core.h"
#include "engine/listing.h"
#include "engine/refusals.h"
#include "engine/workers.h"

#include "base/log.h"
#include "record/fold.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

/* A stop waits so long for fires under way; what is not verified by then is found by the next
 * start. */
#define STOP_WAIT_NS (3 * SC_NS_PER_S)
/* After a tick that took longer than the interval. */
#define REST_NS SC_NS_PER_MS

void sc_engine_take_switches(struct sc_engine *e)
{
	const struct sc_fold_switch *s = sc_fold_disarmed(e->fold);

	e->disarmed.is_on = s->is_on;
	sc_strcopy(e->disarmed.reason, sizeof(e->disarmed.reason), s->reason);
	sc_strcopy(e->disarmed.operator_name, sizeof(e->disarmed.operator_name), s->operator_name);
	sc_strcopy(e->disarmed.since, sizeof(e->disarmed.since), s->since);
	sc_statefile_touch(&e->statefile, e->now.mono_ns);
}

/* --interval, then the environment, then the file's tick, then the default. */
static uint64_t choose_interval(const struct sc_engine *e)
{
	const char *env = getenv("SCRAM_EVAL_INTERVAL_S");
	char *end;
	double s;

	if (e->options->interval_ns)
		return e->options->interval_ns;
	if (!env || !env[0])
		return e->config.tick_ns;
	s = strtod(env, &end);
	if (*end == '\0' && s * 1e9 >= (double)SC_CONFIG_TICK_NS_MIN &&
	    s * 1e9 <= (double)SC_CONFIG_TICK_NS_MAX)
		return (uint64_t)(s * 1e9);
	sc_log_warning("SCRAM_EVAL_INTERVAL_S=%s is ignored: it is not a number of seconds "
		       "from 0.01 to 60",
		       env);
	return e->config.tick_ns;
}

/* The next at due_ns, then one per interval. */
static int arm_tick_timer(struct sc_engine *e)
{
	struct itimerspec spec;

	spec.it_value.tv_sec = (time_t)(e->due_ns / SC_NS_PER_S);
	spec.it_value.tv_nsec = (long)(e->due_ns % SC_NS_PER_S);
	spec.it_interval.tv_sec = (time_t)(e->interval_ns / SC_NS_PER_S);
	spec.it_interval.tv_nsec = (long)(e->interval_ns % SC_NS_PER_S);
	return timerfd_settime(e->tick_timer.fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0 ? -errno : 0;
}

int sc_engine_arm_ticks(struct sc_engine *e)
{
	e->interval_ns = choose_interval(e);
	e->due_ns = sc_mono_ns() + 1; /* the first at once */
	return arm_tick_timer(e);
}

static void housekeeping(struct sc_engine *e)
{
	bool draining = atomic_load(&e->syncer.draining);

	if (draining != e->draining) {
		e->draining = draining;
		sc_log_warning("%s", draining ? "draining: no new automatic fires"
					      : "no longer draining");
		sc_statefile_touch(&e->statefile, e->now.mono_ns);
	}
	sc_control_expire(&e->control, e->now.mono_ns);
	sc_pending_expire(e);
	sc_refusals_keep(e, false);
	e->last_housekeeping_ns = e->now.mono_ns;
}

/* Ticks that take longer than their interval would leave the loop thread no moment of sleep, and
 * RLIMIT_RTTIME ends a FIFO thread that never sleeps: the next tick begins after a rest. */
static void rest_after_overrun(struct sc_engine *e)
{
	uint64_t now = sc_mono_ns();

	if (now < e->due_ns)
		return;
	e->due_ns = now + REST_NS;
	(void)arm_tick_timer(e);
}

static void on_tick(void *owner, uint32_t events)
{
	struct sc_engine *e = owner;
	uint64_t expirations = 0;

	(void)events;
	if (read(e->tick_timer.fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	if (!e->stopping)
		sc_engine_tick_full(e);
	else
		sc_fires_look(e, SC_SLOT_NONE);
	e->due_ns += expirations * e->interval_ns;
	rest_after_overrun(e);
	if (!e->ready && !e->stopping) {
		e->ready = true;
		sc_statefile_touch(&e->statefile, e->now.mono_ns);
		sc_log_info("ready: %u cgroups below %s, %zu conditions, a tick every %.3g ms",
			    sc_targets_count(e->targets), e->ports->cgroup_root_path,
			    sc_conditions_count(e->set), (double)e->interval_ns / 1e6);
		if (sc_conditions_count(e->set) == 0)
			sc_log_warning(
				"no conditions: nothing is judged; see `scram help register`, "
				"and `conditions:` and `include:` of %s",
				e->options->config);
	}
	if (e->now.mono_ns - e->last_housekeeping_ns >= SC_NS_PER_S)
		housekeeping(e);
	sc_listing_step(e);
	sc_state_keep(e, false);
}

static void on_look(void *owner, uint32_t events)
{
	struct sc_engine *e = owner;
	uint64_t expirations;

	(void)events;
	(void)!read(e->look_timer.fd, &expirations, sizeof(expirations));
	sc_fires_look(e, SC_SLOT_NONE);
}

static void on_wakes(void *owner, uint32_t events)
{
	(void)events;
	sc_engine_tick_early(owner);
}

static void on_hand(void *owner, uint32_t events)
{
	(void)events;
	sc_fires_hand_done(owner);
}

static void on_reports(void *owner, uint32_t events)
{
	(void)events;
	sc_engine_take_reports(owner);
}

static void on_signal(void *owner, uint32_t events)
{
	struct sc_engine *e = owner;
	struct signalfd_siginfo info;
	_cleanup_str_ struct sc_str why;

	(void)events;
	sc_str_init_heap(&why);
	if (read(e->signals.fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGHUP) {
		sc_log_info("signal %u: stopping", info.ssi_signo);
		e->stopping = true;
		return;
	}
	if (sc_engine_load(e, &why) < 0)
		sc_engine_log_refusal("reload refused, the running set stays", why.data);
	else
		sc_log_info("reloaded: %zu conditions, digest %s", sc_conditions_count(e->set),
			    e->config.digest);
	(void)sc_engine_arm_ticks(e);
}

static int watch(struct sc_engine *e, struct sc_watch *w, int fd,
		 void (*ready)(void *owner, uint32_t events))
{
	*w = (struct sc_watch){.fd = fd, .ready = ready, .owner = e};
	return fd < 0 ? -errno : sc_loop_add(&e->loop, w, EPOLLIN);
}

int sc_engine_open_loop(struct sc_engine *e)
{
	const int flags = TFD_CLOEXEC | TFD_NONBLOCK;
	sigset_t set;
	int r = sc_loop_init(&e->loop);

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (r == 0)
		r = watch(e, &e->tick_timer, timerfd_create(CLOCK_MONOTONIC, flags), on_tick);
	if (r == 0)
		r = watch(e, &e->look_timer, timerfd_create(CLOCK_MONOTONIC, flags), on_look);
	if (r == 0)
		r = watch(e, &e->signals, signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
			  on_signal);
	if (r == 0)
		r = watch(e, &e->wakes, e->ports->kernel.wake_fd, on_wakes);
	if (r == 0)
		r = watch(e, &e->hand_bell, e->hand.done_bell, on_hand);
	if (r == 0)
		r = watch(e, &e->collector_bell, e->collector.report_bell, on_reports);
	return r;
}

/* Blocked in every thread, taken by signalfd; a peer that hangs up must not end the agent. */
static void take_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static bool has_work(const struct sc_engine *e)
{
	for (size_t i = 0; i < SC_ACTIVE_MAX; i++)
		if (e->active[i].stage == SC_ACTIVE_WITH_HAND ||
		    e->active[i].stage == SC_ACTIVE_VERIFYING)
			return true;
	return false;
}

static int run(struct sc_engine *e)
{
	uint64_t give_up;
	int r = 0;

	while (r == 0 && !e->stopping) {
		r = sc_loop_once(&e->loop, -1);
		sc_workers_look(e);
	}
	give_up = sc_mono_ns() + STOP_WAIT_NS;
	sc_workers_stop(e);
	while (r == 0 && (has_work(e) || sc_workers_are_left(e)) && sc_mono_ns() < give_up) {
		r = sc_loop_once(&e->loop, 100);
		sc_workers_look(e);
	}
	return r;
}

int sc_engine_run(const struct sc_run_options *options)
{
	const char *level = getenv("SCRAM_LOG_LEVEL");
	struct sc_engine *e = sc_engine_new(options);
	int r;

	if (!e) {
		sc_log_error("out of memory");
		return 1;
	}
	if (level && sc_log_set_level(level) < 0)
		sc_log_warning("SCRAM_LOG_LEVEL=%s is ignored: error, warning, info or debug",
			       level);
	take_signals();
	r = sc_engine_start(e);
	if (r == 0)
		r = run(e);
	sc_engine_stop(e);
	return r < 0 ? 1 : 0;
}
