/* SPDX-License-Identifier: Apache-2.0 */
/* The live state file: what it says of components, when it is written, and whose it is. */
#include "live/engine_kit.h"

#include "base/str.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

TestSuite(state_file, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

static const char components[] = "components:\n"
				 "  shop: {cgroups: [\"@ROOT@/shop\"], breaker: {}}\n"
				 "  bank: {cgroups: [\"@ROOT@/bank\"]}\n";

static const char *path(void)
{
	static char text[SC_SANDBOX_PATH_MAX + 32];

	snprintf(text, sizeof(text), "%s/state.json", sc_kit.run_dir);
	return text;
}

/* The file as it is: the caller's. It is replaced whole, so that it always parses. */
static json_t *state(void)
{
	json_t *value = json_load_file(path(), 0, NULL);

	cr_assert_not_null(value, "%s", path());
	return value;
}

static bool has_component(const char *name, const char *key, const char *want)
{
	json_t *whole = state(), *c;
	bool has = false;
	size_t i;

	json_array_foreach (json_object_get(whole, "components"), i, c)
		has |= !strcmp(sc_kit_text(c, "name"), name) && !strcmp(sc_kit_text(c, key), want);
	json_decref(whole);
	return has;
}

static bool is_bank_degraded(void *unused)
{
	(void)unused;
	return has_component("bank", "health", "degraded");
}

static bool is_shop_disabled(void *unused)
{
	(void)unused;
	return has_component("shop", "circuit_state", "disabled");
}

static bool is_written(void *unused)
{
	(void)unused;
	return access(path(), F_OK) == 0;
}

static void text_of(const char *key, char *out, size_t size)
{
	json_t *whole = state();

	sc_strcopy(out, size, sc_kit_text(whole, key));
	json_decref(whole);
}

static int64_t pid_of(void)
{
	json_t *whole = state();
	int64_t pid = json_integer_value(json_object_get(whole, "pid"));

	json_decref(whole);
	return pid;
}

static void begin(void)
{
	(void)sc_kit_mkdir("shop");
	sc_kit_start(components);
	cr_assert_eq(sc_wait_until(is_written, NULL, SC_KIT_EVENT_MS), 0);
}

Test(state_file, is_written_at_start_for_its_owner_alone)
{
	char session[64];
	struct stat st;

	begin();
	cr_assert_eq(stat(path(), &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_expect_eq(pid_of(), sc_kit.pid);
	text_of("session", session, sizeof(session));
	cr_expect_eq(strlen(session), 36);
	cr_expect(has_component("shop", "circuit_state", "closed"));
	cr_expect(has_component("shop", "health", "healthy"));
}

Test(state_file, tells_of_a_death_and_of_an_order_without_being_asked)
{
	int bank = sc_kit_mkdir("bank");

	begin();
	sc_kit_crash(bank, 1);
	cr_expect_eq(sc_wait_until(is_bank_degraded, NULL, SC_KIT_EVENT_MS), 0);
	sc_kit_expect("breaker shop disabled --operator ada --reason test", 0, "");
	cr_expect_eq(sc_wait_until(is_shop_disabled, NULL, SC_KIT_EVENT_MS), 0);
}

static bool is_of_the_agent(void *arg)
{
	(void)arg;
	return pid_of() == sc_kit.pid;
}

Test(state_file, speaks_for_a_dead_agent_and_is_taken_over_by_the_next)
{
	char first[64], left[64], second[64];

	begin();
	sc_kit_expect("breaker shop disabled --operator ada --reason test", 0, "");
	cr_assert_eq(sc_wait_until(is_shop_disabled, NULL, SC_KIT_EVENT_MS), 0);
	text_of("session", first, sizeof(first));
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	text_of("session", left, sizeof(left));
	cr_expect_str_eq(left, first);
	sc_kit_expect("status", 3, "disabled");

	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	/* Another thread writes it, some time after the agent is ready. */
	cr_expect_eq(sc_wait_until(is_of_the_agent, NULL, SC_KIT_EVENT_MS), 0);
	cr_expect(is_shop_disabled(NULL), "the breaker is what it was");
	text_of("session", second, sizeof(second));
	cr_expect_str_neq(second, first);
}

Test(state_file, says_at_the_end_that_it_is_the_end)
{
	char last[64];

	begin();
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGTERM, NULL), 0);
	text_of("state", last, sizeof(last));
	cr_expect_str_eq(last, "stopped");
	cr_expect(has_component("shop", "circuit_state", "closed"));
}
