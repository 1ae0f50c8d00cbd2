/* SPDX-License-Identifier: Apache-2.0 */
/* The demo programs misbehave on purpose; none of them does it for longer, or more often, than said
 * here. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Argument number i as 1..max, or fallback when it is missing; a bad one ends the program. */
static inline unsigned int bound_arg(int argc, char **argv, int i, unsigned int fallback,
				     unsigned int max)
{
	unsigned long value;
	char *end;

	if (argc <= i)
		return fallback;
	errno = 0;
	value = strtoul(argv[i], &end, 10);
	if (errno || end == argv[i] || *end || value < 1 || value > max) {
		fprintf(stderr, "%s: argument %d must be 1..%u\n", argv[0], i, max);
		_exit(2);
	}
	return (unsigned int)value;
}

/* SIGALRM's default action ends the calling process then, whatever it does; not inherited by fork.
 */
static inline void bound_seconds(unsigned int seconds)
{
	alarm(seconds);
}
