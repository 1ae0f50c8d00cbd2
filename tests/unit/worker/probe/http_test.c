/* SPDX-License-Identifier: Apache-2.0 */
/* Posts to servers of every kind: what is an answer, and what each that is none is called. */
#include "worker/probe/verdict.h"

#include "base/clock.h"
#include "base/io.h"
#include "harness/harness.h"
#include "unit/worker/probe/server.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUDGET_NS (400 * SC_NS_PER_MS)
#define PLENTY_NS (60 * SC_NS_PER_S)
#define OK        "HTTP/1.1 200 OK\r\n"
#define JSON      OK "Content-Type: application/json\r\n"
#define BODY      "{\"probe\":\"p\",\"host\":\"h\"}"

static struct sc_reactor reactor;
static struct sc_server server;

struct post {
	struct sc_http *post;
	struct sc_http_result result;
	struct sc_verdict verdict;
	uint64_t budget_ns;
	unsigned int done;
};

static void init(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigaction(SIGPIPE, &ignore, NULL);
	cr_assert_eq(curl_global_init(CURL_GLOBAL_DEFAULT), CURLE_OK);
	cr_assert_eq(sc_reactor_init(&reactor), 0);
}

static void fini(void)
{
	sc_reactor_done(&reactor);
	curl_global_cleanup();
	sc_server_stop(&server);
}

TestSuite(http, .init = init, .fini = fini, .timeout = 120);

static void on_done(void *owner, const struct sc_http_result *result)
{
	struct post *p = owner;

	p->done++;
	p->result = *result;
	p->result.body = NULL;
	sc_verdict_of_http(result, p->budget_ns, &p->verdict);
}

static int begin(struct post *p, const char *url, uint64_t budget_ns)
{
	static const char *const headers[] = {"Content-Type: application/json",
					      "Authorization: Bearer t0ken", NULL};
	const struct sc_http_order order = {.url = url,
					    .headers = headers,
					    .body = BODY,
					    .size = strlen(BODY),
					    .budget_ns = budget_ns,
					    .done = on_done,
					    .owner = p};

	*p = (struct post){.budget_ns = budget_ns};
	return sc_http_start(&reactor, &order, &p->post);
}

static void finish(struct post *p)
{
	uint64_t end = sc_mono_ns() + sc_scaled_ms(90000) * SC_NS_PER_MS;

	while (!p->done) {
		cr_assert_lt(sc_mono_ns(), end, "never done");
		cr_assert_eq(sc_reactor_turn(&reactor), 0);
	}
	cr_expect_eq(p->done, 1);
}

static const char *url_of(size_t i)
{
	static char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/%zu", server.port, i);
	return url;
}

Test(http, right_answers_are_taken_in_every_form)
{
	static const struct sc_server_row rows[] = {
		{.name = "true", .says = JSON "Content-Length: 4\r\n\r\ntrue"},
		{.name = "object", .says = JSON "Content-Length: 14\r\n\r\n{\"value\":true}"},
		{.name = "no length", .says = JSON "Connection: close\r\n\r\ntrue"},
		{.name = "HTTP/1.0", .says = "HTTP/1.0 200 OK\r\n\r\ntrue\n"},
		{.name = "chunked",
		 .says = JSON "Transfer-Encoding: chunked\r\n\r\n2\r\ntr\r\n2\r\nue\r\n0\r\n\r\n"},
		{.name = "100 first",
		 .says = "HTTP/1.1 100 Continue\r\n\r\n" JSON "Content-Length: 4\r\n\r\ntrue"},
		{.name = "kept open",
		 .says = JSON "Content-Length: 4\r\n\r\ntrue",
		 .then = SC_SERVER_HANG},
		{.name = "the request",
		 .says = JSON "Content-Length: 4\r\n\r\ntrue",
		 .needs = "POST /7 HTTP/1.1\r\nContent-Type: application/json\r\n"
			  "Authorization: Bearer t0ken\r\nContent-Length: 24\r\n" BODY},
	};
	struct post p;

	sc_server_start(&server, rows, SC_ARRAY_SIZE(rows));
	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		cr_assert_eq(begin(&p, url_of(i), PLENTY_NS), 0);
		finish(&p);
		cr_expect(p.verdict.fault == SC_VERDICT_NO_FAULT && p.verdict.value, "%s: %s",
			  rows[i].name, p.verdict.why);
	}
}

#define WRONG(called, class, why, ...)                            \
	{                                                         \
		{.name = called, .says = __VA_ARGS__}, class, why \
	}

