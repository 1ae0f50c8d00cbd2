/* SPDX-License-Identifier: Apache-2.0 */
/* report-flood SOCKET [COUNT]: sends COUNT reports as fast as they are taken, then lives on. */
#include "bound.h"

#include <scram/client.h>

int main(int argc, char **argv)
{
	unsigned int left = bound_arg(argc, argv, 2, 100000, 10000000);
	struct scram_client scram;

	bound_seconds(120);
	if (scram_client_open(&scram, argc > 1 ? argv[1] : NULL) < 0)
		return 1;
	while (left)
		left -= scram_client_report(&scram, "QUEUE_DEPTH=1") == 0;
	for (;;)
		pause();
}
