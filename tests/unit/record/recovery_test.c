/* SPDX-License-Identifier: Apache-2.0 */
#include "record/recovery.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdint.h>

#define HERE  "11111111-1111-4111-8111-111111111111"
#define OTHER "22222222-2222-4222-8222-222222222222"
#define S     1000000000ULL
#define FIRED (100 * S)
#define NOW   (200 * S)

struct fire_case {
	enum sc_action_kind action;
	enum sc_fire_state state;
	enum sc_fire_outcome outcome;
	uint64_t expires;
	bool rekill;
};

static const struct fire_case kill_open = {.action = SC_ACTION_PROCESS_EXIT,
					   .state = SC_FIRE_INTENT};
static const struct fire_case kill_sent = {.action = SC_ACTION_PROCESS_EXIT,
					   .state = SC_FIRE_DISPATCHED};
static const struct fire_case kill_done = {
	.action = SC_ACTION_PROCESS_EXIT, .state = SC_FIRE_VERIFIED, .outcome = SC_OUTCOME_EMPTIED};
static const struct fire_case rekill = {.action = SC_ACTION_PROCESS_EXIT,
					.state = SC_FIRE_VERIFIED,
					.outcome = SC_OUTCOME_EMPTIED,
					.rekill = true};
static const struct fire_case rekill_left = {.action = SC_ACTION_PROCESS_EXIT,
					     .state = SC_FIRE_FAILED,
					     .outcome = SC_OUTCOME_NEEDS_OPERATOR,
					     .rekill = true};
static const struct fire_case rekill_refused = {.action = SC_ACTION_PROCESS_EXIT,
						.state = SC_FIRE_FAILED,
						.outcome = SC_OUTCOME_FAILED,
						.rekill = true};
static const struct fire_case pending = {.action = SC_ACTION_PROCESS_EXIT,
					 .state = SC_FIRE_PENDING};
static const struct fire_case freeze_open = {
	.action = SC_ACTION_FREEZE, .state = SC_FIRE_INTENT, .expires = NOW + S};
static const struct fire_case freeze_held = {.action = SC_ACTION_FREEZE,
					     .state = SC_FIRE_VERIFIED,
					     .outcome = SC_OUTCOME_FROZEN,
					     .expires = NOW + S};
static const struct fire_case freeze_over = {.action = SC_ACTION_FREEZE,
					     .state = SC_FIRE_VERIFIED,
					     .outcome = SC_OUTCOME_FROZEN,
					     .expires = NOW};
static const struct fire_case freeze_endless = {
	.action = SC_ACTION_FREEZE, .state = SC_FIRE_VERIFIED, .outcome = SC_OUTCOME_FROZEN};
static const struct fire_case freeze_released = {
	.action = SC_ACTION_FREEZE, .state = SC_FIRE_RELEASED, .outcome = SC_OUTCOME_FROZEN};
static const struct fire_case cut_open = {.action = SC_ACTION_QUARANTINE, .state = SC_FIRE_INTENT};
static const struct fire_case cut_held = {.action = SC_ACTION_CIRCUIT_BREAK,
					  .state = SC_FIRE_VERIFIED,
					  .outcome = SC_OUTCOME_ISOLATED,
					  .expires = NOW + S};
static const struct fire_case cut_half = {
	.action = SC_ACTION_QUARANTINE, .state = SC_FIRE_FAILED, .outcome = SC_OUTCOME_PARTIAL};
static const struct fire_case cut_over = {.action = SC_ACTION_REFUSE_NEW,
					  .state = SC_FIRE_VERIFIED,
					  .outcome = SC_OUTCOME_ISOLATED,
					  .expires = NOW};
static const struct fire_case cut_open_over = {
	.action = SC_ACTION_QUARANTINE, .state = SC_FIRE_INTENT, .expires = NOW};
static const struct fire_case cut_failed = {
	.action = SC_ACTION_QUARANTINE, .state = SC_FIRE_FAILED, .outcome = SC_OUTCOME_FAILED};
static const struct fire_case cut_released = {
	.action = SC_ACTION_QUARANTINE, .state = SC_FIRE_RELEASED, .outcome = SC_OUTCOME_ISOLATED};
static const struct fire_case readonly = {.action = SC_ACTION_READONLY, .state = SC_FIRE_INTENT};
static const struct fire_case readonly_held = {
	.action = SC_ACTION_READONLY, .state = SC_FIRE_VERIFIED, .outcome = SC_OUTCOME_READONLY};
static const struct fire_case readonly_half = {
	.action = SC_ACTION_READONLY, .state = SC_FIRE_FAILED, .outcome = SC_OUTCOME_PARTIAL};
static const struct fire_case readonly_over = {.action = SC_ACTION_READONLY,
					       .state = SC_FIRE_VERIFIED,
					       .outcome = SC_OUTCOME_READONLY,
					       .expires = NOW};

