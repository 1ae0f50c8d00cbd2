/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP beside the ticks: reads a second over kept connections and how late the ticks are
 * meanwhile, and the time from a fire asked for over HTTP to its target being empty. */
#include "bench/figures.h"
#include "harness/rig.h"

#include "base/clock.h"
#include "base/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define PORT         18498
#define CONNECTIONS  16
#define READ_NS      (6 * SC_NS_PER_S) /* so long; the ticks remembered are of the last 5 s */
#define READS_MAX    1000000
#define FIRES        60
#define EMPTY_NS     (5 * SC_NS_PER_S)
#define READS_LEAST  20000.0 /* a second */
#define LATE_US_MOST 5000.0
#define EMPTY_MS     8.0
#define TOKEN        "bench"

static const char yaml[] =
	"tick: 10ms\n"
	"conditions:\n"
	"  - {id: a, description: bench, scope: \"@ROOT@/*\", when: \"increase(proc.crashes[60s]) "
	">= 3\", action: {kind: process-exit}, auto_fire: true, registered_by: bench}\n"
	"  - {id: hand, description: bench, scope: \"@ROOT@/*\", action: {kind: process-exit}, "
	"live: true, registered_by: bench}\n";

static void die(const char *what, int error)
{
	fprintf(stderr, "http: %s: %s\n", what, strerror(error < 0 ? -error : error));
	_exit(1);
}

static int connect_here(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(PORT),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		die("connect", errno);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* Reads until the answer is whole: 1, 0 when more must come. */
struct answer {
	char text[65536];
	size_t n;
};

static int take(int fd, struct answer *a)
{
	ssize_t n = recv(fd, a->text + a->n, sizeof(a->text) - 1 - a->n, 0);
	const char *head, *length;

	if (n <= 0)
		die("the connection ended", n ? errno : ECONNRESET);
	a->n += (size_t)n;
	a->text[a->n] = '\0';
	head = strstr(a->text, "\r\n\r\n");
	length = head ? strcasestr(a->text, "content-length: ") : NULL;
	if (!length || a->n < (size_t)(head + 4 - a->text) + strtoul(length + 16, NULL, 10))
		return 0;
	if (strncmp(a->text, "HTTP/1.1 200 ", 13) != 0)
		die(a->text, EPROTO);
	a->n = 0;
	return 1;
}

static void ask(int fd, const char *text)
{
	int r = sc_write_all(fd, text, strlen(text));

	if (r < 0)
		die("send", r);
}

static double status_number(struct sc_rig *rig, const char *key)
{
	json_t *status = sc_rig_json(rig, "status");
	double n = json_number_value(json_object_get(json_object_get(status, "tick"), key));

	json_decref(status);
	return n;
}

/* Each connection has one request under way. Returns reads a second. */
static double read_all(void)
{
	static const char get[] = "GET /v1/conditions HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
	static struct answer answers[CONNECTIONS];
	struct pollfd fds[CONNECTIONS];
	uint64_t begin = sc_mono_ns(), now = begin;
	unsigned long reads = 0;

	for (int i = 0; i < CONNECTIONS; i++) {
		fds[i] = (struct pollfd){.fd = connect_here(), .events = POLLIN};
		ask(fds[i].fd, get);
	}
	while ((now = sc_mono_ns()) - begin < READ_NS && reads < READS_MAX) {
		if (poll(fds, CONNECTIONS, 1000) <= 0)
			die("no answer", ETIMEDOUT);
		for (int i = 0; i < CONNECTIONS; i++) {
			if (!fds[i].revents || !take(fds[i].fd, &answers[i]))
				continue;
			ask(fds[i].fd, get);
			reads++;
		}
	}
	for (int i = 0; i < CONNECTIONS; i++)
		close(fds[i].fd);
	return (double)reads * 1e9 / (double)(now - begin);
}

static bool is_populated(int dirfd)
{
	char text[256];

	return sc_read_file_at(dirfd, "cgroup.events", text, sizeof(text)) > 0 &&
	       strstr(text, "populated 1");
}

/* Milliseconds from the request to the empty cgroup. */
static double fire(const struct sc_rig *rig, int http, const char *name, int dirfd)
{
	static struct answer answer;
	char body[1024], text[2048];
	uint64_t begin, now;
	int n = snprintf(body, sizeof(body),
			 "{\"condition_id\":\"hand\",\"reason\":\"bench\",\"operator\":\"bench\","
			 "\"target\":\"%s/%s\"}",
			 rig->root, name);

	snprintf(text, sizeof(text),
		 "POST /v1/fire HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " TOKEN
		 "\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		 n, body);
	begin = sc_mono_ns();
	ask(http, text);
	while (is_populated(dirfd) && sc_mono_ns() - begin < EMPTY_NS) {
	}
	now = sc_mono_ns();
	while (!take(http, &answer)) {
	}
	if (now - begin >= EMPTY_NS)
		die("the target does not get empty", ETIMEDOUT);
	return (double)(now - begin) / 1e6;
}

static bool is_filled(void *arg)
{
	return is_populated(*(int *)arg);
}

static bool fire_all(struct sc_rig *rig)
{
	static double ms[FIRES];
	int http = connect_here();
	char name[16];
	double p50;

	/* A target each: what comes into one that is being emptied is killed with the rest. */
	for (int i = 0; i < FIRES; i++) {
		int dirfd, status, r;
		pid_t pid;

		snprintf(name, sizeof(name), "k%d", i);
		if (mkdirat(rig->root_fd, name, 0755) < 0)
			die("mkdir", errno);
		dirfd = openat(rig->root_fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		pid = sc_helper_sleep(dirfd);
		r = pid < 0 ? (int)pid : sc_wait_until(is_filled, &dirfd, 5000);
		if (r < 0)
			die("fill", r);
		ms[i] = fire(rig, http, name, dirfd);
		(void)sc_wait_child(pid, &status, 5000);
		close(dirfd);
	}
	p50 = quantile(ms, FIRES, 0.5);
	printf("%-52s %8.2f ms p50 %8.2f ms p99   p50 <= %.0f ms\n", "fire over HTTP, to empty",
	       p50, quantile(ms, FIRES, 0.99), EMPTY_MS);
	close(http);
	return p50 <= EMPTY_MS;
}

int main(void)
{
	double reads, late;
	struct sc_rig rig;
	bool is_good;
	int r;

	setenv("SCRAM_API_TOKEN", TOKEN, 1);
	r = sc_rig_open(&rig, yaml);
	if (r < 0)
		die("sandbox", r);
	rig.http = "127.0.0.1:18498";
	r = sc_rig_start(&rig, NULL);
	if (r < 0)
		die("agent", r);
	reads = read_all();
	late = status_number(&rig, "late_p99_us");
	printf("%-52s %8.0f /s   >= %.0f\n", "GET /v1/conditions, 16 kept connections", reads,
	       READS_LEAST);
	printf("%-52s %8.0f us p99   <= %.0f\n", "  lateness of the ticks meanwhile", late,
	       LATE_US_MOST);
	is_good = fire_all(&rig);
	sc_rig_close(&rig);
	return !(is_good && reads >= READS_LEAST && late <= LATE_US_MOST);
}
