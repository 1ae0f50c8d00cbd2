/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/said.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <string.h>

/* Where the messages of the call under way in this thread go. NULL: nowhere. */
static _Thread_local struct sc_str *listener;

_printf_(2, 0) static int on_libbpf_print(enum libbpf_print_level level, const char *fmt,
					  va_list args)
{
	_cleanup_free_ char *text = NULL;

	if (level != LIBBPF_WARN || !listener)
		return 0;
	if (vasprintf(&text, fmt, args) >= 0)
		sc_str_add(listener, text);
	return 0;
}

void sc_said_listen(struct sc_str *said)
{
	listener = said;
	libbpf_set_print(on_libbpf_print);
}

/* Adds the line of text that ends before `end`, without "libbpf: ". */
static void add_line_before(struct sc_str *out, const char *text, const char *end)
{
	const char *begin;

	while (end > text && end[-1] == '\n')
		end--;
	begin = end;
	while (begin > text && begin[-1] != '\n')
		begin--;
	if (end - begin > 8 && strncmp(begin, "libbpf: ", 8) == 0)
		begin += 8;
	sc_str_add_printable(out, begin, (size_t)(end - begin));
}

int sc_said_explain(char *reason, size_t size, const char *step, int err, const struct sc_str *said)
{
	const char *verdict;
	struct sc_str out;

	sc_str_init(&out, reason, size);
	sc_str_addf(&out, "%s: %s", step, strerror(-err));
	if (!said || !said->len)
		return err;
	sc_str_add(&out, "; ");
	add_line_before(&out, said->data, strchrnul(said->data, '\n'));
	verdict = strstr(said->data, "\nprocessed ");
	if (verdict) {
		sc_str_add(&out, "; ");
		add_line_before(&out, said->data, verdict);
	}
	return err;
}