static const struct {
	const char *name;
	const struct fire_case *fire;
	const char *boot;
	bool exists;
	uint32_t members;
	uint64_t youngest;
	bool is_frozen;
	enum sc_recovery decision;
} cases[] = {
	{"all older", &kill_open, HERE, true, 3, FIRED - S, false, SC_RECOVERY_FINISH_KILL},
	{"all older, sent", &kill_sent, HERE, true, 3, FIRED - S, false, SC_RECOVERY_FINISH_KILL},
	{"frozen does not matter", &kill_open, HERE, true, 3, FIRED - S, true,
	 SC_RECOVERY_FINISH_KILL},
	{"one younger", &kill_open, HERE, true, 3, FIRED + S, false, SC_RECOVERY_NEEDS_OPERATOR},
	{"as old as the intent", &kill_open, HERE, true, 1, FIRED, false,
	 SC_RECOVERY_NEEDS_OPERATOR},
	{"within the grain of /proc", &kill_open, HERE, true, 1, FIRED - SC_RECOVERY_GRAIN_NS,
	 false, SC_RECOVERY_NEEDS_OPERATOR},
	{"just outside the grain", &kill_open, HERE, true, 1, FIRED - SC_RECOVERY_GRAIN_NS - 1,
	 false, SC_RECOVERY_FINISH_KILL},
	{"start unknown", &kill_open, HERE, true, 1, UINT64_MAX, false, SC_RECOVERY_NEEDS_OPERATOR},
	{"empty", &kill_sent, HERE, true, 0, 0, false, SC_RECOVERY_EMPTY},
	{"gone", &kill_open, HERE, false, 0, 0, false, SC_RECOVERY_GONE},
	{"another boot", &kill_open, OTHER, true, 3, FIRED - S, false, SC_RECOVERY_STALE_BOOT},
	{"another boot, gone too", &kill_open, OTHER, false, 0, 0, false, SC_RECOVERY_STALE_BOOT},
	{"done", &kill_done, HERE, true, 3, FIRED + S, false, SC_RECOVERY_NONE},
	{"done in another boot", &kill_done, OTHER, true, 3, FIRED, false, SC_RECOVERY_NONE},
	{"rekill stands", &rekill, HERE, true, 3, FIRED + S, false, SC_RECOVERY_KEEP_KILLING},
	{"rekill that was left to an operator", &rekill_left, HERE, true, 3, FIRED + S, false,
	 SC_RECOVERY_NONE},
	{"rekill refused before it began", &rekill_refused, HERE, true, 3, FIRED - S, false,
	 SC_RECOVERY_NONE},
	{"rekill of a target that is gone", &rekill, HERE, false, 0, 0, false, SC_RECOVERY_GONE},
	{"rekill of another boot", &rekill, OTHER, true, 3, FIRED, false, SC_RECOVERY_STALE_BOOT},
	{"waits for a person", &pending, HERE, true, 3, FIRED - S, false, SC_RECOVERY_NONE},
	{"freeze not applied yet", &freeze_open, HERE, true, 3, FIRED - S, false,
	 SC_RECOVERY_FREEZE},
	{"freeze applied, not recorded", &freeze_open, HERE, true, 3, FIRED - S, true,
	 SC_RECOVERY_KEEP_FROZEN},
	{"frozen within its ttl", &freeze_held, HERE, true, 3, FIRED + S, true,
	 SC_RECOVERY_KEEP_FROZEN},
	{"frozen past its ttl", &freeze_over, HERE, true, 3, FIRED, true, SC_RECOVERY_THAW},
	{"frozen without a ttl", &freeze_endless, HERE, true, 3, FIRED, true, SC_RECOVERY_THAW},
	{"frozen, gone", &freeze_held, HERE, false, 0, 0, false, SC_RECOVERY_GONE},
	{"released", &freeze_released, HERE, true, 3, FIRED, true, SC_RECOVERY_NONE},
	{"cut not applied yet", &cut_open, HERE, true, 0, 0, false, SC_RECOVERY_CUT},
	{"cut within its ttl", &cut_held, HERE, true, 0, 0, false, SC_RECOVERY_KEEP_CUT},
	{"half a cut, without a ttl", &cut_half, HERE, true, 0, 0, false, SC_RECOVERY_KEEP_CUT},
	{"cut past its ttl", &cut_over, HERE, true, 0, 0, false, SC_RECOVERY_RESTORE},
	{"cut past its ttl before it was applied", &cut_open_over, HERE, true, 0, 0, false,
	 SC_RECOVERY_RESTORE},
	{"cut that never held", &cut_failed, HERE, true, 0, 0, false, SC_RECOVERY_NONE},
	{"cut that was released", &cut_released, HERE, true, 0, 0, false, SC_RECOVERY_NONE},
	{"cut of another boot", &cut_held, OTHER, true, 0, 0, false, SC_RECOVERY_STALE_BOOT},
	{"read-only not applied yet", &readonly, HERE, true, 3, FIRED, false, SC_RECOVERY_CUT},
	{"read-only", &readonly_held, HERE, true, 3, FIRED, false, SC_RECOVERY_KEEP_CUT},
	{"read-only by half", &readonly_half, HERE, true, 3, FIRED, false, SC_RECOVERY_KEEP_CUT},
	{"read-only past its ttl", &readonly_over, HERE, true, 3, FIRED, false,
	 SC_RECOVERY_RESTORE},
	{"read-only of another boot", &readonly_held, OTHER, true, 3, FIRED, false,
	 SC_RECOVERY_STALE_BOOT},
	{"read-only, gone", &readonly_held, HERE, false, 0, 0, false, SC_RECOVERY_GONE},
};

Test(recovery, decides_by_what_the_host_shows)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_fire fire = {
			.boot_id = HERE,
			.action = cases[i].fire->action,
			.state = cases[i].fire->state,
			.outcome = cases[i].fire->outcome,
			.rekill = cases[i].fire->rekill,
			.expires_at_boot_ns = cases[i].fire->expires,
			.fired_at_boot_ns = FIRED,
		};
		struct sc_recovery_facts facts = {
			.boot_id = cases[i].boot,
			.now_boot_ns = NOW,
			.exists = cases[i].exists,
			.members = cases[i].members,
			.youngest_start_ns = cases[i].youngest,
			.is_frozen = cases[i].is_frozen,
		};
		enum sc_recovery d = sc_recovery_decide(&fire, &facts);

		cr_expect_eq(d, cases[i].decision, "%s: %s", cases[i].name, sc_recovery_name(d));
	}
}
