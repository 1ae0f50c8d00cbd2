/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes, the core's side: what their worker says of each, for predicates and for people. The
 * worker asks, the core never calls it:
 *
 *   {"op":"probe.list"} -> {"generation":G, "host":H, "probes":[{"name", "kind":"exec"|"http",
 *       "url", "command":[...], "has_token":bool, "budget_ns", "every_ns"}], ...}
 *   {"op":"probe.answer", "generation":G, "name":N, "answer":true|false|null, "why":TEXT|null,
 *       "class":CLASS|null, "took_us":N} -> {"taken":bool}
 *   {"op":"secret", "probe":N} -> its token_file, opened to be read, as a descriptor (secret.c)
 *
 * The list is to be asked for after each `changed` with another `conditions`. The generation grows
 * when a probe was added, removed or changed; an answer to another generation, or to a probe that
 * is not there, is dropped, which is no fault of the worker's. Of an answer null, `class` is one of
 * sc_probe_fault_name and `why` says it in words. All on the loop thread.
 */
#pragma once

struct sc_engine;
struct sc_json;
struct sc_predicate;
struct sc_probe_set;

/* Takes *set over, made of what is now the engine's configuration; the former one is freed. */
void sc_probes_swap(struct sc_engine *e, struct sc_probe_set **set);

/* Adds `probes` to status. */
void sc_probes_json(struct sc_engine *e, struct sc_json *j);
/* Adds `probes`: those that the predicate asks, NULL for none. */
void sc_probes_why_json(struct sc_engine *e, const struct sc_predicate *predicate,
			struct sc_json *j);
