/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/listing.h"

#include "engine/core.h"

#include "base/json.h"

#include <errno.h>
#include <string.h>

/* Of a part: what stands around the list. */
#define HEAD_BYTES 128

struct sc_listing {
	bool is_due;
	uint64_t part;                         /* that was written last, of this list */
	char last_id[SC_CONDITION_ID_MAX + 1]; /* that was listed last; empty = none */
	char body[SC_RECORD_BODY_MAX + 1];
	char item[SC_RECORD_BODY_MAX + 1];
};

int sc_listing_open(struct sc_engine *e)
{
	e->listing = calloc(1, sizeof(*e->listing));
	return e->listing ? 0 : -ENOMEM;
}

void sc_listing_close(struct sc_engine *e)
{
	free(e->listing);
	e->listing = NULL;
}

void sc_listing_begin(struct sc_engine *e)
{
	e->listing->is_due = true;
	e->listing->part = 0;
	e->listing->last_id[0] = '\0';
}

static bool write_item(struct sc_str *out, const struct sc_registration *r,
		       const struct sc_condition_spec *spec)
{
	struct sc_json j;

	sc_str_reset(out);
	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "defined_in", spec->file ? spec->file : "");
	sc_json_member_bool(&j, "live", r->live);
	sc_str_add(out, ",\"condition\":");
	sc_condition_spec_json(spec, out);
	sc_json_object_end(&j);
	return !out->truncated;
}

/* Who is told stays out: it may name commands and secrets. What does not fit into one record goes
 * without its long texts, or is passed over. */
static bool fill_item(struct sc_listing *l, const struct sc_registration *r)
{
	struct sc_condition_spec shown = *r->spec;
	struct sc_str out;

	shown.notify.n = 0;
	sc_str_init(&out, l->item, sizeof(l->item) - HEAD_BYTES);
	if (write_item(&out, r, &shown))
		return true;
	shown.description = shown.when = shown.scope = shown.file = NULL;
	return write_item(&out, r, &shown);
}

/* As many as fit, from the one after last_id on. Returns whether none is left. */
static bool fill_part(struct sc_listing *l, const struct sc_registry *registry, struct sc_str *out)
{
	const char *comma = "";

	for (size_t i = 0; i < sc_registry_count(registry); i++) {
		struct sc_registration r = sc_registry_get(registry, i);

		if (r.origin != SC_ORIGIN_FILE || strcmp(r.spec->id, l->last_id) <= 0 ||
		    !fill_item(l, &r))
			continue;
		if (out->len + strlen(l->item) + HEAD_BYTES / 2 > SC_RECORD_BODY_MAX)
			return false;
		sc_str_addf(out, "%s%s", comma, l->item);
		sc_strcopy(l->last_id, sizeof(l->last_id), r.spec->id);
		comma = ",";
	}
	return true;
}

void sc_listing_step(struct sc_engine *e)
{
	struct sc_listing *l = e->listing;
	struct sc_str out;

	if (!l->is_due || !sc_journal_can_record(e->journal))
		return;
	sc_str_init(&out, l->body, sizeof(l->body));
	sc_str_addf(&out, "{\"part\":%llu,\"conditions\":[", (unsigned long long)++l->part);
	l->is_due = !fill_part(l, e->registry, &out);
	sc_str_addf(&out, "],\"last\":%s}", l->is_due ? "false" : "true");
	SC_ASSERT(!out.truncated);
	(void)sc_records_append(e, SC_RECORD_CONDITION_LISTED, l->body);
}
