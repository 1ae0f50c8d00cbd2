/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections as bytes. The HTTP library reads them by recv(2); this program has a recv of its own,
 * which the dynamic linker prefers, so that each byte passes the gate first. What the gate refuses
 * is answered here, and the library sees the connection end. A library that would read by another
 * call is noticed: sc_wire_has_passed is false for a request that the gate has not seen.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SC_WIRE_FDS_MAX      1024           /* as many as the process may have */
#define SC_WIRE_REQUEST_NS   10000000000ULL /* from the first byte of a request to its last */
#define SC_WIRE_STATUSES_MAX 600

/* Begins with a connection that was accepted. 0, -ENOMEM, or -EMFILE beyond the bound. */
int sc_wire_open(int fd, bool is_tcp);
/* It is about to be closed. Harmless without sc_wire_open. */
void sc_wire_close(int fd);

bool sc_wire_is_tcp(int fd);
/* One more request of this connection came out of the library: true when the gate let it pass. */
bool sc_wire_has_passed(int fd);
/* The request before was answered: refuses now what came behind it, if that was bad. */
void sc_wire_answered(int fd);

/* Refuses the connections whose request has been under way for too long: about once a second. */
void sc_wire_expire(uint64_t mono_ns);

/* Answers and ends a connection that the library never saw; fd stays the caller's. */
void sc_wire_refuse(int fd, unsigned int status, const char *why);
/* How many were refused with that status, since the start. */
uint64_t sc_wire_refused(unsigned int status);
