/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP API: one thread, one loop (server.c) over the listening socket, the HTTP library's
 * connections and the link to the core. A request becomes a call; a call is answered from a view
 * (a body that is kept until something changed), or asks the core and is answered with its reply.
 * Everything that is served is one row of the table in routes.c.
 */
#pragma once

#include "base/json.h"
#include "base/tally.h"
#include "worker/common/link.h"

#include <jansson.h>
#include <stdint.h>

struct MHD_Connection;
struct MHD_Daemon;
struct MHD_Response;
struct sc_api;
struct sc_call;
struct sc_histograms;
struct sc_route;
struct sc_stream;

#define SC_API_CONNECTIONS_MAX 256
#define SC_API_TOKEN_HASH_SIZE 32
#define SC_METRICS_TYPE        "application/openmetrics-text; version=1.0.0; charset=utf-8"
/* Views are made anew after this, though the core has told no change: values move all the time. */
#define SC_VIEW_AGE_NS 1000000000ULL

/* --- bodies that are kept --- */

enum sc_view_kind {
	SC_VIEW_CONDITIONS,
	SC_VIEW_FIRES,      /* without evidence */
	SC_VIEW_FIRES_FULL, /* for who has the token */
	SC_VIEW_HEALTH,
	SC_VIEW_METRICS,
	SC_VIEW_SIGNALS,
	SC_VIEW_TARGETS,
	SC_VIEW_COUNT
};

#define SC_VIEW_ASKS_MAX 3

/* Makes the body of the core's replies; false = it could not. */
typedef bool sc_view_fn(struct sc_api *api, json_t *const *replies, struct sc_str *out);

/* An answer of a view. The library holds it from when it is queued, which is a turn after a call
 * was resumed for it: until then the call does. */
struct sc_shared {
	struct MHD_Response *response;
	unsigned int users;
};

struct sc_view {
	struct sc_shared *shared; /* NULL = to be made */
	uint64_t made_ns;
	json_t *replies[SC_VIEW_ASKS_MAX];
	size_t n_replies;
	struct sc_str pages; /* of a view that is asked for in pages: the body so far */
	json_int_t from;     /* where the next page begins */
	bool is_asking;
	struct sc_call *waiting; /* calls that will be answered by it */
};

/* --- what is asked of the core --- */

/* Takes the reply to an ask; it is the core's JSON object, borrowed. fd belongs to the taker. */
typedef void sc_ask_fn(struct sc_api *api, void *owner, json_t *reply, int *fd);

struct sc_ask {
	struct sc_ask *next;
	struct sc_str request;
	sc_ask_fn *done;
	void *owner;
};

struct sc_counters {
	uint64_t requests, denied, link_asks, views_made, idempotent_hits;
};

struct sc_api {
	struct sc_link link;
	struct MHD_Daemon *daemon;
	int library_fd;       /* what the library waits on */
	uint64_t looked_ns;   /* at what time alone changes */
	int tcp_fd, local_fd; /* what is listened on; -1 = not there */
	char listen[280];     /* HOST:PORT; empty = none */
	char socket[128];     /* path of api.sock; empty = none */
	char node[65];        /* the name of this host */
	char version[32];
	bool has_token;
	unsigned char token_hash[SC_API_TOKEN_HASH_SIZE];
	struct sc_ask *asks, **asks_end; /* the first is with the core when is_asking */
	bool is_asking;
	uint64_t asked_ns;
	struct sc_view views[SC_VIEW_COUNT];
	uint64_t seq; /* of the journal, as last told */
	char changed[128];
	unsigned int connections;
	struct sc_counters counters;
	struct sc_tally denials;
	struct sc_histograms *histograms;
	struct sc_stream *streams;
	unsigned int n_streams;
	bool has_resumed; /* calls, since the library last ran */
};

/* --- one request --- */

struct sc_call {
	struct sc_api *api;
	struct MHD_Connection *connection;
	const struct sc_route *route;
	unsigned int refusal; /* by the checks before the route's own; 0 = none */
	const char *why;
	char allow[64];  /* with 405: the methods that there are */
	char param[512]; /* {id}, decoded */
	char link[128];  /* of the answer: header Link; empty = none */
	long limit;      /* of a page */
	char *body;
	size_t body_size;
	bool is_trusted; /* brought the token */
	bool is_suspended;
	json_t *args; /* the body */
	sc_ask_fn *then;
	struct MHD_Response *response;
	struct sc_shared *shared; /* that the response is of; NULL = it is the call's own */
	unsigned int status;
	struct sc_call *next; /* waiting for the same view */
};

/* --- answer.c --- */

/* The call's answer: a body of that type, which is copied. Resumes the call where it waits. */
void sc_call_answer(struct sc_call *call, unsigned int status, const char *type,
		    const struct sc_str *body);
