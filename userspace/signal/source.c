/* SPDX-License-Identifier: Apache-2.0 */
#include "signal/source.h"

#include "base/mem.h"
#include "signal/psi.h"

#include <math.h>
#include <stddef.h>

#define PAGE_BYTES 4096 /* x86-64 */

/* BPF writes while we read: each number is loaded once and whole. */
#define LOAD(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

/* The pressure signals stand in signals.def in the order of this index: resource, some/full, what.
 */
#define PSI_FIRST SC_SIG_psi_cpu_some_avg10
#define PSI_LAST  SC_SIG_psi_io_full_total_us
_Static_assert(PSI_LAST - PSI_FIRST + 1 == SC_PSI_COUNT * 2 * 4, "pressure signals are in order");
_Static_assert(SC_SIG_psi_memory_full_avg300 - PSI_FIRST == SC_PSI_MEMORY * 8 + 4 + SC_PSI_AVG300,
	       "resource, then some/full, then average");

static const uint16_t counts_offsets[] = {
#define OFFSET_COUNTS(symbol) [SC_SIG_##symbol] = offsetof(struct sc_counts, symbol),
#define OFFSET_KERNEL(symbol)
#define OFFSET_TASKS(symbol)
#define OFFSET_AGENT(symbol)
#define OFFSET_APP(symbol)
#define SC_SIGNAL(symbol, name, source, type, unit, text) OFFSET_##source(symbol)
#include <scram/signals.def>
#undef SC_SIGNAL
};

static bool slot_is_used(const struct sc_source *source, uint32_t slot)
{
	return slot < source->slots && LOAD(source->nodes[slot].cgroup_id) != 0;
}

static bool is_used(const struct sc_column_read *read, const uint32_t *slots, uint32_t i)
{
	return read->used ? read->used[i] : slot_is_used(read->source, slots[i]);
}

static void read_counts(const struct sc_column_read *read, enum sc_signal signal,
			const uint32_t *slots, uint32_t n, double *out)
{
	const struct sc_source *source = read->source;
	const char *base = (const char *)source->counts + counts_offsets[signal];
	bool is_gauge = sc_signal_info(signal)->type == SC_TYPE_GAUGE;

	for (uint32_t i = 0; i < n; i++) {
		__s64 v;

		if (!is_used(read, slots, i)) {
			out[i] = NAN;
			continue;
		}
		v = __atomic_load_n(
			(const __s64 *)(const void *)(base + slots[i] * sizeof(struct sc_counts)),
			__ATOMIC_RELAXED);
		/* A decrement can be seen before the increment that another CPU makes. */
		out[i] = is_gauge && v < 0 ? 0.0 : (double)v;
	}
	if (signal != SC_SIG_tcp_established)
		return;
	for (uint32_t i = 0; i < n; i++)
		if (!isnan(out[i]) && !(LOAD(source->nodes[slots[i]].flags) & SC_NODE_BORN))
			out[i] = NAN;
}

static double psi_value(const struct sc_column_read *read, const struct sc_kernel *entry,
			unsigned int index)
{
	const struct sc_psi *psi = index / 4 % 2 ? &entry->psi_full[index / 8]
						 : &entry->psi_some[index / 8];
	uint64_t updated;

	if (!(LOAD(entry->flags) & SC_KERNEL_PSI))
		return NAN;
	if (index % 4 == SC_PSI_AVERAGE_COUNT)
		return (double)(LOAD(psi->total_ns) / 1000);
	updated = LOAD(entry->psi_updated_ns);
	return sc_psi_decay(LOAD(psi->avg[index % 4]), (enum sc_psi_average)(index % 4),
			    sc_psi_periods_missed(updated, read->now->mono_ns));
}

/* Signals of struct sc_kernel that need no more than a flag: where they are, and in which unit. */
struct kernel_field {
	uint16_t offset;
	uint16_t flag; /* 0 = this is none of them */
	uint16_t times, per;
};

#define FIELD(symbol, field, flag_, times_, per_)                         \
	[SC_SIG_##symbol] = {.offset = offsetof(struct sc_kernel, field), \
			     .flag = (flag_),                             \
			     .times = (times_),                           \
			     .per = (per_)}
#define NUMBER(symbol, field, flag) FIELD(symbol, field, flag, 1, 1)
#define PAGES(symbol, field, flag)  FIELD(symbol, field, flag, PAGE_BYTES, 1)
#define US(symbol, field, flag)     FIELD(symbol, field, flag, 1, 1000)
#define MEM_EVENT(symbol, event)    NUMBER(symbol, mem_events[event], SC_KERNEL_MEMORY_EVENTS)

