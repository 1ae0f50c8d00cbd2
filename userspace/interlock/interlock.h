/* SPDX-License-Identifier: Apache-2.0 */
/* The checks behind the table, one file each. Inside the interlock room only. */
#pragma once

#include <scram/interlock.h>

typedef enum sc_answer sc_interlock_check(const struct sc_interlock_facts *facts,
					  struct sc_interlock_reason *reason);

sc_interlock_check sc_interlock_forced_readonly;
sc_interlock_check sc_interlock_disarmed;
sc_interlock_check sc_interlock_drain;
sc_interlock_check sc_interlock_startup_grace;
sc_interlock_check sc_interlock_resume_grace;
sc_interlock_check sc_interlock_source_health;
sc_interlock_check sc_interlock_protected;
sc_interlock_check sc_interlock_identity;
sc_interlock_check sc_interlock_still_true;
sc_interlock_check sc_interlock_cooldown;
sc_interlock_check sc_interlock_blast_radius;
sc_interlock_check sc_interlock_majority_sick;
sc_interlock_check sc_interlock_two_person;

/* Writes the reason, cut to its room, and returns the answer, so that a check ends in one
 * statement. */
enum sc_answer sc_interlock_say(struct sc_interlock_reason *reason, enum sc_answer answer,
				const char *fmt, ...) _printf_(3, 4);

/* Time since an event; 0 when the event is said to be in the future, which leans to a veto. */
static inline uint64_t sc_interlock_elapsed(uint64_t now_ns, uint64_t event_ns)
{
	return now_ns > event_ns ? now_ns - event_ns : 0;
}

static inline double sc_interlock_seconds(uint64_t ns)
{
	return (double)ns / (double)SC_NS_PER_S;
}
