/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe/schedule.h"

#include "worker/probe/prober.h"
#include "worker/probe/verdict.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>

/* No probe is asked more often, whatever is configured. */
#define EVERY_MIN_NS (10 * SC_NS_PER_MS)
/* The probes of one interval are spread over at most this. */
#define SPREAD_MAX_NS SC_NS_PER_S
/* What is left of a run after so long is told; it mostly is gone after some milliseconds. */
#define LEFT_NS SC_NS_PER_S

enum state { IDLE, WAITING, RUNNING };

struct probe {
	struct sc_schedule *s;
	json_t *def; /* of probe.list, whose texts the rest borrows */
	const char *name;
	const char *url;   /* NULL: a program */
	const char **argv; /* NULL-ended */
	uint64_t budget_ns, every_ns, spread_ns;
	enum state state;
	struct probe *next;   /* of those that wait */
	struct sc_alarm due;  /* while idle */
	uint64_t base_ns;     /* of its first run */
	uint64_t ended_ns;    /* of its last run */
	struct sc_exec *exec; /* also while it is buried */
	struct sc_http *post;
};

struct sc_schedule {
	struct sc_prober *prober;
	uint64_t generation;
	struct probe **probes;
	size_t n;
	struct probe *first, **last; /* those that wait */
	size_t n_running;
};

static void take_turns(struct sc_schedule *s);

/* --- an answer --- */

static void report(struct probe *p, const struct sc_verdict *v, uint64_t took_ns)
{
	struct sc_prober *prober = p->s->prober;
	_cleanup_str_ struct sc_str request;
	struct sc_json j;

	sc_str_init_heap(&request);
	sc_json_init(&j, &request);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "op", "probe.answer");
	sc_json_member_u64(&j, "generation", p->s->generation);
	sc_json_member_text(&j, "name", p->name);
	sc_json_key(&j, "answer");
	if (v->fault == SC_VERDICT_NO_FAULT)
		sc_json_bool(&j, v->value);
	else
		sc_json_null(&j);
	sc_json_member_text(&j, "why", v->fault == SC_VERDICT_NO_FAULT ? NULL : v->why);
	sc_json_member_text(&j, "class", sc_verdict_fault_name(v->fault));
	sc_json_member_u64(&j, "took_us", took_ns / SC_NS_PER_US);
	sc_json_object_end(&j);
	/* Whether the core takes it is its business. */
	if (!request.truncated)
		json_decref(sc_prober_ask(prober, request.data, request.len, NULL));
}

/* Idle until its next moment: those that were missed are not made up for. */
static void rest(struct probe *p)
{
	uint64_t now = sc_mono_ns(), first = p->base_ns + p->spread_ns;
	uint64_t rounds = now >= first ? (now - first) / p->every_ns + 1 : 1;

	p->state = IDLE;
	sc_alarm_set(&p->s->prober->reactor, &p->due, first + rounds * p->every_ns);
}

static void answered(struct probe *p, const struct sc_verdict *v, uint64_t took_ns)
{
	p->s->n_running--;
	p->ended_ns = sc_mono_ns();
	rest(p);
	report(p, v, took_ns);
	take_turns(p->s);
}

static void on_exec_done(void *owner, const struct sc_exec_result *result)
{
	struct probe *p = owner;
	struct sc_verdict v;

	sc_verdict_of_exec(result, p->budget_ns, &v);
	answered(p, &v, result->took_ns);
}

static void on_exec_gone(void *owner)
{
	struct probe *p = owner;

	p->exec = NULL;
}

static void on_http_done(void *owner, const struct sc_http_result *result)
{
	struct probe *p = owner;
	struct sc_verdict v;

	p->post = NULL;
	sc_verdict_of_http(result, p->budget_ns, &v);
	answered(p, &v, result->took_ns);
}

/* --- a run --- */

static int start_exec(struct probe *p)
{
	_cleanup_str_ struct sc_str name;
	const char *env[2] = {NULL, NULL};
	struct sc_exec_order order = {
		.argv = (char *const *)(uintptr_t)p->argv,
		.env = env,
		.budget_ns = p->budget_ns,
		.done = on_exec_done,
		.gone = on_exec_gone,
		.owner = p,
	};

	sc_str_init_heap(&name);
	sc_str_addf(&name, "SCRAM_PROBE=%s", p->name);
	if (name.truncated)
		return -ENOMEM;
	env[0] = name.data;
	return sc_exec_start(&p->s->prober->execs, &order, &p->exec);
}

