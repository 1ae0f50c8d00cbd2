/* SPDX-License-Identifier: Apache-2.0 */
/* What is read-only: the wish that all its fires make together. Part of core.h, which includes it;
 * everything belongs to the loop thread. */
#pragma once

#include <scram/config.h>
#include <scram/readonly.h>

#include "base/json.h"

struct sc_active;
struct sc_engine;

/* 0 or -ENOMEM. */
int sc_readonly_open(struct sc_engine *e);
void sc_readonly_close(struct sc_engine *e);
/* How a fire would be done, as the configuration declares it; SC_READONLY_NO_WAY with why. */
enum sc_readonly_way sc_readonly_way(const struct sc_engine *e, const struct sc_config *config,
				     char *why, size_t size);
/* Why such a fire must not be made on the slot; NULL = it may. What is protected below it is
 * spared. `buf` holds the text. */
const char *sc_readonly_protected_by(struct sc_engine *e, uint32_t slot, char *buf, size_t size);
/*
 * All that shall be read-only, with the fire of this place, or without it while it is being
 * released. The place's own room: good until it is asked for again or freed.
 */
const struct sc_readonly *sc_readonly_wish(struct sc_engine *e, const struct sc_active *a);
/* The outcome of a run that brought what stands up to date. */
void sc_readonly_kept(struct sc_engine *e, struct sc_active *a);
/* Whether it is time for such a run: about every other second. */
bool sc_readonly_is_due(struct sc_engine *e);
/* Start, after reconcile, before there is a hand: gives back what no record knows. */
void sc_readonly_clear_unknown(struct sc_engine *e);
/* Adds `readonly` to status and state file. */
void sc_readonly_json(struct sc_engine *e, struct sc_json *j);
