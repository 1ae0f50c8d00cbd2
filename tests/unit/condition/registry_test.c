/* SPDX-License-Identifier: Apache-2.0 */
#include <scram/condition.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define _cleanup_registry_ _cleanup_(sc_registry_free)
#define _cleanup_spec_     _cleanup_(sc_condition_spec_done)

static struct sc_condition_spec make(const char *id, bool live)
{
	struct sc_condition_spec spec;

	sc_condition_spec_init(&spec);
	spec.id = strdup(id);
	spec.live = live;
	return spec;
}

static struct sc_registration find(const struct sc_registry *reg, const char *id)
{
	int i = sc_registry_find(reg, id);

	cr_assert_geq(i, 0, "%s is not there", id);
	return sc_registry_get(reg, (size_t)i);
}

/* A1 */
Test(registry, lists_in_id_order_whatever_came_first)
{
	static const char *const ids[] = {"m", "z", "a", "b", "y", "n"};
	_cleanup_registry_ struct sc_registry *reg = sc_registry_new();

	for (size_t i = 0; i < SC_ARRAY_SIZE(ids); i++) {
		_cleanup_spec_ struct sc_condition_spec spec = make(ids[i], false);

		cr_assert_eq(sc_registry_upsert(reg, &spec, NULL), 0);
	}
	for (size_t i = 0; i + 1 < sc_registry_count(reg); i++)
		cr_assert_lt(strcmp(sc_registry_get(reg, i).spec->id,
				    sc_registry_get(reg, i + 1).spec->id),
			     0);
	cr_assert_eq(sc_registry_find(reg, "c"), -ENOENT);
}

/* A1 */
Test(registry, registering_again_is_idempotent)
{
	_cleanup_registry_ struct sc_registry *reg = sc_registry_new();
	_cleanup_spec_ struct sc_condition_spec spec = make("x", false);

	cr_assert_eq(sc_registry_upsert(reg, &spec, NULL), 0);
	cr_assert_eq(sc_registry_upsert(reg, &spec, NULL), 1);
	spec.min_samples = 7;
	cr_assert_eq(sc_registry_upsert(reg, &spec, NULL), 0);
	cr_assert_eq(sc_registry_count(reg), 1);
	cr_assert_eq(find(reg, "x").spec->min_samples, 7);
	cr_assert_eq(find(reg, "x").origin, SC_ORIGIN_RUNTIME);
}

/* A1 */
Test(registry, delete_tells_whether_it_was_there)
{
	_cleanup_registry_ struct sc_registry *reg = sc_registry_new();
	_cleanup_spec_ struct sc_condition_spec spec = make("x", false);

	sc_registry_upsert(reg, &spec, NULL);
	cr_assert_eq(sc_registry_delete(reg, "x", NULL), 1);
	cr_assert_eq(sc_registry_delete(reg, "x", NULL), 0);
	cr_assert_eq(sc_registry_count(reg), 0);
}

Test(registry, what_a_file_defines_is_changed_by_the_file_only)
{
	_cleanup_registry_ struct sc_registry *reg = sc_registry_new();
	_cleanup_spec_ struct sc_condition_spec spec = make("x", false);
	struct sc_diag diag = {0};

	spec.file = strdup("/etc/scram/scram.yaml");
	cr_assert_eq(sc_registry_set_files(reg, &spec, 1, NULL), 0);
	cr_assert_eq(sc_registry_upsert(reg, &spec, &diag), -EPERM);
	cr_assert(strstr(diag.text, "/etc/scram/scram.yaml"), "%s", diag.text);
	cr_assert_eq(sc_registry_delete(reg, "x", &diag), -EPERM);
	cr_assert_eq(sc_registry_count(reg), 1);
}

Test(registry, a_file_takes_an_id_from_the_run_time_and_keeps_the_others)
{
	_cleanup_registry_ struct sc_registry *reg = sc_registry_new();
	_cleanup_spec_ struct sc_condition_spec x = make("x", false);
	_cleanup_spec_ struct sc_condition_spec y = make("y", true);

	sc_registry_upsert(reg, &x, NULL);
	sc_registry_upsert(reg, &y, NULL);
	cr_assert_eq(sc_registry_set_files(reg, &x, 1, NULL), 0);
	cr_assert_eq(find(reg, "x").origin, SC_ORIGIN_FILE);
	cr_assert_eq(find(reg, "y").origin, SC_ORIGIN_RUNTIME);
	cr_assert_eq(sc_registry_set_files(reg, NULL, 0, NULL), 0);
	cr_assert_eq(sc_registry_find(reg, "x"), -ENOENT);
	cr_assert(find(reg, "y").live);
}

