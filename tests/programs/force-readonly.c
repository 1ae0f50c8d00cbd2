/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An example of scram/force_readonly.h, in plain C11: says `read-only` or `writable`, once at the
 * start and once for each line it is sent, from many threads at a time. A flip meanwhile changes
 * nothing.
 */
#define _POSIX_C_SOURCE 200809L

#include <scram/force_readonly.h>

#include <pthread.h>
#include <stdio.h>

#define THREADS 8

static void *ask(void *answer)
{
	*(bool *)answer = scram_force_readonly();
	return NULL;
}

/* What all threads were told; they must agree. */
static const char *ask_all(void)
{
	pthread_t threads[THREADS];
	bool answers[THREADS];
	int n = 0;

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, ask, &answers[i]) != 0)
			return "no threads";
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		n += answers[i];
	}
	return n == THREADS ? "read-only" : n == 0 ? "writable" : "undecided";
}

int main(void)
{
	char line[64];

	do {
		puts(ask_all());
		fflush(stdout);
	} while (fgets(line, sizeof(line), stdin));
	return 0;
}
