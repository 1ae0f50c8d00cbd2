/* SPDX-License-Identifier: Apache-2.0 */
/* spinner [SECONDS [PROCESSES]]: burns one processor per process, then each ends by itself. */
#include "bound.h"

int main(int argc, char **argv)
{
	unsigned int seconds = bound_arg(argc, argv, 1, 10, 600);
	unsigned int processes = bound_arg(argc, argv, 2, 1, 64);
	volatile unsigned long turns = 0;

	for (unsigned int i = 1; i < processes; i++)
		if (fork() <= 0)
			break;
	bound_seconds(seconds);
	for (;;)
		turns++;
}