/* The rows that end at their budget come last, and run at once. */
static const struct {
	struct sc_server_row row;
	const char *class, *why;
} wrong[] = {
	WRONG("201", "http", "HTTP 201", "HTTP/1.1 201 X\r\nContent-Length: 4\r\n\r\ntrue"),
	WRONG("204", "http", "HTTP 204", "HTTP/1.1 204 X\r\n\r\n"),
	WRONG("301", "http", "HTTP 301",
	      "HTTP/1.1 301 X\r\nLocation: /0\r\nContent-Length: 4\r\n\r\ntrue"),
	WRONG("307 to a file", "http", "HTTP 307",
	      "HTTP/1.1 307 X\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
	WRONG("401", "http", "HTTP 401",
	      "HTTP/1.1 401 X\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"),
	WRONG("403", "http", "HTTP 403", "HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n"),
	WRONG("404", "http", "HTTP 404", "HTTP/1.1 404 X\r\nContent-Length: 4\r\n\r\ntrue"),
	WRONG("500", "http", "HTTP 500", "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"),
	WRONG("503", "http", "HTTP 503", "HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\ntrue"),
	WRONG("empty", "answer", "it said nothing", OK "Content-Length: 0\r\n\r\n"),
	WRONG("page", "answer", "no boolean: <html>", OK "\r\n<html>true</html>"),
	WRONG("cut JSON", "answer", "no boolean", JSON "Content-Length: 10\r\n\r\n{\"value\":t"),
	WRONG("two keys", "answer", "no boolean", JSON "\r\n{\"value\":false,\"value\":true}"),
	WRONG("packed", "answer", "no boolean",
	      JSON "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x01"),
	WRONG("NUL", "answer", "no boolean", JSON "\r\ntrue\0",
	      .size = sizeof(JSON "\r\ntrue\0") - 1),
	WRONG("cut body", "http", "no whole answer", JSON "Content-Length: 14\r\n\r\ntrue"),
	WRONG("cut chunk", "http", "no whole answer",
	      JSON "Transfer-Encoding: chunked\r\n\r\n4\r\ntrue\r\n"),
	WRONG("bad chunk", "http", "no whole answer",
	      JSON "Transfer-Encoding: chunked\r\n\r\nzz\r\ntrue\r\n0\r\n\r\n"),
	WRONG("no word", "http", "no whole answer", "", .then = SC_SERVER_CLOSE),
	WRONG("cut head", "http", "no whole answer", "HTTP/1.1 2"),
	WRONG("no HTTP", "http", "no whole answer", "true\n"),
	WRONG("SSH", "http", "no whole answer", "SSH-2.0-OpenSSH_9.2\r\n"),
	WRONG("bad length", "http", "no whole answer", OK "Content-Length: -4\r\n\r\ntrue"),
	WRONG("long length", "output", "over 64 KiB", OK "Content-Length: 99999999\r\n\r\n",
	      .then = SC_SERVER_FLOOD, .more = "                "),
	WRONG("endless body", "output", "the answer is over 64 KiB", OK "\r\n",
	      .then = SC_SERVER_FLOOD, .more = "                "),
	WRONG("endless headers", "output", "the headers are over 64 KiB", OK,
	      .then = SC_SERVER_FLOOD, .more = "X-Y: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\r\n"),
	WRONG("endless 100s", "output", "the headers are over 64 KiB", "", .then = SC_SERVER_FLOOD,
	      .more = "HTTP/1.1 100 Continue\r\n\r\n"),
	WRONG("one long header", NULL, NULL, OK, .then = SC_SERVER_FLOOD,
	      .more = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"),
	WRONG("no head", "budget", "over its budget of 400ms", "", .then = SC_SERVER_HANG),
	WRONG("half a head", "budget", "over its budget", OK, .then = SC_SERVER_HANG),
	WRONG("slow head", "budget", "over its budget", OK "X: ", .then = SC_SERVER_DRIP),
	WRONG("half a body", "budget", "over its budget", JSON "Content-Length: 4\r\n\r\ntr",
	      .then = SC_SERVER_HANG),
	WRONG("slow body", "budget", "over its budget", JSON "\r\n", .then = SC_SERVER_DRIP),
	WRONG("no end", "budget", "over its budget", JSON "\r\ntrue", .then = SC_SERVER_HANG),
};

Test(http, each_wrong_answer_has_its_class)
{
	struct sc_server_row rows[SC_ARRAY_SIZE(wrong)];
	struct post p[SC_ARRAY_SIZE(wrong)];

	for (size_t i = 0; i < SC_ARRAY_SIZE(wrong); i++)
		rows[i] = wrong[i].row;
	sc_server_start(&server, rows, SC_ARRAY_SIZE(rows));
	for (size_t i = 0; i < SC_ARRAY_SIZE(wrong); i++) {
		bool is_slow = wrong[i].class && strcmp(wrong[i].class, "budget") == 0;

		cr_assert_eq(begin(&p[i], url_of(i), is_slow ? BUDGET_NS : PLENTY_NS), 0);
	}
	for (size_t i = 0; i < SC_ARRAY_SIZE(wrong); i++) {
		finish(&p[i]);
		cr_expect_neq(p[i].verdict.fault, SC_VERDICT_NO_FAULT, "%s", wrong[i].row.name);
		if (!wrong[i].class)
			continue;
		cr_expect_str_eq(sc_verdict_fault_name(p[i].verdict.fault), wrong[i].class,
				 "%s: %s", wrong[i].row.name, p[i].verdict.why);
		cr_expect(strstr(p[i].verdict.why, wrong[i].why), "%s: %s", wrong[i].row.name,
			  p[i].verdict.why);
	}
}

/* Bound, and told to nobody: nothing listens, or nobody accepts. */
static int bind_port(int *fd, bool listens)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);

	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(*fd, (struct sockaddr *)&at, size), 0);
	cr_assert_eq(getsockname(*fd, (struct sockaddr *)&at, &size), 0);
	if (listens)
		cr_assert_eq(listen(*fd, 8), 0);
	return ntohs(at.sin_port);
}

