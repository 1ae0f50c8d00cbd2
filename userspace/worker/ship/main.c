/* SPDX-License-Identifier: Apache-2.0 */
/* scram-ship: started by scram run at the end of a link, or by people for what it does once. */
#include "worker/common/link.h"
#include "worker/common/sandbox.h"
#include "worker/ship/migrate.h"
#include "worker/ship/ship.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

static int usage(const char *what)
{
	fprintf(stderr,
		"scram-ship: %s; it is started by scram run, or as\n"
		"  scram-ship --migrate [--dry-run] [--json]\n"
		"  scram-ship --ping-store\n",
		what);
	return SC_EXIT_USAGE;
}

/* What is done once, by hand: no link, no sandbox, the rights of who asks. */
static int run_once(int argc, char **argv, const char *url)
{
	struct sc_migrate_options options = {.url = url, .dir = getenv("SCRAM_MIGRATIONS_DIR")};
	bool pings = strcmp(argv[1], "--ping-store") == 0;

	if (!pings && strcmp(argv[1], "--migrate") != 0)
		return usage("what is that?");
	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--dry-run"))
			options.is_dry_run = true;
		else if (!strcmp(argv[i], "--json"))
			options.is_json = true;
		else
			return usage("what is that?");
	}
	if (!url || !url[0]) {
		fprintf(stderr,
			"scram %s: DATABASE_URL is not set; it names the store: "
			"postgresql://user@host/database\n",
			pings ? "ping" : "migrate");
		return SC_EXIT_USAGE;
	}
	return pings ? sc_ping_store(&options) : sc_migrate(&options);
}

static int serve(struct sc_link *link, const char *url)
{
	static struct sc_ship ship; /* large */
	int r = sc_ship_init(&ship, link, url);

	if (r == 0)
		r = sc_sandbox_enter(SC_SANDBOX_CONNECT | SC_SANDBOX_READ_FILES);
	if (r == 0)
		r = sc_link_ready(link, NULL);
	if (r == 0)
		r = sc_ship_run(&ship);
	if (r < 0)
		sc_log_error("scram-ship ends: %s", strerror(-r));
	sc_ship_done(&ship);
	return r < 0 ? SC_EXIT_FAILED : SC_EXIT_DONE;
}

int main(int argc, char **argv)
{
	_cleanup_link_message_ struct sc_link_message hello = {.fd = -1};
	const char *url = getenv("DATABASE_URL");
	struct sc_link link;
	int r;

	if (argc > 1)
		return run_once(argc, argv, url);
	r = sc_link_open(&link, &hello);
	if (r < 0)
		return usage(strerror(-r));
	r = serve(&link, url ? url : "");
	sc_link_close(&link);
	return r;
}
