/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that answers its requests the way a test wants it, from a thread of its own. */
#pragma once

#include <pthread.h>
#include <stddef.h>

enum fake_manner {
	FAKE_ANSWERS,  /* sends each line of text as one message, to one request after another */
	FAKE_DRIBBLES, /* the same, byte by byte */
	FAKE_KEEPS_SILENT, /* takes the request and never answers */
	FAKE_HANGS_UP,     /* takes the request and closes */
	FAKE_REFUSES,      /* answers and closes without reading the request */
	FAKE_STOPS_SHORT,  /* announces text and sends half of it */
	FAKE_BOASTS,       /* announces more than a reply may have */
};

struct fake_agent {
	char dir[64];       /* the run directory */
	char request[4096]; /* the last */
	unsigned int requests;
	const char *text;
	enum fake_manner manner;
	int listen_fd;
	int release[2]; /* closed by stop: a silent agent goes home */
	pthread_t thread;
};

/* Makes a run directory with a socket in it and listens; text is borrowed. */
void fake_agent_start(struct fake_agent *agent, enum fake_manner manner, const char *text);
/* Waits for the thread; request then holds what came. Removes the directory. */
void fake_agent_stop(struct fake_agent *agent);
