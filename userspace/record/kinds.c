/* SPDX-License-Identifier: Apache-2.0 */
/* The names of record kinds and verdicts. */
#include <scram/journal.h>

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const char *const kind_names[] = {
#define SC_RECORD_NAME(symbol, name) [SC_RECORD_##symbol] = name,
	SC_RECORD_KINDS(SC_RECORD_NAME)
#undef SC_RECORD_NAME
};
static_assert(SC_ARRAY_SIZE(kind_names) == SC_RECORD_KIND_COUNT, "one name for each kind");

static const struct {
	const char *name;
	int exit_status;
} verdicts[] = {
	[SC_VERDICT_OK] = {"ok", 0},
	[SC_VERDICT_TORN] = {"torn tail", 20},
	[SC_VERDICT_CORRUPT] = {"corrupt", 21},
	[SC_VERDICT_MISSING] = {"missing", 22},
	[SC_VERDICT_FORK] = {"fork", 23},
	[SC_VERDICT_ROLLBACK] = {"rollback", 24},
	[SC_VERDICT_UNSIGNED] = {"unsigned", 25},
	[SC_VERDICT_UNKNOWN_KEY] = {"unknown key", 26},
};
static_assert(SC_ARRAY_SIZE(verdicts) == SC_VERDICT_COUNT, "one row for each verdict");

const char *sc_record_kind_name(enum sc_record_kind kind)
{
	return (unsigned int)kind < SC_RECORD_KIND_COUNT ? kind_names[kind] : "?";
}

int sc_record_kind_find(const char *name)
{
	for (int k = 0; k < SC_RECORD_KIND_COUNT; k++)
		if (!strcmp(name, kind_names[k]))
			return k;
	return -ENOENT;
}

const char *sc_verdict_name(enum sc_verify_verdict verdict)
{
	SC_ASSERT((unsigned int)verdict < SC_VERDICT_COUNT);
	return verdicts[verdict].name;
}

int sc_verdict_exit_status(enum sc_verify_verdict verdict)
{
	SC_ASSERT((unsigned int)verdict < SC_VERDICT_COUNT);
	return verdicts[verdict].exit_status;
}
