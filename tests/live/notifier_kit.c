/* SPDX-License-Identifier: Apache-2.0 */
#include "live/notifier_kit.h"

#include "base/io.h"
#include "base/str.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LOG_MAX (8UL << 20)

static int port;

static void in_tmp(char *out, size_t size, const char *name)
{
	cr_assert_lt(snprintf(out, size, "%s/%s", sc_kit.box.tmp, name), (int)size);
}

const char *sc_kit_secret_file(void)
{
	static char path[SC_SANDBOX_PATH_MAX + 16];

	in_tmp(path, sizeof(path), "secret");
	return path;
}

void sc_kit_secret(const char *text)
{
	_cleanup_close_ int dir = open(sc_kit.box.tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(sc_write_file_atomic(dir, "secret", text, strlen(text), 0600), 0);
}

static bool listens(void *arg)
{
	char text[32];

	if (sc_read_file_at(AT_FDCWD, arg, text, sizeof(text)) <= 0)
		return false;
	port = (int)strtol(text, NULL, 10);
	return port > 0;
}

void sc_kit_receiver(const char *text)
{
	const char *const argv[] = {"python3", "tests/harness/webhooks.py", sc_kit.box.tmp,
				    sc_kit_secret_file(), NULL};
	char path[SC_SANDBOX_PATH_MAX + 16];
	_cleanup_close_ int dir = -1;

	sc_kit_secret(text);
	in_tmp(path, sizeof(path), "port");
	dir = sc_sandbox_mkdir(&sc_kit.box, "receiver");
	cr_assert_gt(sc_helper_exec(dir, argv, -1, -1), 0);
	cr_assert_eq(sc_wait_until(listens, path, SC_KIT_EVENT_MS), 0, "the receiver is not there");
}

void sc_kit_add_webhook(struct sc_str *yaml, const char *path, bool is_signed)
{
	sc_str_addf(yaml, "{webhook: 'http://127.0.0.1:%d%s'", port, path);
	if (is_signed)
		sc_str_addf(yaml, ", secret_file: '%s'", sc_kit_secret_file());
	sc_str_add(yaml, "}");
}

/* --- what the receiver got --- */

static bool is_meant(const json_t *request, const char *path, const char *event, const char *fire)
{
	const json_t *of = json_object_get(json_object_get(request, "body"), "fire");

	return (!path || !strcmp(sc_kit_text(request, "path"), path)) &&
	       (!event || !strcmp(sc_kit_text(request, "event"), event)) &&
	       (!fire || !strcmp(sc_kit_text(of, "id"), fire));
}

/* Counts them; the last one is the caller's. */
static unsigned int look(const char *path, const char *event, const char *fire, json_t **last)
{
	char log[SC_SANDBOX_PATH_MAX + 16], *save = NULL;
	_cleanup_free_ char *text = malloc(LOG_MAX);
	unsigned int n = 0;

	in_tmp(log, sizeof(log), "log");
	*last = NULL;
	if (sc_read_file_at(AT_FDCWD, log, text, LOG_MAX) <= 0)
		return 0;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		json_t *request = json_loads(line, 0, NULL); /* the last may be half written */

		if (request && is_meant(request, path, event, fire)) {
			json_decref(*last);
			*last = json_incref(request);
			n++;
		}
		json_decref(request);
	}
	return n;
}

unsigned int sc_kit_received(const char *path, const char *event, const char *fire)
{
	json_t *last;
	unsigned int n = look(path, event, fire, &last);

	json_decref(last);
	return n;
}

struct wanted {
	const char *path, *event;
	unsigned int n;
};

static bool is_received(void *arg)
{
	const struct wanted *w = arg;

	return sc_kit_received(w->path, w->event, NULL) >= w->n;
}

void sc_kit_wait_received(const char *path, const char *event, unsigned int n)
{
	struct wanted w = {path, event, n};

	cr_assert_eq(sc_wait_until(is_received, &w, SC_KIT_EVENT_MS), 0,
		     "%s was not told of %s: %u of %u", path, event ? event : "all",
		     sc_kit_received(path, event, NULL), n);
}

json_t *sc_kit_last_received(const char *path, const char *event)
{
	json_t *last;

	look(path, event, NULL, &last);
	cr_assert(last, "%s was never told of %s", path, event);
	return last;
}

/* --- what the agent says of it --- */

json_t *sc_kit_sink(size_t i)
{
	json_t *status = sc_rig_json(&sc_kit, "status");
	json_t *sink = json_incref(json_array_get(json_object_get(status, "notify"), i));

	cr_assert(sink, "status has no sink %zu", i);
	json_decref(status);
	return sink;
}

uint64_t sc_kit_sink_number(size_t i, const char *key)
{
	json_t *sink = sc_kit_sink(i);
	uint64_t n = sc_kit_number(sink, key);

	json_decref(sink);
	return n;
}

struct counted {
	size_t i;
	const char *key;
	uint64_t n;
};

static bool is_counted(void *arg)
{
	const struct counted *c = arg;

	return sc_kit_sink_number(c->i, c->key) >= c->n;
}

void sc_kit_wait_sink(size_t i, const char *key, uint64_t n)
{
	struct counted c = {i, key, n};
	int r = sc_wait_until(is_counted, &c, SC_KIT_EVENT_MS);

	/* Twice: a sink that hangs has four times 10 s, and 36 s in between. */
	if (r < 0)
		r = sc_wait_until(is_counted, &c, SC_KIT_EVENT_MS);
	cr_assert_eq(r, 0, "%s of sink %zu is %llu", key, i,
		     (unsigned long long)sc_kit_sink_number(i, key));
}
