/* SPDX-License-Identifier: Apache-2.0 */
/* Components in the world in memory: what the tests of them share. */
#pragma once

#include "engine/components_impl.h"
#include "unit/engine/fake_ports.h"

/* shop (/w/4, /w/5): a live breaker; paper (/w/6): one in metrics-only; plain (/w/1): none;
 * late (/w/9 and what begins so): live; a condition break-shop cuts shop for a person. */
extern const char components_yaml[];

extern struct sc_engine *e;

void components_begin(void);
void components_end(void);

struct sc_component_watch *watch(const char *name);
enum sc_breaker_state state_of(const char *name);
/* One full tick, and whatever it ordered is done. */
void tick(void);
/* Connects from the cgroup of the slot: n that fail, n that succeed. */
void fail(uint32_t slot, int n);
void succeed(uint32_t slot, int n);
/* An open or half-open breaker: its time is over with the next tick. */
void end_wait(const char *name);
/* An order of ada's, carried out; what sc_components_set_state gave. */
int order(const char *component, const char *state);
/* Opens the breaker of shop, or has it half-open with its cut as it shall be. */
void open_shop(void);
void half_open_shop(void);

/* The cut that the gate holds of the one group that is cut; NULL: none or more. */
const struct sc_fake_cut *only_cut(void);
const struct sc_fire *newest_fire(void);
unsigned int fires_in(enum sc_fire_state state);
/* Records of the kind in the journal whose body has that text. */
unsigned int records(enum sc_record_kind kind, const char *text);
/* The object of the component in status, until the next call. */
const char *status_of(const char *name);
