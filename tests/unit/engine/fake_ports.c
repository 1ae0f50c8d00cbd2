/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/engine/fake_ports.h"

#include "base/bell.h"
#include "base/io.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#define GRACE_NS (10 * SC_NS_PER_S)

struct fake_world fake_world;

static char dir[64];
static char config[80], state_dir[80], run_dir[80];
static struct sc_run_options options;
static int bell;

static unsigned int drain(void *ctx, struct sc_wake *out, unsigned int max)
{
	unsigned int n = SC_MIN(fake_world.n_wakes, max);

	(void)ctx;
	sc_bell_clear(bell);
	memcpy(out, fake_world.wakes, n * sizeof(*out));
	fake_world.n_wakes = 0;
	return n;
}

static int pass_cgroups(void *ctx)
{
	(void)ctx;
	return 0;
}

static int pass_tasks(void *ctx, uint64_t *pass)
{
	(void)ctx;
	*pass = 1;
	return 0;
}

static void recycle(void *ctx, const uint32_t *slots, size_t n)
{
	(void)ctx;
	(void)slots;
	(void)n;
}

static int path_of(void *ctx, uint64_t cgroup_id, char *buf, size_t size)
{
	(void)ctx;
	if (cgroup_id == fake_world.named_id)
		snprintf(buf, size, "%s", fake_world.named_path);
	else if (cgroup_id == 1)
		snprintf(buf, size, "/");
	else
		snprintf(buf, size, "/w/%d", (int)(cgroup_id - 100));
	return 0;
}

static int find(void *ctx, const char *path, struct sc_found_cgroup *out)
{
	(void)ctx;
	(void)path;
	(void)out;
	return -ENOENT;
}

static void set_tenant(void *ctx, uint32_t slot, uint64_t cgroup_id, uint32_t tenant)
{
	(void)ctx;
	cr_assert_eq(fake_world.nodes[slot].cgroup_id, cgroup_id);
	fake_world.nodes[slot].tenant = tenant;
	if (fake_world.told_tenant)
		fake_world.told_tenant();
}

static void nothing(void *ctx)
{
	(void)ctx;
}

static void no_fifo(void *ctx, bool is_hand)
{
	(void)ctx;
	(void)is_hand;
}

static size_t no_privileges(void *ctx, struct sc_privilege_report *out, size_t max)
{
	(void)ctx;
	(void)out;
	(void)max;
	return 0;
}

static void make_world(void)
{
	struct fake_world *w = &fake_world;

	memset(w, 0, sizeof(*w));
	sc_fake_init(&w->fake);
	sc_fake_traffic_init(&w->traffic);
	w->fake.now_ns = sc_mono_ns();
	w->nodes[0] = (struct sc_node){.cgroup_id = 1, .ancestors = 1};
	for (uint32_t i = 1; i <= FAKE_TARGETS; i++) {
		int cgroup = sc_fake_add_cgroup(&w->fake, 0, 100 + i);

		sc_fake_add_members(&w->fake, cgroup, 3);
		w->nodes[i] = (struct sc_node){.cgroup_id = 100 + i,
					       .parent_id = 1,
					       .level = 1,
					       .ancestors = 2,
					       .ancestor = {i, 0}};
		w->counts[i].proc_alive = 3;
	}
}

/* Takes the place of wire/ports.c in this test program. */
int sc_ports_open(const struct sc_run_options *unused, uint32_t targets_max, struct sc_ports **out,
		  char *why, size_t size)
{
	struct fake_world *w = &fake_world;

	(void)unused;
	(void)targets_max;
	(void)why;
	(void)size;
	make_world();
	bell = sc_bell_open();
	w->ports = (struct sc_ports){
		.kernel = {.nodes = w->nodes,
			   .counts = w->counts,
			   .kernel = w->kernel,
			   .tasks = w->tasks,
			   .stats = &w->stats,
			   .slots = FAKE_SLOTS,
			   .features = UINT32_MAX,
			   .wake_fd = bell,
			   .drain = drain,
			   .pass_cgroups = pass_cgroups,
			   .pass_tasks = pass_tasks,
			   .recycle = recycle,
			   .find = find,
			   .set_tenant = set_tenant,
			   .path_of = path_of},
		.effector = sc_fake_effector(&w->fake),
		.traffic = sc_fake_traffic(&w->traffic),
		.settle = nothing,
		.become_fifo = no_fifo,
		.privileges = no_privileges,
		.features = w->features,
		.cgroup_root_path = "/",
	};
	*out = &w->ports;
	return 0;
}

