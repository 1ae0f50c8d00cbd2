/* SPDX-License-Identifier: Apache-2.0 */
/* The api worker: HTTP on the socket that the core hands over. */
#include "worker/api/api.h"

#include "base/clock.h"
#include "base/log.h"
#include "worker/api/histogram.h"
#include "worker/common/sandbox.h"

#include <sodium.h>
#include <string.h>

static void take_text(char *out, size_t size, const json_t *from, const char *key)
{
	const char *text = json_string_value(json_object_get(from, key));

	sc_strcopy(out, size, text ? text : "");
}

/* With it comes api.sock; the TCP socket is asked for when there is something to serve it. */
static void take_hello(struct sc_api *api, struct sc_link_message *hello)
{
	json_t *event = json_loadb(hello->text, hello->size, 0, NULL);

	take_text(api->listen, sizeof(api->listen), event, "listen");
	take_text(api->socket, sizeof(api->socket), event, "socket");
	take_text(api->version, sizeof(api->version), event, "version");
	json_decref(event);
	api->local_fd = SC_TAKE_FD(hello->fd);
}

static int serve(struct sc_api *api)
{
	_cleanup_link_message_ struct sc_link_message hello = {.fd = -1};
	char detail[384];
	int r = sc_link_open(&api->link, &hello);

	if (r < 0) {
		sc_log_error("scram-api is started by scram run: %s", strerror(-r));
		return r;
	}
	api->histograms = sc_histograms_new(sc_mono_ns());
	if (!api->histograms || sodium_init() < 0) {
		sc_log_error("api: no memory");
		return -1;
	}
	take_hello(api, &hello);
	sc_auth_init(api);
	r = sc_sandbox_enter(0);
	if (r < 0) {
		sc_log_error("api: no sandbox: %s", strerror(-r));
		return r;
	}
	snprintf(detail, sizeof(detail), "%s%s%s%s", api->listen, api->listen[0] ? ", " : "",
		 api->local_fd < 0 ? "" : SC_API_SOCKET,
		 api->has_token ? "" : ", read only (SCRAM_API_TOKEN is not set)");
	r = sc_link_ready(&api->link, detail);
	if (r == 0)
		r = sc_server_run(api);
	if (r < 0)
		sc_log_error("api: %s", strerror(-r));
	return r;
}

int main(void)
{
	struct sc_api *api = calloc(1, sizeof(*api));
	int r;

	if (!api)
		return 1;
	sc_api_init(api);
	r = serve(api);
	sc_views_done(api);
	sc_histograms_free(&api->histograms);
	free(api);
	return r < 0;
}
