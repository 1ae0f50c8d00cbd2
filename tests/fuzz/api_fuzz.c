/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes on a connection of the whole api worker but for its main: gate, HTTP library, routes,
 * JSON bodies. What comes out at the other end, over the link, must be what the core's protocol
 * and this worker's row permit, and a write only where the bytes hold the token. With libFuzzer or
 * without, as http_fuzz.c.
 */
#include "worker/api/api.h"

#ifndef SC_LIBFUZZER
#include "fuzz/requests.h"
#endif

#include <scram/fire.h>

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#define TOKEN     "open-sesame"
#define TURNS_MAX 2000

/* SC_WORKER_API's of engine/workers_table.c, but for `ready` and what it never asks. */
static const enum sc_op permitted[] = {
	SC_OP_STATUS,  SC_OP_LIST,     SC_OP_FIRES,      SC_OP_SHOW,    SC_OP_SIGNALS, SC_OP_FIRE,
	SC_OP_RELEASE, SC_OP_REGISTER, SC_OP_UNREGISTER, SC_OP_SEGMENT, SC_OP_REFUSED,
};

static struct sc_api *api;
static struct sc_frame_reader reader;
static int core_fd = -1;
static uint32_t variant;
static unsigned long asked;

static void give_up(const char *why, const char *what)
{
	fprintf(stderr, "api_fuzz: %s: %s\n", why, what);
	abort();
}

static void send_text(const char *text)
{
	struct sc_frame_writer w;

	sc_frame_writer_init(&w, text, strlen(text));
	if (sc_frame_write(&w, core_fd) != 1)
		give_up("the link is full", text);
}

static void open_worker(void)
{
	struct sc_link_message hello = {.fd = -1};
	int link[2];

	if (setenv("SCRAM_API_TOKEN", TOKEN, 1) < 0 || sodium_init() < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, link) < 0)
		give_up("no link", strerror(errno));
	api = calloc(1, sizeof(*api));
	core_fd = link[0];
	sc_frame_reader_init_heap(&reader, SC_REQUEST_SIZE_MAX);
	send_text(SC_EVENT_HEAD SC_EVENT_HELLO "\"}");
	if (!api || sc_link_open_fd(&api->link, link[1], &hello) < 0)
		give_up("no worker", "");
	sc_link_message_done(&hello);
	sc_api_init(api);
	sc_auth_init(api);
	if (sc_server_open(api) < 0)
		give_up("no server", "");
}

static void check_text(const json_t *request, const char *key, size_t size)
{
	const json_t *value = json_object_get(request, key);

	if (value && !json_is_null(value) &&
	    (!json_is_string(value) || json_string_length(value) >= size))
		give_up("too long for the record", key);
}

static void check_fire(const json_t *request)
{
	const json_t *snapshot = json_object_get(request, "state_snapshot");
	_cleanup_free_ char *text = json_dumps(snapshot, JSON_COMPACT | JSON_ENSURE_ASCII);

	check_text(request, "id", SC_FIRE_CONDITION_MAX);
	check_text(request, "reason", SC_FIRE_REASON_MAX);
	check_text(request, "operator", SC_FIRE_OPERATOR_MAX);
	check_text(request, "target", SC_FIRE_PATH_MAX);
	check_text(request, "key", SC_FIRE_KEY_MAX);
	if (text && strlen(text) >= SC_FIRE_EVIDENCE_MAX)
		give_up("too long for the record", "state_snapshot");
}

