/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting what is wrong with a file, so that one check shows all of it. */
#include "config/keys.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* Names further away than this share of their length are no help. */

void sc_fault_at(struct sc_reader *r, int err, const struct sc_diag *diag)
{
	struct sc_config_faults *faults = r->faults;
	struct sc_config_fault *fault;

	if (!r->err)
		r->err = err;
	if (faults->n == SC_CONFIG_FAULTS_MAX) {
		faults->dropped++;
		return;
	}
	fault = &faults->item[faults->n++];
	fault->file = r->file ? strdup(r->file) : NULL;
	fault->diag = *diag;
}

void sc_fault(struct sc_reader *r, const struct sc_value *at, const char *fmt, ...)
{
	char text[SC_DIAG_TEXT_MAX];
	struct sc_diag diag;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sc_diag_set(&diag, -EINVAL, at->line, at->column, "%s", text);
	sc_fault_at(r, -EINVAL, &diag);
}

void sc_hint(struct sc_str *out, const char *word, const char *const *names, size_t n)
{
	struct sc_nearest nearest;

	sc_nearest_init(&nearest, word, strlen(word));
	for (size_t i = 0; i < n; i++)
		sc_nearest_offer(&nearest, names[i]);
	if (nearest.best) {
		sc_str_addf(out, "; did you mean %s?", nearest.best);
		return;
	}
	sc_str_add(out, n ? "; known are " : "; none is known");
	for (size_t i = 0; i < n; i++)
		sc_str_addf(out, "%s%s", i ? ", " : "", names[i]);
}

void sc_config_fault_print(const struct sc_config_fault *fault, struct sc_str *out)
{
	if (fault->file) {
		sc_str_add_printable(out, fault->file, strlen(fault->file));
		if (fault->diag.line)
			sc_str_addf(out, ":%u:%u", fault->diag.line, fault->diag.column);
		sc_str_add(out, ": ");
	}
	sc_str_addf(out, "%s\n", fault->diag.text);
}

void sc_config_faults_done(struct sc_config_faults *faults)
{
	for (size_t i = 0; i < faults->n; i++)
		free(faults->item[i].file);
	*faults = (struct sc_config_faults){0};
}
