/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/api/gate.h"

#include "base/mem.h"

#include <string.h>
#include <strings.h>

/* A piece of the head. */
struct piece {
	const char *at;
	size_t n;
};

/* What the headers of one request say about its framing. */
struct framing {
	struct piece length, coding;
	unsigned int count;
	uint64_t seen; /* bit per row of `single` */
	bool is_1_0, may_have_body;
};

/* Each may be there once: a second one is a contradiction, or a way to have one checked and the
 * other used. */
static const char *const single[] = {
	"host",   "content-length",  "transfer-encoding", "authorization", "content-type",
	"origin", "idempotency-key", "last-event-id",     "expect",
};
enum { HOST, CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT = SC_ARRAY_SIZE(single) - 1 };

static const char *const methods[] = {"GET",   "HEAD",    "POST",  "DELETE", "PUT",
				      "PATCH", "OPTIONS", "TRACE", "CONNECT"};

void sc_gate_init(struct sc_gate *g)
{
	*g = (struct sc_gate){.status = 0};
}

static bool refuse(struct sc_gate *g, unsigned int status, const char *why)
{
	g->status = status;
	g->why = why;
	return false;
}

/* RFC 9110, 5.6.2 */
static bool is_token_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct piece p)
{
	for (size_t i = 0; i < p.n; i++)
		if (!is_token_char(p.at[i]))
			return false;
	return p.n > 0;
}

static bool is(struct piece p, const char *text)
{
	return p.n == strlen(text) && strncasecmp(p.at, text, p.n) == 0;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

/* Origin form alone: a path of this server, in visible ASCII, with whole percent-escapes and no
 * NUL. */
static bool is_target(struct piece p)
{
	if (p.n == 0 || p.at[0] != '/')
		return false;
	for (size_t i = 0; i < p.n; i++) {
		if (p.at[i] <= ' ' || p.at[i] > '~' || strchr("#\"<>\\^`{|}", p.at[i]))
			return false;
		if (p.at[i] != '%')
			continue;
		if (i + 2 >= p.n || !is_hex(p.at[i + 1]) || !is_hex(p.at[i + 2]) ||
		    (p.at[i + 1] == '0' && p.at[i + 2] == '0'))
			return false;
	}
	return true;
}

/* The part of *rest before the delimiter, which is taken away too; all of it without one. */
static struct piece take_until(struct piece *rest, char delimiter)
{
	const char *end = rest->n ? memchr(rest->at, delimiter, rest->n) : NULL;
	struct piece p = {rest->at, end ? (size_t)(end - rest->at) : rest->n};
	size_t gone = p.n + (end ? 1 : 0);

	rest->at += gone;
	rest->n -= gone;
	return p;
}

static bool check_request_line(struct sc_gate *g, struct piece line, struct framing *f)
{
	struct piece method = take_until(&line, ' ');
	struct piece target = take_until(&line, ' ');
	size_t known = 0;

	if (!is_token(method))
		return refuse(g, 400, "the method is not a word");
	while (known < SC_ARRAY_SIZE(methods) && (method.n != strlen(methods[known]) ||
						  memcmp(method.at, methods[known], method.n) != 0))
		known++;
	if (!is_target(target))
		return refuse(g, 400, "the target is not a plain path");
	if (line.n != 8 || memcmp(line.at, "HTTP/", 5) != 0 || line.at[6] != '.')
		return refuse(g, 400, "the request line does not end in a version");
	if (memcmp(line.at + 5, "1.1", 3) != 0 && memcmp(line.at + 5, "1.0", 3) != 0)
		return refuse(g, 505, "HTTP/1.1 is spoken here");
	if (known == SC_ARRAY_SIZE(methods))
		return refuse(g, 501, "no such method");
	f->is_1_0 = line.at[7] == '0';
	f->may_have_body = known >= 2;
	return true;
}

static bool is_host(struct piece p)
{
	for (size_t i = 0; i < p.n; i++)
		if (!is_token_char(p.at[i]) && !strchr(":[]", p.at[i]))
			return false;
	return p.n > 0;
}

static bool note_header(struct sc_gate *g, struct framing *f, struct piece name, struct piece value)
{
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(single); i++) {
		if (!is(name, single[i]))
			continue;
		if (f->seen & 1ULL << i)
			return refuse(g, 400, "a header that must be single is there twice");
		f->seen |= 1ULL << i;
		if (i == HOST && !is_host(value))
			return refuse(g, 400, "Host is not a host");
		if (i == CONTENT_LENGTH)
			f->length = value;
		if (i == TRANSFER_ENCODING)
			f->coding = value;
		if (i == EXPECT && !is(value, "100-continue"))
			return refuse(g, 417, "only 100-continue can be expected");
	}
	return true;
}