/* Something like what the core would say, or a refusal. */
static void answer(enum sc_op op)
{
	static const char *const good[SC_OP_COUNT] = {
		[SC_OP_LIST] = "\"conditions\":[{\"id\":\"a\",\"live\":true}],",
		[SC_OP_FIRES] = "\"fires\":[{\"id\":\"f\",\"state_snapshot\":{\"a\":1}}],",
		[SC_OP_SHOW] = "\"fire\":{\"id\":\"f\",\"state_snapshot\":{}},\"left\":[],",
		[SC_OP_SIGNALS] = "\"targets\":[{\"path\":\"/a\",\"signals\":{}}],\"next\":null,",
		[SC_OP_FIRE] = "\"fire_id\":\"f\",\"dispatched\":true,",
	};
	static const char *const errors[] = {"no such condition: x", "no such fire: x",
					     "the journal cannot", "x is defined by y",
					     "condition 1: wrong\\n"};
	char text[512];

	if (variant % 3)
		snprintf(text, sizeof(text), "{%s\"exit\":0,\"error\":null}",
			 good[op] ? good[op] : "");
	else
		snprintf(text, sizeof(text), "{\"exit\":%u,\"error\":\"%s\"}", 1 + variant % 6,
			 errors[variant % SC_ARRAY_SIZE(errors)]);
	send_text(text);
	asked++;
}

static bool is_permitted(enum sc_op op)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(permitted); i++)
		if (permitted[i] == op)
			return true;
	return false;
}

static void be_core(const char *data, size_t n)
{
	while (sc_frame_read(&reader, core_fd) == 1) {
		json_t *request = json_loadb(reader.data, reader.size, JSON_REJECT_DUPLICATES,
					     NULL);
		const char *name = json_string_value(json_object_get(request, "op"));
		const char *who = json_string_value(json_object_get(request, "principal"));
		int op = name ? sc_op_find(name) : -ENOENT;

		if (op < 0 || !is_permitted((enum sc_op)op))
			give_up("not to be asked", reader.data);
		if (sc_op_is_write((enum sc_op)op) && (!who || strcmp(who, "token:api") != 0))
			give_up("a write by nobody", reader.data);
		if (who && strcmp(who, "token:api") == 0 && !memmem(data, n, TOKEN, strlen(TOKEN)))
			give_up("trusted without the token", reader.data);
		if (op == SC_OP_FIRE)
			check_fire(request);
		answer((enum sc_op)op);
		json_decref(request);
		sc_frame_reader_reset(&reader);
	}
}

static void turn(const char *data, size_t n)
{
	if (sc_server_turn(api, 0) != 0)
		give_up("it ended", "");
	be_core(data, n);
}

/* All that the worker has to say; whether it has ended the connection. */
static bool drain(int fd)
{
	char piece[65536];
	ssize_t got;

	while ((got = recvfrom(fd, piece, sizeof(piece), MSG_DONTWAIT, NULL, NULL)) > 0) {
	}
	return got == 0 || errno != EAGAIN;
}

static void try_bytes(const char *given, size_t n, uint32_t random)
{
	size_t step = 1 + random % 4096, at = 0;
	int pair[2];

	if (!api)
		open_worker();
	variant = random >> 12;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		give_up("no connection", strerror(errno));
	sc_server_add(api, pair[1]);
	for (int i = 0; i < 64 && !drain(pair[0]); i++) {
		ssize_t sent = at < n ? send(pair[0], given + at, SC_MIN(step, n - at),
					     MSG_NOSIGNAL | MSG_DONTWAIT)
				      : 0;

		at += sent > 0 ? (size_t)sent : 0;
		if (at == n)
			(void)shutdown(pair[0], SHUT_WR);
		turn(given, n);
	}
	close(pair[0]);
	/* A connection that nobody holds any more must go, whatever it was about. */
	for (int i = 0; api->connections; i++) {
		sc_streams_wake(api, false);
		turn(given, n);
		if (i == TURNS_MAX)
			give_up("a connection is left", "");
	}
}

#ifdef SC_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t random = 2166136261U;

	for (size_t i = 0; i < size; i++)
		random = (random ^ data[i]) * 16777619U;
	try_bytes((const char *)data, size, random);
	return 0;
}
#else
void try_request(const char *data, size_t n, uint32_t random)
{
	try_bytes(data, n, random);
}
#endif