static const struct kernel_field kernel_fields[SC_SIGNAL_COUNT] = {
	PAGES(mem_current_bytes, mem_current_pages, SC_KERNEL_MEMORY),
	PAGES(mem_max_bytes, mem_max_pages, SC_KERNEL_MEMORY_MAX),
	PAGES(mem_high_bytes, mem_high_pages, SC_KERNEL_MEMORY_HIGH),
	PAGES(mem_swap_bytes, mem_swap_pages, SC_KERNEL_SWAP),
	PAGES(mem_swap_max_bytes, mem_swap_max_pages, SC_KERNEL_SWAP_MAX),
	MEM_EVENT(mem_events_low, SC_MEM_LOW),
	MEM_EVENT(mem_events_high, SC_MEM_HIGH),
	MEM_EVENT(mem_events_max, SC_MEM_MAX),
	MEM_EVENT(mem_events_oom, SC_MEM_OOM),
	MEM_EVENT(mem_events_oom_kill, SC_MEM_OOM_KILL),
	MEM_EVENT(mem_events_oom_group_kill, SC_MEM_OOM_GROUP_KILL),
	US(cpu_usage_us, cpu_usage_ns, SC_KERNEL_CPU),
	US(cpu_throttled_us, cpu_throttled_ns, SC_KERNEL_THROTTLED),
	NUMBER(cpu_throttles, cpu_throttles, SC_KERNEL_THROTTLED),
	NUMBER(pids_current, pids_current, SC_KERNEL_PIDS),
	NUMBER(pids_max, pids_max, SC_KERNEL_PIDS_MAX),
	NUMBER(pids_events_max, pids_refused, SC_KERNEL_PIDS_EVENTS),
};

static double field_value(const struct sc_kernel *entry, const struct kernel_field *field)
{
	const void *at = (const char *)entry + field->offset;

	if (!(LOAD(entry->flags) & field->flag))
		return NAN;
	return (double)(__atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED) / field->per) *
	       field->times;
}

/* These are read in a pass of their own, by which their age is judged. */
static double io_value(const struct sc_kernel *entry, enum sc_signal signal)
{
	if (signal == SC_SIG_io_read_bytes)
		return (double)LOAD(entry->io_read_bytes);
	if (signal == SC_SIG_io_write_bytes)
		return (double)LOAD(entry->io_write_bytes);
	if (signal == SC_SIG_io_reads)
		return (double)LOAD(entry->io_reads);
	return (double)LOAD(entry->io_writes);
}

static bool is_io(enum sc_signal signal)
{
	return signal >= SC_SIG_io_read_bytes && signal <= SC_SIG_io_writes;
}

static double kernel_value(const struct sc_column_read *read, enum sc_signal signal, uint32_t slot)
{
	const struct sc_kernel *entry = &read->source->kernel[slot];

	if (signal >= PSI_FIRST && signal <= PSI_LAST)
		return psi_value(read, entry, signal - PSI_FIRST);
	if (is_io(signal))
		return io_value(entry, signal);
	if (kernel_fields[signal].flag)
		return field_value(entry, &kernel_fields[signal]);
	if (signal == SC_SIG_cgroup_populated)
		return LOAD(entry->flags) & SC_KERNEL_POPULATED ? 1 : 0;
	if (signal == SC_SIG_cgroup_frozen)
		return LOAD(entry->flags) & SC_KERNEL_FROZEN ? 1 : 0;
	return NAN;
}

static void read_kernel(const struct sc_column_read *read, enum sc_signal signal,
			const uint32_t *slots, uint32_t n, double *out)
{
	const struct sc_source *source = read->source;
	uint64_t stale_ns = is_io(signal) ? source->tasks_stale_ns : source->kernel_stale_ns;

	for (uint32_t i = 0; i < n; i++) {
		out[i] = NAN;
		if (is_used(read, slots, i) &&
		    sc_source_age_ns(source, read->now, slots[i], signal) <= stale_ns)
			out[i] = kernel_value(read, signal, slots[i]);
	}
}

/*
 * The task iterator counts an entry up while its pass runs, so only entries of the finished pass
 * are whole: one of an older pass means that no process was found, one of a newer pass keeps its
 * former value.
 */
static double tasks_value(const struct sc_column_read *read, enum sc_signal signal, uint32_t slot)
{
	const struct sc_tasks *entry = &read->source->tasks[slot];
	uint64_t pass = LOAD(entry->pass);
	uint64_t start;

	if (pass > read->source->tasks_pass)
		return read->before ? read->before[slot] : NAN;
	if (pass < read->source->tasks_pass)
		return 0;
	if (signal == SC_SIG_proc_dstate)
		return LOAD(entry->dstate);
	start = LOAD(entry->oldest_start_ns);
	if (signal != SC_SIG_proc_oldest_s)
		return NAN;
	if (start == 0 || start > read->now->boot_ns)
		return 0;
	return (double)((read->now->boot_ns - start) / SC_NS_PER_S);
}

static void read_tasks(const struct sc_column_read *read, enum sc_signal signal,
		       const uint32_t *slots, uint32_t n, double *out)
{
	const struct sc_source *source = read->source;
	bool is_stale = source->tasks_pass == 0 ||
			sc_source_age_ns(source, read->now, 0, signal) > source->tasks_stale_ns;

	for (uint32_t i = 0; i < n; i++)
		out[i] = is_stale || !is_used(read, slots, i) ? NAN
							      : tasks_value(read, signal, slots[i]);
}

static double since(const struct sc_column_read *read, uint64_t from)
{
	if (from == 0)
		return NAN;
	return read->now->mono_ns > from ? (double)(read->now->mono_ns - from) : 0;
}

