/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML to values, strictly: one document, scalars, lists and mappings with scalar keys. What makes
 * two readers of a file see different things (anchors, aliases, merge keys, tags, directives,
 * duplicate keys, invisible characters) is refused.
 */
#include "config/value.h"

#include "base/utf8.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

struct builder {
	yaml_parser_t parser;
	const char *text;
	size_t n;
	size_t line; /* from 0; the last one looked up ... */
	size_t line_start;
	struct sc_diag *diag;
};

static void event_done(yaml_event_t *event)
{
	yaml_event_delete(event);
}

#define _cleanup_event_ _cleanup_(event_done)

/*
 * libyaml counts characters, a diag counts bytes. Marks mostly go forward, so the last line found
 * is where the search begins: one pass over the file in all.
 */
static size_t mark_place(struct builder *b, yaml_mark_t mark, unsigned int *line,
			 unsigned int *column)
{
	size_t at;

	if (mark.line < b->line) {
		b->line = 0;
		b->line_start = 0;
	}
	for (at = b->line_start; b->line < mark.line && at < b->n; at++) {
		if (b->text[at] != '\n')
			continue;
		b->line++;
		b->line_start = at + 1;
	}
	at = b->line_start;
	for (size_t c = 0; c < mark.column && at < b->n; c++)
		for (at++; at < b->n && ((unsigned char)b->text[at] & 0xc0) == 0x80; at++)
			;
	*line = (unsigned int)b->line + 1;
	*column = (unsigned int)(at - b->line_start) + 1;
	return at;
}

static int refuse(struct builder *b, yaml_mark_t mark, const char *text)
{
	unsigned int line, column;

	mark_place(b, mark, &line, &column);
	return sc_diag_set(b->diag, -EINVAL, line, column, "%s", text);
}

static int next_event(struct builder *b, yaml_event_t *event)
{
	const yaml_parser_t *p = &b->parser;
	unsigned int line, column;

	memset(event, 0, sizeof(*event));
	if (yaml_parser_parse(&b->parser, event))
		return 0;
	if (p->error == YAML_MEMORY_ERROR)
		return sc_diag_set(b->diag, -ENOMEM, 0, 0, "out of memory");
	mark_place(b, p->problem_mark, &line, &column);
	return sc_diag_set(b->diag, -EINVAL, line, column,
			   "not valid YAML: %s%s%s; check indentation and quotes",
			   p->problem ? p->problem : "unreadable", p->context ? ", " : "",
			   p->context ? p->context : "");
}

static int build(struct builder *b, const yaml_event_t *event, struct sc_value *out,
		 unsigned int depth);

static bool has_key(const struct sc_value *map, const char *key)
{
	for (size_t i = 0; i + 1 < map->n; i += 2)
		if (!strcmp(map->item[i].text, key))
			return true;
	return false;
}

static int check_key(struct builder *b, const struct sc_value *map, const yaml_event_t *event)
{
	char text[SC_DIAG_TEXT_MAX];
	const char *key;

	if (event->type != YAML_SCALAR_EVENT)
		return refuse(b, event->start_mark,
			      "a key that is not a plain word; write `key: value`");
	key = (const char *)event->data.scalar.value;
	if (!strcmp(key, "<<"))
		return refuse(b, event->start_mark,
			      "merge keys are not allowed; write the keys out");
	if (!has_key(map, key))
		return 0;
	snprintf(text, sizeof(text), "duplicate key %.64s; keep one", key);
	return refuse(b, event->start_mark, text);
}

/* The items of a list or mapping, up to its end event. */
static int build_items(struct builder *b, struct sc_value *parent, unsigned int depth)
{
	for (;;) {
		_cleanup_event_ yaml_event_t event;
		struct sc_value *item;
		bool is_key = parent->kind == SC_VALUE_MAP && parent->n % 2 == 0;
		int err = next_event(b, &event);

		if (err)
			return err;
		if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT)
			return 0;
		if (parent->n >= SC_VALUE_ITEMS_MAX)
			return refuse(b, event.start_mark, "too many entries; split the file");
		if (is_key)
			err = check_key(b, parent, &event);
		if (err)
			return err;
		item = sc_value_append(parent);
		if (!item)
			return sc_diag_set(b->diag, -ENOMEM, 0, 0, "out of memory");
		err = build(b, &event, item, depth + 1);
		if (err)
			return err;
	}
}

