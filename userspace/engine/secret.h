/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets for the probe worker, which may not read their files itself: {"op":"secret", "probe": N}
 * is answered by a descriptor to read the token_file of that probe from, {"op":"secret", "sink": N}
 * by one for the secret_file of that sink. Which file that is the configuration says, never the
 * worker. The sync thread opens it anew each time; it must be a regular file of root's that nobody
 * else may write.
 */
#pragma once

struct sc_engine;

/* 0 or -ENOMEM. */
int sc_secret_open(struct sc_engine *e);
/* After the sync thread has ended. */
void sc_secret_close(struct sc_engine *e);