Test(http, who_does_not_answer_is_told_apart)
{
	_cleanup_close_ int closed = -1, deaf = -1;
	static const struct sc_server_row plain = {
		.name = "plain", .says = "HTTP/1.0 200 OK\r\n\r\ntrue", .then = SC_SERVER_FIRST};
	char url[64];
	struct post p;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", bind_port(&closed, false));
	cr_assert_eq(begin(&p, url, PLENTY_NS), 0);
	finish(&p);
	cr_expect_str_eq(p.verdict.why, "cannot connect: Connection refused");
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", bind_port(&deaf, true));
	cr_assert_eq(begin(&p, url, BUDGET_NS), 0);
	finish(&p);
	cr_expect_str_eq(p.verdict.why, "over its budget of 400ms");
	sc_server_start(&server, &plain, 1);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/0", server.port);
	cr_assert_eq(begin(&p, url, PLENTY_NS), 0);
	finish(&p);
	cr_expect_eq(p.result.end, SC_HTTP_NOT_TRUSTED);
	cr_expect_eq(strncmp(p.verdict.why, "TLS: ", 5), 0, "%s", p.verdict.why);
}

Test(http, only_http_is_spoken)
{
	static const char *const urls[] = {
		"file:///etc/passwd", "ftp://127.0.0.1/", "127.0.0.1", "gopher://127.0.0.1/", "",
		"httpx://127.0.0.1/", "HTTP://127.0.0.1/"};
	struct post p;

	for (size_t i = 0; i < SC_ARRAY_SIZE(urls); i++)
		cr_expect_eq(begin(&p, urls[i], PLENTY_NS), -EINVAL, "%s", urls[i]);
}

/* --- TLS --- */

static const char tls_server[] = "import os, ssl, http.server as h\n"
				 "class H(h.BaseHTTPRequestHandler):\n"
				 "    def do_POST(self):\n"
				 "        self.rfile.read(int(self.headers['Content-Length']))\n"
				 "        self.send_response(200)\n"
				 "        self.send_header('Content-Length', '4')\n"
				 "        self.end_headers()\n"
				 "        self.wfile.write(b'true')\n"
				 "    def log_message(self, *a): pass\n"
				 "s = h.HTTPServer(('127.0.0.1', 0), H)\n"
				 "c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
				 "c.load_cert_chain('cert.pem', 'key.pem')\n"
				 "s.socket = c.wrap_socket(s.socket, server_side=True)\n"
				 "os.write(1, b'%d\\n' % s.server_port)\n"
				 "s.serve_forever()\n";

/* Ends with the test, by SIGKILL in `fini`; its first line is its port. */
static void start_tls(const char *dir)
{
	char port[16] = "";
	int out[2];

	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	server.pid = fork();
	if (server.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		if (chdir(dir) == 0)
			execlp("python3", "python3", "-c", tls_server, NULL);
		_exit(127);
	}
	close(out[1]);
	cr_assert_gt(read(out[0], port, sizeof(port) - 1), 0, "no TLS server");
	close(out[0]);
	server.port = (int)strtol(port, NULL, 10);
}

static int run_in(const char *dir, const char *const *argv)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		dup2(open("/dev/null", O_WRONLY), 2);
		if (chdir(dir) == 0)
			execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void post_tls(struct post *p, const char *host)
{
	char url[64];

	snprintf(url, sizeof(url), "https://%s:%d/", host, server.port);
	cr_assert_eq(begin(p, url, PLENTY_NS), 0);
	finish(p);
}

