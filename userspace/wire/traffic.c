/* SPDX-License-Identifier: Apache-2.0 */
/* What the loop asks of the port, and what brings it up and takes it down. The hand's work is in
 * traffic_{gate,rules,flows}.c, the collector's in traffic_audit.c. */
#include "wire/traffic_impl.h"

#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

int sc_traffic_fail(struct sc_cut_report *report, int err, const char *fmt, ...)
{
	va_list args;

	report->error = err;
	if (report->text[0])
		return err;
	va_start(args, fmt);
	vsnprintf(report->text, sizeof(report->text), fmt, args);
	va_end(args);
	return err;
}

void sc_traffic_table_name(const char *pin_dir, char out[static SC_TRAFFIC_TABLE_MAX])
{
	static const char base[] = "/scram/";
	const char *at = strstr(pin_dir, base);
	const char *end;

	at = at ? at + strlen(base) : "";
	end = strchr(at, '/');
	if (end)
		snprintf(out, SC_TRAFFIC_TABLE_MAX, "scram_%.*s", (int)(end - at), at);
	else
		snprintf(out, SC_TRAFFIC_TABLE_MAX, "scram");
}

static bool is_member(const struct sc_cut_member *members, uint32_t n, uint64_t cgroup_id)
{
	uint32_t low = 0, high = n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (members[middle].cgroup_id == cgroup_id)
			return true;
		if (members[middle].cgroup_id < cgroup_id)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* The parent's descriptor in place of *fd, its id in *id; false at the top or when it is gone. */
static bool climb(const struct sc_cgroup_fs *fs, int *fd, uint64_t *id)
{
	int parent = sc_cgroup_open_parent(fs, *fd);

	sc_close(fd);
	*fd = parent;
	return parent >= 0 && sc_cgroup_id_of(parent, id) == 0;
}

bool sc_traffic_is_below(const struct sc_traffic_wire *w, const struct sc_cut_member *members,
			 uint32_t n, uint64_t cgroup_id)
{
	_cleanup_close_ int fd = -1;
	uint64_t id = cgroup_id;

	if (is_member(members, n, id))
		return true;
	fd = sc_cgroup_open(w->host.fs, id);
	while (fd >= 0 && climb(w->host.fs, &fd, &id))
		if (is_member(members, n, id))
			return true;
	return false;
}

/* The entry of the cgroup itself is for this cut, or for one at least as strong. */
static bool is_held(const struct sc_gate *gate, uint32_t number, uint64_t cgroup_id)
{
	struct sc_gate_entry entry;

	return sc_gate_look(gate, cgroup_id, &entry) == 0 && entry.cut < SC_GATE_CUTS_MAX &&
	       sc_gate_cut(gate, entry.cut)->mode >= sc_gate_cut(gate, number)->mode;
}

static bool is_gated(void *ctx, uint32_t number, uint64_t cgroup_id)
{
	struct sc_traffic_wire *w = ctx;
	const struct sc_gate *gate = atomic_load(&w->gate);
	_cleanup_close_ int fd = -1;
	uint64_t id = cgroup_id;

	SC_ASSERT(number < SC_CUTS_MAX);
	if (!gate || sc_gate_cut(gate, number)->mode == SC_GATE_NONE)
		return false;
	if (is_held(gate, number, id))
		return true;
	fd = sc_cgroup_open(w->host.fs, id);
	while (fd >= 0 && climb(w->host.fs, &fd, &id))
		if (is_held(gate, number, id))
			return true;
	return false;
}

static bool stands_anything(const struct sc_gate *gate)
{
	for (uint32_t number = 0; number < SC_CUTS_MAX; number++)
		if (sc_gate_cut(gate, number)->mode != SC_GATE_NONE)
			return true;
	return false;
}

static void arm_gate(struct sc_traffic_wire *w)
{
	struct sc_gate_options options = {.root_fd = w->host.root_fd, .pin_dir = w->pin_dir};
	struct sc_gate *gate = NULL;

	if (atomic_load(&w->gate))
		return;
	w->gate_why[0] = '\0';
	if (sc_gate_open(&gate, &options, w->gate_why) == 0)
		atomic_store(&w->gate, gate);
}

/*
 * A table that is there is a predecessor's and perhaps holds cuts, which the first sets will adopt;
 * else an empty one is made, so that the first cut is one element.
 */
static void arm_nft(struct sc_traffic_wire *w)
{
	struct sc_nft_want nothing = {.has_gate = atomic_load(&w->gate) != NULL};
	struct sc_nft *nft = NULL;
	int r;

	if (atomic_load(&w->has_nft))
		return;
	w->nft_why = (struct sc_diag){0};
	r = sc_netns_own(&w->own_space);
	if (r == 0)
		r = sc_nft_open(&nft, -1, w->table, &w->nft_why);
	if (r == 0)
		r = sc_nft_exists(nft);
	if (r == 0)
		r = sc_nft_set(nft, &nothing, &w->nft_why);
	else if (r == 1)
		r = sc_traffic_adopt_spaces(w);
	if (r < 0) {
		if (!w->nft_why.text[0])
			sc_diag_set(&w->nft_why, r, 0, 0, "%s", strerror(-r));
		sc_nft_close(&nft);
		return;
	}
	w->hand.nft = nft;
	atomic_store(&w->has_nft, true);
}

static int arm(void *ctx, char *why, size_t size)
{
	struct sc_traffic_wire *w = ctx;

	arm_gate(w);
	arm_nft(w);
	if (atomic_load(&w->gate) || atomic_load(&w->has_nft))
		return 0;
	snprintf(why, size, "gate: %s; rules: %s", w->gate_why, w->nft_why.text);
	return -EOPNOTSUPP;
}

static int can(void *ctx, enum sc_cut_mode mode, char *why, size_t size)
{
	struct sc_traffic_wire *w = ctx;

	if (mode == SC_CUT_NONE)
		return 0;
	if (mode == SC_CUT_DROP && !atomic_load(&w->gate)) {
		snprintf(why, size, "no gate, without which other network namespaces leak: %s",
			 w->gate_why[0] ? w->gate_why : "not armed");
		return -EOPNOTSUPP;
	}
	if (mode != SC_CUT_DROP && !atomic_load(&w->has_nft)) {
		snprintf(why, size, "no nf_tables, which alone can refuse: %s",
			 w->nft_why.text[0] ? w->nft_why.text : "not armed");
		return -EOPNOTSUPP;
	}
	return 0;
}

static uint32_t found(void *ctx, struct sc_cut_found *out)
{
	static const enum sc_cut_mode modes[] = {
		[SC_GATE_NONE] = SC_CUT_NONE,      [SC_GATE_TRY] = SC_CUT_TRY,
		[SC_GATE_NEW] = SC_CUT_REFUSE_NEW, [SC_GATE_ALL] = SC_CUT_REFUSE_ALL,
		[SC_GATE_DROP] = SC_CUT_DROP,
	};
	struct sc_traffic_wire *w = ctx;
	_cleanup_(sc_gate_close) struct sc_gate *pinned = NULL;
	const struct sc_gate *gate = atomic_load(&w->gate);
	char reason[SC_GATE_REASON_MAX];
	uint32_t n = 0;

	_Static_assert(SC_ARRAY_SIZE(modes) == SC_GATE_MODE_COUNT, "one mode each");
	/* Asked before it is armed, which is done only where something stands or is to be cut. */
	if (!gate && sc_gate_open_pinned(&pinned, w->pin_dir, reason) == 0)
		gate = pinned;
	for (uint32_t number = 0; gate && number < SC_CUTS_MAX; number++) {
		const struct sc_gate_cut *cut = sc_gate_cut(gate, number);

		if (cut->mode == SC_GATE_NONE || cut->mode >= SC_GATE_MODE_COUNT)
			continue;
		out[n] = (struct sc_cut_found){.number = number, .mode = modes[cut->mode]};
		snprintf(out[n].fire_id, sizeof(out[n].fire_id), "%.*s",
			 (int)sizeof(out[n].fire_id) - 1, cut->fire_id);
		snprintf(out[n].name, sizeof(out[n].name), "%.*s", (int)sizeof(out[n].name) - 1,
			 cut->name);
		n++;
	}
	return n;
}

void sc_traffic_count(void *ctx, uint32_t number, struct sc_cut_counts *out)
{
	struct sc_traffic_wire *w = ctx;
	const struct sc_gate *gate = atomic_load(&w->gate);
	const volatile struct sc_gate_cut *cut;

	SC_ASSERT(number < SC_CUTS_MAX);
	*out = (struct sc_cut_counts){0};
	if (!gate)
		return;
	cut = sc_gate_cut(gate, number);
	out->packets_in = cut->packets_in;
	out->bytes_in = cut->bytes_in;
	out->packets_out = cut->packets_out;
	out->bytes_out = cut->bytes_out;
	out->passed = cut->passed;
	out->first_ns = cut->first_ns;
}

static void disarm(void *ctx)
{
	struct sc_traffic_wire *w = ctx;
	struct sc_gate *gate = atomic_load(&w->gate);
	struct sc_cut_report ignored = {0};

	if ((gate && stands_anything(gate)) || sc_cuts_count(w->hand.ruled) > 0)
		return;
	if (atomic_exchange(&w->has_nft, false)) {
		(void)sc_traffic_delete_tables(w, &ignored);
		sc_nft_close(&w->hand.nft);
	}
	atomic_store(&w->gate, NULL);
	sc_gate_close(&gate);
}

static const struct sc_traffic_ops ops = {
	.arm = arm,
	.can = can,
	.found = found,
	.set_gate = sc_traffic_set_gate,
	.set_rules = sc_traffic_set_rules,
	.end_flows = sc_traffic_end_flows,
	.is_gated = is_gated,
	.audit = sc_traffic_audit,
	.count = sc_traffic_count,
	.disarm = disarm,
};

static void wire_free(struct sc_traffic_wire *w)
{
	struct sc_gate *gate = atomic_load(&w->gate);

	sc_nft_close(&w->hand.nft);
	sc_nft_close(&w->auditor.nft);
	sc_gate_close(&gate);
	sc_cuts_free(&w->hand.gated);
	sc_cuts_free(&w->hand.ruled);
	sc_cuts_free(&w->auditor.cuts);
	free(w->hand.elements);
	free(w->hand.spare);
	free(w->flows);
	free(w->auditor.entries);
	free(w->auditor.elements);
	free(w->auditor.picked);
	free(w->auditor.counts);
	free(w);
}

static int allocate(struct sc_traffic_wire *w)
{
	struct sc_traffic_hand *h = &w->hand;
	struct sc_traffic_auditor *a = &w->auditor;

	h->elements = calloc(SC_CUTS_MEMBERSHIPS_MAX, sizeof(*h->elements));
	h->spare = calloc(SC_CUTS_MEMBERSHIPS_MAX, sizeof(*h->spare));
	a->entries = calloc(SC_CUTS_MEMBERSHIPS_MAX, sizeof(*a->entries));
	a->elements = calloc(SC_CUTS_MEMBERSHIPS_MAX, sizeof(*a->elements));
	a->picked = calloc(SC_CUTS_MEMBERSHIPS_MAX, sizeof(*a->picked));
	a->counts = calloc(SC_CUTS_MEMBERSHIPS_MAX, sizeof(*a->counts));
	w->flows = sc_traffic_flows_new();
	if (!h->elements || !h->spare || !w->flows)
		return -ENOMEM;
	if (!a->entries || !a->elements || !a->picked || !a->counts)
		return -ENOMEM;
	if (sc_cuts_new(&h->gated) < 0 || sc_cuts_new(&h->ruled) < 0 || sc_cuts_new(&a->cuts) < 0)
		return -ENOMEM;
	return 0;
}

int sc_traffic_wire_open(const struct sc_traffic_host *host, struct sc_traffic *out)
{
	struct sc_traffic_wire *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->host = *host;
	sc_strcopy(w->pin_dir, sizeof(w->pin_dir), host->pin_dir);
	w->host.pin_dir = w->pin_dir;
	sc_traffic_table_name(w->pin_dir, w->table);
	if (allocate(w) < 0) {
		wire_free(w);
		return -ENOMEM;
	}
	*out = (struct sc_traffic){.ops = &ops, .ctx = w};
	return 0;
}

void sc_traffic_wire_close(struct sc_traffic *traffic)
{
	if (traffic->ctx)
		wire_free(traffic->ctx);
	*traffic = (struct sc_traffic){0};
}
