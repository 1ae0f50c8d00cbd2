/* SPDX-License-Identifier: Apache-2.0 */
/* crash-looper [SECONDS [PERIOD_MS]]: a supervisor that starts a child, sees it die of SIGSEGV,
 * starts the next. */
#include "bound.h"

#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static void crash(void)
{
	const struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0);
	raise(SIGSEGV);
	_exit(1);
}

int main(int argc, char **argv)
{
	unsigned int seconds = bound_arg(argc, argv, 1, 30, 600);
	unsigned int period_ms = bound_arg(argc, argv, 2, 100, 60000);
	struct timespec at;

	bound_seconds(seconds);
	clock_gettime(CLOCK_MONOTONIC, &at);
	for (uint64_t n = 1;; n++) {
		pid_t child = fork();
		int status = 0;

		if (child < 0)
			return 1;
		if (child == 0)
			crash();
		waitpid(child, &status, 0);
		printf("child %llu died of signal %d\n", (unsigned long long)n, WTERMSIG(status));
		fflush(stdout);
		at.tv_nsec += (long)(period_ms % 1000) * 1000000;
		at.tv_sec += period_ms / 1000 + at.tv_nsec / 1000000000;
		at.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	}
}
