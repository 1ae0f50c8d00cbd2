/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe/sysjournal.h"

#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void add_field(struct sc_str *out, const char *name, const char *value)
{
	uint64_t size = strlen(value);
	char length[sizeof(size)];

	if (!size)
		return;
	if (!strchr(value, '\n')) {
		sc_str_addf(out, "%s=%s\n", name, value);
		return;
	}
	for (size_t i = 0; i < sizeof(length); i++)
		length[i] = (char)(unsigned char)(size >> (8 * i)); /* little-endian */
	sc_str_addf(out, "%s\n", name);
	sc_str_addn(out, length, sizeof(length));
	sc_str_addn(out, value, size);
	sc_str_add(out, "\n");
}

static void add_number(struct sc_str *out, const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	add_field(out, name, text);
}

void sc_sysjournal_format(const struct sc_notification *n, const struct sc_notify_origin *origin,
			  struct sc_str *out)
{
	const struct sc_notify_fields *f = &n->fields;

	add_field(out, "MESSAGE", n->text);
	add_field(out, "MESSAGE_ID", n->message->id);
	add_number(out, "PRIORITY", (uint64_t)n->message->priority);
	add_field(out, "SYSLOG_IDENTIFIER", "scram");
	add_field(out, "SCRAM_EVENT", n->message->name);
	add_field(out, "SCRAM_KIND", sc_record_kind_name(n->message->kind));
	add_field(out, "SCRAM_HOST", origin->host);
	add_number(out, "SCRAM_SEQ", n->seq);
	add_field(out, "SCRAM_TIME", n->time);
	add_field(out, "SCRAM_FIRE_ID", f->fire);
	add_field(out, "SCRAM_CONDITION", f->condition);
	add_field(out, "SCRAM_TARGET", f->target);
	add_field(out, "SCRAM_COMPONENT", f->component);
	add_field(out, "SCRAM_ACTION", f->action);
	add_field(out, "SCRAM_OUTCOME", f->outcome);
	add_field(out, "SCRAM_STATE", f->state);
	add_field(out, "SCRAM_OPERATOR", f->by);
	add_field(out, "SCRAM_PRINCIPAL", f->principal);
	add_field(out, "SCRAM_REASON", f->reason);
	add_field(out, "SCRAM_DRY_RUN", f->is_dry_run ? "1" : "0");
	add_field(out, "SCRAM_VERSION", origin->version);
}

int sc_sysjournal_send(const char *path, const struct sc_notification *n,
		       const struct sc_notify_origin *origin)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	_cleanup_str_ struct sc_str text;

	sc_str_init_heap(&text);
	if (fd < 0)
		return -errno;
	if (!sc_strcopy(to.sun_path, sizeof(to.sun_path), path))
		return -ENAMETOOLONG;
	sc_sysjournal_format(n, origin, &text);
	if (text.truncated)
		return -ENOMEM;
	if (sendto(fd, text.data, text.len, MSG_NOSIGNAL, (const struct sockaddr *)&to,
		   sizeof(to)) < 0)
		return -errno;
	return 0;
}
