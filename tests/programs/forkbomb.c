/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forkbomb [COUNT [SECONDS]]: every process forks as fast as it can while fewer than COUNT were
 * made in all, then waits. Each ends by itself after SECONDS.
 */
#include "bound.h"

#include <stdatomic.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
	unsigned int count = bound_arg(argc, argv, 1, 200, 4000);
	unsigned int seconds = bound_arg(argc, argv, 2, 5, 120);
	_Atomic unsigned int *made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (made == MAP_FAILED)
		return 1;
	bound_seconds(seconds);
	while (atomic_fetch_add(made, 1) + 1 < count) {
		pid_t child = fork();

		if (child < 0)
			break;
		if (child == 0)
			bound_seconds(seconds);
	}
	for (;;)
		pause();
}
