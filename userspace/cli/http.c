/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/http.h"

#include "base/clock.h"
#include "base/str.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define HOST_MAX   256
#define ANSWER_MAX SC_REPLY_SIZE_MAX

/* How an operation is asked, and what its answer is called in a reply. */
struct way {
	enum sc_op op;
	const char *method, *path;
	const char *id;     /* member of the request that goes into the path; NULL = none */
	const char *tail;   /* behind it */
	const char *member; /* of the reply; NULL = the answer is the reply */
	bool is_write;
};

static const struct way ways[];
static const size_t n_ways;

struct address {
	char host[HOST_MAX], port[8];
	const char *prefix; /* of paths, in the URL */
	char authority[HOST_MAX + 16];
};

static const struct way *find_way(enum sc_op op)
{
	for (size_t i = 0; i < n_ways; i++)
		if (ways[i].op == op)
			return &ways[i];
	return NULL;
}

bool sc_http_can(enum sc_op op)
{
	return find_way(op) != NULL;
}

bool sc_http_needs_token(enum sc_op op)
{
	const struct way *way = find_way(op);

	return way && way->is_write;
}

/* --- the address --- */

static bool split_authority(struct address *a)
{
	char *text = a->authority, *end;
	size_t n;

	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end)
			return false;
		n = (size_t)(end - ++text);
		end++;
	} else {
		end = text + strcspn(text, ":");
		n = (size_t)(end - text);
	}
	if (n == 0 || n >= sizeof(a->host))
		return false;
	memcpy(a->host, text, n);
	a->host[n] = '\0';
	if (*end == '\0')
		return sc_strcopy(a->port, sizeof(a->port), "80");
	return *end == ':' && end[1] && strspn(end + 1, "0123456789") == strlen(end + 1) &&
	       sc_strcopy(a->port, sizeof(a->port), end + 1);
}

static int parse_url(const char *url, struct address *a, struct sc_diag *diag)
{
	static const char scheme[] = "http://";
	size_t n;

	if (strncmp(url, scheme, strlen(scheme)) != 0)
		return sc_diag_set(diag, -EINVAL, 0, 0, "%s is not http://HOST[:PORT]", url);
	n = strcspn(url + strlen(scheme), "/");
	a->prefix = url + strlen(scheme) + n;
	if (n >= sizeof(a->authority) || strpbrk(url, "@?# \r\n\t"))
		return sc_diag_set(diag, -EINVAL, 0, 0, "%s is not http://HOST[:PORT]", url);
	memcpy(a->authority, url + strlen(scheme), n);
	a->authority[n] = '\0';
	if (!split_authority(a))
		return sc_diag_set(diag, -EINVAL, 0, 0, "%s is not http://HOST[:PORT]", url);
	return 0;
}

/* --- the connection --- */

static int wait_for(int fd, short events, uint64_t deadline_ns)
{
	uint64_t now_ns = sc_mono_ns();
	struct pollfd p = {.fd = fd, .events = events};
	int n;

	if (now_ns >= deadline_ns)
		return -ETIMEDOUT;
	n = poll(&p, 1, (int)((deadline_ns - now_ns) / SC_NS_PER_MS) + 1);
	return n < 0 && errno != EINTR ? -errno : 0;
}

static int connect_one(const struct addrinfo *at, uint64_t deadline_ns)
{
	_cleanup_close_ int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
					0);
	int error = 0;
	socklen_t size = sizeof(error);
	int r;

	if (fd < 0)
		return -errno;
	if (connect(fd, at->ai_addr, at->ai_addrlen) == 0)
		return SC_TAKE_FD(fd);
	if (errno != EINPROGRESS)
		return -errno;
	r = wait_for(fd, POLLOUT, deadline_ns);
	if (r < 0)
		return r;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error)
		return error ? -error : -errno;
	return sc_mono_ns() < deadline_ns ? SC_TAKE_FD(fd) : -ETIMEDOUT;
}

