/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: open each file once, check what the open descriptor is, read it whole, parse, read the
 * keys; then judge the whole. The result is taken only when there was no fault at all.
 */
#include "config/load.h"

#include "base/io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

static_assert(SC_CONFIG_DIGEST_TEXT_MAX == 2 * crypto_hash_sha256_BYTES + 1, "hex and a NUL");

/* What no fire may hit whatever the files say: without these the host cannot be reached or
 * repaired. */
static const char *const protect_built_in[] = {
	"/init.scope",
	"/system.slice/systemd-journald.service",
	"/system.slice/systemd-udevd.service",
	"/system.slice/ssh.service",
	"/system.slice/sshd.service",
};

static void load_done(struct sc_load *load)
{
	for (size_t i = 0; i < load->documents; i++) {
		sc_value_done(&load->document[i].root);
		free(load->document[i].name);
		free(load->document[i].text);
	}
	free(load->document);
	sc_config_done(&load->config);
}

static void fault(struct sc_load *load, const char *file, int err, const struct sc_diag *diag)
{
	struct sc_reader r = {.file = file, .faults = load->faults, .err = load->err};

	sc_fault_at(&r, err, diag);
	load->err = r.err;
}

static void fault_file(struct sc_load *load, const char *file, int err, const char *text)
{
	struct sc_diag diag;

	sc_diag_set(&diag, err, 0, 0, "%s", text);
	fault(load, file, err, &diag);
}

static int config_init(struct sc_config *config)
{
	*config = (struct sc_config){
		.tick_ns = SC_CONFIG_TICK_NS,
		.limits = {.targets = SC_CONFIG_TARGETS,
			   .blast_percent = 10,
			   .irreversible_fires = 3},
	};
	for (size_t i = 0; i < SC_ARRAY_SIZE(protect_built_in); i++)
		if (sc_texts_add(&config->protect, protect_built_in[i]))
			return -ENOMEM;
	return 0;
}

/* NULL when the file behind fd may be believed, else what is wrong with it. */
static const char *distrust(const struct stat *st, unsigned int flags)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file; name a file";
	if (st->st_size > SC_CONFIG_FILE_MAX)
		return "larger than 1 MiB; split it";
	if (flags & SC_CONFIG_ANY_OWNER)
		return NULL;
	/* The agent is root; who tries it out otherwise, such as a test, may trust himself. */
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "not owned by root; chown root it";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "writable by group or others; chmod go-w it";
	return NULL;
}

/* The file's bytes, NUL-terminated, or NULL with the fault noted. */
static char *read_file(struct sc_load *load, const char *name, size_t *n)
{
	/* O_NONBLOCK: a FIFO in its place must not hold us up. */
	_cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	const char *distrusted;
	struct stat st;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st)) {
		int err = -errno;
		char why[SC_DIAG_TEXT_MAX];

		snprintf(why, sizeof(why), "cannot be opened: %s", strerror(-err));
		fault_file(load, name, err, why);
		return NULL;
	}
	distrusted = distrust(&st, load->flags);
	if (distrusted) {
		fault_file(load, name, -EPERM, distrusted);
		return NULL;
	}
	text = malloc(SC_CONFIG_FILE_MAX + 1);
	got = text ? sc_read_fd(fd, text, SC_CONFIG_FILE_MAX + 1) : -ENOMEM;
	if (got < 0) {
		fault_file(load, name, (int)got,
			   got == -EFBIG ? "larger than 1 MiB; split it" : "cannot be read");
		return NULL;
	}
	*n = (size_t)got;
	return SC_TAKE_PTR(text);
}

/* Parses text (taken over) as one more document and reads its keys. */
static void add_document(struct sc_load *load, const char *name, char *text, size_t n)
{
	bool is_included = load->documents > 0;
	struct sc_reader r = {.file = name, .faults = load->faults, .err = load->err};
	struct sc_document *d = reallocarray(load->document, load->documents + 1, sizeof(*d));
	struct sc_diag diag;
	int err;

	if (!d) {
		free(text);
		fault_file(load, name, -ENOMEM, "out of memory");
		return;
	}
	load->document = d;
	d += load->documents++;
	*d = (struct sc_document){
		.text = text, .n = n, .first_condition = load->config.condition_count};
	d->name = strdup(name);
	err = d->name ? sc_yaml_parse(&d->root, text, n, &diag)
		      : sc_diag_set(&diag, -ENOMEM, 0, 0, "out of memory");
	if (err)
		sc_fault_at(&r, err, &diag);
	else
		sc_keys_read(&r, &d->root, &sc_config_keys, &load->config, is_included);
	load->err = r.err;
}