static void write_body(const struct probe *p, struct sc_str *out)
{
	struct sc_json j;

	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "probe", p->name);
	sc_json_member_text(&j, "host", p->s->prober->host);
	sc_json_object_end(&j);
}

static int post(struct probe *p, const char *authorization)
{
	const char *const headers[] = {"Content-Type: application/json", "Accept: application/json",
				       authorization, NULL};
	_cleanup_str_ struct sc_str body;
	struct sc_http_order order = {
		.url = p->url,
		.headers = headers,
		.budget_ns = p->budget_ns,
		.done = on_http_done,
		.owner = p,
	};

	sc_str_init_heap(&body);
	write_body(p, &body);
	if (body.truncated)
		return -ENOMEM;
	order.body = body.data;
	order.size = body.len;
	return sc_http_start(&p->s->prober->reactor, &order, &p->post);
}

/* The token is read anew each time, and nowhere kept. */
static int start_http(struct probe *p, char *why, size_t why_size)
{
	static const char head[] = "Authorization: Bearer ";
	char line[sizeof(head) + SC_SECRET_MAX];
	char error[SC_SECRET_WHY_MAX];
	_cleanup_close_ int fd = -1;
	ssize_t n;
	int r;

	if (!json_is_true(json_object_get(p->def, "has_token")))
		return post(p, NULL);
	r = sc_secret_ask(p->s->prober, "probe", p->name, &fd, error);
	if (r < 0) {
		sc_strcopy(why, why_size, error);
		return r;
	}
	memcpy(line, head, sizeof(head));
	n = sc_secret_read(fd, true, line + sizeof(head) - 1);
	r = n < 0 ? (int)n : post(p, line);
	if (n < 0)
		sc_strcopy(why, why_size,
			   n == -EINVAL    ? "it has bytes that no header can have"
			   : n == -ENODATA ? "it is empty"
					   : strerror((int)-n));
	sodium_memzero(line, sizeof(line));
	return r;
}

static void start(struct probe *p)
{
	char why[SC_VERDICT_WHY_MAX] = "";
	struct sc_verdict v;
	int r;

	p->state = RUNNING;
	p->s->n_running++;
	r = p->url ? start_http(p, why, sizeof(why)) : start_exec(p);
	if (r == 0)
		return;
	if (why[0])
		sc_verdict_fail(&v, SC_VERDICT_START, "its token cannot be read", why);
	else
		sc_verdict_fail(&v, SC_VERDICT_START, "cannot be run", strerror(-r));
	p->s->n_running--;
	rest(p);
	report(p, &v, 0);
}

static void take_turns(struct sc_schedule *s)
{
	while (s->first && s->n_running < SC_SCHEDULE_RUNS_MAX) {
		struct probe *p = s->first;

		s->first = p->next;
		if (!s->first)
			s->last = &s->first;
		p->next = NULL;
		start(p);
	}
}

static void enqueue(struct probe *p)
{
	p->state = WAITING;
	*p->s->last = p;
	p->s->last = &p->next;
}

static void on_due(void *owner)
{
	struct probe *p = owner;
	struct sc_verdict v;

	if (!p->exec) {
		enqueue(p);
		take_turns(p->s);
		return;
	}
	rest(p);
	if (sc_mono_ns() - p->ended_ns < LEFT_NS)
		return;
	sc_verdict_fail(&v, SC_VERDICT_OTHER, "processes of its last run cannot be ended", NULL);
	report(p, &v, 0);
}

/* --- the list --- */

static void dequeue(struct probe *p)
{
	struct sc_schedule *s = p->s;
	struct probe **at = &s->first;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	if (!p->next)
		s->last = at;
}

static void free_probe(struct probe *p)
{
	if (p->state == WAITING)
		dequeue(p);
	if (p->state == RUNNING)
		p->s->n_running--;
	if (p->exec)
		sc_exec_cancel(p->exec);
	if (p->post)
		sc_http_cancel(p->post);
	sc_alarm_stop(&p->due);
	free(p->argv);
	json_decref(p->def);
	free(p);
}

static bool is_text(const json_t *def, const char *key)
{
	const char *text = json_string_value(json_object_get(def, key));

	return text && text[0];
}

static bool is_command(const json_t *command)
{
	const char *program = json_string_value(json_array_get(command, 0));
	const json_t *argument;
	size_t i;

	json_array_foreach (command, i, argument)
		if (!json_is_string(argument))
			return false;
	return program && program[0] == '/';
}

