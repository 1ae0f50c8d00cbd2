/* SPDX-License-Identifier: Apache-2.0 */
/* The api worker: HTTP on the socket that the core hands over. */
#include "worker/api/api.h"

#include "base/clock.h"
#include "base/log.h"
#include "worker/api/histogram.h"
#include "worker/common/sandbox.h"

#include <sodium.h>
#include <string.h>

static int take_hello(struct sc_api *api, struct sc_link_message *hello)
{
	json_t *event = json_loadb(hello->text, hello->size, 0, NULL);
	const char *listen = json_string_value(json_object_get(event, "listen"));
	const char *version = json_string_value(json_object_get(event, "version"));

	sc_strcopy(api->listen, sizeof(api->listen), listen ? listen : "");
	sc_strcopy(api->version, sizeof(api->version), version ? version : "");
	json_decref(event);
	api->listener_fd = SC_TAKE_FD(hello->fd);
	return api->listener_fd < 0 ? -1 : 0;
}

static int serve(struct sc_api *api)
{
	_cleanup_link_message_ struct sc_link_message hello = {.fd = -1};
	char detail[320];
	int r = sc_link_open(&api->link, &hello);

	if (r < 0) {
		sc_log_error("scram-api is started by scram run: %s", strerror(-r));
		return r;
	}
	api->histograms = sc_histograms_new(sc_mono_ns());
	if (!api->histograms || sodium_init() < 0 || take_hello(api, &hello) < 0 ||
	    sc_idempotency_init(api) < 0) {
		sc_log_error("api: there is nothing to listen on, or no memory");
		return -1;
	}
	sc_auth_init(api);
	r = sc_sandbox_enter(0);
	if (r < 0) {
		sc_log_error("api: no sandbox: %s", strerror(-r));
		return r;
	}
	snprintf(detail, sizeof(detail), "%s%s", api->listen,
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
	api->listener_fd = -1;
	api->asks_end = &api->asks;
	r = serve(api);
	sc_views_done(api);
	sc_idempotency_done(api);
	sc_histograms_free(&api->histograms);
	free(api);
	return r < 0;
}