static void add_file(struct sc_load *load, const char *name)
{
	size_t n = 0;
	char *text = read_file(load, name, &n);

	if (!text)
		return;
	if (sc_texts_add(&load->config.files, name)) {
		free(text);
		fault_file(load, name, -ENOMEM, "out of memory");
		return;
	}
	add_document(load, name, text, n);
}

static void add_matches(struct sc_load *load, const char *pattern)
{
	glob_t found = {0};
	int err = glob(pattern, 0, NULL, &found);

	if (err && err != GLOB_NOMATCH)
		fault_file(load, pattern, -EIO, "the directory of this include cannot be read");
	for (size_t i = 0; !err && i < found.gl_pathc; i++) {
		if (load->documents > SC_CONFIG_FILES_MAX) {
			fault_file(load, found.gl_pathv[i], -E2BIG, "more than 256 included files");
			break;
		}
		add_file(load, found.gl_pathv[i]);
	}
	globfree(&found);
}

/* Files named by `include`, relative to the directory of the main file, in the order of their
 * names. */
static void add_included(struct sc_load *load, const char *path)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? (int)(slash - path) + 1 : 0;

	for (size_t i = 0; i < load->config.include.n; i++) {
		const char *include = load->config.include.item[i];
		_cleanup_str_ struct sc_str pattern;

		sc_str_init_heap(&pattern);
		if (include[0] != '/')
			sc_str_addf(&pattern, "%.*s", dir, path);
		sc_str_add(&pattern, include);
		if (pattern.truncated)
			fault_file(load, path, -ENOMEM, "out of memory");
		else
			add_matches(load, pattern.data);
	}
}

static void hash_document(crypto_hash_sha256_state *state, const struct sc_document *d)
{
	unsigned char head[8];

	for (size_t i = 0; i < sizeof(head); i++)
		head[i] = (unsigned char)((uint64_t)d->n >> (8 * i));
	crypto_hash_sha256_update(state, (const unsigned char *)d->name, strlen(d->name) + 1);
	crypto_hash_sha256_update(state, head, sizeof(head));
	crypto_hash_sha256_update(state, (const unsigned char *)d->text, d->n);
}

static void set_digest(struct sc_config *config, const struct sc_document *d, size_t n)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	for (size_t i = 0; i < n; i++)
		hash_document(&state, &d[i]);
	crypto_hash_sha256_final(&state, hash);
	sodium_bin2hex(config->digest, sizeof(config->digest), hash, sizeof(hash));
}

/* Judges what was read, and hands it over when there is no fault. */
static int finish(struct sc_load *load, struct sc_config *config)
{
	sc_load_check(load);
	if (load->err)
		return load->err;
	set_digest(&load->config, load->document, load->documents);
	*config = load->config;
	load->config = (struct sc_config){0};
	return 0;
}

int sc_config_load(struct sc_config *config, const char *path, unsigned int flags,
		   struct sc_config_faults *faults)
{
	_cleanup_(load_done) struct sc_load load = {.faults = faults, .flags = flags};

	*faults = (struct sc_config_faults){0};
	if (config_init(&load.config)) {
		fault_file(&load, path, -ENOMEM, "out of memory");
		return -ENOMEM;
	}
	add_file(&load, path);
	add_included(&load, path);
	return finish(&load, config);
}

int sc_config_parse(struct sc_config *config, const char *name, const char *text, size_t n,
		    struct sc_config_faults *faults)
{
	_cleanup_(load_done) struct sc_load load = {.faults = faults};
	char *copy = n <= SC_CONFIG_FILE_MAX ? malloc(n + 1) : NULL;

	*faults = (struct sc_config_faults){0};
	if (!copy || config_init(&load.config)) {
		free(copy);
		fault_file(&load, name, copy ? -ENOMEM : -E2BIG,
			   copy ? "out of memory" : "larger than 1 MiB; split it");
		return load.err;
	}
	memcpy(copy, text, n);
	copy[n] = '\0';
	add_document(&load, name, copy, n);
	if (load.config.include.n)
		fault_file(&load, name, -EINVAL,
			   "include in a text that is no file; put it into one");
	return finish(&load, config);
}

int sc_config_default(struct sc_config *config)
{
	struct sc_config fresh;

	if (config_init(&fresh)) {
		sc_config_done(&fresh);
		return -ENOMEM;
	}
	set_digest(&fresh, NULL, 0);
	*config = fresh;
	return 0;
}