static bool is_def(const json_t *def)
{
	const char *kind = json_string_value(json_object_get(def, "kind"));

	if (!kind || !is_text(def, "name") ||
	    json_integer_value(json_object_get(def, "budget_ns")) <= 0 ||
	    json_integer_value(json_object_get(def, "every_ns")) <= 0)
		return false;
	if (strcmp(kind, "http") == 0)
		return is_text(def, "url");
	return strcmp(kind, "exec") == 0 && is_command(json_object_get(def, "command"));
}

/* The same for the same name on every host and at every start: FNV-1a. */
static uint64_t spread_of(const char *name, uint64_t every_ns)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3ULL;
	return hash % (SC_MIN(every_ns / 4, SPREAD_MAX_NS) + 1);
}

static struct probe *new_probe(struct sc_schedule *s, json_t *def)
{
	const json_t *command = json_object_get(def, "command");
	size_t n = json_array_size(command);
	struct probe *p = calloc(1, sizeof(*p));
	const char **argv = p ? calloc(n + 1, sizeof(*argv)) : NULL;

	if (!argv) {
		free(p);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		argv[i] = json_string_value(json_array_get(command, i));
	*p = (struct probe){
		.s = s,
		.def = json_incref(def),
		.name = json_string_value(json_object_get(def, "name")),
		.argv = argv,
		.budget_ns = (uint64_t)json_integer_value(json_object_get(def, "budget_ns")),
		.due = {.ring = on_due, .owner = p},
		.base_ns = sc_mono_ns(),
	};
	if (strcmp(json_string_value(json_object_get(def, "kind")), "http") == 0)
		p->url = json_string_value(json_object_get(def, "url"));
	p->every_ns = SC_MAX((uint64_t)json_integer_value(json_object_get(def, "every_ns")),
			     (uint64_t)EVERY_MIN_NS);
	p->spread_ns = spread_of(p->name, p->every_ns);
	return p;
}

/* Takes the probe that is exactly this out of the old ones, or makes one, which waits at once. */
static struct probe *take_or_make(struct sc_schedule *s, json_t *def)
{
	const char *name = json_string_value(json_object_get(def, "name"));
	struct probe *p = NULL;

	for (size_t i = 0; i < s->n && !p; i++)
		if (s->probes[i] && strcmp(s->probes[i]->name, name) == 0 &&
		    json_equal(s->probes[i]->def, def))
			p = SC_TAKE_PTR(s->probes[i]);
	if (!p) {
		p = new_probe(s, def);
		if (p)
			enqueue(p);
	}
	return p;
}

int sc_schedule_update(struct sc_schedule *s, const json_t *list)
{
	const json_t *generation = json_object_get(list, "generation");
	const json_t *defs = json_object_get(list, "probes");
	size_t n = json_array_size(defs), n_new = 0;
	struct probe **probes;
	json_t *def;
	size_t i;

	if (!json_is_integer(generation) || !json_is_array(defs))
		return -EPROTO;
	json_array_foreach (defs, i, def)
		if (!is_def(def))
			return -EPROTO;
	probes = calloc(n + 1, sizeof(struct probe *));
	if (!probes)
		return -ENOMEM;
	s->generation = (uint64_t)json_integer_value(generation);
	json_array_foreach (defs, i, def) {
		probes[n_new] = take_or_make(s, def);
		n_new += probes[n_new] != NULL;
	}
	for (i = 0; i < s->n; i++)
		if (s->probes[i])
			free_probe(s->probes[i]);
	free(s->probes);
	s->probes = probes;
	s->n = n_new;
	take_turns(s);
	return n_new == n ? 0 : -ENOMEM;
}

struct sc_schedule *sc_schedule_new(struct sc_prober *p)
{
	struct sc_schedule *s = calloc(1, sizeof(*s));

	if (s)
		*s = (struct sc_schedule){.prober = p, .last = &s->first};
	return s;
}

void sc_schedule_free(struct sc_schedule **schedule)
{
	struct sc_schedule *s = SC_TAKE_PTR(*schedule);

	for (size_t i = 0; s && i < s->n; i++)
		free_probe(s->probes[i]);
	if (s)
		free(s->probes);
	free(s);
}

size_t sc_schedule_running(const struct sc_schedule *s)
{
	return s->n_running;
}

size_t sc_schedule_count(const struct sc_schedule *s)
{
	return s->n;
}