static int build_scalar(struct builder *b, const yaml_event_t *event, struct sc_value *out)
{
	const char *text = (const char *)event->data.scalar.value;

	out->kind = SC_VALUE_SCALAR;
	switch (event->data.scalar.style) {
	case YAML_SINGLE_QUOTED_SCALAR_STYLE:
		out->style = SC_SCALAR_SINGLE;
		break;
	case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
		out->style = SC_SCALAR_DOUBLE;
		break;
	case YAML_LITERAL_SCALAR_STYLE:
	case YAML_FOLDED_SCALAR_STYLE:
		out->style = SC_SCALAR_BLOCK;
		break;
	case YAML_ANY_SCALAR_STYLE:
	case YAML_PLAIN_SCALAR_STYLE:
		out->style = SC_SCALAR_PLAIN;
		break;
	}
	if (memchr(text, '\0', event->data.scalar.length))
		return refuse(b, event->start_mark, "a NUL byte in a text; remove the escape");
	out->text = strdup(text);
	return out->text ? 0 : sc_diag_set(b->diag, -ENOMEM, 0, 0, "out of memory");
}

static int check_properties(struct builder *b, const yaml_event_t *e)
{
	const yaml_char_t *anchor = NULL;
	const yaml_char_t *tag = NULL;

	if (e->type == YAML_ALIAS_EVENT)
		return refuse(b, e->start_mark, "aliases are not allowed; write the value out");
	if (e->type == YAML_SCALAR_EVENT) {
		anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
	}
	if (anchor)
		return refuse(b, e->start_mark, "anchors are not allowed; write the value out");
	if (tag)
		return refuse(b, e->start_mark, "tags are not allowed; remove it");
	return 0;
}

static int build(struct builder *b, const yaml_event_t *event, struct sc_value *out,
		 unsigned int depth)
{
	int err = check_properties(b, event);

	if (err)
		return err;
	if (depth > SC_VALUE_DEPTH_MAX)
		return refuse(b, event->start_mark, "nested too deep; nothing here needs that");
	out->offset = mark_place(b, event->start_mark, &out->line, &out->column);
	if (event->type == YAML_SCALAR_EVENT)
		return build_scalar(b, event, out);
	out->kind = event->type == YAML_MAPPING_START_EVENT ? SC_VALUE_MAP : SC_VALUE_LIST;
	return build_items(b, out, depth);
}

/* The stream is: start, one document (or none: an empty file is an empty mapping), end. */
static int build_stream(struct builder *b, struct sc_value *out)
{
	bool is_done = false;

	for (;;) {
		_cleanup_event_ yaml_event_t event;
		int err = next_event(b, &event);

		if (err)
			return err;
		switch (event.type) {
		case YAML_STREAM_END_EVENT:
			return 0;
		case YAML_NO_EVENT:
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		case YAML_DOCUMENT_START_EVENT:
			if (is_done)
				err = refuse(b, event.start_mark,
					     "a second document; one file holds one");
			else if (event.data.document_start.version_directive ||
				 event.data.document_start.tag_directives.start !=
					 event.data.document_start.tag_directives.end)
				err = refuse(b, event.start_mark,
					     "directives are not allowed; remove it");
			is_done = true;
			break;
		case YAML_ALIAS_EVENT:
		case YAML_SCALAR_EVENT:
		case YAML_SEQUENCE_START_EVENT:
		case YAML_SEQUENCE_END_EVENT:
		case YAML_MAPPING_START_EVENT:
		case YAML_MAPPING_END_EVENT:
			err = build(b, &event, out, 0);
			break;
		}
		if (err)
			return err;
	}
}

static int check_bytes(const char *text, size_t n, struct sc_diag *diag)
{
	static const char *const what[] = {
		[SC_TEXT_NOT_UTF8] = "not UTF-8; save the file as UTF-8",
		[SC_TEXT_CONTROL] = "a control character; remove it",
		[SC_TEXT_INVISIBLE] = "an invisible or direction-changing character; remove it",
	};
	unsigned int line, column;
	size_t at;
	enum sc_text_fault fault = sc_text_scan(text, n, &at);

	if (fault == SC_TEXT_OK)
		return 0;
	sc_place_of(text, at, &line, &column);
	return sc_diag_set(diag, -EINVAL, line, column, "%s", what[fault]);
}

int sc_yaml_parse(struct sc_value *out, const char *text, size_t n, struct sc_diag *diag)
{
	struct builder b = {.text = text, .n = n, .diag = diag};
	struct sc_value root = {.kind = SC_VALUE_MAP, .line = 1, .column = 1};
	int err = check_bytes(text, n, diag);

	if (err)
		return err;
	if (!yaml_parser_initialize(&b.parser))
		return sc_diag_set(diag, -ENOMEM, 0, 0, "out of memory");
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, n);
	err = build_stream(&b, &root);
	yaml_parser_delete(&b.parser);
	if (err)
		sc_value_done(&root);
	else
		*out = root;
	return err;
}
