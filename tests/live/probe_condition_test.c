/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions that ask probes, as they are shipped: provoked by a real program and a real server. */
#include "live/traffic_kit.h"
#include "live/worker_kit.h"

#include "base/io.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXAMPLES "conditions.d/examples"
#define TEXT_MAX 16384

TestSuite(probe_condition, .init = sc_traffic_init, .fini = sc_traffic_fini, .timeout = 300);

struct change {
	const char *from, *to;
};

/* The shipped file with these changes, each of which must have something to change. */
static void start_example(const char *name, const struct change *changes, size_t n)
{
	char path[256], text[TEXT_MAX], changed[TEXT_MAX];

	snprintf(path, sizeof(path), EXAMPLES "/%s.yaml", name);
	cr_assert_gt(sc_read_file_at(AT_FDCWD, path, text, sizeof(text)), 0,
		     "run the tests from the top of the tree");
	for (size_t i = 0; i < n; i++) {
		char *at = strstr(text, changes[i].from);

		cr_assert_not_null(at, "%s says nothing of %s", path, changes[i].from);
		cr_assert_lt(snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text,
				      changes[i].to, at + strlen(changes[i].from)),
			     (int)sizeof(changed));
		memcpy(text, changed, sizeof(text));
	}
	sc_kit_start(text);
}

/* What `why --json` says of the one probe of the condition: the caller's. */
static json_t *asked(const char *id)
{
	char line[128];
	json_t *why, *probe;

	snprintf(line, sizeof(line), "why %s", id);
	why = sc_rig_json(&sc_kit, line);
	cr_assert(why, "why says nothing");
	probe = json_incref(json_array_get(json_object_get(why, "probes"), 0));
	cr_assert(probe, "%s asks no probe", id);
	json_decref(why);
	return probe;
}

static bool says_no(void *arg)
{
	json_t *probe = asked(arg);
	bool r = json_is_false(json_object_get(probe, "answer"));

	json_decref(probe);
	return r;
}

static void wait_no(const char *id)
{
	cr_assert_eq(sc_wait_until(says_no, (void *)(uintptr_t)id, 2 * SC_KIT_EVENT_MS), 0,
		     "the probe of %s never says no", id);
}

/* The fire that stands; what it rests on names the probe. */
static void expect_evidence(const char *id, const char *probe)
{
	json_t *fire = sc_kit_get(id, "outcome", "isolated", 0), *operand;
	const json_t *snapshot = json_object_get(fire, "state_snapshot");

	operand = json_array_get(json_object_get(snapshot, "operands"), 0);
	cr_expect_str_eq(sc_kit_text(operand, "text"), probe);
	cr_expect_str_eq(sc_kit_text(operand, "truth"), "true");
	cr_expect(json_is_number(json_object_get(operand, "age_s")), "its age is missing");
	cr_expect_str_eq(sc_kit_text(fire, "fired_by"), "auto");
	json_decref(fire);
}

Test(probe_condition, classified_field_cuts_the_component)
{
	static const char id[] = "classified-field-in-non-classified-path";
	struct sc_peer exporter, other;
	char flag[SC_SANDBOX_PATH_MAX + 16], command[SC_SANDBOX_PATH_MAX + 64];
	const struct change changes[] = {
		{"/workload/exporter", "@ROOT@/exporter"},
		{"[/usr/local/libexec/find-classified-fields, --since, 30s]", command},
		{"budget: 5s", "budget: 2s"},
		{"every: 10s", "every: 2s"},
		{"live: false", "live: true"},
	};

	snprintf(flag, sizeof(flag), "%s/leak", sc_kit.box.tmp);
	snprintf(command, sizeof(command), "[/usr/bin/test, -e, %s]", flag);
	exporter = sc_traffic_peer(sc_kit_mkdir("exporter"), SC_NET_HOST);
	other = sc_traffic_peer(sc_kit_mkdir("other"), SC_NET_HOST);
	start_example(id, changes, SC_ARRAY_SIZE(changes));
	wait_no(id);
	sc_kit_wait_grace();
	sc_traffic_expect_open(&exporter);
	cr_expect_eq(sc_kit_count(id, NULL, NULL), 0, "it fires without a reason");
	close(open(flag, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	sc_kit_wait(id, "outcome", "isolated", 1);
	expect_evidence(id, "probe(\"classified-field\")");
	cr_expect_str_neq(sc_traffic_try(&exporter, &sc_traffic_kinds[SC_TCP4], &sc_traffic_out,
					 SC_TRAFFIC_OPEN_MS),
			  "ok", "it still sends");
	sc_traffic_expect_open(&other);
	cr_assert_eq(unlink(flag), 0);
	sc_traffic_release(id);
	sc_traffic_expect_open(&exporter);
}

/* --- a verifier: yes, once *forged is set, to whoever has the token --- */

static int listener = -1;
static _Atomic bool *forged;

static void answer(int fd)
{
	static const char denied[] = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
	static const char yes[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue";
	static const char no[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse";
	char request[4096] = "";
	const char *reply = denied;
	size_t size = 0;
	ssize_t n;

	while (!strstr(request, "\"}") &&
	       (n = recv(fd, request + size, sizeof(request) - 1 - size, 0)) > 0) {
		size += (size_t)n;
		request[size] = '\0';
	}
	if (strstr(request, "\r\nAuthorization: Bearer s3cret\r\n"))
		reply = *forged ? yes : no;
	(void)!send(fd, reply, strlen(reply), MSG_NOSIGNAL);
	close(fd);
}

static int serve(void *unused)
{
	(void)unused;
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			return 1;
		answer(fd);
	}
}

/* On the loopback of the agent's network. */
static int start_verifier(void)
{
	_cleanup_leave_ int own = sc_net_enter(sc_traffic_net.space[SC_NET_HOST]);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);

	forged = mmap(NULL, sizeof(*forged), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	cr_assert_neq(forged, MAP_FAILED);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&at, size), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &size), 0);
	cr_assert_eq(listen(listener, 64), 0);
	cr_assert_gt(sc_helper_call(sc_kit.agent_fd, serve, NULL), 0);
	return ntohs(at.sin_port);
}