static int connect_to(const struct address *a, uint64_t deadline_ns, struct sc_diag *diag)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int r = getaddrinfo(a->host, a->port, &hints, &list);

	if (r != 0)
		return sc_diag_set(diag, -EHOSTUNREACH, 0, 0, "%s: %s", a->host, gai_strerror(r));
	r = -EHOSTUNREACH;
	for (const struct addrinfo *at = list; at && r < 0; at = at->ai_next)
		r = connect_one(at, deadline_ns);
	freeaddrinfo(list);
	return r < 0 ? sc_diag_set(diag, r, 0, 0, "cannot connect to %s: %s", a->authority,
				   strerror(-r))
		     : r;
}

static int send_all(int fd, const struct sc_str *text, uint64_t deadline_ns)
{
	size_t sent = 0;
	int r = 0;

	while (sent < text->len && r == 0) {
		ssize_t n = send(fd, text->data + sent, text->len - sent, MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		else if (errno == EAGAIN)
			r = wait_for(fd, POLLOUT, deadline_ns);
		else if (errno != EINTR)
			r = -errno;
	}
	return r;
}

static int receive_all(int fd, struct sc_str *text, uint64_t deadline_ns)
{
	char buf[16384];

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		int r = 0;

		if (n == 0)
			return 0;
		if (n > 0)
			sc_str_addn(text, buf, (size_t)n);
		else if (errno == EAGAIN)
			r = wait_for(fd, POLLIN, deadline_ns);
		else if (errno != EINTR)
			r = -errno;
		if (r < 0)
			return r;
		if (text->len > ANSWER_MAX || text->truncated)
			return -EMSGSIZE;
	}
}

/* --- the request --- */

static void add_escaped(struct sc_str *out, const char *text)
{
	for (; *text; text++) {
		if ((*text >= '0' && *text <= '9') || (*text >= 'A' && *text <= 'Z') ||
		    (*text >= 'a' && *text <= 'z') || strchr("-._~", *text))
			sc_str_addn(out, text, 1);
		else
			sc_str_addf(out, "%%%02X", (unsigned char)*text);
	}
}

/* The body: the request, by the names that the API has. NULL = there is none. */
static json_t *make_body(const struct way *way, const json_t *request)
{
	json_t *body = way->is_write ? json_copy((json_t *)(uintptr_t)request) : NULL;

	if (way->op == SC_OP_FIRE) {
		json_object_set(body, "condition_id", json_object_get(request, "id"));
		json_object_del(body, "id");
		/* What is not asked for stays out: older servers know nothing of it. */
		if (!json_is_true(json_object_get(body, "wait")))
			json_object_del(body, "wait");
		if (!json_is_true(json_object_get(body, "force")))
			json_object_del(body, "force");
	} else if (way->id) {
		json_object_del(body, way->id);
	}
	return body;
}

static void write_request(const struct sc_http_client *client, const struct address *a,
			  const struct way *way, const json_t *request, struct sc_str *out)
{
	const json_t *limit = json_object_get(request, "limit");
	json_t *body = make_body(way, request);
	_cleanup_free_ char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const char *id = way->id ? json_string_value(json_object_get(request, way->id)) : NULL;
	size_t prefix = strlen(a->prefix);

	json_decref(body);
	while (prefix && a->prefix[prefix - 1] == '/')
		prefix--;
	/* 1.0, so that the end of the connection is the end of the answer. */
	sc_str_addf(out, "%s %.*s%s", way->method, (int)prefix, a->prefix, way->path);
	if (id)
		add_escaped(out, id);
	sc_str_add(out, way->tail ? way->tail : "");
	if (limit)
		sc_str_addf(out, "?limit=%lld", json_integer_value(limit));
	sc_str_addf(out, " HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n", a->authority);
	if (client->token)
		sc_str_addf(out, "Authorization: Bearer %s\r\n", client->token);
	if (text)
		sc_str_addf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			    strlen(text));
	sc_str_addf(out, "\r\n%s", text ? text : "");
}

/* --- the answer --- */

static int refuse(unsigned int status, const json_t *body, struct sc_diag *diag)
{
	const json_t *detail = json_object_get(body, "detail");
	_cleanup_free_ char *text = json_dumps(detail, JSON_ENCODE_ANY | JSON_COMPACT);

	return sc_diag_set(diag, -EREMOTEIO, 0, 0, "HTTP %u: %s", status,
			   json_is_string(detail) ? json_string_value(detail)
			   : text                 ? text
						  : "no reason given");
}

