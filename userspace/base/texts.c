/* SPDX-License-Identifier: Apache-2.0 */
#include "base/texts.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

int sc_texts_add(struct sc_texts *texts, const char *text)
{
	char **grown = reallocarray(texts->item, texts->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	texts->item = grown;
	grown[texts->n] = strdup(text);
	if (!grown[texts->n])
		return -ENOMEM;
	texts->n++;
	return 0;
}

int sc_texts_copy(struct sc_texts *dst, const struct sc_texts *src)
{
	struct sc_texts copy = {0};

	for (size_t i = 0; i < src->n; i++) {
		if (!sc_texts_add(&copy, src->item[i]))
			continue;
		sc_texts_done(&copy);
		return -ENOMEM;
	}
	*dst = copy;
	return 0;
}

bool sc_texts_equal(const struct sc_texts *a, const struct sc_texts *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->item[i], b->item[i]) != 0)
			return false;
	return true;
}

void sc_texts_done(struct sc_texts *texts)
{
	for (size_t i = 0; i < texts->n; i++)
		free(texts->item[i]);
	free(texts->item);
	*texts = (struct sc_texts){0};
}
