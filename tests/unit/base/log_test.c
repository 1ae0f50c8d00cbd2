/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>

TestSuite(log, .timeout = 300);

/* Everything that waits in the pipe. */
static void drain(int fd, char *text, size_t size)
{
	size_t have = 0;
	ssize_t n;

	do {
		n = read(fd, text + have, size - 1 - have);
		have += n > 0 ? (size_t)n : 0;
	} while (n > 0 && have + 1 < size);
	text[have] = '\0';
}

Test(log, a_reader_that_stopped_stops_nobody_and_learns_how_much_it_missed)
{
	static char text[1 << 17];
	int ends[2], keep = dup(STDERR_FILENO);

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	cr_assert_geq(dup2(ends[1], STDERR_FILENO), 0);
	for (int i = 0; i < 10000; i++)
		sc_log_warning("message %d of too many for a pipe that nobody reads", i);
	drain(ends[0], text, sizeof(text));
	sc_log_warning("the one after");
	drain(ends[0], text, sizeof(text));
	dup2(keep, STDERR_FILENO);

	cr_expect_not_null(strstr(text, "the one after\n"));
	cr_expect_not_null(strstr(text, "messages were dropped here\n"));
}
