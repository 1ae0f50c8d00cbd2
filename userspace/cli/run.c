/* SPDX-License-Identifier: Apache-2.0 */
/* scram run: hands its options to the engine. */
#include "cli/ask.h"

#include <scram/engine.h>

#include "base/clock.h"
#include "base/units.h"

#include <math.h>
#include <string.h>

/* Seconds as a bare number, or a duration with its unit; 10 ms to 60 s as in the file. */
static bool parse_interval(const char *text, uint64_t *ns)
{
	size_t n = strlen(text);
	enum sc_unit unit;
	double v;

	if (sc_parse_quantity(text, n, &v, &unit) != (int)n)
		return false;
	if (unit == SC_UNIT_NONE)
		v *= (double)SC_NS_PER_S;
	else if (unit != SC_UNIT_NS)
		return false;
	*ns = (uint64_t)llround(v);
	return *ns >= 10 * SC_NS_PER_MS && *ns <= 60 * SC_NS_PER_S;
}

int sc_verb_run(const struct sc_args *args)
{
	struct sc_run_options options = {
		.config = sc_args_get(args, "config"),
		.cgroup_root = sc_args_get(args, "cgroup-root"),
		.state_dir = args->state_dir,
		.run_dir = args->run_dir,
		.http = sc_args_get(args, "http"),
	};
	const char *interval = sc_args_get(args, "interval");

	options.config_is_explicit = options.config != NULL;
	if (!options.config)
		options.config = SC_DEFAULT_CONFIG;
	if (interval && !parse_interval(interval, &options.interval_ns))
		return sc_complain(args, SC_EXIT_USAGE,
				   "--interval must be 0.01 to 60 seconds, not %s", interval);
	return sc_engine_run(&options);
}
