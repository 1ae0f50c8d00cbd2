/* SPDX-License-Identifier: Apache-2.0 */
/* A load under way: the documents stay until their predicates have been compiled. Config room only.
 */
#pragma once

#include "config/keys.h"

struct sc_document {
	char *name;
	char *text;
	size_t n;
	struct sc_value root;
	size_t first_condition; /* of config.conditions; the next document's is the end */
};

struct sc_load {
	struct sc_config config;
	struct sc_config_faults *faults;
	int err;
	unsigned int flags;
	struct sc_document *document;
	size_t documents;
};

/* What only the whole can show: names that nobody declared, ids twice, predicates, conditions that
 * cannot act. */
void sc_load_check(struct sc_load *load);
