/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing the kernel side, running its iterators, draining its wake records. */
#include "sys/bpf_impl.h"

#include "base/clock.h"
#include "base/mem.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#define DEFAULT_SLOTS     16384U
#define DEFAULT_PROCESSES 65536U

/* Without these no cgroup has a slot, and nothing can be counted. */
#define NEEDED (1U << SC_BPF_TREE | 1U << SC_BPF_CGROUPS)

static int on_wake(void *context, void *data, size_t size)
{
	struct sc_bpf *b = context;

	if (size == sizeof(struct sc_wake))
		memcpy(&b->drain_out[b->drain_n++], data, size);
	/* The record is consumed all the same. */
	return b->drain_n == b->drain_max ? -ENOBUFS : 0;
}

static int set_options(struct sc_bpf *b, const struct sc_bpf_options *options, char *reason)
{
	b->options = *options;
	b->options.pin_dir = NULL;
	b->options.slots = options->slots ? options->slots : DEFAULT_SLOTS;
	b->options.processes = options->processes ? options->processes : DEFAULT_PROCESSES;
	if (b->options.slots > SC_BPF_SLOTS_MAX || options->root_fd < 0) {
		snprintf(reason, SC_BPF_REASON_MAX, "slots must be at most %u", SC_BPF_SLOTS_MAX);
		return -EINVAL;
	}
	b->tasks_done = calloc(b->options.slots, sizeof(*b->tasks_done));
	return b->tasks_done ? 0 : -ENOMEM;
}

/* Without connections half of what goes on between tenants would look like none. */
static bool lacks_other_part(struct sc_bpf *b, enum sc_bpf_part part)
{
	if (part != SC_BPF_TENANT || b->parts & 1U << SC_BPF_TCP)
		return false;
	snprintf(b->reasons[part], SC_BPF_REASON_MAX, "%s is not attached",
		 sc_bpf_part_name(SC_BPF_TCP));
	return true;
}

static int start_parts(struct sc_bpf *b, int root_fd, char *reason)
{
	for (unsigned int part = 0; part < SC_BPF_PART_COUNT; part++) {
		if (!(b->options.leave_out & 1U << part) && !lacks_other_part(b, part))
			sc_bpf_part_start(b, part, root_fd);
		else if (!b->reasons[part][0])
			snprintf(b->reasons[part], SC_BPF_REASON_MAX, "left out by configuration");
		if (NEEDED & 1U << part && !(b->parts & 1U << part)) {
			snprintf(reason, SC_BPF_REASON_MAX, "%.16s: %.200s", sc_bpf_part_name(part),
				 b->reasons[part]);
			return -EOPNOTSUPP;
		}
	}
	return 0;
}

/* Cgroups before processes: a process is entered into its cgroup's slot. */
static int seed(struct sc_bpf *b, char *reason)
{
	int err = sc_bpf_seed(b);

	if (!err && sc_bpf_nodes(b)[0].cgroup_id != b->config.root_id)
		err = -ENOENT;
	if (!err && b->parts & 1U << SC_BPF_TASKS)
		err = sc_bpf_pass_tasks(b);
	if (err)
		snprintf(reason, SC_BPF_REASON_MAX, "seeding: %s", strerror(-err));
	return err;
}

int sc_bpf_open(struct sc_bpf **out, const struct sc_bpf_options *options, char *reason)
{
	_cleanup_(sc_bpf_close) struct sc_bpf *b = calloc(1, sizeof(*b));
	int err;

	reason[0] = '\0';
	if (!b)
		return -ENOMEM;
	b->grace_fd = -1;
	b->pin_lock_fd = -1;
	for (unsigned int i = 0; i < SC_PSI_COUNT; i++)
		b->pressure_fds[i] = -1;
	err = set_options(b, options, reason);
	if (!err)
		err = sc_bpf_config_probe(b, options->root_fd, reason);
	if (!err)
		err = sc_bpf_shared_load(b, reason);
	if (!err)
		err = sc_bpf_maps_open(b, reason);
	if (!err && options->pin_dir)
		err = sc_bpf_maps_pin(b, options->pin_dir, reason);
	if (!err)
		err = start_parts(b, options->root_fd, reason);
	if (!err)
		err = seed(b, reason);
	if (err)
		return err;
	b->ring = ring_buffer__new(b->fds[SC_MAP_WAKES], on_wake, b, NULL);
	if (!b->ring)
		return -errno;
	sc_bpf_psi_open(b);
	*out = SC_TAKE_PTR(b);
	return 0;
}

void sc_bpf_close(struct sc_bpf **bp)
{
	struct sc_bpf *b = *bp;

	if (!b)
		return;
	ring_buffer__free(b->ring);
	sc_bpf_psi_close(b);
	sc_bpf_maps_close(b);
	sc_bpf_objects_stop(b);
	free(b->tasks_done);
	free(b);
	*bp = NULL;
}

uint32_t sc_bpf_parts(const struct sc_bpf *b)
{
	return b->parts;
}

const char *sc_bpf_part_reason(const struct sc_bpf *b, enum sc_bpf_part part)
{
	return part < SC_BPF_PART_COUNT ? b->reasons[part] : "";
}

