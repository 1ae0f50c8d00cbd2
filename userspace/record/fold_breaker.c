/* SPDX-License-Identifier: Apache-2.0 */
/* Breakers in the fold: the last transition of each component's. */
#include "record/fold_internal.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <string.h>

const struct sc_fold_breaker *sc_fold_breaker_find(const struct sc_fold *fold,
						   const char *component)
{
	for (unsigned int i = 0; i < fold->breaker_count; i++)
		if (!strcmp(fold->breakers[i].record.component, component))
			return &fold->breakers[i];
	return NULL;
}

/* A breaker that is as a new one would be: nothing is lost with it. */
static bool is_plain(const struct sc_fold_breaker *b)
{
	return b->record.transition.to == SC_BREAKER_CLOSED &&
	       b->record.order == SC_BREAKER_ORDER_NONE;
}

/* The component's entry, else a free one, else one that says nothing. NULL: no room. */
static struct sc_fold_breaker *place_of(struct sc_fold *fold, const char *component)
{
	struct sc_fold_breaker *known = (struct sc_fold_breaker *)sc_fold_breaker_find(fold,
										       component);

	if (known)
		return known;
	if (fold->breaker_count < SC_FOLD_BREAKERS_MAX)
		return &fold->breakers[fold->breaker_count++];
	for (unsigned int i = 0; i < fold->breaker_count; i++)
		if (is_plain(&fold->breakers[i]))
			return &fold->breakers[i];
	return NULL;
}

void sc_fold_breaker(struct sc_fold *fold, const struct sc_fold_breaker *breaker)
{
	struct sc_fold_breaker *place = place_of(fold, breaker->record.component);

	if (place)
		*place = *breaker;
	else
		fold->refused++;
}

void sc_fold_breaker_json(const struct sc_fold_breaker *b, struct sc_str *out)
{
	struct sc_time zero = {.real_ns = b->real_less_boot_ns};
	char extra[4096];
	struct sc_json j;
	struct sc_str text;

	/* The record of the breaker itself, and ours as further members of the same object. */
	sc_breaker_record_json(&b->record, &zero, out);
	sc_str_init(&text, extra, sizeof(extra));
	sc_json_init(&j, &text);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "by", b->by);
	sc_json_member_text(&j, "note", b->note[0] ? b->note : NULL);
	sc_json_member_text(&j, "boot", b->boot_id);
	sc_json_member_i64(&j, "real_less_boot_ns", b->real_less_boot_ns);
	sc_json_object_end(&j);
	SC_ASSERT(!text.truncated);
	if (out->truncated)
		return;
	out->data[out->len - 1] = ',';
	sc_str_add(out, extra + 1);
}

int sc_fold_transition(struct sc_fold *fold, const struct sc_fold_input *in)
{
	struct sc_fold_breaker b = {0};
	int r = sc_breaker_record_parse(in->text, in->n, &b.record);

	if (r < 0)
		return r;
	sc_fold_set_text(b.boot_id, sizeof(b.boot_id), in, "boot");
	sc_fold_set_text(b.by, sizeof(b.by), in, "by");
	sc_fold_set_text(b.note, sizeof(b.note), in, "note");
	b.real_less_boot_ns = json_integer_value(json_object_get(in->body, "real_less_boot_ns"));
	if (!place_of(fold, b.record.component))
		return -ENOSPC;
	sc_fold_breaker(fold, &b);
	return 0;
}
