/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/worker/probe/played_core.h"

#include "base/clock.h"
#include "harness/harness.h"
#include "worker/common/sandbox.h"
#include "worker/probe/prober.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define NOBODY 65534
#define DONE   "\"exit\":0,\"error\":null}"

static _Noreturn void be_worker(int fd)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	_cleanup_link_message_ struct sc_link_message hello = {.fd = -1};
	static struct sc_prober prober;
	static struct sc_link link;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGPIPE, &ignore, NULL);
	if (geteuid() == 0 && (setgid(NOBODY) || setuid(NOBODY)))
		_exit(100);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    sc_link_open_fd(&link, fd, &hello) < 0 || sc_prober_init(&prober, &link, &hello) < 0)
		_exit(101);
	if (sc_sandbox_enter(SC_SANDBOX_RUN) < 0 || sc_link_ready(&link, NULL) < 0)
		_exit(102);
	r = sc_prober_run(&prober);
	sc_prober_done(&prober);
	_exit(r == 0 ? 0 : 1);
}

static void say_with(struct sc_core *c, const char *text, int along)
{
	struct sc_frame_writer w;
	struct pollfd p = {.fd = c->fd, .events = POLLOUT};
	int r;

	sc_frame_writer_init(&w, text, strlen(text));
	w.fd = along;
	while ((r = sc_frame_write(&w, c->fd)) == 0)
		cr_assert_eq(poll(&p, 1, SC_CORE_EVENT_MS), 1);
	cr_assert_eq(r, 1);
}

void sc_core_say(struct sc_core *c, const char *text)
{
	say_with(c, text, -1);
}

static void take_answer(struct sc_core *c, json_t *answer)
{
	const char *name = json_string_value(json_object_get(answer, "name"));

	cr_assert(name);
	json_object_set(c->last, name, answer);
	json_object_set_new(c->counts, name, json_integer((json_int_t)sc_core_count(c, name) + 1));
	sc_core_say(c, "{\"taken\":true," DONE);
}

static void give_list(struct sc_core *c)
{
	char *text = json_dumps(c->list, JSON_COMPACT);

	cr_assert(text);
	c->lists++;
	sc_core_say(c, text);
	free(text);
}

static void give_secret(struct sc_core *c)
{
	_cleanup_close_ int fd = c->secret_file ? open(c->secret_file, O_RDONLY | O_CLOEXEC) : -1;
	char refusal[256];

	c->secrets++;
	snprintf(refusal, sizeof(refusal), "{\"exit\":1,\"error\":\"%s\"}",
		 c->refusal ? c->refusal : "none");
	say_with(c, fd < 0 ? refusal : "{" DONE, fd);
}

static void serve(struct sc_core *c, json_t *request)
{
	const char *op = json_string_value(json_object_get(request, "op"));

	cr_assert(op);
	if (strcmp(op, "ready") == 0)
		sc_core_say(c, "{" DONE);
	else if (strcmp(op, "probe.list") == 0)
		give_list(c);
	else if (strcmp(op, "secret") == 0)
		give_secret(c);
	else if (strcmp(op, "probe.answer") == 0)
		take_answer(c, request);
	else
		sc_core_say(c, "{\"exit\":2,\"error\":\"unknown\"}");
}

int sc_core_serve(struct sc_core *c, int ms)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	json_t *request;
	int r;

	while ((r = sc_frame_read(&c->reader, c->fd)) == 0)
		if (poll(&p, 1, ms) == 0)
			return 0;
	cr_assert_eq(r, 1, "the worker is gone: %s", strerror(-r));
	request = json_loadb(c->reader.data, c->reader.size, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(request, "%s", c->reader.data);
	sc_frame_reader_reset(&c->reader);
	serve(c, request);
	json_decref(request);
	return 1;
}

uint64_t sc_core_count(const struct sc_core *c, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(c->counts, name));
}

