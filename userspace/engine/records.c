/* SPDX-License-Identifier: Apache-2.0 */
/* What happened, into the journal and its projections. Nothing here waits for a disk. */
#include "engine/core.h"

#include "base/json.h"
#include "base/log.h"
#include "record/fold.h"
#include "record/redact.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* A seal at least this often while records come; also after every outcome and at start. */
#define SEAL_INTERVAL_NS (60 * SC_NS_PER_S)

/* True when the record is in the file, or safe in memory until it can be. */
static bool note_append(struct sc_engine *e, enum sc_record_kind kind, int r)
{
	sc_syncer_ask(&e->syncer);
	sc_statefile_touch(&e->statefile, e->now.mono_ns);
	if (r == 0)
		return true;
	e->journal_failures++;
	if (r < 0 || !e->journal_was_broken)
		sc_log_error("journal: %s record %s: %s", sc_record_kind_name(kind),
			     r > 0 ? "is kept in memory, the disk refused it" : "is lost",
			     r > 0 ? "see doctor" : strerror(-r));
	e->journal_was_broken = true;
	return r > 0;
}

bool sc_records_append(struct sc_engine *e, enum sc_record_kind kind, const char *body)
{
	char since[SC_TIME_TEXT_MAX];

	e->now = sc_time_now();
	sc_time_text(e->now.real_ns, since);
	sc_fold_apply(e->fold, kind, body, strlen(body), since);
	return note_append(e, kind, sc_journal_append(e->journal, &e->now, kind, body, NULL));
}

bool sc_records_fire(struct sc_engine *e, enum sc_record_kind kind, struct sc_fire *fire)
{
	char body[SC_RECORD_BODY_MAX + 1];
	int next = sc_fire_next(fire->state, kind);
	struct sc_json json;
	struct sc_str text;
	bool first = fire->state == SC_FIRE_NEW;

	SC_ASSERT(next >= 0);
	e->changes.fires++;
	fire->state = (enum sc_fire_state)next;
	e->now = sc_time_now();
	sc_str_init(&text, body, sizeof(body));
	sc_json_init(&json, &text);
	sc_fire_json(&json, fire, first ? SC_FIRE_FULL : SC_FIRE_NO_EVIDENCE);
	SC_ASSERT(!text.truncated); /* the sizes in fire.h fit one record */
	sc_fold_fire(e->fold, fire);
	return note_append(e, kind, sc_journal_append(e->journal, &e->now, kind, body, NULL));
}

bool sc_records_breaker(struct sc_engine *e, const struct sc_fold_breaker *breaker)
{
	char body[SC_RECORD_BODY_MAX + 1];
	struct sc_str text;

	e->now = sc_time_now();
	sc_str_init(&text, body, sizeof(body));
	sc_fold_breaker_json(breaker, &text);
	SC_ASSERT(!text.truncated); /* the sizes in fold.h fit one record */
	sc_fold_breaker(e->fold, breaker);
	return note_append(
		e, SC_RECORD_BREAKER_TRANSITION,
		sc_journal_append(e->journal, &e->now, SC_RECORD_BREAKER_TRANSITION, body, NULL));
}

void sc_records_fact(struct sc_engine *e, const char *fmt, ...)
{
	char raw[512], clean[1024], body[4096];
	struct sc_str redacted, text;
	struct sc_json json;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	sc_str_init(&redacted, clean, sizeof(clean));
	sc_redact(&redacted, raw);
	sc_str_init(&text, body, sizeof(body));
	sc_json_init(&json, &text);
	sc_json_object_begin(&json);
	sc_json_member_text(&json, "text", clean);
	sc_json_object_end(&json);
	(void)sc_records_append(e, SC_RECORD_FACT, body);
}

static void seal(struct sc_engine *e)
{
	char copy[1024];
	struct sc_str text;
	int r;

	sc_str_init(&text, copy, sizeof(copy));
	r = sc_journal_seal(e->journal, &e->now, &text);
	if (r == -EAGAIN) /* records are kept in memory: sealed once they are in the file */
		return;
	(void)note_append(e, SC_RECORD_SEAL, r);
	e->seal_due = false;
	e->last_seal_ns = e->now.mono_ns;
	/* The system log is a second witness, that the state directory's owner does not hold. */
	if (text.len)
		sc_log_info("seal %s", copy);
}

void sc_records_keep(struct sc_engine *e)
{
	struct sc_journal_stats stats;
	bool broken;

	(void)sc_journal_flush(e->journal);
	sc_journal_stats(e->journal, &stats);
	if (e->seal_due || (stats.seq > stats.sealed_seq + 1 &&
			    e->now.mono_ns - e->last_seal_ns > SEAL_INTERVAL_NS))
		seal(e);
	broken = stats.broken;
	if (broken != e->journal_was_broken) {
		if (broken)
			sc_log_error("journal: broken, records are kept in memory (%llu)",
				     (unsigned long long)stats.held);
		else
			sc_log_info("journal: whole again");
		sc_statefile_touch(&e->statefile, e->now.mono_ns);
	}
	e->journal_was_broken = broken;
}