static double load_number(const double *field)
{
	double value;

	__atomic_load(field, &value, __ATOMIC_RELAXED);
	return value;
}

static double app_value(const struct sc_column_read *read, enum sc_signal signal, uint32_t slot)
{
	const struct sc_app_entry *entry = &read->source->app[slot];
	uint64_t id = __atomic_load_n(&entry->cgroup_id, __ATOMIC_ACQUIRE);
	uint64_t heartbeat, sessions;

	if (id != LOAD(read->source->nodes[slot].cgroup_id))
		return NAN;
	if (signal == SC_SIG_app_heartbeat_age) {
		heartbeat = LOAD(entry->heartbeat_ns);
		return since(read, heartbeat ? SC_MAX(heartbeat, read->source->app_since_ns) : 0);
	}
	if (signal == SC_SIG_app_session_age)
		return since(read, LOAD(entry->session_ns));
	if (signal == SC_SIG_app_sessions) {
		sessions = LOAD(entry->sessions);
		return sessions ? (double)sessions : NAN;
	}
	if (signal == SC_SIG_app_queue_depth)
		return load_number(&entry->queue_depth);
	if (signal == SC_SIG_app_reports_refused)
		return (double)LOAD(entry->refused);
	if (signal >= SC_SIG_app_gauge_1 && signal <= SC_SIG_app_gauge_8)
		return load_number(&entry->gauges[signal - SC_SIG_app_gauge_1]);
	return NAN;
}
_Static_assert(SC_SIG_app_gauge_8 - SC_SIG_app_gauge_1 + 1 == SC_APP_GAUGES, "in order");

/* What an agent that does not listen has not heard says nothing about the program. */
static void read_app(const struct sc_column_read *read, enum sc_signal signal,
		     const uint32_t *slots, uint32_t n, double *out)
{
	bool is_stale = !read->source->app ||
			sc_source_age_ns(read->source, read->now, 0, signal) > SC_APP_STALE_NS;

	for (uint32_t i = 0; i < n; i++)
		out[i] = is_stale || !is_used(read, slots, i) ? NAN
							      : app_value(read, signal, slots[i]);
}

static void fill(double *out, uint32_t n, double value)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = value;
}

void sc_source_read(const struct sc_column_read *read, enum sc_signal signal, const uint32_t *slots,
		    uint32_t n, double *out)
{
	const struct sc_signal_info *info = sc_signal_info(signal);
	uint32_t attached = read->source->features | SC_FEATURE_BIT(SC_FEATURE_AGENT);

	if (!(attached & SC_FEATURE_BIT(info->feature))) {
		fill(out, n, NAN);
		return;
	}
	switch (info->source) {
	case SC_SOURCE_COUNTS:
		read_counts(read, signal, slots, n, out);
		return;
	case SC_SOURCE_KERNEL:
		read_kernel(read, signal, slots, n, out);
		return;
	case SC_SOURCE_TASKS:
		read_tasks(read, signal, slots, n, out);
		return;
	case SC_SOURCE_AGENT:
		fill(out, n, read->source->agent[signal]);
		return;
	case SC_SOURCE_APP:
		read_app(read, signal, slots, n, out);
		return;
	case SC_SIGNAL_SOURCE_COUNT:
		break;
	}
	fill(out, n, NAN);
}

double sc_source_value(const struct sc_source *source, const struct sc_time *now, uint32_t slot,
		       enum sc_signal signal)
{
	const struct sc_column_read read = {.source = source, .now = now};
	double value;

	sc_source_read(&read, signal, &slot, 1, &value);
	return value;
}

uint64_t sc_source_age_ns(const struct sc_source *source, const struct sc_time *now, uint32_t slot,
			  enum sc_signal signal)
{
	uint64_t read_ns = now->mono_ns;

	switch (sc_signal_info(signal)->source) {
	case SC_SOURCE_KERNEL:
		if (slot >= source->slots)
			read_ns = 0;
		else if (is_io(signal))
			read_ns = LOAD(source->kernel[slot].io_pass_ns);
		else
			read_ns = LOAD(source->kernel[slot].pass_ns);
		break;
	case SC_SOURCE_TASKS:
		read_ns = source->tasks_pass ? source->tasks_pass_ns : 0;
		break;
	case SC_SOURCE_APP:
		read_ns = source->app_heard_ns;
		break;
	case SC_SOURCE_COUNTS:
	case SC_SOURCE_AGENT:
	case SC_SIGNAL_SOURCE_COUNT:
		break;
	}
	if (read_ns == 0)
		return UINT64_MAX;
	return now->mono_ns > read_ns ? now->mono_ns - read_ns : 0;
}

bool sc_time_jumped(const struct sc_time *before, const struct sc_time *now, uint64_t gap_max_ns)
{
	uint64_t mono, boot;

	if (now->mono_ns < before->mono_ns || now->boot_ns < before->boot_ns)
		return true;
	mono = now->mono_ns - before->mono_ns;
	boot = now->boot_ns - before->boot_ns;
	return mono > gap_max_ns || boot > mono + SC_NS_PER_S;
}
