/* SPDX-License-Identifier: Apache-2.0 */
/* scram migrate and ping --store: both are scram-ship's work, for it alone speaks Postgres. */
#include "cli/ask.h"
#include "cli/store.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define PROGRAM "scram-ship"

int sc_store_exec(const struct sc_args *args, const char *const options[])
{
	char *argv[8] = {(char *)PROGRAM};
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(PROGRAM) - 1);
	char *name;

	for (size_t i = 0; options[i]; i++) {
		SC_ASSERT(i + 2 < SC_ARRAY_SIZE(argv));
		argv[i + 1] = (char *)options[i];
	}
	if (n <= 0)
		return sc_complain(args, SC_EXIT_FAILED, "where this program is: %s",
				   strerror(errno));
	path[n] = '\0';
	name = strrchr(path, '/') + 1;
	memcpy(name, PROGRAM, sizeof(PROGRAM));
	execv(path, argv);
	return sc_complain(args, SC_EXIT_FAILED, "%s: %s", path, strerror(errno));
}

int sc_verb_migrate(const struct sc_args *args)
{
	const char *options[4] = {"--migrate"};
	size_t n = 1;

	if (sc_args_has(args, "dry-run"))
		options[n++] = "--dry-run";
	if (args->json)
		options[n++] = "--json";
	return sc_store_exec(args, options);
}
