/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may what. Reads need nothing; writes need the token. On TCP a browser on this host may be
 * talking for a stranger's page: Host must be an address or a name of this server's own (a name
 * that resolves to us need not be ours), and Origin, where there is one, this very server.
 */
#include "worker/api/api.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <string.h>
#include <sys/utsname.h>

#define HOST_MAX 300

/* Hashes are compared, so that the time tells nothing about the token, its length included. */
static void hash(const char *token, unsigned char out[SC_API_TOKEN_HASH_SIZE])
{
	crypto_generichash(out, SC_API_TOKEN_HASH_SIZE, (const unsigned char *)token, strlen(token),
			   NULL, 0);
}

void sc_auth_init(struct sc_api *api)
{
	const char *token = getenv("SCRAM_API_TOKEN");
	struct utsname host;

	if (uname(&host) == 0)
		(void)sc_strcopy(api->node, sizeof(api->node), host.nodename);
	api->has_token = token && token[0];
	if (api->has_token)
		hash(token, api->token_hash);
	(void)unsetenv("SCRAM_API_TOKEN");
}

static bool brings_token(struct sc_call *call)
{
	const char *header = sc_call_header(call, "Authorization");
	unsigned char given[SC_API_TOKEN_HASH_SIZE];

	if (!call->api->has_token || !header || strncasecmp(header, "Bearer ", 7) != 0)
		return false;
	hash(header + 7, given);
	return sodium_memcmp(given, call->api->token_hash, sizeof(given)) == 0;
}

/* The host without port and brackets. */
static bool split_host(const char *text, char *host, size_t size)
{
	const char *end = text[0] == '[' ? "]" : ": \t"; /* the library leaves blanks behind it */
	size_t n;

	text += text[0] == '[';
	n = strcspn(text, end);
	if (n == 0 || n >= size)
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	return true;
}

static bool is_own_host(const struct sc_api *api, const char *text)
{
	char host[HOST_MAX], own[HOST_MAX];
	struct in6_addr address;

	if (!split_host(text, host, sizeof(host)))
		return false;
	if (strcasecmp(host, "localhost") == 0 || inet_pton(AF_INET, host, &address) == 1 ||
	    inet_pton(AF_INET6, host, &address) == 1)
		return true;
	if (api->node[0] && strcasecmp(host, api->node) == 0)
		return true;
	return split_host(api->listen, own, sizeof(own)) && strcasecmp(host, own) == 0;
}

static void refuse(struct sc_call *call, unsigned int status, const char *why)
{
	call->refusal = status;
	call->why = why;
}

void sc_auth_judge(struct sc_call *call, bool is_tcp)
{
	const char *host = sc_call_header(call, "Host");
	const char *origin = sc_call_header(call, "Origin");

	call->is_trusted = brings_token(call);
	if (is_tcp && host && !is_own_host(call->api, host))
		refuse(call, 421, "this server does not go by that name");
	else if (is_tcp && origin &&
		 (!host || strncmp(origin, "http://", 7) != 0 || strcasecmp(origin + 7, host) != 0))
		refuse(call, 403, "pages of other servers may not ask here");
	else if (call->route && (call->route->flags & SC_ROUTE_WRITES) && !call->api->has_token)
		refuse(call, 503, "SCRAM_API_TOKEN is not set: nothing can be changed over HTTP");
	else if (call->route && (call->route->flags & SC_ROUTE_WRITES) && !call->is_trusted)
		refuse(call, 401,
		       sc_call_header(call, "Authorization") ? "that is not the token"
							     : "a bearer token is needed");
}
