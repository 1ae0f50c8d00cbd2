/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/common/link.h"
#include "worker/common/sandbox.h"

#include "base/log.h"

#include <string.h>

int main(void)
{
	struct sc_link link;
	_cleanup_link_message_ struct sc_link_message hello = {.fd = -1};
	bool stops = false;
	int r = sc_link_open(&link, &hello);

	if (r < 0) {
		sc_log_error("scram-ship is started by scram run: %s", strerror(-r));
		return 1;
	}
	r = sc_sandbox_enter(SC_SANDBOX_CONNECT | SC_SANDBOX_READ_FILES);
	if (r == 0)
		r = sc_link_ready(&link, NULL);
	while (r >= 0 && !stops) {
		_cleanup_link_message_ struct sc_link_message m = {.fd = -1};

		r = sc_link_take(&link, -1, &m);
		stops = r == 1 && sc_link_is_event(&m, SC_EVENT_STOP);
	}
	sc_link_close(&link);
	return stops ? 0 : 1;
}