/* What the control socket would have said with it. */
static int exit_of(const json_t *answer)
{
	const char *what = json_string_value(json_object_get(answer, "dispatch_descriptor"));

	if (json_is_string(json_object_get(answer, "veto")))
		return SC_EXIT_VETOED;
	if (what && strncmp(what, "pending", 7) == 0)
		return SC_EXIT_PENDING;
	return json_is_string(json_object_get(answer, "error")) ? SC_EXIT_FAILED : SC_EXIT_DONE;
}

static json_t *make_reply(const struct way *way, json_t *answer)
{
	const char *what = json_string_value(json_object_get(answer, "dispatch_descriptor"));
	json_t *reply;
	int exit;

	if (way->member) {
		reply = json_pack("{s:i, s:n, s:O}", "exit", SC_EXIT_DONE, "error", way->member,
				  answer);
		return reply;
	}
	reply = json_copy(answer);
	exit = exit_of(answer);
	json_object_set_new(reply, "exit", json_integer(exit));
	if (exit != SC_EXIT_DONE && !json_is_string(json_object_get(reply, "error")))
		json_object_set_new(reply, "error", json_string(what ? what : "not done"));
	return reply;
}

static int take_answer(const struct way *way, const struct sc_str *text, json_t **reply,
		       struct sc_diag *diag)
{
	const char *body = strstr(text->data, "\r\n\r\n");
	json_error_t fault;
	unsigned int status = 0;
	json_t *answer;
	int r = 0;

	if (!body || sscanf(text->data, "HTTP/1.%*1u %3u ", &status) != 1 || status < 200)
		return sc_diag_set(diag, -EPROTO, 0, 0, "what answers there does not speak HTTP");
	body += 4;
	answer = json_loadb(body, text->len - (size_t)(body - text->data), JSON_REJECT_DUPLICATES,
			    &fault);
	if (status >= 300)
		r = refuse(status, answer, diag);
	else if (!answer)
		r = sc_diag_set(diag, -EPROTO, 0, 0, "the answer is not JSON: %s", fault.text);
	else
		*reply = make_reply(way, answer);
	json_decref(answer);
	return r;
}

int sc_http_call(const struct sc_http_client *client, enum sc_op op, const json_t *request,
		 json_t **reply, struct sc_diag *diag)
{
	uint64_t deadline_ns = sc_mono_ns() + client->timeout_ns;
	const struct way *way = find_way(op);
	_cleanup_str_ struct sc_str out, in;
	_cleanup_close_ int fd = -1;
	struct address a;
	int r = parse_url(client->base_url, &a, diag);

	sc_str_init_heap(&out);
	sc_str_init_heap(&in);
	if (r < 0)
		return r;
	if (!way)
		return sc_diag_set(diag, -ENOENT, 0, 0, "only the agent of this host can be asked");
	if (client->token && strpbrk(client->token, "\r\n"))
		return sc_diag_set(diag, -EINVAL, 0, 0, "SCRAM_API_TOKEN is not a token");
	write_request(client, &a, way, request, &out);
	fd = connect_to(&a, deadline_ns, diag);
	if (fd < 0)
		return fd;
	r = out.truncated ? -ENOMEM : send_all(fd, &out, deadline_ns);
	if (r == 0)
		r = receive_all(fd, &in, deadline_ns);
	if (r < 0)
		return sc_diag_set(diag, r, 0, 0, "no answer from %s: %s", a.authority,
				   strerror(-r));
	return take_answer(way, &in, reply, diag);
}

static const struct way ways[] = {
	{SC_OP_FIRE, "POST", "/v1/fire", NULL, NULL, NULL, true},
	{SC_OP_FIRES, "GET", "/v1/fires", NULL, NULL, "fires", false},
	{SC_OP_LIST, "GET", "/v1/conditions", NULL, NULL, "conditions", false},
	{SC_OP_RELEASE, "POST", "/v1/fires/", "what", "/release", NULL, true},
	{SC_OP_SHOW, "GET", "/v1/fires/", "fire", NULL, "fire", false},
};
static const size_t n_ways = SC_ARRAY_SIZE(ways);
