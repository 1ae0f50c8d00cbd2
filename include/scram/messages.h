/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What others are told of: which records are worth a notification, how loud each is, and the
 * MESSAGE_ID by which the system journal finds it. The ids never change: filters are built on them.
 */
#pragma once

#include <scram/journal.h>

#include <stddef.h>

struct sc_str;

#define SC_MESSAGE_ID_MAX 33 /* 128 bits in hex, as sd-id128(3) has them */

struct sc_message {
	enum sc_record_kind kind;
	const char *state; /* a transition of a breaker: the state it goes to; NULL = any record */
	const char *name;
	const char *id;
	int priority; /* as of syslog(3): 0 emerg .. 7 debug */
	const char *subject;
	const char *text; /* for the catalog: what it means and what to do; @FIELD@ is filled in */
};

/* What to tell of such a record; state is that of a breaker.transition's "to", else NULL. NULL:
 * nobody is told. */
const struct sc_message *sc_message_of(enum sc_record_kind kind, const char *state);

/* docs/reference/messages.md, and scram.catalog of journalctl -x. */
void sc_messages_print_reference(struct sc_str *out);
void sc_messages_print_catalog(struct sc_str *out);