uint64_t sc_bpf_root_id(const struct sc_bpf *b)
{
	return b->config.root_id;
}

struct sc_bpf_view sc_bpf_view(const struct sc_bpf *b)
{
	return (struct sc_bpf_view){
		.nodes = b->mapped[SC_MAP_NODES],
		.counts = b->mapped[SC_MAP_COUNTS],
		.kernel = b->mapped[SC_MAP_KERNEL],
		.tasks = b->tasks_done,
		.stats = b->mapped[SC_MAP_STATS],
		.slots = b->options.slots,
	};
}

/* The kernel skips a program that interrupts itself on one CPU, and counts that (since 5.12). */
static uint64_t programs_missed(const struct sc_bpf *b)
{
	struct bpf_program *prog;
	uint64_t missed = 0;

	for (unsigned int i = 0; i < SC_BPF_PART_COUNT; i++) {
		if (!b->objects[i])
			continue;
		bpf_object__for_each_program(prog, b->objects[i])
		{
			struct bpf_prog_info info = {0};
			uint32_t size = sizeof(info);

			if (!bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &size))
				missed += info.recursion_misses;
		}
	}
	return missed;
}

struct sc_bpf_health sc_bpf_health(const struct sc_bpf *b)
{
	const struct sc_stats *stats = b->mapped[SC_MAP_STATS];
	uint64_t recycled = atomic_load_explicit(&b->recycled, memory_order_relaxed);
	uint64_t used = __atomic_load_n(&stats->slots_taken, __ATOMIC_RELAXED) - recycled;

	return (struct sc_bpf_health){
		.wakes_received = atomic_load_explicit(&b->wakes_received, memory_order_relaxed),
		.programs_missed = programs_missed(b),
		.slots_used = (uint32_t)used,
		.slots_free = b->options.slots - (uint32_t)used,
	};
}

/* Each pass needs a descriptor of its own. The programs print nothing, so one read goes to the end.
 */
static int run_iterator(struct bpf_link *link)
{
	_cleanup_close_ int fd = -1;
	char nothing[64];
	ssize_t n;

	if (!link)
		return -EOPNOTSUPP;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		return -errno;
	do
		n = read(fd, nothing, sizeof(nothing));
	while (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)));
	return n < 0 ? -errno : 0;
}

int sc_bpf_seed(struct sc_bpf *b)
{
	return run_iterator(b->seed_cgroups);
}

/* Bytes and requests are no matter of one tick. Where nothing needs it, the flush does nothing. */
static int pass_io(struct sc_bpf *b)
{
	uint64_t now = sc_mono_ns();
	int err;

	if (!(b->parts & 1U << SC_BPF_IO) || now - b->io_pass_ns < SC_NS_PER_S)
		return 0;
	b->io_pass_ns = now;
	err = run_iterator(b->flush_io);
	return err ? err : run_iterator(b->read_io);
}

int sc_bpf_pass_cgroups(struct sc_bpf *b)
{
	int err = run_iterator(b->read_cgroups);

	if (!err)
		sc_bpf_psi_read(b);
	return err ? err : pass_io(b);
}

int sc_bpf_pass_tasks(struct sc_bpf *b)
{
	struct sc_stats *stats = b->mapped[SC_MAP_STATS];
	const struct sc_tasks *found = b->mapped[SC_MAP_TASKS];
	const struct sc_node *nodes = sc_bpf_nodes(b);
	uint64_t pass;
	int err;

	pass = stats->tasks_pass + 1;
	__atomic_store_n(&stats->tasks_pass, pass, __ATOMIC_RELEASE);
	err = run_iterator(b->read_tasks);
	if (!err)
		err = run_iterator(b->sweep);
	if (err)
		return err;
	for (uint32_t slot = 0; slot < b->options.slots; slot++) {
		if (!nodes[slot].cgroup_id)
			continue;
		b->tasks_done[slot] = found[slot].pass == pass ? found[slot]
							       : (struct sc_tasks){.pass = pass};
	}
	atomic_store_explicit(&b->tasks_pass, pass, memory_order_relaxed);
	atomic_store_explicit(&b->tasks_pass_ns, sc_mono_ns(), memory_order_release);
	return 0;
}

uint64_t sc_bpf_tasks_pass(const struct sc_bpf *b, uint64_t *finished_ns)
{
	*finished_ns = atomic_load_explicit(&b->tasks_pass_ns, memory_order_acquire);
	return atomic_load_explicit(&b->tasks_pass, memory_order_relaxed);
}

int sc_bpf_wake_fd(const struct sc_bpf *b)
{
	return b->fds[SC_MAP_WAKES];
}

int sc_bpf_drain(struct sc_bpf *b, struct sc_wake *wakes, size_t max)
{
	int err;

	if (!max)
		return 0;
	b->drain_out = wakes;
	b->drain_n = 0;
	b->drain_max = max;
	err = ring_buffer__consume(b->ring);
	if (err < 0 && err != -ENOBUFS)
		return err;
	atomic_fetch_add_explicit(&b->wakes_received, b->drain_n, memory_order_relaxed);
	return (int)b->drain_n;
}
