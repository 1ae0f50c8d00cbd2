/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a mapping by its table, and the readers of the simple types. Types are never guessed. */
#include "config/keys.h"

#include "base/glob.h"
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define KEYS_MAX       32 /* of one table */
#define SHOWN_TEXT_MAX 48 /* of a refused value, in a message */

static void fault_unknown_key(struct sc_reader *r, const struct sc_value *key,
			      const struct sc_key_table *table)
{
	const char *names[KEYS_MAX];
	char buf[SC_DIAG_TEXT_MAX];
	struct sc_str text;

	SC_ASSERT(table->n <= KEYS_MAX);
	for (size_t i = 0; i < table->n; i++)
		names[i] = table->key[i].name;
	sc_str_init(&text, buf, sizeof(buf));
	sc_str_addf(&text, "unknown key %.*s in %s", SHOWN_TEXT_MAX, key->text, table->name);
	sc_hint(&text, key->text, names, table->n);
	sc_fault(r, key, "%s", buf);
}

static const struct sc_key *find_key(const struct sc_key_table *table, const char *name)
{
	for (size_t i = 0; i < table->n; i++)
		if (!strcmp(table->key[i].name, name))
			return &table->key[i];
	return NULL;
}

void sc_keys_read(struct sc_reader *r, const struct sc_value *value,
		  const struct sc_key_table *table, void *object, bool is_included)
{
	if (value->kind != SC_VALUE_MAP) {
		sc_fault(r, value, "%s is a mapping; write `key: value`", table->name);
		return;
	}
	for (size_t i = 0; i + 1 < value->n; i += 2) {
		const struct sc_key *key = find_key(table, value->item[i].text);

		if (!key)
			fault_unknown_key(r, &value->item[i], table);
		else if (is_included && key->is_main_only)
			sc_fault(r, &value->item[i],
				 "%s in an included file; it belongs into the main file",
				 key->name);
		else if (value->item[i + 1].style != SC_SCALAR_NULL)
			key->read(r, &value->item[i + 1], key, (char *)object + key->offset);
	}
	for (size_t i = 0; i < table->n; i++) {
		const struct sc_value *given = sc_value_find(value, table->key[i].name);

		if (table->key[i].is_required && (!given || given->style == SC_SCALAR_NULL))
			sc_fault(r, value, "%s without %s; add it", table->name,
				 table->key[i].name);
	}
}

/* A scalar that is there; lists, mappings and `key:` with nothing behind it are faults. */
static bool is_given(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key)
{
	if (v->kind != SC_VALUE_SCALAR) {
		sc_fault(r, v, "%s is a %s; write one %s", key->name,
			 v->kind == SC_VALUE_LIST ? "list" : "mapping", key->type);
		return false;
	}
	if (v->style == SC_SCALAR_PLAIN && !*v->text) {
		sc_fault(r, v, "%s has no value; give one or remove the key", key->name);
		return false;
	}
	return true;
}

/* What another YAML reader would take for a boolean, null or number. */
static bool looks_typed(const char *text)
{
	static const char *const words[] = {"true", "false", "yes",  "no", "on",
					    "off",  "y",     "null", "n",  "~"};
	char *end;

	for (size_t i = 0; i < SC_ARRAY_SIZE(words); i++)
		if (!strcasecmp(text, words[i]))
			return true;
	strtod(text, &end);
	return end != text && !*end;
}

static void set_text(struct sc_reader *r, const struct sc_value *v, char **field)
{
	char *copy = strdup(v->text);

	if (!copy) {
		sc_fault(r, v, "out of memory");
		return;
	}
	free(*field);
	*field = copy;
}

void sc_read_text(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		  void *field)
{
	if (!is_given(r, v, key))
		return;
	if (v->style == SC_SCALAR_PLAIN && looks_typed(v->text))
		sc_fault(r, v, "%s is a text, but %.*s is not one; %s", key->name, SHOWN_TEXT_MAX,
			 v->text, "put it in quotes");
	else
		set_text(r, v, field);
}

void sc_read_bool(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		  void *field)
{
	if (!is_given(r, v, key))
		return;
	if (v->style == SC_SCALAR_PLAIN && !strcmp(v->text, "true"))
		*(bool *)field = true;
	else if (v->style == SC_SCALAR_PLAIN && !strcmp(v->text, "false"))
		*(bool *)field = false;
	else
		sc_fault(r, v, "%s is %.*s; write true or false, without quotes", key->name,
			 SHOWN_TEXT_MAX, v->text);
}

