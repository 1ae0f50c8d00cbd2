/* SPDX-License-Identifier: Apache-2.0 */
/* One loud event for a breaker that opens again and again, and not a second. */
#include <scram/breaker.h>

#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct sc_session_blocker blocker;

static void set_up(void)
{
	blocker = (struct sc_session_blocker){0};
	sc_session_blocker_begin(&blocker, "one");
}

TestSuite(session_blocker, .init = set_up);

/* Plays transitions: o opens, h half-open, c closes, f forced open, d disabled, m an order alone.
 * Returns how many events there were; *last is the letter that made the last. */
static unsigned int play(const char *component, const char *letters, size_t *last)
{
	static const enum sc_breaker_state states[128] = {
		['o'] = SC_BREAKER_OPEN,     ['h'] = SC_BREAKER_HALF_OPEN,
		['c'] = SC_BREAKER_CLOSED,   ['f'] = SC_BREAKER_FORCED_OPEN,
		['d'] = SC_BREAKER_DISABLED, ['m'] = SC_BREAKER_OPEN,
	};
	unsigned int events = 0;

	for (size_t i = 0; letters[i]; i++) {
		enum sc_breaker_state to = states[(int)letters[i]];
		struct sc_breaker_transition t = {
			.from = letters[i] == 'm'       ? SC_BREAKER_OPEN
				: to == SC_BREAKER_OPEN ? SC_BREAKER_HALF_OPEN
							: SC_BREAKER_OPEN,
			.to = to,
		};

		if (!sc_session_blocker_note(&blocker, component, &t))
			continue;
		events++;
		if (last)
			*last = i;
	}
	return events;
}

Test(session_blocker, speaks_exactly_once_at_the_third_opening)
{
	static const struct {
		const char *letters;
		unsigned int events;
		size_t last;
	} cases[] = {
		{"", 0, 0},
		{"oho", 0, 0},
		{"ohoho", 1, 4},
		{"ohohohohohohohoho", 1, 4},
		{"ohohchoho", 0, 0}, /* closed in between: begins anew */
		{"ohohoho"
		 "c"
		 "ohoho",
		 2, 12},                   /* and is armed again */
		{"ocococococococo", 0, 0}, /* a flap never gets to three */
		{"ohohochohoho", 2, 11},
		{"ohohfoho", 0, 0}, /* as an operator's hold does */
		{"ohohdoho", 0, 0},
		{"omomm", 0, 0}, /* an order that changes no state opens nothing */
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		size_t last = 0;

		set_up();
		cr_assert_eq(play("web", cases[i].letters, &last), cases[i].events, "%s",
			     cases[i].letters);
		cr_assert_eq(last, cases[i].last, "%s: at %zu", cases[i].letters, last);
	}
}

Test(session_blocker, counts_on_in_silence)
{
	const struct sc_session_blocker_entry *e;

	play("web", "ohohohoho", NULL);
	e = sc_session_blocker_find(&blocker, "web");
	cr_assert_not_null(e);
	cr_assert_eq(e->opens, 5);
	cr_assert(e->is_emitted);
}

Test(session_blocker, components_do_not_share_a_count)
{
	cr_assert_eq(play("web", "oho", NULL), 0);
	cr_assert_eq(play("db", "oho", NULL), 0);
	cr_assert_eq(play("web", "o", NULL), 1);
	cr_assert_eq(play("db", "o", NULL), 1);
}

Test(session_blocker, a_new_session_drops_all_and_the_same_one_nothing)
{
	play("web", "oho", NULL);
	play("db", "ohoho", NULL);
	sc_session_blocker_begin(&blocker, "one");
	cr_assert_eq(sc_session_blocker_find(&blocker, "web")->opens, 2);
	sc_session_blocker_begin(&blocker, "two");
	cr_assert_null(sc_session_blocker_find(&blocker, "web"));
	cr_assert_eq(play("web", "oho", NULL), 0);
	cr_assert_eq(play("db", "ohoho", NULL), 1);
}

/* A respawn is seen by sc_component_look alone: there is nothing here that it could reset. */
Test(session_blocker, a_respawn_between_two_openings_changes_nothing)
{
	struct sc_component_state c = {0};
	struct sc_component_sight dead = {.unexpected_exits = 1};
	struct sc_component_sight back = {.alive = 1, .starts = 1};

	sc_component_look(&c, &back, 1);
	play("web", "oho", NULL);
	sc_component_look(&c, &dead, 2);
	cr_assert(sc_component_look(&c, &back, 3) & SC_COMPONENT_RESPAWNED);
	cr_assert_eq(play("web", "o", NULL), 1);
}

Test(session_blocker, a_session_id_of_any_length_is_one_session)
{
	char id[200];

	memset(id, 'x', sizeof(id));
	id[sizeof(id) - 1] = '\0';
	sc_session_blocker_begin(&blocker, id);
	play("web", "oho", NULL);
	sc_session_blocker_begin(&blocker, id);
	cr_assert_eq(play("web", "o", NULL), 1);
}

Test(session_blocker, holds_every_component_and_makes_room_of_those_that_closed)
{
	char name[16];

	for (int i = 0; i < SC_COMPONENTS_MAX; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		play(name, "o", NULL);
	}
	cr_assert_eq(blocker.refused, 0);
	cr_assert_eq(play("more", "ohoho", NULL), 0);
	cr_assert_eq(blocker.refused, 3);
	play("c7", "c", NULL);
	cr_assert_eq(play("more", "ohoho", NULL), 1);
	cr_assert_null(sc_session_blocker_find(&blocker, "c7"));
	cr_assert_eq(play("c8", "hoho", NULL), 1);
}
