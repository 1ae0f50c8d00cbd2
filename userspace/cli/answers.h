/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's replies as text for people: one sc_render_fn (ask.h) per verb that has an answer
 * worth a layout. Pure: they see the reply and the local time zone only.
 */
#pragma once

#include "base/str.h"

#include <jansson.h>

void sc_render_status(struct sc_str *out, const json_t *reply);
void sc_render_list(struct sc_str *out, const json_t *reply);
void sc_render_fires(struct sc_str *out, const json_t *reply);
void sc_render_show(struct sc_str *out, const json_t *reply);
void sc_render_fire(struct sc_str *out, const json_t *reply);
/* The same for a cut: with the condition and how to take it back. */
void sc_render_isolate(struct sc_str *out, const json_t *reply);
void sc_render_release(struct sc_str *out, const json_t *reply);
void sc_render_signals(struct sc_str *out, const json_t *reply);
/* The same reply for one named target: every signal with what it means. */
void sc_render_signals_of(struct sc_str *out, const json_t *reply);
void sc_render_why(struct sc_str *out, const json_t *reply);
void sc_render_doctor(struct sc_str *out, const json_t *reply);

/* The components of a status, a line each. */
void sc_render_components(struct sc_str *out, const json_t *reply);

/* Parts of a status: every cut that stands, with its undo; components that are not well. */
void sc_render_cuts(struct sc_str *out, const json_t *reply, bool is_dead);
void sc_render_unwell(struct sc_str *out, const json_t *reply);

/* What a fire acts on: the group of a cut, else the target. */
const char *sc_fire_subject(const json_t *fire);

/* Parts that show and why share; each adds nothing when its array is absent or empty. */
void sc_render_evidence(struct sc_str *out, const json_t *operands, unsigned int indent);
void sc_render_interlocks(struct sc_str *out, const json_t *interlocks, unsigned int indent);
/* One line: the first stage that a fire reached, and how long after it each further one. */
void sc_render_timings(struct sc_str *out, const json_t *fire, const char *before);
