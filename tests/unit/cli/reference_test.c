/* SPDX-License-Identifier: Apache-2.0 */
/* What is printed from the tables: pages, the manual, completion. */
#include "cli/completion.h"
#include "cli/reference.h"
#include "cli/usage.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <string.h>

static void assert_has(const struct sc_str *page, const char *before, const char *name,
		       const char *after)
{
	char want[128];

	snprintf(want, sizeof(want), "%s%s%s", before, name, after);
	cr_assert_not_null(strstr(page->data, want), "%s is missing", want);
}

Test(reference, every_topic_prints_a_page)
{
	size_t n;
	const struct sc_topic *topics = sc_topics(&n);

	cr_assert_eq(n, 10);
	for (size_t i = 0; i < n; i++) {
		_cleanup_str_ struct sc_str page = {0};

		sc_str_init_heap(&page);
		topics[i].print(&page);
		cr_assert_gt(page.len, 200, "%s", topics[i].name);
		cr_assert_eq(page.data[page.len - 1], '\n', "%s", topics[i].name);
		if (strcmp(topics[i].name, "man") != 0)
			cr_assert_eq(strncmp(page.data, "# ", 2), 0, "%s", topics[i].name);
	}
}

Test(reference, manual_and_completions_have_every_verb_and_option)
{
	_cleanup_str_ struct sc_str man = {0};
	_cleanup_str_ struct sc_str bash = {0};
	_cleanup_str_ struct sc_str zsh = {0};
	size_t n;
	const struct sc_verb *verbs = sc_verbs(&n);

	sc_str_init_heap(&man);
	sc_str_init_heap(&bash);
	sc_str_init_heap(&zsh);
	sc_reference_man(&man);
	sc_completion_bash(&bash);
	sc_completion_zsh(&zsh);
	for (size_t i = 0; i < n; i++) {
		assert_has(&man, ".It Cm ", verbs[i].name, "");
		assert_has(&bash, "\t", verbs[i].name, ") options=\"");
		assert_has(&zsh, "\t", verbs[i].name, ")\n");
		for (const struct sc_option *o = verbs[i].options; o && o->name; o++) {
			assert_has(&man, ".It Fl \\-", o->name, "");
			assert_has(&bash, " --", o->name, "");
			assert_has(&zsh, "'--", o->name, "[");
		}
	}
}

Test(reference, manual_has_no_stray_control_line)
{
	static const char *const macros[] = {".\\\"", ".Dd", ".Dt", ".Os", ".Sh", ".Nm", ".Nd",
					     ".Ar",   ".Op", ".Pp", ".Bl", ".It", ".El", ".Cm"};
	_cleanup_str_ struct sc_str man = {0};
	int depth = 0;

	sc_str_init_heap(&man);
	sc_reference_man(&man);
	for (const char *line = man.data; *line; line += strcspn(line, "\n") + 1) {
		bool known = *line != '.' && *line != '\'';

		for (size_t i = 0; i < SC_ARRAY_SIZE(macros); i++)
			known |= strncmp(line, macros[i], 3) == 0;
		cr_assert(known, "%.40s", line);
		depth += (strncmp(line, ".Bl", 3) == 0) - (strncmp(line, ".El", 3) == 0);
		cr_assert(depth >= 0 && depth <= 2);
	}
	cr_assert_eq(depth, 0);
}

Test(usage, wraps_at_the_margin)
{
	_cleanup_str_ struct sc_str out = {0};
	const char *words = "word word word word word word word word word word word word word word "
			    "word word word word word word word word";

	sc_str_init_heap(&out);
	sc_usage_wrap(&out, words, 4);
	for (const char *line = out.data; *line; line += strcspn(line, "\n") + 1) {
		cr_assert_leq(strcspn(line, "\n"), 78);
		cr_assert_eq(strncmp(line, "    word", 8), 0);
	}
}
