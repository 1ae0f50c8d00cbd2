/* SPDX-License-Identifier: Apache-2.0 */
/* The whole worker but for its main, between a core and clients that the test plays. */
#include "base/clock.h"
#include "worker/api/api.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define TARGETS      10000
#define CLIENTS      8
#define DEADLINE_MS  120000
#define WORKER_BYTES (64UL * 1024 * 1024) /* as its row in engine/workers_table.c has it */

struct client {
	int fd;
	struct sc_str got;
	size_t whole; /* bytes of the answer, once its head is in */
	const char *path;
	unsigned int more; /* times that it asks for all targets again */
};

static pid_t worker = -1;
static int core_fd = -1;
static struct client clients[CLIENTS];
static struct sc_frame_reader reader;
static unsigned int pages, most_in_page;
static bool changes_always;

static void serve(int link_fd, const int *fds)
{
	struct sc_api *api = calloc(1, sizeof(*api));
	struct sc_link_message hello = {.fd = -1};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!api || sodium_init() < 0 || sc_link_open_fd(&api->link, link_fd, &hello) < 0)
		_exit(1);
	sc_link_message_done(&hello);
	sc_api_init(api);
	sc_auth_init(api);
	if (sc_server_open(api) < 0)
		_exit(2);
	for (int i = 0; i < CLIENTS; i++)
		sc_server_add(api, fds[i]);
	while (sc_server_turn(api, 100) == 0) {
	}
	_exit(3);
}

static void send_text(const char *text, size_t n)
{
	struct sc_frame_writer w;
	struct pollfd p = {.fd = core_fd, .events = POLLOUT};

	sc_frame_writer_init(&w, text, n);
	while (sc_frame_write(&w, core_fd) == 0)
		(void)poll(&p, 1, -1);
}

static void begin(void)
{
	static const char hello[] = SC_EVENT_HEAD SC_EVENT_HELLO "\"}";
	int link[2], pair[2], theirs[CLIENTS];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, link), 0);
	for (int i = 0; i < CLIENTS; i++) {
		cr_assert_eq(
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
			0);
		clients[i].fd = pair[0];
		theirs[i] = pair[1];
		sc_str_init_heap(&clients[i].got);
	}
	worker = fork();
	cr_assert_geq(worker, 0);
	if (worker == 0) {
#ifndef __SANITIZE_ADDRESS__ /* whose own memory would be counted */
		const struct rlimit limit = {WORKER_BYTES, WORKER_BYTES};

		(void)setrlimit(RLIMIT_DATA, &limit);
#endif
		serve(link[1], theirs);
	}
	close(link[1]);
	for (int i = 0; i < CLIENTS; i++)
		close(theirs[i]);
	core_fd = link[0];
	sc_frame_reader_init_heap(&reader, SC_REQUEST_SIZE_MAX);
	send_text(hello, sizeof(hello) - 1);
}

static void end(void)
{
	(void)kill(worker, SIGKILL);
	(void)waitpid(worker, NULL, 0);
	sc_frame_reader_done(&reader);
	sc_close(&core_fd);
	for (int i = 0; i < CLIENTS; i++) {
		sc_close(&clients[i].fd);
		sc_str_done(&clients[i].got);
	}
}

/* As engine/ops_read.c answers, with long paths. */
static void answer_signals(const json_t *request)
{
	json_int_t from = json_integer_value(json_object_get(request, "from"));
	json_int_t limit = json_integer_value(json_object_get(request, "limit"));
	json_int_t end = limit && from + limit < TARGETS ? from + limit : TARGETS;
	_cleanup_str_ struct sc_str out;

	sc_str_init_heap(&out);
	sc_str_add(&out, "{\"targets\":[");
	for (json_int_t i = from; i < end; i++)
		sc_str_addf(&out,
			    "%s{\"path\":\"/kubepods.slice/kubepods-burstable.slice/pod%08lld-0000-"
			    "4000-8000-000000000000.slice/cri-containerd-%08lld.scope\","
			    "\"cgroup_id\":%lld,\"signals\":{\"proc.alive\":12,\"proc.forks\":"
			    "123456789.5,\"proc.crashes\":0,\"proc.failures\":3,\"proc.zombies\":"
			    "null,\"cpu.usage_us\":98765432123,\"tcp.connects\":4242}}",
			    i > from ? "," : "", i, i, i + 1000);
	sc_str_addf(&out, "],\"next\":");
	if (end < TARGETS)
		sc_str_addf(&out, "%lld", end);
	else
		sc_str_add(&out, "null");
	sc_str_add(&out, ",\"exit\":0,\"error\":null}");
	pages++;
	most_in_page = SC_MAX(most_in_page, (unsigned int)(end - from));
	send_text(out.data, out.len);
}

/* Behind the reply, so that what was made of it is old before anybody has got it. */
static void tell_change(void)
{
	static unsigned int conditions;
	char text[128];
	int n = snprintf(text, sizeof(text),
			 SC_EVENT_HEAD SC_EVENT_CHANGED "\",\"conditions\":%u,\"fires\":0,"
							"\"status\":0,\"seq\":0}",
			 ++conditions);

	send_text(text, (size_t)n);
}

