/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a record of the journal to what others are told of it: one JSON object, stable in its shape,
 * and the few fields that a program or the system journal gets as variables. Pure: no system call.
 */
#pragma once

#include <scram/fire.h>
#include <scram/messages.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands around every record that is told of. */
struct sc_notify_origin {
	char host[SC_HOST_ID_TEXT_MAX];
	char hostname[65];
	char version[32], commit[48];
};

/* Names are printable: each byte that is not becomes \xNN. */
struct sc_notify_fields {
	char fire[SC_FIRE_ID_MAX];
	char condition[4 * SC_FIRE_CONDITION_MAX];
	char target[4 * SC_FIRE_PATH_MAX];
	char component[4 * SC_FIRE_CONDITION_MAX];
	char action[32], outcome[32], state[32];
	char by[4 * SC_FIRE_OPERATOR_MAX], principal[4 * SC_FIRE_OPERATOR_MAX];
	char reason[4 * SC_FIRE_REASON_MAX];
	bool is_dry_run;
};

struct sc_notification {
	unsigned int refs;
	const struct sc_message *message;
	uint64_t seq;
	char time[32];
	struct sc_notify_fields fields;
	char condition_id[SC_FIRE_CONDITION_MAX]; /* as it was written: whose sinks are told */
	char text[2048];                          /* one printable line for people */
	char *body;                               /* JSON */
	size_t size;
};

/*
 * 1 with *out, the caller's one reference; 0: nobody is told of such a record; -EBADMSG: its body
 * is not what such a record has; -ENOMEM.
 */
int sc_notification_new(const struct sc_notify_origin *origin, const struct sc_record *record,
			struct sc_notification **out);
struct sc_notification *sc_notification_ref(struct sc_notification *n);
/* Gives one reference back and sets *n to NULL; NULL is fine. */
void sc_notification_unref(struct sc_notification **n);
