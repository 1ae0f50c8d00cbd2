/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mappings as tables: each mapping of the file is one const table of keys, each key a reader and
 * the place of its field. Unknown and missing keys, types and ranges are judged here, the same for
 * file and JSON body.
 */
#pragma once

#include "config/value.h"

/* One document being read, and where its faults go. */
struct sc_reader {
	const char *file; /* NULL: a request body */
	struct sc_config_faults *faults;
	int err; /* of the first fault */
};

struct sc_key;

/* Reads value into *field; a fault goes to the reader, and field then keeps its default. */
typedef void sc_key_read(struct sc_reader *r, const struct sc_value *value,
			 const struct sc_key *key, void *field);

struct sc_key {
	const char *name;
	sc_key_read *read;
	size_t offset; /* of the field in the object the table is for */
	bool is_required;
	bool is_main_only; /* not in an included file */
	uint32_t min;      /* of numbers */
	uint32_t max;
	const char *type;     /* for the reference: duration, text, ... */
	const char *fallback; /* for the reference: what holds when it is left out */
	const char *text;     /* for the reference: what it does */
};

struct sc_key_table {
	const char *name; /* how a message calls such a mapping: "a condition" */
	const struct sc_key *key;
	size_t n;
};

/* Reads a mapping into object. is_included leaves out the keys that only the main file may have. */
void sc_keys_read(struct sc_reader *r, const struct sc_value *value,
		  const struct sc_key_table *table, void *object, bool is_included);

/* Adds a fault at the value's place; text is `what; hint`. */
void sc_fault(struct sc_reader *r, const struct sc_value *at, const char *fmt, ...) _printf_(3, 4);
/* The same with a place given: err is kept when it is the first. */
void sc_fault_at(struct sc_reader *r, int err, const struct sc_diag *diag);

/* True when text is an http or https URL that names a host and can stand on one line. */
bool sc_is_http_url(const char *text);

/* Adds `; did you mean X` when one of the names is near, else the names; for unknown words. */
void sc_hint(struct sc_str *out, const char *word, const char *const *names, size_t n);

sc_key_read sc_read_text;             /* char *, owned */
sc_key_read sc_read_bool;             /* bool */
sc_key_read sc_read_number;           /* uint32_t within min..max */
sc_key_read sc_read_int;              /* int within min..max */
sc_key_read sc_read_duration;         /* uint64_t, ns */
sc_key_read sc_read_duration_or_none; /* the same; `none` is 0 */
sc_key_read sc_read_texts;            /* struct sc_texts, at least one */
sc_key_read sc_read_notify;           /* struct sc_notify_list, at least one */
sc_key_read sc_read_globs;            /* struct sc_texts of globs over cgroup paths, at least one */

/* The tables, by the room's files. */
extern const struct sc_key_table sc_condition_keys; /* struct sc_condition_spec */
extern const struct sc_key_table sc_action_keys;    /* struct sc_action_spec */
extern const struct sc_key_table sc_action_config_keys;
extern const struct sc_key_table sc_rung_keys;   /* struct sc_rung */
extern const struct sc_key_table sc_config_keys; /* struct sc_config */
extern const struct sc_key_table sc_limits_keys;
extern const struct sc_key_table sc_readonly_keys;
extern const struct sc_key_table sc_component_keys;
extern const struct sc_key_table sc_breaker_keys; /* struct sc_component */
extern const struct sc_key_table sc_tenant_keys;
extern const struct sc_key_table sc_probe_keys;
extern const struct sc_key_table sc_notify_keys;

sc_key_read sc_read_cut_mode; /* enum sc_cut_mode: new or all */
sc_key_read sc_read_breaker;  /* struct sc_component */
sc_key_read sc_read_readonly; /* struct sc_config_readonly */
/* One of a few words, the last of which is NULL; its index goes to *index. False: a fault was
 * added. */
bool sc_read_word(struct sc_reader *r, const struct sc_value *value, const struct sc_key *key,
		  const char *const *words, unsigned int *index);
/* A duration that must last. */
sc_key_read sc_read_wait; /* uint64_t, ns, not 0 */

/* Reads one condition with its own checks into spec, which is initialised; faults go to r. */
void sc_condition_read(struct sc_reader *r, const struct sc_value *value,
		       struct sc_condition_spec *spec);