static void be_core(void)
{
	json_t *request;
	const char *op;
	int r;

	while ((r = sc_frame_read(&reader, core_fd)) == 1) {
		request = json_loadb(reader.data, reader.size, JSON_REJECT_DUPLICATES, NULL);
		op = json_string_value(json_object_get(request, "op"));
		cr_assert_not_null(op, "%s", reader.data);
		cr_assert_str_eq(op, "signals");
		answer_signals(request);
		if (changes_always)
			tell_change();
		json_decref(request);
		sc_frame_reader_reset(&reader);
	}
	cr_assert_eq(r == 0 || r == -EAGAIN, true, "the worker is gone: %s", strerror(-r));
}

static bool is_whole(struct client *c)
{
	const char *head = c->got.len ? strstr(c->got.data, "\r\n\r\n") : NULL;
	const char *length = head ? strcasestr(c->got.data, "content-length: ") : NULL;

	if (!c->whole && head && length)
		c->whole = (size_t)(head + 4 - c->got.data) + strtoul(length + 16, NULL, 10);
	return c->whole && c->got.len >= c->whole;
}

static void read_some(struct client *c)
{
	char piece[65536];
	ssize_t n = recvfrom(c->fd, piece, sizeof(piece), MSG_DONTWAIT, NULL, NULL);

	cr_assert_neq(n, 0, "the connection was closed");
	if (n > 0)
		sc_str_addn(&c->got, piece, (size_t)n);
}

static void ask(struct client *c, const char *path)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);

	c->path = path;
	c->whole = 0;
	sc_str_reset(&c->got);
	cr_assert_eq(send(c->fd, text, (size_t)n, MSG_NOSIGNAL), n);
}

static void expect_list(const struct client *c, size_t n, size_t with_signals)
{
	const char *body = strstr(c->got.data, "\r\n\r\n") + 4;
	json_t *list = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
	size_t told = 0;

	cr_assert_eq(strncmp(c->got.data, "HTTP/1.1 200 ", 13), 0, "%.200s", c->got.data);
	cr_assert(json_is_array(list));
	cr_expect_eq(json_array_size(list), n);
	for (size_t i = 0; i < json_array_size(list); i++)
		told += json_object_get(json_array_get(list, i), "signals") != NULL;
	cr_expect_eq(told, with_signals);
	json_decref(list);
}

/* All targets, again and again: at once, for a connection that idles is closed. */
static void ask_again(struct client *c)
{
	expect_list(c, TARGETS, strstr(c->path, "signals") ? TARGETS : 0);
	c->more--;
	ask(c, c->path);
}

/* Plays until every client has its last answer. */
static void play(void)
{
	uint64_t end_ns = sc_mono_ns() + DEADLINE_MS * SC_NS_PER_MS;
	struct pollfd fds[CLIENTS + 1];
	unsigned int whole = 0;

	while (whole < CLIENTS) {
		cr_assert_lt(sc_mono_ns(), end_ns, "no answer in time");
		fds[CLIENTS] = (struct pollfd){.fd = core_fd, .events = POLLIN};
		for (int i = 0; i < CLIENTS; i++)
			fds[i] = (struct pollfd){.fd = is_whole(&clients[i]) ? -1 : clients[i].fd,
						 .events = POLLIN};
		(void)poll(fds, CLIENTS + 1, 1000);
		whole = 0;
		for (int i = 0; i < CLIENTS; i++) {
			if (fds[i].revents)
				read_some(&clients[i]);
			if (is_whole(&clients[i]) && clients[i].more)
				ask_again(&clients[i]);
			whole += is_whole(&clients[i]);
		}
		if (fds[CLIENTS].revents)
			be_core();
	}
}

TestSuite(server, .init = begin, .fini = end);

Test(server, tells_ten_thousand_targets_within_its_memory)
{
	for (int i = 0; i < CLIENTS; i++) {
		clients[i].more = 2;
		ask(&clients[i], i % 2 ? "/v1/signals" : "/v1/targets");
	}
	play();
	for (int i = 0; i < CLIENTS; i++)
		expect_list(&clients[i], TARGETS, i % 2 ? TARGETS : 0);
	cr_expect_leq(most_in_page, SC_SIGNALS_LIMIT_MAX);
	cr_expect_geq(pages, 2 * TARGETS / SC_SIGNALS_LIMIT_MAX);
}

Test(server, an_answer_that_many_wait_for_may_be_old_before_it_is_sent)
{
	changes_always = true;
	for (int i = 0; i < CLIENTS; i++) {
		clients[i].more = 2;
		ask(&clients[i], "/v1/targets");
	}
	play();
	cr_expect_eq(waitpid(worker, NULL, WNOHANG), 0, "the worker died");
}

Test(server, tells_a_page_and_where_the_next_begins)
{
	for (int i = 2; i < CLIENTS; i++)
		ask(&clients[i], "/v1/signals?limit=3&after=9997");
	ask(&clients[0], "/v1/signals?limit=3&after=9996");
	ask(&clients[1], "/v1/targets?limit=100000");
	play();
	expect_list(&clients[0], 3, 3);
	cr_expect(strstr(clients[0].got.data,
			 "Link: </v1/signals?limit=3&after=9999>; rel=\"next\"\r\n"));
	expect_list(&clients[1], SC_SIGNALS_LIMIT_MAX, 0);
	expect_list(&clients[2], 3, 3);
	cr_expect_null(strstr(clients[2].got.data, "Link: "), "the last page has no next");
}
