/* SPDX-License-Identifier: Apache-2.0 */
/* Every file of tests/corpus/config against its verdict; run from the top of the tree. */
#include <scram/config.h>

#include "base/io.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#define CORPUS       "tests/corpus/config"
#define VERDICTS_MAX (64 * 1024)
#define FILE_MAX     (64 * 1024)

static void faults_text(const struct sc_config_faults *faults, struct sc_str *out)
{
	for (size_t i = 0; i < faults->n; i++)
		sc_config_fault_print(&faults->item[i], out);
}

/* What is journaled of a condition must make the same condition when it is read back. */
static void check_round_trip(const struct sc_config *config)
{
	for (size_t i = 0; i < config->condition_count; i++) {
		_cleanup_(sc_condition_spec_done) struct sc_condition_spec back = {0};
		_cleanup_str_ struct sc_str json, again;
		struct sc_diag diag;

		sc_str_init_heap(&json);
		sc_str_init_heap(&again);
		sc_condition_spec_json(&config->conditions[i], &json);
		cr_assert_eq(sc_condition_spec_from_json(json.data, json.len, &back, &diag), 0,
			     "%s in %s", diag.text, json.data);
		cr_assert(sc_condition_spec_equal(&back, &config->conditions[i]), "%s", json.data);
		sc_condition_spec_json(&back, &again);
		cr_assert_str_eq(json.data, again.data);
	}
}

static void check_one(const char *file, const char *place, const char *what)
{
	_cleanup_(sc_config_faults_done) struct sc_config_faults faults;
	_cleanup_(sc_config_done) struct sc_config config = {0};
	_cleanup_str_ struct sc_str text;
	char path[512], want[1024];
	int err;

	snprintf(path, sizeof(path), CORPUS "/%s", file);
	err = sc_config_load(&config, path, SC_CONFIG_ANY_OWNER, &faults);
	sc_str_init_heap(&text);
	faults_text(&faults, &text);
	if (!strcmp(place, "ok")) {
		cr_assert_eq(err, 0, "%s", text.data);
		check_round_trip(&config);
		return;
	}
	cr_assert_lt(err, 0, "%s was taken", file);
	cr_assert_eq(faults.n, 1, "%s: %zu faults: %s", file, faults.n, text.data);
	snprintf(want, sizeof(want), "%s:%s: %s", path, place, what);
	cr_assert_eq(strncmp(text.data, want, strlen(want)), 0, "got  %swant %s", text.data, want);
	cr_assert_eq(config.condition_count, 0, "%s: touched on failure", file);
}

static void read_verdicts(char *buf, size_t size)
{
	ssize_t n = sc_read_file_at(AT_FDCWD, CORPUS "/verdicts.tsv", buf, size);

	cr_assert_gt(n, 0, "run the tests from the top of the tree");
}

Test(corpus, every_file_gets_its_verdict)
{
	static char verdicts[VERDICTS_MAX];
	unsigned int good = 0, bad = 0;
	char *rest = verdicts;
	char *line;

	read_verdicts(verdicts, sizeof(verdicts));
	while ((line = strsep(&rest, "\n"))) {
		char *place = strchr(line, '\t');
		char *what;

		if (!*line || *line == '#')
			continue;
		cr_assert_not_null(place, "%s", line);
		*place++ = '\0';
		what = strchr(place, '\t');
		if (what)
			*what++ = '\0';
		check_one(line, place, what);
		good += what == NULL;
		bad += what != NULL;
	}
	cr_assert_geq(bad, 100);
	cr_assert_geq(good, 20);
}

Test(corpus, no_file_is_without_a_verdict)
{
	static char verdicts[VERDICTS_MAX];
	DIR *dir = opendir(CORPUS);
	const struct dirent *entry;
	char want[300];

	read_verdicts(verdicts, sizeof(verdicts));
	cr_assert_not_null(dir);
	while ((entry = readdir(dir))) {
		if (!strstr(entry->d_name, ".yaml"))
			continue;
		snprintf(want, sizeof(want), "\n%s\t", entry->d_name);
		cr_assert(strstr(verdicts, want), "%s", entry->d_name);
	}
	closedir(dir);
}

/* A prefix of a file is what a reader sees of a half-written one: any verdict, but a verdict. */
Test(corpus, every_prefix_of_a_good_file_gets_a_verdict)
{
	static char text[FILE_MAX];
	ssize_t n = sc_read_file_at(AT_FDCWD, CORPUS "/good-grace-rekill.yaml", text, sizeof(text));

	cr_assert_gt(n, 100);
	for (size_t len = 0; len <= (size_t)n; len++) {
		_cleanup_(sc_config_faults_done) struct sc_config_faults faults;
		_cleanup_(sc_config_done) struct sc_config config = {0};
		int err = sc_config_parse(&config, "prefix", text, len, &faults);

		cr_assert_eq(err != 0, faults.n > 0, "at %zu", len);
		cr_assert(len < (size_t)n || err == 0);
	}
}