const json_t *sc_core_wait(struct sc_core *c, const char *name, uint64_t n)
{
	uint64_t end = sc_mono_ns() + sc_scaled_ms(SC_CORE_EVENT_MS) * SC_NS_PER_MS;

	while (sc_core_count(c, name) < n) {
		cr_assert_lt(sc_mono_ns(), end, "%s: only %llu answers", name,
			     (unsigned long long)sc_core_count(c, name));
		(void)sc_core_serve(c, 100);
	}
	return json_object_get(c->last, name);
}

const char *sc_core_says(const json_t *answer)
{
	const json_t *value = json_object_get(answer, "answer");

	if (json_is_boolean(value))
		return json_is_true(value) ? "true" : "false";
	return json_string_value(json_object_get(answer, "class"));
}

const char *sc_core_why(const json_t *answer)
{
	const char *why = json_string_value(json_object_get(answer, "why"));

	return why ? why : "";
}

static json_t *item(const char *name, const char *kind, uint64_t budget_ms, uint64_t every_ms)
{
	json_t *probe = json_pack("{s:s, s:s, s:b, s:I, s:I}", "name", name, "kind", kind,
				  "has_token", 0, "budget_ns",
				  (json_int_t)(budget_ms * SC_NS_PER_MS), "every_ns",
				  (json_int_t)(every_ms * SC_NS_PER_MS));

	cr_assert(probe);
	return probe;
}

json_t *sc_core_script(const char *name, const char *script, uint64_t budget_ms, uint64_t every_ms)
{
	json_t *probe = item(name, "exec", budget_ms, every_ms);

	json_object_set_new(probe, "command", json_pack("[s, s, s]", "/bin/sh", "-c", script));
	return probe;
}

json_t *sc_core_url(const char *name, const char *url, uint64_t budget_ms, uint64_t every_ms)
{
	json_t *probe = item(name, "http", budget_ms, every_ms);

	json_object_set_new(probe, "url", json_string(url));
	return probe;
}

void sc_core_offer(struct sc_core *c, json_t *probes)
{
	char text[128];

	c->generation++;
	json_decref(c->list);
	c->list = json_pack("{s:I, s:s, s:o, s:i, s:n}", "generation", (json_int_t)c->generation,
			    "host", "h", "probes", probes, "exit", 0, "error");
	cr_assert(c->list);
	snprintf(text, sizeof(text), SC_EVENT_HEAD SC_EVENT_CHANGED "\",\"conditions\":%llu}",
		 (unsigned long long)c->generation);
	sc_core_say(c, text);
}

void sc_core_start(struct sc_core *c, const char *cgroup)
{
	char hello[600];
	int pair[2];

	*c = (struct sc_core){.last = json_object(), .counts = json_object()};
	c->list = json_pack("{s:i, s:[], s:i, s:n}", "generation", 0, "probes", "exit", 0, "error");
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fflush(NULL);
	c->worker = fork();
	cr_assert_geq(c->worker, 0);
	if (c->worker == 0) {
		close(pair[0]);
		be_worker(pair[1]);
	}
	close(pair[1]);
	c->fd = pair[0];
	sc_frame_reader_init_heap(&c->reader, SC_REQUEST_SIZE_MAX);
	if (cgroup)
		snprintf(hello, sizeof(hello),
			 SC_EVENT_HEAD "hello\",\"host\":\"h\",\"cgroup\":\"%s\"}", cgroup);
	else
		snprintf(hello, sizeof(hello),
			 SC_EVENT_HEAD "hello\",\"host\":\"h\",\"cgroup\":null}");
	sc_core_say(c, hello);
	while (c->lists == 0)
		(void)sc_core_serve(c, SC_CORE_EVENT_MS);
}

int sc_core_stop(struct sc_core *c)
{
	int status = -1;

	sc_close(&c->fd);
	cr_expect_eq(sc_wait_child(c->worker, &status, SC_CORE_EVENT_MS), 0, "it does not end");
	c->worker = 0;
	sc_frame_reader_done(&c->reader);
	json_decref(c->list);
	json_decref(c->last);
	json_decref(c->counts);
	return status;
}
