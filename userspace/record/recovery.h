/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a fire that a dead predecessor left: a pure decision from what the journal says
 * and what the host shows now. Nothing is executed twice on different processes, and nothing stays
 * frozen by accident.
 */
#pragma once

#include <scram/fire.h>

/* /proc gives start times in ticks of 10 ms: a start this close to the intent counts as younger. */
#define SC_RECOVERY_GRAIN_NS 10000000ULL

/* The host's side, read by the caller at the target of the fire. */
struct sc_recovery_facts {
	const char *boot_id; /* of this boot */
	uint64_t now_boot_ns;
	bool exists; /* a cgroup with the recorded id is there */
	uint32_t members;
	/* CLOCK_BOOTTIME start of the youngest member; UINT64_MAX when one could not be read. */
	uint64_t youngest_start_ns;
	bool is_frozen;
};

enum sc_recovery {
	SC_RECOVERY_NONE,           /* nothing to do: closed, or it waits for people as it did */
	SC_RECOVERY_FINISH_KILL,    /* the same processes are still there: kill them, verify */
	SC_RECOVERY_KEEP_KILLING,   /* a standing rekill is taken up again */
	SC_RECOVERY_EMPTY,          /* the cgroup is there and empty: the kill had its effect */
	SC_RECOVERY_GONE,           /* the cgroup is not there any more */
	SC_RECOVERY_NEEDS_OPERATOR, /* members younger than the intent: record it, touch nothing */
	SC_RECOVERY_FREEZE,         /* apply it again (idempotent), within its ttl */
	SC_RECOVERY_KEEP_FROZEN,    /* as it is, until its ttl ends */
	SC_RECOVERY_THAW,           /* undo */
	SC_RECOVERY_CUT,            /* apply the cut again (idempotent) */
	SC_RECOVERY_KEEP_CUT,       /* it stood: take it up, and set it as it shall be */
	SC_RECOVERY_RESTORE,        /* its time is over: undo the cut */
	SC_RECOVERY_STALE_BOOT,     /* of another boot: never executed again */
	SC_RECOVERY_COUNT
};

const char *sc_recovery_name(enum sc_recovery decision);

enum sc_recovery sc_recovery_decide(const struct sc_fire *fire,
				    const struct sc_recovery_facts *facts);
