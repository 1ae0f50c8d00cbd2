/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of `readonly`: paths of the host that global-readonly is told of. */
#include "config/keys.h"

#include <scram/readonly.h>

#include <string.h>

/* The reason why a path is refused; NULL = it is fine. */
static const char *path_fault(const char *path)
{
	size_t n = strlen(path);

	if (path[0] != '/')
		return "write an absolute path";
	if (n >= SC_READONLY_PATH_MAX)
		return "it is too long";
	if (n == 1)
		return "name what must not change, not the whole host";
	if (path[n - 1] == '/' || strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../"))
		return "write it as the kernel does, without // . or .. and no / at its end";
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < 0x20)
			return "it has a control character";
	return NULL;
}

static void read_paths(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		       void *field)
{
	const struct sc_texts *texts = field;
	size_t before = texts->n;

	sc_read_texts(r, v, key, field);
	if (texts->n > SC_READONLY_PATHS_MAX)
		sc_fault(r, v, "more than %d paths; name the ones above them",
			 SC_READONLY_PATHS_MAX);
	for (size_t i = before; i < texts->n; i++) {
		const char *fault = path_fault(texts->item[i]);

		if (fault)
			sc_fault(r, v, "%s has the path %.48s; %s", key->name, texts->item[i],
				 fault);
	}
}

void sc_read_readonly(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		      void *field)
{
	(void)key;
	sc_keys_read(r, v, &sc_readonly_keys, field, false);
}

/* clang-format off */
static const struct sc_key keys[] = {
	{.name = "paths", .read = read_paths, .offset = offsetof(struct sc_config_readonly, paths), .type = "list of paths", .fallback = "nothing can be done without BPF LSM", .text = "made read-only, as the processes see them, on a kernel without BPF LSM; best mount points"},
	{.name = "allow", .read = read_paths, .offset = offsetof(struct sc_config_readonly, allow), .type = "list of paths", .fallback = "the agent's own directories", .text = "directories below which everybody may still write, by BPF LSM: logs"},
};
/* clang-format on */

const struct sc_key_table sc_readonly_keys = {"readonly", keys, SC_ARRAY_SIZE(keys)};