static bool check_header(struct sc_gate *g, struct piece line, struct framing *f)
{
	struct piece value = line;
	struct piece name = take_until(&value, ':');

	if (++f->count > SC_GATE_HEADERS_MAX)
		return refuse(g, 431, "too many headers");
	/* Also a line that begins with white space: folding is gone since RFC 7230. */
	if (name.n == line.n || !is_token(name))
		return refuse(g, 400, "a header is not NAME: VALUE");
	while (value.n && (value.at[0] == ' ' || value.at[0] == '\t')) {
		value.at++;
		value.n--;
	}
	while (value.n && (value.at[value.n - 1] == ' ' || value.at[value.n - 1] == '\t'))
		value.n--;
	return note_header(g, f, name, value);
}

static bool check_length(struct sc_gate *g, const struct framing *f)
{
	uint64_t size = 0;

	if (f->length.n == 0)
		return refuse(g, 400, "Content-Length is not a number");
	for (size_t i = 0; i < f->length.n; i++) {
		if (f->length.at[i] < '0' || f->length.at[i] > '9')
			return refuse(g, 400, "Content-Length is not a number");
		/* It only matters that it is too much. */
		size = SC_MIN(size * 10 + (unsigned int)(f->length.at[i] - '0'), 1ULL << 40);
	}
	if (size > SC_GATE_BODY_MAX)
		return refuse(g, 413, "the body is larger than 64 KiB");
	if (size && !f->may_have_body)
		return refuse(g, 400, "a GET has no body");
	g->body_left = (uint32_t)size;
	return true;
}

static bool check_framing(struct sc_gate *g, const struct framing *f)
{
	bool has_length = f->seen & 1ULL << CONTENT_LENGTH;
	bool has_coding = f->seen & 1ULL << TRANSFER_ENCODING;

	if (!f->is_1_0 && !(f->seen & 1ULL << HOST))
		return refuse(g, 400, "Host is missing");
	if (has_coding && (has_length || f->is_1_0))
		return refuse(g, 400, "Transfer-Encoding beside another framing");
	if (has_coding && is(f->coding, "chunked"))
		return refuse(g, 411, "a body needs a Content-Length");
	if (has_coding)
		return refuse(g, 501, "no such transfer coding");
	return !has_length || check_length(g, f);
}

/* The head is whole: head_size bytes, which end in an empty line. */
static bool check_head(struct sc_gate *g)
{
	struct piece rest = {g->head, g->head_size};
	struct framing f = {.count = 0};
	struct piece line = take_until(&rest, '\r');
	bool is_good = check_request_line(g, line, &f);

	while (is_good && rest.n > 1) {
		(void)take_until(&rest, '\n');
		line = take_until(&rest, '\r');
		if (line.n == 0)
			break;
		is_good = check_header(g, line, &f);
	}
	return is_good && check_framing(g, &f);
}

/* One more byte of a head. True while it may go on. */
static bool check_byte(struct sc_gate *g, char c)
{
	char before = g->head_size ? g->head[g->head_size - 1] : '\0';

	if ((before == '\r') != (c == '\n'))
		return refuse(g, 400, "a line does not end in CR LF");
	if (((unsigned char)c < ' ' && c != '\r' && c != '\n' && c != '\t') || c == 0x7f)
		return refuse(g, 400, "a control character in the head");
	if (g->head_size == 0 && !is_token_char(c))
		return refuse(g, 400, "the method is not a word");
	if (g->head_size == SC_GATE_HEAD_MAX)
		return memchr(g->head, '\n', g->head_size)
			       ? refuse(g, 431, "the headers are larger than 8 KiB")
			       : refuse(g, 414, "the target is longer than 8 KiB");
	g->head[g->head_size++] = c;
	return true;
}

static bool ends_head(const struct sc_gate *g)
{
	return g->head_size >= 4 && memcmp(g->head + g->head_size - 4, "\r\n\r\n", 4) == 0;
}

size_t sc_gate_feed(struct sc_gate *g, const char *data, size_t n)
{
	size_t passed = 0; /* up to the begin of the request that is being read */
	size_t i = 0;

	while (i < n && g->status == 0) {
		if (g->body_left) {
			size_t step = SC_MIN((size_t)g->body_left, n - i);

			g->body_left -= (uint32_t)step;
			i += step;
		} else if (check_byte(g, data[i])) {
			i++;
			g->has_begun = true;
			if (!ends_head(g) || !check_head(g))
				continue;
			g->head_size = 0;
			g->heads++;
		}
		if (g->status == 0 && g->body_left == 0 && g->head_size == 0) {
			g->has_begun = false;
			passed = i;
		}
	}
	return g->status ? passed : n;
}
