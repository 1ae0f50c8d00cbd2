/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe/http.h"

#include "base/clock.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>

struct sc_http {
	struct sc_reactor *reactor;
	void (*done)(void *owner, const struct sc_http_result *result);
	void *owner;
	CURL *easy;
	struct curl_slist *headers;
	struct sc_alarm budget;
	uint64_t begin_ns;
	size_t head_size;
	bool is_over; /* more was said than is taken */
	char *body;   /* room for SC_HTTP_ANSWER_MAX and a NUL, once something came */
	size_t size;
	char error[CURL_ERROR_SIZE];
};

bool sc_http_is_header_value(const char *value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (value[i] < ' ' || value[i] > '~')
			return false;
	return size > 0 && value[0] != ' ' && value[size - 1] != ' ';
}

/* --- what libcurl calls: anything but the full size ends the transfer --- */

static size_t on_body(char *data, size_t one, size_t n, void *owner)
{
	struct sc_http *post = owner;

	(void)one; /* is 1 */
	if (!post->body)
		post->body = malloc(SC_HTTP_ANSWER_MAX + 1);
	if (!post->body || n > SC_HTTP_ANSWER_MAX - post->size) {
		post->is_over = true;
		return 0;
	}
	memcpy(post->body + post->size, data, n);
	post->size += n;
	return n;
}

static size_t on_head(char *data, size_t one, size_t n, void *owner)
{
	struct sc_http *post = owner;

	(void)data;
	(void)one;
	post->head_size += n;
	post->is_over = post->is_over || post->head_size > SC_HTTP_HEAD_MAX;
	return post->is_over ? 0 : n;
}

/* --- the end --- */

static void forget(struct sc_http *post)
{
	sc_alarm_stop(&post->budget);
	curl_multi_remove_handle(post->reactor->multi, post->easy);
	curl_easy_cleanup(post->easy);
	curl_slist_free_all(post->headers);
	free(post->body);
	free(post);
}

static enum sc_http_end end_of(const struct sc_http *post, CURLcode code)
{
	if (post->is_over)
		return SC_HTTP_OVER_ANSWER;
	switch ((int)code) {
	case CURLE_OK:
		return SC_HTTP_ANSWERED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
		return SC_HTTP_NOT_REACHED;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
		return SC_HTTP_NOT_TRUSTED;
	default:
		return SC_HTTP_BROKEN;
	}
}

/* libcurl's own words name host and port, and what the system said. */
static void say_why(const struct sc_http *post, enum sc_http_end end, CURLcode code,
		    struct sc_http_result *result)
{
	const char *said = post->error[0] ? post->error : curl_easy_strerror(code);
	struct sc_str why;
	long error = 0;

	sc_str_init(&why, result->why, sizeof(result->why));
	if (end == SC_HTTP_ANSWERED)
		return;
	if (end == SC_HTTP_OVER_ANSWER)
		said = post->head_size > SC_HTTP_HEAD_MAX ? "the headers are over 64 KiB"
							  : "the answer is over 64 KiB";
	if (end == SC_HTTP_NOT_REACHED &&
	    curl_easy_getinfo(post->easy, CURLINFO_OS_ERRNO, &error) == CURLE_OK && error)
		said = strerror((int)error);
	sc_str_add_printable(&why, said, strlen(said));
}

static void tell(struct sc_http *post, enum sc_http_end end, CURLcode code)
{
	struct sc_http_result result = {
		.end = end,
		.body = post->body ? post->body : "",
		.size = post->size,
		.took_ns = sc_mono_ns() - post->begin_ns,
	};

	if (post->body)
		post->body[post->size] = '\0';
	(void)curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &result.status);
	if (end != SC_HTTP_OVER_BUDGET)
		say_why(post, end, code, &result);
	post->done(post->owner, &result);
	forget(post);
}

static void on_budget(void *owner)
{
	tell(owner, SC_HTTP_OVER_BUDGET, CURLE_OPERATION_TIMEDOUT);
}

void sc_http_collect(struct sc_reactor *r)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(r->multi, &left))) {
		CURLcode code = message->data.result;
		struct sc_http *post = NULL;

		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&post);
		tell(post, end_of(post, code), code);
	}
}

void sc_http_cancel(struct sc_http *post)
{
	forget(post);
}

/* --- the start --- */

static int add_headers(struct sc_http *post, const char *const *headers)
{
	/* libcurl would send it with a body over 1 MiB, and wait. */
	post->headers = curl_slist_append(NULL, "Expect:");
	for (int n = 0; post->headers && headers && headers[n]; n++) {
		struct curl_slist *more = n < SC_HTTP_HEADERS_MAX
						  ? curl_slist_append(post->headers, headers[n])
						  : NULL;

		if (!more)
			return n < SC_HTTP_HEADERS_MAX ? -ENOMEM : -E2BIG;
	}
	return post->headers ? 0 : -ENOMEM;
}

/* The library does not look at these variables by itself, as OpenSSL does. */
static CURLcode trust_environment(CURL *easy)
{
	const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");
	CURLcode code = CURLE_OK;

	if (file && file[0])
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, file);
	if (code == CURLE_OK && dir && dir[0])
		code = curl_easy_setopt(easy, CURLOPT_CAPATH, dir);
	return code;
}

static int set_options(struct sc_http *post, const struct sc_http_order *order)
{
	CURL *easy = post->easy;
	CURLcode code = CURLE_OK;

#define SET(option, value)                                            \
	do {                                                          \
		if (code == CURLE_OK)                                 \
			code = curl_easy_setopt(easy, option, value); \
	} while (0)
	SET(CURLOPT_URL, order->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDSIZE, (long)order->size);
	SET(CURLOPT_COPYPOSTFIELDS, order->body);
	SET(CURLOPT_HTTPHEADER, post->headers);
	SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* not to a proxy */
	SET(CURLOPT_USERAGENT, "scram");
	SET(CURLOPT_NOSIGNAL, 1L);
	/* A resolver that hangs is left to its thread, not waited for. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, post);
	SET(CURLOPT_HEADERFUNCTION, on_head);
	SET(CURLOPT_HEADERDATA, post);
	SET(CURLOPT_ERRORBUFFER, post->error);
	SET(CURLOPT_PRIVATE, post);
#undef SET
	if (code == CURLE_OK)
		code = trust_environment(easy);
	return code == CURLE_OK ? 0 : code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

static bool is_http(const char *url)
{
	return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

int sc_http_start(struct sc_reactor *r, const struct sc_http_order *order, struct sc_http **out)
{
	struct sc_http *post;
	int e;

	if (!is_http(order->url))
		return -EINVAL;
	post = calloc(1, sizeof(*post));
	if (!post)
		return -ENOMEM;
	*post = (struct sc_http){
		.reactor = r,
		.done = order->done,
		.owner = order->owner,
		.budget = {.ring = on_budget, .owner = post},
		.begin_ns = sc_mono_ns(),
		.easy = curl_easy_init(),
	};
	e = post->easy ? add_headers(post, order->headers) : -ENOMEM;
	if (e == 0)
		e = set_options(post, order);
	if (e == 0 && curl_multi_add_handle(r->multi, post->easy) != CURLM_OK)
		e = -ENOMEM;
	if (e < 0) {
		forget(post);
		return e;
	}
	sc_alarm_set(r, &post->budget, post->begin_ns + order->budget_ns);
	*out = post;
	return 0;
}
