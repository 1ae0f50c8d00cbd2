/* SPDX-License-Identifier: Apache-2.0 */
/* reporter SOCKET [BEATS [PERIOD_MS]]: reports a heartbeat, its session and its queue BEATS times,
 * then lives on and says nothing, as a program that hangs does. */
#include "bound.h"

#include <scram/client.h>

#include <stdint.h>
#include <sys/timerfd.h>
#include <time.h>

int main(int argc, char **argv)
{
	unsigned int beats = bound_arg(argc, argv, 2, 1000000, 1000000);
	unsigned int period_ms = bound_arg(argc, argv, 3, 100, 60000);
	struct itimerspec every = {
		.it_value = {.tv_sec = period_ms / 1000, .tv_nsec = period_ms % 1000 * 1000000L}};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct scram_client scram;
	uint64_t ticks;

	every.it_interval = every.it_value;
	if (fd < 0 || timerfd_settime(fd, 0, &every, NULL) < 0)
		return 1;
	bound_seconds(120);
	if (scram_client_open(&scram, argc > 1 ? argv[1] : NULL) < 0)
		return 1;
	scram_client_session(&scram, "job-1");
	scram_client_queue_depth(&scram, 3);
	scram_client_gauge(&scram, 2, -1.5);
	while (beats-- && read(fd, &ticks, sizeof(ticks)) == sizeof(ticks))
		scram_client_heartbeat(&scram);
	for (;;)
		pause();
}
