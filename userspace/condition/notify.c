/* SPDX-License-Identifier: Apache-2.0 */
/* Who is told of a fire: ownership, comparison and JSON of these lists. Nobody is told here. */
#include <scram/condition.h>

#include "base/json.h"

#include <errno.h>
#include <string.h>

struct sc_notify *sc_notify_list_add(struct sc_notify_list *list)
{
	struct sc_notify *grown = reallocarray(list->item, list->n + 1, sizeof(*grown));

	if (!grown)
		return NULL;
	list->item = grown;
	grown[list->n] = (struct sc_notify){.kind = SC_NOTIFY_JOURNAL};
	return &grown[list->n++];
}

void sc_notify_list_done(struct sc_notify_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->item[i].webhook);
		free(list->item[i].secret_file);
		sc_texts_done(&list->item[i].command);
	}
	free(list->item);
	*list = (struct sc_notify_list){0};
}

static int copy_text(char **dst, const char *src)
{
	*dst = src ? strdup(src) : NULL;
	return src && !*dst ? -ENOMEM : 0;
}

int sc_notify_list_copy(struct sc_notify_list *dst, const struct sc_notify_list *src)
{
	_cleanup_(sc_notify_list_done) struct sc_notify_list copy = {0};

	for (size_t i = 0; i < src->n; i++) {
		const struct sc_notify *from = &src->item[i];
		struct sc_notify *to = sc_notify_list_add(&copy);

		if (!to)
			return -ENOMEM;
		to->kind = from->kind;
		if (copy_text(&to->webhook, from->webhook) ||
		    copy_text(&to->secret_file, from->secret_file) ||
		    sc_texts_copy(&to->command, &from->command))
			return -ENOMEM;
	}
	*dst = copy;
	copy = (struct sc_notify_list){0};
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool sc_notify_equal(const struct sc_notify *a, const struct sc_notify *b)
{
	return a->kind == b->kind && same_text(a->webhook, b->webhook) &&
	       same_text(a->secret_file, b->secret_file) &&
	       sc_texts_equal(&a->command, &b->command);
}

bool sc_notify_list_equal(const struct sc_notify_list *a, const struct sc_notify_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!sc_notify_equal(&a->item[i], &b->item[i]))
			return false;
	return true;
}

static void add_entry(struct sc_json *j, const struct sc_notify *notify)
{
	if (notify->kind == SC_NOTIFY_JOURNAL) {
		sc_json_text(j, "journal");
		return;
	}
	sc_json_object_begin(j);
	if (notify->kind == SC_NOTIFY_WEBHOOK) {
		sc_json_member_text(j, "webhook", notify->webhook);
		if (notify->secret_file)
			sc_json_member_text(j, "secret_file", notify->secret_file);
	} else {
		sc_json_key(j, "command");
		sc_json_array_begin(j);
		for (size_t i = 0; i < notify->command.n; i++)
			sc_json_text(j, notify->command.item[i]);
		sc_json_array_end(j);
	}
	sc_json_object_end(j);
}

void sc_notify_list_json(const struct sc_notify_list *list, struct sc_json *json)
{
	sc_json_array_begin(json);
	for (size_t i = 0; i < list->n; i++)
		add_entry(json, &list->item[i]);
	sc_json_array_end(json);
}
