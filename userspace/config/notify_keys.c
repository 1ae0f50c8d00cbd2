/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of who is told of a fire: the same for the whole file and for one condition. */
#include "config/keys.h"

#include <errno.h>
#include <string.h>

/* On one line, and the same in a header, a log and an argument. */
static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text <= 0x20 || *text > 0x7e)
			return false;
	return true;
}

bool sc_is_http_url(const char *text)
{
	size_t scheme = !strncmp(text, "http://", 7) ? 7 : !strncmp(text, "https://", 8) ? 8 : 0;

	return scheme && text[scheme] && !strchr("/:?#", text[scheme]) && is_plain(text);
}

static size_t text_length(const struct sc_notify *notify)
{
	size_t n = notify->webhook ? strlen(notify->webhook) : 0;

	n += notify->secret_file ? strlen(notify->secret_file) : 0;
	for (size_t i = 0; i < notify->command.n; i++)
		n += strlen(notify->command.item[i]);
	return n;
}

/* An entry that is a mapping names a webhook or a command, and its kind follows from which. */
static void check_entry(struct sc_reader *r, const struct sc_value *v, struct sc_notify *notify)
{
	bool is_webhook = notify->webhook != NULL;
	bool is_command = notify->command.n > 0;
	const char *secret = notify->secret_file;

	notify->kind = is_webhook ? SC_NOTIFY_WEBHOOK : SC_NOTIFY_COMMAND;
	if (is_webhook == is_command)
		sc_fault(r, v, "%s; write {webhook: URL, secret_file: FILE} or {command: [...]}",
			 is_webhook ? "a notifier with both webhook and command"
				    : "a notifier without webhook and command");
	else if (is_webhook && !sc_is_http_url(notify->webhook))
		sc_fault(r, sc_value_find(v, "webhook"),
			 "webhook is %.48s; write http://... or https://...", notify->webhook);
	else if (is_command && notify->command.item[0][0] != '/')
		sc_fault(r, sc_value_find(v, "command"),
			 "command begins with %.48s; write [/absolute/path, ARGUMENT, ...]",
			 notify->command.item[0]);
	else if (secret && is_command)
		sc_fault(
			r, sc_value_find(v, "secret_file"),
			"secret_file beside a command; it signs what a webhook is sent, remove it");
	else if (secret && (secret[0] != '/' || !is_plain(secret)))
		sc_fault(r, sc_value_find(v, "secret_file"),
			 "secret_file is %.48s; write an absolute path without blanks", secret);
}

static void read_entry(struct sc_reader *r, const struct sc_value *v, struct sc_notify *notify)
{
	size_t faults = r->faults->n;

	if (v->kind == SC_VALUE_SCALAR && !strcmp(v->text, "journal"))
		return; /* what a new entry is */
	if (v->kind != SC_VALUE_MAP) {
		sc_fault(r, v, "%.48s is no notifier; %s",
			 v->kind == SC_VALUE_SCALAR ? v->text : "a list",
			 "write journal, {webhook: URL} or {command: [...]}");
		return;
	}
	sc_keys_read(r, v, &sc_notify_keys, notify, false);
	if (r->faults->n == faults)
		check_entry(r, v, notify);
}

/* What the entry makes of the whole list: how long it is, and whether it says something new. */
static void check_list(struct sc_reader *r, const struct sc_value *v,
		       const struct sc_notify_list *list)
{
	size_t last = list->n - 1;
	size_t length = 0;

	for (size_t i = 0; i < list->n; i++)
		length += text_length(&list->item[i]);
	if (length > SC_NOTIFY_TEXT_MAX)
		sc_fault(r, v, "the texts of notify have %zu bytes; %d are allowed", length,
			 SC_NOTIFY_TEXT_MAX);
	for (size_t i = 0; i < last; i++)
		if (sc_notify_equal(&list->item[i], &list->item[last]))
			sc_fault(r, v, "the same notifier twice; keep one");
}

void sc_read_notify(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		    void *field)
{
	struct sc_notify_list *list = field;

	if (v->kind != SC_VALUE_LIST || v->n == 0) {
		sc_fault(r, v, "%s is not a list with an entry; write [journal, {webhook: URL}]",
			 key->name);
		return;
	}
	if (list->n + v->n > SC_NOTIFY_MAX) {
		sc_fault(r, v, "%s has more than %d entries; remove some", key->name,
			 SC_NOTIFY_MAX);
		return;
	}
	for (size_t i = 0; i < v->n; i++) {
		struct sc_notify *notify = sc_notify_list_add(list);
		size_t faults = r->faults->n;

		if (!notify) {
			sc_fault(r, &v->item[i], "out of memory");
			return;
		}
		read_entry(r, &v->item[i], notify);
		if (r->faults->n == faults)
			check_list(r, &v->item[i], list);
	}
}

#define NOTIFY(member) offsetof(struct sc_notify, member)

/* clang-format off */
static const struct sc_key notify_keys[] = {
	{.name = "webhook", .read = sc_read_text, .offset = NOTIFY(webhook), .type = "URL", .text = "where to POST the fire; this or command, or the word journal in place of the mapping"},
	{.name = "secret_file", .read = sc_read_text, .offset = NOTIFY(secret_file), .type = "path", .fallback = "not signed", .text = "webhook: file with the secret that signs the body"},
	{.name = "command", .read = sc_read_texts, .offset = NOTIFY(command), .type = "list of texts", .text = "absolute path and arguments"},
};
/* clang-format on */

const struct sc_key_table sc_notify_keys = {"a notifier", notify_keys, SC_ARRAY_SIZE(notify_keys)};