void sc_ports_close(struct sc_ports **ports)
{
	if (*ports)
		sc_close(&bell);
	*ports = NULL;
}

void fake_engine_rewrite(const char *conditions)
{
	int fd = open(config, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_eq(sc_write_all(fd, conditions, strlen(conditions)), 0);
	close(fd);
}

static struct sc_engine *start(void)
{
	struct sc_engine *e = sc_engine_new(&options);

	cr_assert_not_null(e);
	cr_assert_eq(sc_engine_start(e), 0);
	e->started_ns -= GRACE_NS;
	return e;
}

struct sc_engine *fake_engine_start(const char *conditions)
{
	snprintf(dir, sizeof(dir), "/tmp/scram-unit-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(config, sizeof(config), "%s/scram.yaml", dir);
	snprintf(state_dir, sizeof(state_dir), "%s/state", dir);
	snprintf(run_dir, sizeof(run_dir), "%s/run", dir);
	fake_engine_rewrite(conditions);
	options = (struct sc_run_options){
		.config = config,
		.config_is_explicit = true,
		.state_dir = state_dir,
		.run_dir = run_dir,
		.http = "off",
		.interval_ns = 60 * SC_NS_PER_S, /* the test ticks by itself */
	};
	return start();
}

int fake_engine_reload(struct sc_engine *e, const char *conditions)
{
	_cleanup_str_ struct sc_str why;

	sc_str_init_heap(&why);
	fake_engine_rewrite(conditions);
	return sc_engine_load(e, &why);
}

void fake_engine_restart(struct sc_engine **e)
{
	sc_engine_stop(*e);
	*e = start();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fake_engine_stop(struct sc_engine **e)
{
	sc_engine_stop(*e);
	*e = NULL;
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void fake_make_cgroup(struct sc_engine *e, uint32_t slot, uint64_t id, const char *path)
{
	struct fake_world *w = &fake_world;

	w->named_id = id;
	w->named_path = path;
	w->nodes[slot] = (struct sc_node){.cgroup_id = id,
					  .parent_id = 1,
					  .born_ns = sc_mono_ns(),
					  .flags = SC_NODE_BORN,
					  .level = 1,
					  .ancestors = 2,
					  .ancestor = {slot, 0}};
	sc_engine_tick_full(e);
	for (int i = 0; i < 1000 && !sc_targets_get(e->targets, slot); i++)
		cr_assert_eq(sc_loop_once(&e->loop, 10), 0);
	cr_assert_not_null(sc_targets_get(e->targets, slot));
	fake_let_fires_settle(e);
}

void fake_remove_cgroup(struct sc_engine *e, uint32_t slot)
{
	fake_world.nodes[slot].flags |= SC_NODE_GONE;
	sc_engine_tick_full(e);
	cr_assert_null(sc_targets_get(e->targets, slot));
}

void fake_let_fires_settle(struct sc_engine *e)
{
	for (int i = 0; i < 1000; i++) {
		bool busy = false;

		for (size_t a = 0; a < SC_ACTIVE_MAX; a++)
			busy |= e->active[a].stage == SC_ACTIVE_WITH_HAND ||
				e->active[a].stage == SC_ACTIVE_VERIFYING;
		if (!busy)
			return;
		fake_world.fake.now_ns += SC_NS_PER_MS;
		cr_assert_eq(sc_loop_once(&e->loop, 100), 0);
	}
	cr_assert_fail("a fire never settled");
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
uint64_t fake_allocations(void)
{
	return 0;
}
#else
/* These stand in for the C library's own in the whole test program. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

static _Thread_local uint64_t calls;

uint64_t fake_allocations(void)
{
	return calls;
}

void *malloc(size_t size)
{
	calls++;
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	calls++;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	calls++;
	return __libc_realloc(p, size);
}
#endif
