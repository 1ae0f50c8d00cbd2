/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes that were refused for who asked: the core makes records of them. The first of a kind is
 * told at once, what follows once a second with its number, so that a flood costs the link nothing.
 */
#include "worker/api/api.h"

#include "base/clock.h"
#include "worker/api/wire.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define WHO_MAX 64

static const char others[] = "\"channel\":\"http\",\"who\":\"others\",\"what\":\"requests\","
			     "\"status\":403,\"why\":\"too many kinds to be told apart\"";

void sc_denials_init(struct sc_api *api)
{
	sc_tally_init(&api->denials, SC_NS_PER_S, others);
}

static void name_address(const struct sockaddr *from, char out[static WHO_MAX])
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)from;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)from;

	sc_strcopy(out, WHO_MAX, "unknown");
	if (from && from->sa_family == AF_INET)
		(void)inet_ntop(AF_INET, &four->sin_addr, out, WHO_MAX);
	else if (from && from->sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &six->sin6_addr, out, WHO_MAX);
}

/* The user at the other end of a connection to api.sock, else the address. */
static bool name_source(struct sc_call *call, int fd, char out[static WHO_MAX])
{
	const union MHD_ConnectionInfo *info;
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (!sc_wire_is_tcp(fd) && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0) {
		snprintf(out, WHO_MAX, "uid:%u", cred.uid);
		return true;
	}
	info = MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	name_address(info ? info->client_addr : NULL, out);
	return false;
}

void sc_denials_note(struct sc_call *call, int fd)
{
	char key[SC_TALLY_KEY_MAX], what[128], who[WHO_MAX];
	struct sc_json j;
	struct sc_str text;
	bool is_local;

	if (!(call->route->flags & SC_ROUTE_WRITES))
		return;
	is_local = name_source(call, fd, who);
	snprintf(what, sizeof(what), "%s %s", call->route->method, call->route->path);
	sc_str_init(&text, key, sizeof(key));
	sc_json_init(&j, &text);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "channel", is_local ? SC_API_SOCKET : "http");
	sc_json_member_text(&j, "who", who);
	sc_json_member_text(&j, "what", what);
	sc_json_member_u64(&j, "status", call->refusal);
	sc_json_member_text(&j, "why", call->why);
	sc_tally_add(&call->api->denials, text.truncated ? NULL : key + 1, 1, sc_mono_ns());
	sc_denials_tell(call->api);
}

/* A core that took no notice has said so in its log. */
static void taken(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	(void)api;
	(void)owner;
	(void)reply;
	(void)fd;
}

void sc_denials_tell(struct sc_api *api)
{
	const char *key;
	uint64_t count;

	while ((key = sc_tally_take(&api->denials, sc_mono_ns(), &count))) {
		char text[SC_TALLY_KEY_MAX + 64];

		snprintf(text, sizeof(text), "{\"op\":\"refused\",%s,\"count\":%llu}", key,
			 (unsigned long long)count);
		sc_api_ask(api, json_loads(text, 0, NULL), taken, NULL);
	}
}