Test(registry, a_refused_reload_changes_nothing)
{
	_cleanup_registry_ struct sc_registry *reg = sc_registry_new();
	struct sc_condition_spec specs[3] = {make("a", false), make("b", false), make("a", true)};
	struct sc_diag diag = {0};

	cr_assert_eq(sc_registry_set_files(reg, specs, 2, NULL), 0);
	cr_assert_eq(sc_registry_set_files(reg, specs + 1, 2, NULL), 0);
	cr_assert_eq(sc_registry_set_files(reg, specs, 3, &diag), -EEXIST);
	cr_assert(strstr(diag.text, "twice"), "%s", diag.text);
	cr_assert_eq(sc_registry_count(reg), 2);
	cr_assert(find(reg, "a").live);
	for (size_t i = 0; i < SC_ARRAY_SIZE(specs); i++)
		sc_condition_spec_done(&specs[i]);
}

Test(registry, promotion_holds_until_the_file_changes_its_own_live)
{
	_cleanup_registry_ struct sc_registry *reg = sc_registry_new();
	_cleanup_spec_ struct sc_condition_spec spec = make("x", false);

	sc_registry_set_files(reg, &spec, 1, NULL);
	cr_assert_eq(sc_registry_set_live(reg, "x", true, NULL), 1);
	cr_assert_eq(sc_registry_set_live(reg, "x", true, NULL), 0);
	cr_assert(find(reg, "x").live);
	cr_assert(find(reg, "x").overridden);
	spec.hold_ns = 5;
	sc_registry_set_files(reg, &spec, 1, NULL);
	cr_assert(find(reg, "x").live, "another field changed, not live");
	spec.live = true;
	sc_registry_set_files(reg, &spec, 1, NULL);
	spec.live = false;
	sc_registry_set_files(reg, &spec, 1, NULL);
	cr_assert_not(find(reg, "x").live, "the file's own live changed: the promotion is over");
	cr_assert_not(find(reg, "x").overridden);
}

Test(registry, a_promotion_of_another_live_is_not_restored)
{
	_cleanup_registry_ struct sc_registry *reg = sc_registry_new();
	_cleanup_spec_ struct sc_condition_spec spec = make("x", true);

	sc_registry_set_files(reg, &spec, 1, NULL);
	cr_assert_eq(sc_registry_restore_live(reg, "x", true, false), 0);
	cr_assert_not(find(reg, "x").overridden);
	cr_assert_eq(sc_registry_restore_live(reg, "x", false, true), 1);
	cr_assert_not(find(reg, "x").live);
	cr_assert_eq(sc_registry_restore_live(reg, "y", false, true), -ENOENT);
}

Test(registry, a_clone_is_independent)
{
	_cleanup_registry_ struct sc_registry *reg = sc_registry_new();
	_cleanup_registry_ struct sc_registry *copy = NULL;
	_cleanup_spec_ struct sc_condition_spec spec = make("x", false);

	sc_registry_upsert(reg, &spec, NULL);
	sc_registry_set_live(reg, "x", true, NULL);
	copy = sc_registry_clone(reg);
	cr_assert_eq(sc_registry_delete(reg, "x", NULL), 1);
	cr_assert(find(copy, "x").live);
}

Test(registry, refuses_the_1025th)
{
	_cleanup_registry_ struct sc_registry *reg = sc_registry_new();
	struct sc_diag diag = {0};

	for (unsigned int i = 0; i <= SC_CONDITIONS_MAX; i++) {
		char id[16];
		_cleanup_spec_ struct sc_condition_spec spec = {0};

		snprintf(id, sizeof(id), "c%05u", i);
		spec = make(id, false);
		cr_assert_eq(sc_registry_upsert(reg, &spec, &diag),
			     i < SC_CONDITIONS_MAX ? 0 : -E2BIG);
	}
	cr_assert(strstr(diag.text, "1024"), "%s", diag.text);
}