void sc_call_answer_json(struct sc_call *call, unsigned int status, const json_t *body);
/* {"detail": TEXT} */
void sc_call_fail(struct sc_call *call, unsigned int status, const char *fmt, ...) _printf_(3, 4);
/* One with the usual headers; NULL when out of memory. */
struct MHD_Response *sc_response_new(const char *type, const void *body, size_t size);
/* Gives up a share, the last one with the response; *shared is NULL then. */
void sc_shared_release(struct sc_shared **shared);
/* The call is answered by a response that others share; it takes a share of its own. */
void sc_call_share(struct sc_call *call, struct sc_shared *shared);
/* The call waits from now on; answering resumes it. */
void sc_call_suspend(struct sc_call *call);
/* Parses the body into call->args, an object; false with the call answered. */
bool sc_call_parse(struct sc_call *call);
/* The value of a header or of a query's argument, still escaped; NULL when absent. */
const char *sc_call_header(struct sc_call *call, const char *name);
const char *sc_call_query(struct sc_call *call, const char *name);
/* A whole number of the query, clamped; false with the call failed when it is none. *value stays as
 * it is where there is none. */
bool sc_call_number(struct sc_call *call, const char *name, long min, long max, long *value);
/* True when every member of args is one of the names; else the call has failed. */
bool sc_call_knows(struct sc_call *call, const char *const *names);
/* The member is a text of 1 to max bytes; else the call has failed. */
bool sc_call_needs(struct sc_call *call, const char *name, size_t max);

/* --- asks.c --- */

/* Asks the core; request is taken over. done is called from the loop, in order. */
void sc_api_ask(struct sc_api *api, json_t *request, sc_ask_fn *done, void *owner);
/* The call asks, as who it is, and waits; `then` answers it. */
void sc_call_ask(struct sc_call *call, json_t *request, sc_ask_fn *then);
/* Sends the next, takes what has come. 0, 1 = asked to end, or -errno: the link is of no use. */
int sc_asks_pump(struct sc_api *api);
/* "exit" of a reply. */
int sc_reply_exit(const json_t *reply);
const char *sc_reply_error(const json_t *reply);

/* --- views.c --- */

void sc_call_view(struct sc_call *call, enum sc_view_kind kind);
void sc_views_drop(struct sc_api *api);
void sc_views_done(struct sc_api *api);

sc_view_fn sc_view_conditions, sc_view_fires, sc_view_fires_full, sc_view_health, sc_view_metrics;

/* Adds the elements of one page to a list without its brackets; false = it could not. */
typedef bool sc_view_page_fn(const json_t *reply, struct sc_str *out);
sc_view_page_fn sc_page_signals, sc_page_targets;

/* --- auth.c --- */

void sc_auth_init(struct sc_api *api);
/* Who is at the other end, and may the page that sent it ask here? Sets refusal where not. */
void sc_auth_judge(struct sc_call *call, bool is_tcp);

/* --- idempotency.c --- */

/* Adds the call's Idempotency-Key to a request to fire; false with the call failed. */
bool sc_idempotency_add(struct sc_call *call, json_t *request);

/* --- denials.c: who had no right, told to the core, which records it --- */

void sc_denials_init(struct sc_api *api);
/* The call is refused for who asks; fd is its connection. */
void sc_denials_note(struct sc_call *call, int fd);
/* Tells what is due; about once a second. */
void sc_denials_tell(struct sc_api *api);

/* --- routes.c --- */

enum sc_route_flag {
	SC_ROUTE_WRITES = 1 << 0, /* needs the token */
};

typedef void sc_route_fn(struct sc_call *call);

struct sc_route {
	const char *method;
	const char *path; /* at most one {id}, which may hold anything when it comes last */
	sc_route_fn *handle;
	unsigned int flags;
	unsigned int status; /* of success */
	const char *type;    /* of the answer */
	const char *summary;
	const char *query;    /* parameters of the query, as OpenAPI has them; NULL = none */
	const char *request;  /* JSON schema of the body; NULL = none */
	const char *example;  /* a body that is accepted; NULL = none */
	const char *response; /* JSON schema of the answer; NULL = not JSON */
	const char *statuses; /* others that it answers, with blanks between */
};

extern const struct sc_route sc_routes[];
extern const size_t sc_routes_count;

/* Finds the row and fills param. NULL: *status is 404, or 405 with the methods in allow. */
const struct sc_route *sc_route_find(const char *method, const char *url, struct sc_call *call,
				     char allow[static 64], unsigned int *status);

/*
 * Percent-decodes n bytes of a target, whose escapes the gate has seen to be whole and not NUL.
 * False when nothing is left, or more than fits into size; out is then not to be used.
 */
bool sc_unescape(const char *text, size_t n, char *out, size_t size);

/* --- handlers, by file --- */
sc_route_fn sc_route_conditions, sc_route_register, sc_route_unregister;
sc_route_fn sc_route_fire, sc_route_fires, sc_route_show, sc_route_release;
sc_route_fn sc_route_health, sc_route_targets, sc_route_signals;
sc_route_fn sc_route_openapi, sc_route_metrics, sc_route_page, sc_route_stream;

/* --- stream.c --- */
/* Those that wait go on: the journal has grown, or their time for a sign of life has come. */
void sc_streams_wake(struct sc_api *api, bool has_news);

/* --- server.c --- */

/* Of zeroed memory. */
void sc_api_init(struct sc_api *api);
/* Serves until the core says stop. 0 or -errno. */
int sc_server_run(struct sc_api *api);
/* What the one above is made of: begin, and one turn, which waits at most so long. */
int sc_server_open(struct sc_api *api);
int sc_server_turn(struct sc_api *api, int wait_ms);
/* Asks the core for the TCP socket. */
void sc_server_ask_listener(struct sc_api *api);
/* Takes over a connection that was accepted. */
void sc_server_add(struct sc_api *api, int fd);
