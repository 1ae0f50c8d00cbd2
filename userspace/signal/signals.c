/* SPDX-License-Identifier: Apache-2.0 */
/* The table of signals, made from signals.def; and finding a signal by its name. */
#include <scram/signal.h>

#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>

static const char *const feature_names[] = {
	[SC_FEATURE_AGENT] = "agent",
	[SC_FEATURE_PROC] = "proc",
	[SC_FEATURE_OOM] = "oom",
	[SC_FEATURE_TCP] = "tcp",
	[SC_FEATURE_TENANT] = "tenant",
	[SC_FEATURE_CGROUP_ITER] = "cgroup-iterator",
	[SC_FEATURE_TASK_ITER] = "task-iterator",
	[SC_FEATURE_MEMORY] = "memory-controller",
	[SC_FEATURE_PIDS] = "pids-controller",
	[SC_FEATURE_APP] = "app",
	[SC_FEATURE_PSI] = "pressure",
	[SC_FEATURE_CPU] = "cpu-controller",
	[SC_FEATURE_IO] = "io-controller",
};
_Static_assert(SC_ARRAY_SIZE(feature_names) == SC_FEATURE_COUNT, "a name for each feature");

#define IS_FAMILY(name, a, b) ((name)[0] == (a) && (name)[1] == (b))
#define IS_THROTTLE(name)     (IS_FAMILY(name, 'c', 'p') && (name)[4] == 't')
/* A counted signal belongs to the BPF object of its family, which is the first part of its name. */
#define FEATURE_COUNTS(name)                             \
	((name)[0] == 'p'            ? SC_FEATURE_PROC   \
	 : (name)[0] == 'o'          ? SC_FEATURE_OOM    \
	 : IS_FAMILY(name, 't', 'e') ? SC_FEATURE_TENANT \
				     : SC_FEATURE_TCP)
#define FEATURE_KERNEL(name)                             \
	(IS_FAMILY(name, 'm', 'e')   ? SC_FEATURE_MEMORY \
	 : IS_FAMILY(name, 'p', 'i') ? SC_FEATURE_PIDS   \
	 : IS_FAMILY(name, 'p', 's') ? SC_FEATURE_PSI    \
	 : IS_FAMILY(name, 'i', 'o') ? SC_FEATURE_IO     \
	 : IS_THROTTLE(name)         ? SC_FEATURE_CPU    \
				     : SC_FEATURE_CGROUP_ITER)
#define FEATURE_TASKS(name) SC_FEATURE_TASK_ITER
#define FEATURE_AGENT(name) SC_FEATURE_AGENT
#define FEATURE_APP(name)   SC_FEATURE_APP

static const struct sc_signal_info signals[] = {
#define SC_SIGNAL(symbol, name_, source_, type_, unit_, text_) \
	[SC_SIG_##symbol] = {                                  \
		.name = name_,                                 \
		.text = text_,                                 \
		.source = SC_SOURCE_##source_,                 \
		.type = SC_TYPE_##type_,                       \
		.unit = SC_UNIT_##unit_,                       \
		.feature = FEATURE_##source_(name_),           \
	},
#include <scram/signals.def>
#undef SC_SIGNAL
};

const struct sc_signal_info *sc_signal_info(enum sc_signal s)
{
	SC_ASSERT((unsigned int)s < SC_SIGNAL_COUNT);
	return &signals[s];
}

int sc_signal_find(const char *name, size_t len)
{
	for (int s = 0; s < SC_SIGNAL_COUNT; s++)
		if (strlen(signals[s].name) == len && memcmp(signals[s].name, name, len) == 0)
			return s;
	return -ENOENT;
}

const char *sc_signal_nearest(const char *name, size_t len)
{
	struct sc_nearest nearest;

	sc_nearest_init(&nearest, name, len);
	for (int s = 0; s < SC_SIGNAL_COUNT; s++)
		sc_nearest_offer(&nearest, signals[s].name);
	return nearest.best;
}

uint32_t sc_signal_set_features(const struct sc_signal_set *set)
{
	uint32_t features = 0;

	for (int s = 0; s < SC_SIGNAL_COUNT; s++)
		if (sc_signal_set_has(set, (enum sc_signal)s))
			features |= SC_FEATURE_BIT(signals[s].feature);
	return features;
}

const char *sc_feature_name(enum sc_feature f)
{
	SC_ASSERT((unsigned int)f < SC_FEATURE_COUNT);
	return feature_names[f];
}
