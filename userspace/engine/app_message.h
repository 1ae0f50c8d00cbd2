/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One datagram of the notify socket: lines KEY=VALUE, each ended by a line feed or the end. The
 * text comes from any program on the host, so it is taken whole or not at all.
 */
#pragma once

#include <scram/app.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SC_APP_MESSAGE_MAX 512 /* bytes; all keys at once fit */
#define SC_APP_SESSION_MAX 64  /* bytes of a session id */

enum sc_app_key {
	SC_APP_HEARTBEAT,   /* HEARTBEAT=1 */
	SC_APP_SESSION,     /* SESSION=id: 1 to 64 of A-Z a-z 0-9 . _ : - */
	SC_APP_QUEUE_DEPTH, /* QUEUE_DEPTH=number, not negative */
	SC_APP_GAUGE_FIRST, /* GAUGE_1=number and so on */
	SC_APP_KEY_COUNT = SC_APP_GAUGE_FIRST + SC_APP_GAUGES
};

struct sc_app_message {
	uint32_t has;     /* bit of enum sc_app_key */
	uint64_t session; /* hash of the id: only whether it is another one matters */
	double queue_depth;
	double gauges[SC_APP_GAUGES];
};

/*
 * Parses n bytes. A number is what JSON calls one, finite, of at most 32 characters. 0, or -EINVAL
 * with *out untouched: an unknown or repeated key, a value of another form, an empty line but the
 * last, no line at all; -EMSGSIZE over SC_APP_MESSAGE_MAX.
 */
int sc_app_message_parse(const char *text, size_t n, struct sc_app_message *out);