/* Decimal digits without sign or leading zero, within min..max. */
static bool parse_number(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
			 uint32_t *out)
{
	size_t n;
	unsigned long long number;

	if (!is_given(r, v, key))
		return false;
	n = strspn(v->text, "0123456789");
	if (v->style != SC_SCALAR_PLAIN || v->text[n] || (n > 1 && v->text[0] == '0')) {
		sc_fault(r, v, "%s is %.*s; write a whole number of %u..%u, without quotes",
			 key->name, SHOWN_TEXT_MAX, v->text, key->min, key->max);
		return false;
	}
	number = n > 10 ? UINT64_MAX : strtoull(v->text, NULL, 10);
	if (number < key->min || number > key->max) {
		sc_fault(r, v, "%s is %.*s; it is outside %u..%u", key->name, SHOWN_TEXT_MAX,
			 v->text, key->min, key->max);
		return false;
	}
	*out = (uint32_t)number;
	return true;
}

void sc_read_number(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		    void *field)
{
	parse_number(r, v, key, field);
}

void sc_read_int(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		 void *field)
{
	uint32_t number;

	if (parse_number(r, v, key, &number))
		*(int *)field = (int)number;
}

void sc_read_duration(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		      void *field)
{
	int err;

	if (!is_given(r, v, key))
		return;
	err = sc_parse_duration(v->text, field);
	if (err == -ERANGE)
		sc_fault(r, v, "%s is %.*s; at most 100 days are allowed", key->name,
			 SHOWN_TEXT_MAX, v->text);
	else if (err)
		sc_fault(r, v, "%s is %.*s; write a duration with its unit, such as 30s or 5m",
			 key->name, SHOWN_TEXT_MAX, v->text);
}

void sc_read_duration_or_none(struct sc_reader *r, const struct sc_value *v,
			      const struct sc_key *key, void *field)
{
	uint64_t ns = 0;

	if (v->kind == SC_VALUE_SCALAR && !strcmp(v->text, "none")) {
		*(uint64_t *)field = 0;
		return;
	}
	if (v->kind == SC_VALUE_SCALAR && !sc_parse_duration(v->text, &ns) && ns == 0) {
		sc_fault(r, v, "%s is 0; write none where none is meant", key->name);
		return;
	}
	sc_read_duration(r, v, key, field);
}

void sc_read_wait(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		  void *field)
{
	size_t faults = r->faults->n;
	uint64_t ns = 0;

	sc_read_duration(r, v, key, &ns);
	if (r->faults->n > faults)
		return;
	if (ns == 0)
		sc_fault(r, v, "%s is 0; every wait lasts, such as 30s", key->name);
	else
		*(uint64_t *)field = ns;
}

bool sc_read_word(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		  const char *const *words, unsigned int *index)
{
	_cleanup_free_ char *word = NULL;
	char buf[SC_DIAG_TEXT_MAX];
	struct sc_str text;
	size_t n = 0;

	sc_read_text(r, v, key, &word);
	for (n = 0; word && words[n]; n++) {
		if (strcmp(word, words[n]) != 0)
			continue;
		*index = (unsigned int)n;
		return true;
	}
	if (!word)
		return false;
	sc_str_init(&text, buf, sizeof(buf));
	sc_str_addf(&text, "unknown %s %.*s", key->name, SHOWN_TEXT_MAX, word);
	sc_hint(&text, word, words, n);
	sc_fault(r, v, "%s", buf);
	return false;
}

/* Adds the texts of a list to those already there; globs are checked. */
static void read_list(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		      struct sc_texts *texts, bool are_globs)
{
	if (v->kind != SC_VALUE_LIST || v->n == 0) {
		sc_fault(r, v, "%s is not a list with an entry; write [A, B]", key->name);
		return;
	}
	if (texts->n + v->n > SC_CONFIG_GLOBS_MAX) {
		sc_fault(r, v, "%s has more than %d entries; use a wider glob", key->name,
			 SC_CONFIG_GLOBS_MAX);
		return;
	}
	for (size_t i = 0; i < v->n; i++) {
		char *text = NULL;

		sc_read_text(r, &v->item[i], key, &text);
		if (text && are_globs &&
		    (sc_glob_check(text) || strlen(text) > SC_CONDITION_PATH_MAX))
			sc_fault(r, &v->item[i],
				 "%s: %.*s is not a glob of cgroup paths; begin it with /, such as "
				 "/workload/*",
				 key->name, SHOWN_TEXT_MAX, text);
		else if (text && sc_texts_add(texts, text))
			sc_fault(r, &v->item[i], "out of memory");
		free(text);
	}
}

void sc_read_texts(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		   void *field)
{
	read_list(r, v, key, field, false);
}

void sc_read_globs(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		   void *field)
{
	read_list(r, v, key, field, true);
}