Test(http, a_server_must_prove_who_it_is)
{
	static const char *const make[] = {
		"openssl",  "req",      "-x509",   "-newkey",
		"rsa:2048", "-nodes",   "-days",   "2",

		"-subj",    "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
		"-keyout",  "key.pem",  "-out",    "cert.pem",
		NULL};
	char dir[] = "/tmp/scram-tls-XXXXXX", path[64];
	struct post p;

	cr_assert(mkdtemp(dir));
	cr_assert_eq(run_in(dir, make), 0, "openssl makes no certificate");
	start_tls(dir);
	post_tls(&p, "127.0.0.1");
	cr_expect_eq(p.result.end, SC_HTTP_NOT_TRUSTED, "%s", p.verdict.why);
	cr_expect(strstr(p.verdict.why, "TLS: "), "%s", p.verdict.why);
	/* One that this host trusts, by its address and by no other name. */
	snprintf(path, sizeof(path), "%s/cert.pem", dir);
	setenv("SSL_CERT_FILE", path, 1);
	post_tls(&p, "127.0.0.1");
	cr_expect(p.verdict.fault == SC_VERDICT_NO_FAULT && p.verdict.value, "%s", p.verdict.why);
	post_tls(&p, "localhost");
	cr_expect_eq(p.result.end, SC_HTTP_NOT_TRUSTED, "%s", p.verdict.why);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/key.pem", dir);
	(void)unlink(path);
	(void)rmdir(dir);
}

/* --- names --- */

/* A name server that never answers, for this process alone. */
static int deafen_names(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(53)};
	int fd;

	cr_assert_eq(sc_netns_enter(), 0);
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("none", "/mnt", "tmpfs", 0, NULL), 0);
	fd = open("/mnt/resolv.conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	cr_assert_eq(sc_write_all(fd, "nameserver 127.0.0.1\n", 21), 0);
	close(fd);
	cr_assert_eq(mount("/mnt/resolv.conf", "/etc/resolv.conf", NULL, MS_BIND, NULL), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static unsigned int n_threads(void)
{
	struct stat st;

	cr_assert_eq(stat("/proc/self/task", &st), 0);
	return (unsigned int)st.st_nlink - 2;
}

/* glibc asks for 10 s and more; nothing waits for its thread. */
Test(http, a_name_server_that_hangs_delays_nobody)
{
	static const struct sc_server_row fine = {.name = "fine",
						  .says = "HTTP/1.0 200 OK\r\n\r\ntrue"};
	_cleanup_close_ int deaf = -1;
	unsigned int before = n_threads();
	struct post nameless, p;
	char byte[512];

	sc_need_root();
	deaf = deafen_names();
	sc_server_start(&server, &fine, 1);
	cr_assert_eq(begin(&nameless, "http://some.example/", BUDGET_NS), 0);
	cr_assert_eq(begin(&p, url_of(0), PLENTY_NS), 0);
	finish(&p);
	cr_expect_eq(p.verdict.fault, SC_VERDICT_NO_FAULT, "%s", p.verdict.why);
	finish(&nameless);
	cr_expect_str_eq(p.verdict.why, "");
	cr_expect_str_eq(nameless.verdict.why, "over its budget of 400ms");
	cr_expect_gt(n_threads(), before, "the one that asks for the name was waited for");
	cr_expect_gt(recv(deaf, byte, sizeof(byte), MSG_DONTWAIT), 0, "nobody asked for the name");
}

Test(http, a_hung_one_delays_no_other)
{
	static const struct sc_server_row rows[] = {
		{.name = "hung", .says = "", .then = SC_SERVER_HANG},
		{.name = "fine", .says = "HTTP/1.0 200 OK\r\n\r\ntrue"},
	};
	struct post hung, p;

	sc_server_start(&server, rows, SC_ARRAY_SIZE(rows));
	cr_assert_eq(begin(&hung, url_of(0), PLENTY_NS), 0);
	for (int i = 0; i < 20; i++) {
		cr_assert_eq(begin(&p, url_of(1), PLENTY_NS), 0);
		finish(&p);
		cr_expect_eq(p.verdict.fault, SC_VERDICT_NO_FAULT);
	}
	cr_expect_eq(hung.done, 0);
	sc_http_cancel(hung.post);
	cr_expect_eq(hung.done, 0);
}

Test(http, what_can_stand_in_a_header)
{
	cr_expect(sc_http_is_header_value("abc def", 7));
	cr_expect(sc_http_is_header_value("~!", 2));
	cr_expect(!sc_http_is_header_value("", 0));
	cr_expect(!sc_http_is_header_value("a\r\nX: y", 7));
	cr_expect(!sc_http_is_header_value("a\0b", 3));
	cr_expect(!sc_http_is_header_value("\xc3\xa4", 2));
	cr_expect(!sc_http_is_header_value(" a", 2));
	cr_expect(!sc_http_is_header_value("a ", 2));
	cr_expect(!sc_http_is_header_value("a\x7f", 2));
}
