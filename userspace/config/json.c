/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON text to values: RFC 8259 as jansson reads it, duplicate keys refused. */
#include "config/value.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static int convert(json_t *json, struct sc_value *out, unsigned int depth, struct sc_diag *diag);

static int set_text(struct sc_value *out, enum sc_scalar_style style, const char *text,
		    struct sc_diag *diag)
{
	out->style = style;
	out->text = strdup(text);
	return out->text ? 0 : sc_diag_set(diag, -ENOMEM, 0, 0, "out of memory");
}

static int append(struct sc_value *parent, json_t *json, unsigned int depth, struct sc_diag *diag)
{
	struct sc_value *item;

	if (parent->n >= SC_VALUE_ITEMS_MAX)
		return sc_diag_set(diag, -EINVAL, 0, 0, "too many entries");
	item = sc_value_append(parent);
	if (!item)
		return sc_diag_set(diag, -ENOMEM, 0, 0, "out of memory");
	return convert(json, item, depth + 1, diag);
}

static int convert_object(json_t *json, struct sc_value *out, unsigned int depth,
			  struct sc_diag *diag)
{
	const char *key;
	json_t *member;

	out->kind = SC_VALUE_MAP;
	json_object_foreach (json, key, member) {
		struct sc_value *item = sc_value_append(out);
		int err = item ? set_text(item, SC_SCALAR_DOUBLE, key, diag)
			       : sc_diag_set(diag, -ENOMEM, 0, 0, "out of memory");

		if (!err)
			err = append(out, member, depth, diag);
		if (err)
			return err;
	}
	return 0;
}

static int convert_array(json_t *json, struct sc_value *out, unsigned int depth,
			 struct sc_diag *diag)
{
	size_t i;
	json_t *element;

	out->kind = SC_VALUE_LIST;
	json_array_foreach (json, i, element) {
		int err = append(out, element, depth, diag);

		if (err)
			return err;
	}
	return 0;
}

static int convert(json_t *json, struct sc_value *out, unsigned int depth, struct sc_diag *diag)
{
	char number[32];

	if (depth > SC_VALUE_DEPTH_MAX)
		return sc_diag_set(diag, -EINVAL, 0, 0, "nested too deep");
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return convert_object(json, out, depth, diag);
	case JSON_ARRAY:
		return convert_array(json, out, depth, diag);
	case JSON_STRING:
		return set_text(out, SC_SCALAR_DOUBLE, json_string_value(json), diag);
	case JSON_INTEGER:
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(json));
		return set_text(out, SC_SCALAR_PLAIN, number, diag);
	case JSON_REAL: /* no key takes one: kept in a form that is no whole number either */
		snprintf(number, sizeof(number), "%.6e", json_real_value(json));
		return set_text(out, SC_SCALAR_PLAIN, number, diag);
	case JSON_TRUE:
		return set_text(out, SC_SCALAR_PLAIN, "true", diag);
	case JSON_FALSE:
		return set_text(out, SC_SCALAR_PLAIN, "false", diag);
	case JSON_NULL:
		return set_text(out, SC_SCALAR_NULL, "", diag);
	}
	SC_ASSERT(!"a JSON type that jansson does not have");
}

int sc_json_parse(struct sc_value *out, const char *text, size_t n, struct sc_diag *diag)
{
	struct sc_value root = {0};
	json_error_t error;
	json_t *json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
	int err;

	if (!json)
		return sc_diag_set(diag, -EINVAL, (unsigned int)SC_MAX(error.line, 0),
				   (unsigned int)SC_MAX(error.column, 0), "not valid JSON: %s",
				   error.text);
	err = convert(json, &root, 0, diag);
	json_decref(json);
	if (err)
		sc_value_done(&root);
	else
		*out = root;
	return err;
}
