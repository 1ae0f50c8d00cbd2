/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of each probe of one configuration: answers, counters, reasons. */
#pragma once

#include <scram/config.h>
#include <scram/snapshot.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SC_PROBE_WHY_MAX 256

/* Why a run had no answer. */
enum sc_probe_fault {
	SC_PROBE_FAULT_BUDGET,  /* "budget": it took longer than its budget */
	SC_PROBE_FAULT_START,   /* "start": the program could not be run, the token not be read */
	SC_PROBE_FAULT_EXIT,    /* "exit": another exit status, or a signal */
	SC_PROBE_FAULT_OUTPUT,  /* "output": too much of it */
	SC_PROBE_FAULT_ANSWER,  /* "answer": not a boolean */
	SC_PROBE_FAULT_CONNECT, /* "connect": nobody answered at the address, or not who should */
	SC_PROBE_FAULT_HTTP,    /* "http": another status than 200, or no HTTP */
	SC_PROBE_FAULT_OTHER,   /* "other": and whatever else the worker writes */
	SC_PROBE_FAULT_COUNT
};
const char *sc_probe_fault_name(enum sc_probe_fault fault);
/* SC_PROBE_FAULT_OTHER for any other name, and for NULL. */
enum sc_probe_fault sc_probe_fault_find(const char *name);

struct sc_probe_state {
	uint64_t runs, answers[SC_UNKNOWN]; /* by truth: false, true */
	uint64_t unknown[SC_PROBE_FAULT_COUNT];
	uint64_t took_us, took_us_max; /* of the last run; of the longest */
	uint64_t unknown_ns; /* CLOCK_MONOTONIC: since when, where the last answer is unknown */
	char why[SC_PROBE_WHY_MAX]; /* of the last unknown one, printable; empty = none yet */
};

struct sc_probe_set {
	uint64_t generation;
	size_t n;
	const struct sc_probe *probe; /* of the configuration, borrowed */
	struct sc_probe_state *state;
	struct sc_probe_answer *answer; /* what predicates read */
};

/*
 * The probes of a configuration, which must outlive the set; with `old` (may be NULL) what is known
 * of equal ones (name and definition) is kept, and the generation too where all are the same.
 * now_ns is CLOCK_MONOTONIC, here and below. NULL without memory.
 */
struct sc_probe_set *sc_probe_set_new(const struct sc_config *config,
				      const struct sc_probe_set *old, uint64_t now_ns);
/* *set is NULL afterwards; NULL is fine. */
void sc_probe_set_free(struct sc_probe_set **set);

/* What the worker reports of one run. */
struct sc_probe_report {
	uint64_t generation;
	const char *name;
	enum sc_truth truth;
	enum sc_probe_fault fault; /* where the truth is unknown */
	const char *why;           /* hostile text; NULL = none */
	uint64_t took_us;
};
/* False: of another generation, or of no probe; nothing has changed then. */
bool sc_probe_set_take(struct sc_probe_set *set, const struct sc_probe_report *report,
		       uint64_t now_ns);

/* As predicates take it: not answered, no boolean, or too old. */
bool sc_probe_answer_is_unknown(const struct sc_probe_answer *answer, uint64_t now_ns);
/* How long probe i has been so; 0 = it is known. */
uint64_t sc_probe_set_unknown_for_ns(const struct sc_probe_set *set, size_t i, uint64_t now_ns);
