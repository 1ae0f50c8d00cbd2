/* SPDX-License-Identifier: Apache-2.0 */
/* Taking the right to write, in the fake world: what counts as done, as half, as undone. */
#include "harness/fake_effector.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

struct world {
	struct sc_fake fake;
	struct sc_effector eff;
	struct sc_action_run run;
	struct sc_readonly wish;
	struct sc_readonly_port port;
	enum sc_readonly_way way;
	struct sc_readonly_report answer;
	uint32_t roots_told; /* of the last set */
	unsigned int sets;
};

static enum sc_readonly_way way(void *ctx, bool has_paths, char *why, size_t size)
{
	const struct world *w = ctx;

	snprintf(why, size, has_paths ? "" : "no paths");
	return w->way;
}

static int set(void *ctx, const struct sc_readonly *wish, struct sc_readonly_report *report)
{
	struct world *w = ctx;

	cr_expect_eq(report->error, 0, "zeroed by the caller");
	w->roots_told = wish->n_roots;
	w->sets++;
	*report = w->answer;
	return report->error;
}

static const struct sc_readonly_ops ops = {.way = way, .set = set};

static void setup(struct world *w, struct sc_readonly_report answer)
{
	memset(w, 0, sizeof(*w));
	sc_fake_init(&w->fake);
	w->eff = sc_fake_effector(&w->fake);
	w->port = (struct sc_readonly_port){.ops = &ops, .ctx = w};
	w->eff.readonly = &w->port;
	w->wish.n_roots = 1;
	w->way = answer.way;
	w->answer = answer;
}

static int prepare(struct world *w)
{
	struct sc_action_request request = {.kind = SC_ACTION_READONLY, .readonly = &w->wish};

	return sc_action_prepare(&w->run, &request, &w->eff);
}

static void act(struct world *w, bool is_release)
{
	uint64_t next = 0;

	cr_assert_eq(prepare(w), 0);
	if (is_release)
		w->run.ops->release(&w->run, &w->eff);
	else
		w->run.ops->apply(&w->run, &w->eff);
	cr_assert_eq(w->run.ops->verify(&w->run, &w->eff, w->fake.now_ns, &next), SC_STEP_DONE);
	sc_action_close(&w->run, &w->eff);
}

static void expect(const struct world *w, enum sc_action_outcome outcome, const char *text)
{
	cr_expect_eq(w->run.outcome, outcome, "%s: %s", sc_action_outcome_name(w->run.outcome),
		     w->run.text);
	cr_expect(strstr(w->run.text, text), "'%s' lacks '%s'", w->run.text, text);
	cr_expect_eq(w->sets, 1, "told once");
}

Test(readonly, what_holds_is_success_half_is_partial_nothing_is_failure)
{
	static const struct {
		struct sc_readonly_report answer;
		enum sc_action_outcome outcome;
		const char *text;
	} cases[] = {
		{{.way = SC_READONLY_LSM, .holds = true, .is_some = true, .is_tried = true},
		 SC_ACTION_OUTCOME_READONLY,
		 "by the BPF LSM; a write inside was tried and refused"},
		{{.way = SC_READONLY_LSM, .holds = true, .is_some = true},
		 SC_ACTION_OUTCOME_READONLY,
		 "nobody inside to try a write as"},
		{{.way = SC_READONLY_MOUNTS, .holds = true, .is_some = true, .namespaces = 2},
		 SC_ACTION_OUTCOME_READONLY,
		 "by mounts, in 2 mount namespaces"},
		{{.way = SC_READONLY_MOUNTS, .is_some = true, .text = "postgres can go on"},
		 SC_ACTION_OUTCOME_PARTIAL,
		 "postgres can go on"},
		{{.way = SC_READONLY_LSM, .is_some = true, .error = -EACCES, .text = "not refused"},
		 SC_ACTION_OUTCOME_PARTIAL,
		 "not refused"},
		{{.way = SC_READONLY_LSM, .error = -EPERM, .text = "attach: no"},
		 SC_ACTION_OUTCOME_FAILED,
		 "attach: no"},
		{{.way = SC_READONLY_MOUNTS}, SC_ACTION_OUTCOME_FAILED, "nothing there"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct world w;

		setup(&w, cases[i].answer);
		act(&w, false);
		expect(&w, cases[i].outcome, cases[i].text);
	}
}

Test(readonly, a_host_that_cannot_refuses_and_is_not_touched)
{
	struct world w;

	setup(&w, (struct sc_readonly_report){.way = SC_READONLY_NO_WAY});
	cr_expect_eq(prepare(&w), -EOPNOTSUPP);
	cr_expect(strstr(w.run.text, "no paths"), "%s", w.run.text);
	w.eff.readonly = NULL;
	cr_expect_eq(prepare(&w), -EOPNOTSUPP);
	cr_expect_eq(w.sets, 0);
}

Test(readonly, an_undo_asks_nothing_of_the_host)
{
	struct world w;

	setup(&w, (struct sc_readonly_report){.way = SC_READONLY_NO_WAY});
	w.wish.n_roots = 0;
	act(&w, true);
	expect(&w, SC_ACTION_OUTCOME_RESTORED, "writable again");
	cr_expect_eq(w.roots_told, 0);
}

Test(readonly, an_undo_that_fails_says_so_and_can_be_repeated)
{
	struct world w;

	setup(&w, (struct sc_readonly_report){.error = -EIO, .text = "unpin: no"});
	w.wish.n_roots = 0;
	act(&w, true);
	expect(&w, SC_ACTION_OUTCOME_FAILED, "unpin: no");
	w.answer = (struct sc_readonly_report){0};
	w.sets = 0;
	act(&w, true);
	expect(&w, SC_ACTION_OUTCOME_RESTORED, "writable again");
}
