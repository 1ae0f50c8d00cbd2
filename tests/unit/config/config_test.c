/* SPDX-License-Identifier: Apache-2.0 */
/* Files on disk: what is read, what is believed, and what a configuration holds in the end. */
#include <scram/config.h>

#include "base/io.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define _cleanup_config_ _cleanup_(sc_config_done)
#define _cleanup_faults_ _cleanup_(sc_config_faults_done)

static char dir[64];

static void begin(void)
{
	sc_strcopy(dir, sizeof(dir), "/tmp/scram-config-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

static void remove_file(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (unlink(path) && errno == EISDIR)
		rmdir(path);
}

static void end(void)
{
	static const char *const names[] = {"d/10-a.yaml", "d/20-b.yaml", "d/30-c.txt", "d",
					    "scram.yaml"};

	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++)
		remove_file(names[i]);
	cr_assert_eq(rmdir(dir), 0);
}

TestSuite(config, .init = begin, .fini = end);

static const char *write_file(const char *name, const char *text, mode_t mode)
{
	static char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/d", dir);
	if (!strncmp(name, "d/", 2))
		sc_mkdir_p(path, 0755);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(sc_write_all(fd, text, strlen(text)), 0);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static const char *text_of(const struct sc_config_faults *faults)
{
	static char buf[8192];
	struct sc_str text;

	sc_str_init(&text, buf, sizeof(buf));
	for (size_t i = 0; i < faults->n; i++)
		sc_config_fault_print(&faults->item[i], &text);
	return buf;
}

static int load(struct sc_config *config, const char *path, struct sc_config_faults *faults)
{
	return sc_config_load(config, path, geteuid() ? SC_CONFIG_ANY_OWNER : 0, faults);
}

static const char sample[] =
	"tick: 100ms                       # default\n"
	"protect: [/system.slice/sshd.service]\n"
	"components:\n"
	"  checkout: {cgroups: [/workload/checkout*], max_parallel: 8, job_timeout: 10m}\n"
	"tenants:\n"
	"  acme: {cgroups: [/tenants/acme]}\n"
	"probes:\n"
	"  lateral: {kind: http, url: \"http://127.0.0.1:9000/trigger\", token_file: "
	"/etc/scram/lateral.token, budget: 2s, every: 5s}\n"
	"include: [d/*.yaml]\n"
	"conditions:\n"
	"  - id: crash-loop\n"
	"    description: a component keeps crashing\n"
	"    scope: /workload/*            # paths as in /proc/PID/cgroup\n"
	"    when: increase(proc.crashes[60s]) >= 3\n"
	"    hold: 0s\n"
	"    cooldown: 60s\n"
	"    action: {kind: process-exit, config: {code: 137}}      # acts on the matched cgroup\n"
	"    auto_fire: true\n"
	"    live: true\n"
	"    registered_by: ops\n"
	"  - id: cut-acme\n"
	"    description: cut tenant acme from the network\n"
	"    action: {kind: tenant-quarantine, config: {tenant_id: acme}}\n"
	"    live: true\n"
	"    registered_by: security       # no `when`: manual only\n";

Test(config, the_sample_of_the_manual_loads)
{
	_cleanup_config_ struct sc_config config = {0};
	_cleanup_faults_ struct sc_config_faults faults;
	const struct sc_condition_spec *c;

	cr_assert_eq(load(&config, write_file("scram.yaml", sample, 0644), &faults), 0, "%s",
		     text_of(&faults));
	cr_assert(config.tick_given);
	cr_assert_eq(config.tick_ns, 100 * SC_NS_PER_MS);
	cr_assert_eq(sc_config_component(&config, "checkout")->max_parallel, 8);
	cr_assert_eq(sc_config_component(&config, "checkout")->job_timeout_ns, 600 * SC_NS_PER_S);
	cr_assert_str_eq(sc_config_tenant(&config, "acme")->cgroups.item[0], "/tenants/acme");
	cr_assert_eq(config.probes[0].kind, SC_PROBE_HTTP);
	cr_assert_eq(config.condition_count, 2);
	c = &config.conditions[0];
	cr_assert_eq(c->action.code, 137);
	cr_assert(c->auto_fire && c->live && !c->requires_two_person);
	cr_assert_str_eq(c->registered_by, "ops");
	cr_assert_eq(c->line, 11);
	cr_assert_eq(c->when_line, 14);
	cr_assert_eq(c->when_column, 11);
	cr_assert_null(config.conditions[1].when);
	cr_assert_eq(strlen(config.digest), 64);
}

Test(config, includes_are_read_in_the_order_of_their_names)
{
	_cleanup_config_ struct sc_config config = {0};
	_cleanup_faults_ struct sc_config_faults faults;

	write_file("d/20-b.yaml", "conditions: [{id: b, action: {kind: freeze}}]\n", 0644);
	write_file("d/30-c.txt", "not yaml: [", 0644);
	write_file("d/10-a.yaml",
		   "tenants: {later: {cgroups: [/t]}}\n"
		   "conditions: [{id: a, action: {kind: freeze}}]\n",
		   0644);
	cr_assert_eq(load(&config,
			  write_file("scram.yaml",
				     "include: [d/*.yaml]\nconditions:\n  - {id: m, action: {kind: "
				     "tenant-quarantine, config: {tenant_id: later}}}\n",
				     0644),
			  &faults),
		     0, "%s", text_of(&faults));
	cr_assert_eq(config.condition_count, 3);
	cr_assert_str_eq(config.conditions[0].id, "m");
	cr_assert_str_eq(config.conditions[1].id, "a");
	cr_assert_str_eq(config.conditions[2].id, "b");
	cr_assert_eq(config.files.n, 3);
	cr_assert(strstr(config.conditions[1].file, "d/10-a.yaml"));
}

/* Arrays of that size are filled from it. */
Test(config, names_are_bounded_over_all_files)
{
	_cleanup_config_ struct sc_config config = {0};
	_cleanup_faults_ struct sc_config_faults faults;

	for (unsigned int file = 0; file < 2; file++) {
		_cleanup_str_ struct sc_str text;

		sc_str_init_heap(&text);
		sc_str_add(&text, "probes:\n");
		for (unsigned int i = 0; i < 1 + SC_CONFIG_NAMES_MAX / 2; i++)
			sc_str_addf(&text, "  p%u-%u: {kind: exec, command: [/bin/true]}\n", file,
				    i);
		write_file(file ? "d/20-b.yaml" : "d/10-a.yaml", text.data, 0644);
	}
	cr_assert_eq(
		load(&config, write_file("scram.yaml", "include: [d/*.yaml]\n", 0644), &faults),
		-EINVAL);
	cr_expect_not_null(strstr(text_of(&faults), "more than 256"), "%s", text_of(&faults));
}

Test(config, who_is_told_adds_up_over_the_files)
{
	_cleanup_config_ struct sc_config config = {0};
	_cleanup_faults_ struct sc_config_faults faults;

	write_file("d/10-a.yaml", "notify: [{command: [/bin/true]}]\n", 0644);
	cr_assert_eq(load(&config,
			  write_file("scram.yaml",
				     "include: [d/*.yaml]\n"
				     "notify: [{webhook: \"https://example.org/\"}, journal]\n"
				     "conditions:\n"
				     "  - {id: a, action: {kind: freeze}, notify: [journal]}\n"
				     "  - {id: b, action: {kind: freeze}}\n",
				     0644),
			  &faults),
		     0, "%s", text_of(&faults));
	cr_assert_eq(config.notify.n, 3);
	cr_assert_eq(config.notify.item[0].kind, SC_NOTIFY_WEBHOOK);
	cr_assert_eq(config.notify.item[1].kind, SC_NOTIFY_JOURNAL);
	cr_assert_str_eq(config.notify.item[2].command.item[0], "/bin/true");
	cr_assert_eq(config.conditions[0].notify.n, 1);
	cr_assert_eq(config.conditions[1].notify.n, 0);
}

Test(config, faults_of_all_files_are_told_together)
{
	_cleanup_config_ struct sc_config config = {0};
	_cleanup_faults_ struct sc_config_faults faults;
	const char *text;

	write_file("d/10-a.yaml", "tick: 1s\nconditions: [{id: m, action: {kind: freeze}}]\n",
		   0644);
	write_file("d/20-b.yaml",
		   "conditions:\n- {id: b, when: proc.alvie > 1, action: {kind: freeze}}\n", 0644);
	cr_assert_eq(
		load(&config,
		     write_file("scram.yaml",
				"include: [d/*.yaml]\nhodl: 1\nconditions: [{id: m, action: {kind: "
				"freeze}}]\n",
				0644),
		     &faults),
		-EINVAL);
	text = text_of(&faults);
	cr_assert_eq(faults.n, 4, "%s", text);
	cr_assert(strstr(text, "scram.yaml:2:1: unknown key hodl"), "%s", text);
	cr_assert(strstr(text, "d/10-a.yaml:1:1: tick in an included file"), "%s", text);
	cr_assert(strstr(text, "d/10-a.yaml:2:19: condition m is defined twice"), "%s", text);
	cr_assert(strstr(text, "d/20-b.yaml:2:17: unknown signal"), "%s", text);
}

Test(config, faults_beyond_the_room_are_counted)
{
	_cleanup_config_ struct sc_config config = {0};
	_cleanup_faults_ struct sc_config_faults faults;
	_cleanup_str_ struct sc_str text;

	sc_str_init_heap(&text);
	for (unsigned int i = 0; i < SC_CONFIG_FAULTS_MAX + 6; i++)
		sc_str_addf(&text, "key%u: 1\n", i);
	cr_assert_eq(sc_config_parse(&config, "text", text.data, text.len, &faults), -EINVAL);
	cr_assert_eq(faults.n, SC_CONFIG_FAULTS_MAX);
	cr_assert_eq(faults.dropped, 6);
}

Test(config, refuses_files_that_others_may_write)
{
	static const mode_t modes[] = {0664, 0646, 0666};
	_cleanup_config_ struct sc_config config = {0};
	const char *path = NULL;

	for (size_t i = 0; i < SC_ARRAY_SIZE(modes); i++) {
		_cleanup_faults_ struct sc_config_faults faults;

		path = write_file("scram.yaml", "tick: 1s\n", modes[i]);
		cr_assert_eq(sc_config_load(&config, path, 0, &faults), -EPERM, "mode %o",
			     modes[i]);
	}
	if (geteuid() == 0) {
		_cleanup_faults_ struct sc_config_faults faults;

		path = write_file("scram.yaml", "tick: 1s\n", 0644);
		cr_assert_eq(chown(path, 1, 1), 0);
		cr_assert_eq(sc_config_load(&config, path, 0, &faults), -EPERM);
		cr_assert(strstr(text_of(&faults), "not owned by root"), "%s", text_of(&faults));
	}
}

Test(config, an_included_file_must_be_trusted_too)
{
	_cleanup_config_ struct sc_config config = {0};
	_cleanup_faults_ struct sc_config_faults faults;

	write_file("d/10-a.yaml", "conditions: []\n", 0666);
	cr_assert_eq(
		load(&config, write_file("scram.yaml", "include: [d/*.yaml]\n", 0644), &faults),
		geteuid() ? 0 : -EPERM);
}

Test(config, refuses_what_is_no_file_without_waiting_for_it, .timeout = 300)
{
	_cleanup_config_ struct sc_config config = {0};
	char path[128];

	snprintf(path, sizeof(path), "%s/scram.yaml", dir);
	for (unsigned int i = 0; i < 3; i++) {
		_cleanup_faults_ struct sc_config_faults faults;

		if (i == 1)
			cr_assert_eq(mkfifo(path, 0600), 0);
		if (i == 2)
			cr_assert_eq(mkdir(path, 0700), 0);
		cr_assert_eq(load(&config, path, &faults), i == 0 ? -ENOENT : -EPERM, "%u", i);
		cr_assert_eq(faults.n, 1);
		remove_file("scram.yaml");
	}
}

Test(config, refuses_a_file_over_1_mib)
{
	_cleanup_config_ struct sc_config config = {0};
	_cleanup_faults_ struct sc_config_faults faults;
	_cleanup_free_ char *big = malloc(SC_CONFIG_FILE_MAX + 2);

	memset(big, '#', SC_CONFIG_FILE_MAX + 1);
	big[SC_CONFIG_FILE_MAX + 1] = '\0';
	cr_assert_lt(load(&config, write_file("scram.yaml", big, 0644), &faults), 0);
	cr_assert(strstr(text_of(&faults), "1 MiB"), "%s", text_of(&faults));
}

/* A mebibyte of nested or repeated things must not take long: the loop thread reloads. */
Test(config, hostile_sizes_end_soon, .timeout = 300)
{
	static const char *const units[] = {"[",  "{a: ",        "- ",      "a: 1\n",
					    "? ", "- {id: x}\n", "[a, b], "};

	for (size_t u = 0; u < SC_ARRAY_SIZE(units); u++) {
		_cleanup_config_ struct sc_config config = {0};
		_cleanup_faults_ struct sc_config_faults faults;
		_cleanup_str_ struct sc_str text;

		sc_str_init_heap(&text);
		sc_str_add(&text, "conditions:\n");
		while (text.len + 32 < SC_CONFIG_FILE_MAX)
			sc_str_add(&text, units[u]);
		cr_assert_lt(sc_config_parse(&config, "text", text.data, text.len, &faults), 0);
	}
}

Test(config, refuses_the_1025th_condition)
{
	_cleanup_config_ struct sc_config config = {0};
	_cleanup_faults_ struct sc_config_faults faults;
	_cleanup_str_ struct sc_str text;

	sc_str_init_heap(&text);
	sc_str_add(&text, "conditions:\n");
	for (unsigned int i = 0; i <= SC_CONDITIONS_MAX; i++)
		sc_str_addf(&text, "- {id: c%u, action: {kind: freeze}}\n", i);
	cr_assert_eq(sc_config_parse(&config, "text", text.data, text.len, &faults), -EINVAL);
	cr_assert(strstr(text_of(&faults), "more than 1024 conditions"), "%s", text_of(&faults));
}

Test(config, the_default_protects_what_keeps_the_host_alive)
{
	static const struct {
		const char *path;
		bool is_protected;
	} cases[] = {
		{"/init.scope", true},
		{"/system.slice/sshd.service", true},
		{"/system.slice/ssh.service/session", true},
		{"/system.slice/systemd-journald.service", true},
		{"/system.slice/systemd-udevd.service", true},
		{"/system.slice/nginx.service", false},
		{"/system.slice", false},
		{"/init.scope2", false},
		{"/", false},
	};
	_cleanup_config_ struct sc_config config = {0};

	cr_assert_eq(sc_config_default(&config), 0);
	cr_assert_eq(config.condition_count, 0);
	cr_assert_eq(config.tick_ns, 100 * SC_NS_PER_MS);
	cr_assert_not(config.tick_given);
	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++)
		cr_assert_eq(sc_config_protected_by(&config, cases[i].path) != NULL,
			     cases[i].is_protected, "%s", cases[i].path);
}

Test(config, a_file_adds_to_the_protect_list_and_cannot_shorten_it)
{
	_cleanup_config_ struct sc_config config = {0};
	_cleanup_faults_ struct sc_config_faults faults;
	static const char text[] = "protect: [/db/**]\n";

	cr_assert_eq(sc_config_parse(&config, "text", text, sizeof(text) - 1, &faults), 0);
	cr_assert_not_null(sc_config_protected_by(&config, "/db/main"));
	cr_assert_not_null(sc_config_protected_by(&config, "/init.scope"));
}

Test(config, the_digest_follows_names_and_bytes)
{
	_cleanup_config_ struct sc_config a = {0}, b = {0}, c = {0};
	_cleanup_faults_ struct sc_config_faults faults;

	cr_assert_eq(sc_config_parse(&a, "x", "tick: 1s\n", 9, &faults), 0);
	cr_assert_eq(sc_config_parse(&b, "x", "tick: 1s\n", 9, &faults), 0);
	cr_assert_eq(sc_config_parse(&c, "x", "tick: 2s\n", 9, &faults), 0);
	cr_assert_str_eq(a.digest, b.digest);
	cr_assert_str_neq(a.digest, c.digest);
}

Test(config, the_reference_names_every_key_of_the_sample)
{
	static const char *const keys[] = {"tick",  "protect", "components", "tenants", "probes",
					   "scope", "when",    "hold",       "dwell",   "rekill"};
	_cleanup_str_ struct sc_str text;

	sc_str_init_heap(&text);
	sc_config_print_reference(&text);
	for (size_t i = 0; i < SC_ARRAY_SIZE(keys); i++) {
		char want[32];

		snprintf(want, sizeof(want), "| `%s` |", keys[i]);
		cr_assert(strstr(text.data, want), "%s", keys[i]);
	}
}

static void parse(struct sc_config *config, const char *text)
{
	_cleanup_faults_ struct sc_config_faults faults;

	cr_assert_eq(sc_config_parse(config, "text", text, strlen(text), &faults), 0, "%s",
		     text_of(&faults));
}

Test(config, a_breaker_has_the_defaults_of_the_manual)
{
	_cleanup_config_ struct sc_config config = {0};
	const struct sc_component *web;

	parse(&config, "components:\n"
		       "  web: {cgroups: [/w/web], breaker: {}}\n"
		       "  db: {cgroups: [/w/db]}\n");
	web = sc_config_component(&config, "web");
	cr_assert(web->has_breaker);
	cr_assert_not(sc_config_component(&config, "db")->has_breaker);
	cr_assert_not(web->breaker.live);
	cr_assert_eq(web->breaker.mode, SC_CUT_REFUSE_NEW);
	cr_assert_eq(web->breaker.failures, 5);
	cr_assert_eq(web->breaker.open_ns, 30 * SC_NS_PER_S);
	cr_assert_eq(web->breaker.open_max_ns, 300 * SC_NS_PER_S);
	cr_assert_eq(web->breaker.tries, 3);
	cr_assert_eq(web->breaker.half_open_ns, 30 * SC_NS_PER_S);
	cr_assert_eq(web->breaker.successes, 1);
	cr_assert_null(web->failure);
	cr_assert_null(web->success);
}

Test(config, a_breaker_is_what_the_file_says)
{
	_cleanup_faults_ struct sc_config_faults faults;
	_cleanup_config_ struct sc_config config = {0};
	const struct sc_component *web;

	cr_assert_eq(sc_config_load(&config, "tests/corpus/config/good-breaker.yaml",
				    SC_CONFIG_ANY_OWNER, &faults),
		     0, "%s", text_of(&faults));
	web = sc_config_component(&config, "web");
	cr_assert(web->breaker.live);
	cr_assert_eq(web->breaker.mode, SC_CUT_REFUSE_ALL);
	cr_assert_eq(web->breaker.failures, 10);
	cr_assert_eq(web->breaker.open_ns, 60 * SC_NS_PER_S);
	cr_assert_eq(web->breaker.open_max_ns, 600 * SC_NS_PER_S);
	cr_assert_eq(web->breaker.tries, 5);
	cr_assert_eq(web->breaker.half_open_ns, 20 * SC_NS_PER_S);
	cr_assert_eq(web->breaker.successes, 2);
	cr_assert_str_eq(web->failure,
			 "count(\"/w/web*\", increase(tcp.connect_failures[1s]) > 0) >= 2");
	cr_assert_str_eq(web->success, "any(\"/w/web*\", increase(tcp.connect_successes[1s]) > 0)");
}

Test(config, a_circuit_break_refuses_new_connections_unless_told_otherwise)
{
	_cleanup_config_ struct sc_config config = {0};

	parse(&config,
	      "components: {web: {cgroups: [/w/web]}}\n"
	      "conditions:\n"
	      "  - {id: a, action: {kind: circuit-break-component, config: {component: web}}}\n"
	      "  - {id: b, scope: /w/*, action: {kind: circuit-break-component, config: "
	      "{mode: all}}}\n"
	      "  - {id: c, scope: /w/*, action: {kind: tenant-quarantine}}\n");
	cr_assert_eq(config.conditions[0].action.mode, SC_CUT_REFUSE_NEW);
	cr_assert_eq(config.conditions[1].action.mode, SC_CUT_REFUSE_ALL);
	cr_assert_null(config.conditions[1].action.component);
	cr_assert_eq(config.conditions[2].action.mode, SC_CUT_NONE);
}
