/* SPDX-License-Identifier: Apache-2.0 */
/* The fake gate and rules: what was told last is what stands. */
#include "harness/fake_traffic.h"

#include "base/mem.h"
#include "base/str.h"

#include <limits.h>
#include <string.h>

static void unlock(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

/* Holds the fake's lock to the end of the block. */
#define WITH_LOCK(fake)                                           \
	pthread_mutex_t *held_ _cleanup_(unlock) = &(fake)->lock; \
	pthread_mutex_lock(held_)

static uint64_t now(const struct sc_fake_traffic *fake)
{
	return fake->now_ns ? fake->now_ns(fake->now_arg) : 1;
}

static void log_call(struct sc_fake_traffic *fake, char letter, int error)
{
	size_t n = strlen(fake->calls);

	if (n == SC_FAKE_CUT_CALLS_MAX)
		memmove(fake->calls, fake->calls + 1, n--);
	fake->calls[n] = error < 0 ? (char)(letter - 'a' + 'A') : letter;
	fake->calls[n + 1] = '\0';
}

/* The error this call must fail with, told in the report; or 0. */
static int fails(unsigned int *times, int error, struct sc_cut_report *report)
{
	if (!*times)
		return 0;
	if (*times != UINT_MAX)
		--*times;
	report->error = error;
	sc_strcopy(report->text, sizeof(report->text), "fake: told to fail");
	return error;
}

static struct sc_fake_cut *place_of(struct sc_fake_traffic *fake, const struct sc_cut *cut)
{
	SC_ASSERT(cut->number < SC_CUTS_MAX && cut->n_members <= SC_FAKE_CUT_MEMBERS_MAX);
	for (uint32_t i = 1; i < cut->n_members; i++)
		SC_ASSERT(cut->members[i - 1].cgroup_id < cut->members[i].cgroup_id);
	return &fake->cuts[cut->number];
}

static int fake_arm(void *ctx, char *why, size_t size)
{
	struct sc_fake_traffic *fake = ctx;
	WITH_LOCK(fake);

	fake->arms++;
	fake->is_armed = fake->arm_error == 0;
	if (fake->arm_error)
		sc_strcopy(why, size, "fake: told not to arm");
	return fake->arm_error;
}

static int fake_can(void *ctx, enum sc_cut_mode mode, char *why, size_t size)
{
	struct sc_fake_traffic *fake = ctx;
	WITH_LOCK(fake);

	if (fake->can_error[mode])
		sc_strcopy(why, size, "fake: told that it cannot");
	return fake->can_error[mode];
}

static uint32_t fake_found(void *ctx, struct sc_cut_found *out)
{
	struct sc_fake_traffic *fake = ctx;
	WITH_LOCK(fake);

	memcpy(out, fake->found, fake->n_found * sizeof(*out));
	return fake->n_found;
}

static int fake_set_gate(void *ctx, const struct sc_cut *cut, struct sc_cut_report *report)
{
	struct sc_fake_traffic *fake = ctx;
	WITH_LOCK(fake);
	struct sc_fake_cut *place = place_of(fake, cut);
	int r = fails(&fake->gate_fails, fake->gate_error, report);

	fake->gate_sets++;
	log_call(fake, 'g', r);
	report->gate_begin_ns = now(fake);
	if (r < 0)
		return r;
	fake->is_gate_lost = false;
	place->gate = *cut;
	place->gate.members = place->members;
	place->gate.globs = NULL;
	place->n_members = cut->mode == SC_CUT_NONE ? 0 : cut->n_members;
	if (place->n_members)
		memcpy(place->members, cut->members, place->n_members * sizeof(*cut->members));
	place->sets += cut->mode != SC_CUT_NONE;
	place->attempt = cut->mode == SC_CUT_TRY ? cut->attempt : place->attempt;
	report->gate_end_ns = now(fake);
	report->has_gate = cut->mode != SC_CUT_NONE;
	report->is_globs_in_kernel = !fake->lacks_globs;
	return 0;
}

static int fake_set_rules(void *ctx, const struct sc_cut *cut, struct sc_cut_report *report)
{
	struct sc_fake_traffic *fake = ctx;
	WITH_LOCK(fake);
	struct sc_fake_cut *place = place_of(fake, cut);
	int r = fails(&fake->rules_fails, fake->rules_error, report);

	fake->rule_sets++;
	log_call(fake, 'r', r);
	report->rules_begin_ns = now(fake);
	if (r < 0)
		return r;
	fake->new_spaces = 0;
	place->rules = *cut;
	place->rules.members = NULL;
	place->rules.globs = NULL;
	report->rules_end_ns = now(fake);
	report->has_rules = cut->mode != SC_CUT_NONE;
	report->namespaces = fake->namespaces;
	return 0;
}

static int fake_end_flows(void *ctx, const struct sc_cut *cut, struct sc_cut_report *report)
{
	struct sc_fake_traffic *fake = ctx;
	WITH_LOCK(fake);
	int r = fails(&fake->flows_fails, fake->flows_error, report);

	(void)place_of(fake, cut);
	fake->flow_ends++;
	log_call(fake, 'f', r);
	if (r < 0)
		return r;
	report->flows_ended += fake->flows;
	report->flows_left = fake->flows_left;
	report->foreign += fake->foreign;
	fake->flows = 0;
	return 0;
}

static bool fake_is_gated(void *ctx, uint32_t number, uint64_t cgroup_id)
{
	struct sc_fake_traffic *fake = ctx;
	WITH_LOCK(fake);
	const struct sc_fake_cut *place = &fake->cuts[number];

	SC_ASSERT(number < SC_CUTS_MAX);
	for (uint32_t i = 0; place->gate.mode != SC_CUT_NONE && i < place->n_members; i++)
		if (place->members[i].cgroup_id == cgroup_id)
			return true;
	return false;
}

static int fake_audit(void *ctx, const struct sc_cut *cuts, uint32_t n,
		      struct sc_cut_counts *counts, struct sc_cut_audit *out)
{
	struct sc_fake_traffic *fake = ctx;
	WITH_LOCK(fake);

	fake->audits++;
	if (fake->audit_fails) {
		fake->audit_fails -= fake->audit_fails != UINT_MAX;
		return fake->audit_error;
	}
	*out = (struct sc_cut_audit){.is_gate_lost = fake->is_gate_lost,
				     .new_spaces = fake->new_spaces};
	for (uint32_t i = 0; i < n; i++) {
		const struct sc_fake_cut *place = place_of(fake, &cuts[i]);

		counts[cuts[i].number] = place->counts;
		out->missing += place->rules.mode != cuts[i].mode;
	}
	out->differs = out->missing || out->is_gate_lost || out->new_spaces;
	if (out->differs)
		sc_strcopy(out->text, sizeof(out->text), "fake: told that something differs");
	return 0;
}

static void fake_count(void *ctx, uint32_t number, struct sc_cut_counts *out)
{
	struct sc_fake_traffic *fake = ctx;
	WITH_LOCK(fake);

	SC_ASSERT(number < SC_CUTS_MAX);
	*out = fake->cuts[number].counts;
}

static void fake_disarm(void *ctx)
{
	struct sc_fake_traffic *fake = ctx;
	bool stands = sc_fake_traffic_gated(fake) || sc_fake_traffic_ruled(fake);
	WITH_LOCK(fake);

	fake->disarms++;
	if (!stands)
		fake->is_armed = false;
}

void sc_fake_traffic_init(struct sc_fake_traffic *fake)
{
	memset(fake, 0, sizeof(*fake));
	pthread_mutex_init(&fake->lock, NULL);
	fake->namespaces = 1;
}

void sc_fake_traffic_lock(struct sc_fake_traffic *fake)
{
	pthread_mutex_lock(&fake->lock);
}

void sc_fake_traffic_unlock(struct sc_fake_traffic *fake)
{
	pthread_mutex_unlock(&fake->lock);
}

uint32_t sc_fake_traffic_gated(struct sc_fake_traffic *fake)
{
	WITH_LOCK(fake);
	uint32_t n = 0;

	for (uint32_t i = 0; i < SC_CUTS_MAX; i++)
		n += fake->cuts[i].gate.mode != SC_CUT_NONE;
	return n;
}

uint32_t sc_fake_traffic_ruled(struct sc_fake_traffic *fake)
{
	WITH_LOCK(fake);
	uint32_t n = 0;

	for (uint32_t i = 0; i < SC_CUTS_MAX; i++)
		n += fake->cuts[i].rules.mode != SC_CUT_NONE;
	return n;
}

void sc_fake_traffic_take_in(struct sc_fake_traffic *fake, uint32_t number, uint64_t cgroup_id)
{
	WITH_LOCK(fake);
	struct sc_fake_cut *place = &fake->cuts[number];

	SC_ASSERT(number < SC_CUTS_MAX && place->n_members < SC_FAKE_CUT_MEMBERS_MAX);
	place->members[place->n_members++].cgroup_id = cgroup_id;
}

void sc_fake_traffic_flush(struct sc_fake_traffic *fake)
{
	WITH_LOCK(fake);

	for (uint32_t i = 0; i < SC_CUTS_MAX; i++)
		fake->cuts[i].rules.mode = SC_CUT_NONE;
}

static const struct sc_traffic_ops fake_ops = {
	.arm = fake_arm,
	.can = fake_can,
	.found = fake_found,
	.set_gate = fake_set_gate,
	.set_rules = fake_set_rules,
	.end_flows = fake_end_flows,
	.is_gated = fake_is_gated,
	.audit = fake_audit,
	.count = fake_count,
	.disarm = fake_disarm,
};

struct sc_traffic sc_fake_traffic(struct sc_fake_traffic *fake)
{
	return (struct sc_traffic){.ops = &fake_ops, .ctx = fake};
}
