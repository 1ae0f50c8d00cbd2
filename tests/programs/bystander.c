/* SPDX-License-Identifier: Apache-2.0 */
/* bystander [SECONDS [PERIOD_MS]]: does no harm; prints its pid and a heartbeat, each with the time
 * since its start. */
#include "bound.h"

#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>

static double since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

int main(int argc, char **argv)
{
	unsigned int seconds = bound_arg(argc, argv, 1, 60, 600);
	unsigned int period_ms = bound_arg(argc, argv, 2, 100, 60000);
	struct itimerspec every = {
		.it_value = {.tv_sec = period_ms / 1000, .tv_nsec = period_ms % 1000 * 1000000L}};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct timespec start;
	uint64_t ticks = 0, beats = 0;

	every.it_interval = every.it_value;
	if (fd < 0 || timerfd_settime(fd, 0, &every, NULL) < 0)
		return 1;
	bound_seconds(seconds);
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (read(fd, &ticks, sizeof(ticks)) == sizeof(ticks)) {
		beats += ticks;
		printf("%d alive %llu %.3f\n", getpid(), (unsigned long long)beats, since(&start));
		fflush(stdout);
	}
	return 1;
}
