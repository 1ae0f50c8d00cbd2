/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A breaker that opens again and again within one session is told of once, loudly, and not with
 * each opening: the third transition to open is the one that matters, until it has closed.
 */
#include <scram/breaker.h>

#include "base/str.h"

#include <string.h>

static struct sc_session_blocker_entry *find(struct sc_session_blocker *s, const char *component)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (!strcmp(s->entry[i].component, component))
			return &s->entry[i];
	return NULL;
}

/* The component's entry, or a free one made its own: one that counts nothing is free again. */
static struct sc_session_blocker_entry *take(struct sc_session_blocker *s, const char *component)
{
	struct sc_session_blocker_entry *e = find(s, component);

	if (e)
		return e;
	for (uint32_t i = 0; i < s->n && !e; i++)
		if (s->entry[i].opens == 0)
			e = &s->entry[i];
	if (!e && s->n < SC_COMPONENTS_MAX)
		e = &s->entry[s->n++];
	if (!e)
		return NULL;
	*e = (struct sc_session_blocker_entry){0};
	sc_strcopy(e->component, sizeof(e->component), component);
	return e;
}

void sc_session_blocker_begin(struct sc_session_blocker *s, const char *session_id)
{
	if (!strncmp(s->session, session_id, sizeof(s->session) - 1))
		return;
	*s = (struct sc_session_blocker){0};
	sc_strcopy(s->session, sizeof(s->session), session_id);
}

bool sc_session_blocker_note(struct sc_session_blocker *s, const char *component,
			     const struct sc_breaker_transition *t)
{
	struct sc_session_blocker_entry *e;

	if (t->to == t->from || t->to == SC_BREAKER_HALF_OPEN)
		return false;
	if (t->to != SC_BREAKER_OPEN) {
		e = find(s, component);
		if (e) {
			e->opens = 0;
			e->is_emitted = false;
		}
		return false;
	}
	e = take(s, component);
	if (!e) {
		s->refused++;
		return false;
	}
	e->opens += e->opens < UINT32_MAX;
	if (e->is_emitted || e->opens < SC_SESSION_BLOCKER_OPENS)
		return false;
	e->is_emitted = true;
	return true;
}

const struct sc_session_blocker_entry *sc_session_blocker_find(const struct sc_session_blocker *s,
							       const char *component)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (!strcmp(s->entry[i].component, component))
			return &s->entry[i];
	return NULL;
}
