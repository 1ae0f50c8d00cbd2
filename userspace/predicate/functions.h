/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of the language: one table, one row each. */
#pragma once

#include <scram/snapshot.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sc_function_form {
	SC_FORM_WINDOW,    /* name(signal[duration]) */
	SC_FORM_SIGNAL,    /* name(signal) */
	SC_FORM_AGGREGATE, /* name("glob", expression) */
	SC_FORM_PROBE,     /* name("probe") */
	SC_FUNCTION_FORM_COUNT
};

/* What an aggregate has gathered from its members so far. */
struct sc_gather {
	uint32_t members;
	uint32_t trues;
	uint32_t unknowns;
	double sum;
	double highest; /* -infinity before the first */
	double lowest;  /* +infinity before the first */
};

/*
 * An aggregate's answer: somewhere between the two, because unknown members might be anything.
 * Equal: known. NaN: nothing is known. Truths are 0 and 1.
 */
struct sc_bounds {
	double lowest;
	double highest;
};

struct sc_function {
	const char *name;
	const char *usage;
	const char *text;
	const char *words; /* for describe: @ is the first argument, # the second */
	enum sc_function_form form;

	/* SC_FORM_WINDOW and SC_FORM_SIGNAL */
	enum sc_window_function window;
	bool takes_counter;
	bool takes_gauge;
	const char *hint; /* when the signal is of the other type */

	/* SC_FORM_AGGREGATE */
	bool takes_truth; /* else a number */
	bool gives_truth; /* else a number */
	bool gives_count; /* that number is a count; else it has the unit of the argument */
	struct sc_bounds (*answer)(const struct sc_gather *gather);
};

/* NULL when there is no function of that name. */
const struct sc_function *sc_function_find(const char *name, size_t len);
/* For "did you mean"; NULL when nothing is near. */
const char *sc_function_nearest(const char *name, size_t len);