Test(probe_condition, forged_key_quarantines_the_tenant)
{
	static const char id[] = "pact-key-forgery-detected";
	_cleanup_close_ int dir = open(sc_kit.box.tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sc_peer tenant, other;
	char url[64], token[SC_SANDBOX_PATH_MAX + 32];
	const struct change changes[] = {
		{"/tenants/initech", "@ROOT@/initech"},
		{"http://127.0.0.1:9000/v1/pacts/initech/forged", url},
		{"/etc/scram/pact-forgery.token", token},
		{"every: 5s", "every: 2s"},
		{"hold: 10s", "hold: 1s"},
		{"live: false", "live: true"},
	};

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/forged", start_verifier());
	snprintf(token, sizeof(token), "%s/token", sc_kit.box.tmp);
	cr_assert_eq(sc_write_file_atomic(dir, "token", "s3cret\n", 7, 0600), 0);
	tenant = sc_traffic_peer(sc_kit_mkdir("initech"), SC_NET_HOST);
	other = sc_traffic_peer(sc_kit_mkdir("other"), SC_NET_HOST);
	start_example(id, changes, SC_ARRAY_SIZE(changes));
	wait_no(id);
	sc_kit_wait_grace();
	sc_traffic_expect_open(&tenant);
	cr_expect_eq(sc_kit_count(id, NULL, NULL), 0, "it fires without a reason");
	*forged = true;
	sc_kit_wait(id, "outcome", "isolated", 1);
	expect_evidence(id, "probe(\"pact-forgery\")");
	sc_traffic_expect_held(&tenant);
	sc_traffic_expect_open(&other);
	*forged = false;
	sc_traffic_release(id);
}

static bool is_unknown(void *arg)
{
	json_t *probe = asked(arg);
	bool r = json_is_null(json_object_get(probe, "answer"));

	json_decref(probe);
	return r;
}

#define ASKING                                                                            \
	"probes: {up: {kind: exec, command: [/bin/true], budget: 500ms, every: 1s}}\n"    \
	"conditions: [{id: asks, scope: \"@ROOT@/none\", when: 'probe(\"up\")', action: " \
	"{kind: freeze}, auto_fire: true, live: true}]\n"

static bool says_yes(void *arg)
{
	json_t *probe = asked(arg);
	bool r = json_is_true(json_object_get(probe, "answer"));

	json_decref(probe);
	return r;
}

/* What curl says to the agent's own socket. */
static void read_metrics(char *text, size_t size)
{
	char socket_path[SC_SANDBOX_PATH_MAX + 16];
	const char *const argv[] = {
		"curl", "-sS", "--unix-socket", socket_path, "http://scram/metrics", NULL};
	size_t n = 0;
	ssize_t got;
	int out[2];

	snprintf(socket_path, sizeof(socket_path), "%s/api.sock", sc_kit.run_dir);
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	cr_assert_gt(sc_helper_exec(-1, argv, out[1], 2), 0);
	close(out[1]);
	while ((got = read(out[0], text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	close(out[0]);
}

Test(probe_condition, metrics_tell_of_each_probe)
{
	static char id[] = "asks", text[256 * 1024];

	sc_kit_start(ASKING);
	sc_kit_worker_wait_up("api");
	cr_assert_eq(sc_wait_until(says_yes, id, 2 * SC_KIT_EVENT_MS), 0);
	read_metrics(text, sizeof(text));
	cr_expect_not_null(strstr(text, "\nscram_probe_answer{probe=\"up\"} 1\n"), "%s", text);
	cr_expect_not_null(strstr(text, "\nscram_probe_runs_total{probe=\"up\"} "));
	cr_expect_not_null(strstr(text, "\nscram_probe_age_seconds{probe=\"up\"} "));
	cr_expect_not_null(
		strstr(text, "\nscram_probe_unknown_total{probe=\"up\",reason=\"budget\"} "));
	cr_expect_not_null(strstr(text, "# EOF"));
}

/* Who does not hear of a probe any more does not take its last word for ever. */
Test(probe_condition, answers_of_a_hung_worker_age_out)
{
	static char id[] = "asks";
	json_t *probe;
	pid_t pid;

	sc_kit_start(ASKING);
	cr_assert_eq(sc_wait_until(says_yes, id, 2 * SC_KIT_EVENT_MS), 0);
	pid = sc_kit_worker_pid("probe");
	cr_assert_eq(kill(pid, SIGSTOP), 0);
	cr_assert_eq(sc_wait_until(is_unknown, id, 2 * SC_KIT_EVENT_MS), 0);
	probe = asked(id);
	cr_expect_neq(sc_kit_text(probe, "reason")[0], '\0', "it does not say why");
	json_decref(probe);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(sc_wait_until(says_yes, id, 2 * SC_KIT_EVENT_MS), 0, "and comes back");
}
