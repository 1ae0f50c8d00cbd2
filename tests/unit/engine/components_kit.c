/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/engine/components_kit.h"

#include "base/json.h"

#include <criterion/criterion.h>
#include <string.h>

const char components_yaml[] =
	"components:\n"
	"  shop: {cgroups: [/w/4, /w/5], breaker: {live: true}}\n"
	"  paper: {cgroups: [/w/6], breaker: {}}\n"
	"  plain: {cgroups: [/w/1]}\n"
	"  late: {cgroups: [\"/w/9*\"], breaker: {live: true}}\n"
	"conditions:\n"
	"  - {id: break-shop, live: true, action: {kind: circuit-break-component, config: "
	"{component: shop, mode: all}}}\n";

struct sc_engine *e;

void components_begin(void)
{
	e = fake_engine_start(components_yaml);
	tick();
}

void components_end(void)
{
	if (e)
		fake_engine_stop(&e);
}

struct sc_component_watch *watch(const char *name)
{
	struct sc_component_watch *w = sc_component_find(e, name);

	cr_assert_not_null(w, "%s", name);
	return w;
}

enum sc_breaker_state state_of(const char *name)
{
	return watch(name)->breaker.state;
}

void tick(void)
{
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
}

void fail(uint32_t slot, int n)
{
	fake_world.counts[slot].tcp_connects += n;
	fake_world.counts[slot].tcp_connect_failures += n;
}

void succeed(uint32_t slot, int n)
{
	fake_world.counts[slot].tcp_connects += n;
	fake_world.counts[slot].tcp_connect_successes += n;
}

void end_wait(const char *name)
{
	cr_assert_neq(watch(name)->breaker.until_ns, 0);
	watch(name)->breaker.until_ns = 1;
}

int order(const char *component, const char *state)
{
	struct sc_breaker_wish wish = {.component = component,
				       .state = state,
				       .by = "ada",
				       .principal = "uid:7",
				       .reason = "a test"};
	int r = sc_components_set_state(e, &wish);

	fake_let_fires_settle(e);
	return r;
}

void open_shop(void)
{
	fail(4, 5);
	tick();
	cr_assert_eq(state_of("shop"), SC_BREAKER_OPEN);
}

void half_open_shop(void)
{
	open_shop();
	end_wait("shop");
	tick();
	cr_assert_eq(state_of("shop"), SC_BREAKER_HALF_OPEN);
	cr_assert_not_null(only_cut());
	cr_assert_eq(only_cut()->gate.mode, SC_CUT_TRY);
}

const struct sc_fake_cut *only_cut(void)
{
	const struct sc_fake_cut *found = NULL;

	for (uint32_t i = 0; i < SC_CUTS_MAX; i++) {
		if (fake_world.traffic.cuts[i].gate.mode == SC_CUT_NONE)
			continue;
		if (found)
			return NULL;
		found = &fake_world.traffic.cuts[i];
	}
	return found;
}

const struct sc_fire *newest_fire(void)
{
	return sc_fold_fire_at(e->fold, 0);
}

unsigned int fires_in(enum sc_fire_state state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < sc_fold_fire_count(e->fold); i++)
		n += sc_fold_fire_at(e->fold, i)->state == state;
	return n;
}

struct search {
	enum sc_record_kind kind;
	const char *text;
	unsigned int found;
};

static int count_record(void *arg, const struct sc_record *record)
{
	struct search *s = arg;

	s->found += record->kind == s->kind &&
		    memmem(record->body, record->body_len, s->text, strlen(s->text)) != NULL;
	return 0;
}

unsigned int records(enum sc_record_kind kind, const char *text)
{
	struct search s = {.kind = kind, .text = text};

	cr_assert_eq(sc_journal_replay(e->options->state_dir, UINT32_MAX, count_record, &s), 0);
	return s.found;
}

const char *status_of(const char *name)
{
	static char text[64 * 1024];
	static char object[4096];
	char key[64];
	struct sc_str s;
	struct sc_json j;
	const char *at;

	sc_str_init(&s, text, sizeof(text));
	sc_json_init(&j, &s);
	sc_json_object_begin(&j);
	sc_components_json(e, &j);
	sc_json_object_end(&j);
	snprintf(key, sizeof(key), "{\"name\":\"%s\"", name);
	at = strstr(text, key);
	cr_assert_not_null(at, "%s in %s", name, text);
	snprintf(object, sizeof(object), "%.*s", (int)(strcspn(at, "}") + 1), at);
	return object;
}
