/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rules of nf_tables cost traffic they do not cut, and how fast they are told: datagrams and a
 * TCP stream over loopback, in processor time, with an empty table and with 1 and 1,000 cut groups,
 * each by turns of a millisecond with the same in a network namespace that has no table; the time
 * to open, to add and to take away one element with 0 and 1,000 others there, until it has been
 * read back. Prints one JSON object per case. Root; needs nothing else.
 */
#include "bench/figures.h"
#include "harness/harness.h"

#include "base/clock.h"
#include "sys/nft.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define TURNS        300
#define DATAGRAMS    400
#define STREAM_BYTES (8 << 20)
#define CHUNK        (64 << 10)
#define ADDS         5000
#define GROUPS       1000
#define TABLE        "scram_bench"
#define LIMIT_MS     300000

/* Sockets of one network namespace. */
struct side {
	int udp, stream[2];
};

struct bench {
	struct sc_sandbox box;
	struct sc_nft *nft; /* of the namespace of ruled */
	struct side free, ruled;
	struct sc_nft_element groups[GROUPS + 1]; /* none is the sender's */
	bool has_gate;
};

static int die(const char *what, int err)
{
	fprintf(stderr, "nft-bench: %s: %s\n", what, strerror(-err));
	return 1;
}

static int connect_pair(int stream[2], struct sockaddr_in *at)
{
	socklen_t size = sizeof(*at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), room = 4 * CHUNK;

	stream[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* Fixed: what the kernel tunes by itself differs from one connection to the next. */
	if (setsockopt(stream[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) ||
	    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) ||
	    bind(listener, (struct sockaddr *)at, size) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)at, &size) ||
	    connect(stream[0], (struct sockaddr *)at, size))
		return -errno;
	stream[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return stream[1] < 0 ? -errno : 0;
}

/* A new namespace, and in it a socket that talks to itself and a connection. */
static int make_side(struct side *side)
{
	struct sockaddr_in any = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct sockaddr_in at = any;
	socklen_t size = sizeof(at);
	int err = sc_netns_enter();

	if (err)
		return err;
	side->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(side->udp, (struct sockaddr *)&at, size) ||
	    getsockname(side->udp, (struct sockaddr *)&at, &size) ||
	    connect(side->udp, (struct sockaddr *)&at, size))
		return -errno;
	at = any;
	return connect_pair(side->stream, &at);
}

static double datagram_ns(const struct side *side)
{
	double begin = cpu_ns();
	char byte = 0;

	for (int i = 0; i < DATAGRAMS; i++)
		if (send(side->udp, &byte, 1, 0) != 1 || recv(side->udp, &byte, 1, 0) != 1)
			return -1;
	return (cpu_ns() - begin) / DATAGRAMS;
}

/* As much as fits into the socket is written, then read: the same packets at each turn. */
static double stream_ns(const struct side *side)
{
	static char chunk[CHUNK];
	double begin = cpu_ns();

	for (size_t moved = 0; moved < STREAM_BYTES; moved += sizeof(chunk))
		if (send(side->stream[0], chunk, sizeof(chunk), 0) != sizeof(chunk) ||
		    recv(side->stream[1], chunk, sizeof(chunk), MSG_WAITALL) != sizeof(chunk))
			return -1;
	return (cpu_ns() - begin) / (STREAM_BYTES >> 20);
}

struct cost {
	double ns, percent; /* without rules, and what they add to it */
};

/* By turns, whoever is first; the median of what each pair says. */
static struct cost compare(const struct bench *b, double (*fn)(const struct side *side))
{
	double without[TURNS], ratio[TURNS];

	for (int i = 0; i < TURNS; i++) {
		double first = fn(i % 2 ? &b->ruled : &b->free);
		double second = fn(i % 2 ? &b->free : &b->ruled);

		without[i] = i % 2 ? second : first;
		ratio[i] = i % 2 ? first / second : second / first;
	}
	return (struct cost){quantile(without, TURNS, 0.5),
			     100 * (quantile(ratio, TURNS, 0.5) - 1)};
}

static int set(struct bench *b, uint32_t n)
{
	struct sc_nft_want want = {.elements = b->groups, .n = n, .has_gate = b->has_gate};
	struct sc_diag diag = {0};
	int err = sc_nft_set(b->nft, &want, &diag);

	if (err)
		fprintf(stderr, "nft-bench: %s\n", diag.text);
	return err;
}

/* At the depths that tenants and their services have. */
static void cut(struct bench *b, enum sc_nft_verdict verdict, bool has_gate)
{
	for (uint32_t i = 0; i <= GROUPS; i++)
		b->groups[i] = (struct sc_nft_element){
			.cgroup_id = 1ULL << 62 | i, .level = 2 + i % 2, .verdict = verdict};
	b->has_gate = has_gate;
}

static int bench_traffic(struct bench *b, const char *name, uint32_t groups)
{
	struct cost datagram, stream;
	int err = set(b, groups);

	if (err)
		return err;
	datagram = compare(b, datagram_ns);
	stream = compare(b, stream_ns);
	printf("{\"bench\":\"nft-traffic-%s\",\"groups\":%u,\"datagram_ns\":%.0f,"
	       "\"datagram_percent\":%.2f,\"stream_ns_per_mib\":%.0f,\"stream_percent\":%.2f}\n",
	       name, groups, datagram.ns, datagram.percent, stream.ns, stream.percent);
	return 0;
}

/* One element more and one less, beside so many others. */
static int bench_elements(struct bench *b, uint32_t others)
{
	static double add[ADDS], drop[ADDS];
	int err = set(b, others);

	for (int i = 0; !err && i < ADDS; i++) {
		uint64_t begin = sc_mono_ns();

		err = set(b, others + 1);
		add[i] = (double)(sc_mono_ns() - begin) / 1e3;
		begin = sc_mono_ns();
		if (!err)
			err = set(b, others);
		drop[i] = (double)(sc_mono_ns() - begin) / 1e3;
	}
	if (!err)
		printf("{\"bench\":\"nft-element\",\"others\":%u,\"add_us_p50\":%.1f,"
		       "\"add_us_p99\":%.1f,\"drop_us_p50\":%.1f,\"drop_us_p99\":%.1f}\n",
		       others, quantile(add, ADDS, 0.5), quantile(add, ADDS, 0.99),
		       quantile(drop, ADDS, 0.5), quantile(drop, ADDS, 0.99));
	return err;
}

static int bench_whole(struct bench *b)
{
	struct sc_nft_want want = {.elements = b->groups, .n = GROUPS, .has_gate = b->has_gate};
	struct sc_nft_audit audit;
	uint64_t begin, set_ns;
	int err = set(b, 0);

	begin = sc_mono_ns();
	if (!err)
		err = set(b, GROUPS);
	set_ns = sc_mono_ns() - begin;
	begin = sc_mono_ns();
	if (!err)
		err = sc_nft_compare(b->nft, &want, NULL, &audit, NULL);
	if (!err)
		printf("{\"bench\":\"nft-whole\",\"groups\":%d,\"set_us\":%.0f,\"compare_us\":%.0f,"
		       "\"differs\":%d}\n",
		       GROUPS, (double)set_ns / 1e3, (double)(sc_mono_ns() - begin) / 1e3,
		       audit.text[0] != '\0');
	return err;
}

/* In a process born in the cgroup of the sockets. */
static int run(void *arg)
{
	struct bench *b = arg;
	static const struct {
		const char *name;
		enum sc_nft_verdict verdict;
		uint32_t groups;
		bool has_gate;
	} cases[] = {
		{"none", SC_NFT_DROP, 0, true},
		{"left-to-gate", SC_NFT_DROP, 1, true},
		{"left-to-gate", SC_NFT_DROP, GROUPS, true},
		{"refuse-new", SC_NFT_REFUSE_NEW, 1, true},
		{"refuse-new", SC_NFT_REFUSE_NEW, GROUPS, true},
		{"refuse-all", SC_NFT_REFUSE_ALL, 1, true},
		{"refuse-all", SC_NFT_REFUSE_ALL, GROUPS, true},
		{"drop", SC_NFT_DROP, 1, false},
		{"drop", SC_NFT_DROP, GROUPS, false},
	};
	struct sc_diag diag = {0};
	int err = make_side(&b->free);

	if (!err)
		err = make_side(&b->ruled);
	if (!err)
		err = sc_nft_open(&b->nft, -1, TABLE, &diag);
	if (err)
		return die(*diag.text ? diag.text : "cannot begin", err);
	for (size_t i = 0; !err && i < SC_ARRAY_SIZE(cases); i++) {
		cut(b, cases[i].verdict, cases[i].has_gate);
		err = bench_traffic(b, cases[i].name, cases[i].groups);
	}
	cut(b, SC_NFT_DROP, true);
	if (!err)
		err = bench_elements(b, 0);
	if (!err)
		err = bench_elements(b, 2);
	if (!err)
		err = bench_elements(b, GROUPS);
	if (!err)
		err = bench_whole(b);
	sc_nft_close(&b->nft); /* the rules go with their namespace */
	fflush(stdout);
	return err ? die("failed", err) : 0;
}

int main(void)
{
	static struct bench b;
	int err = sc_sandbox_open(&b.box), cgroup, status = 1;

	if (err)
		return die("cannot make a sandbox", err);
	/* Three levels deep, as a service of a tenant is. */
	cgroup = sc_sandbox_mkdir(&b.box, "tenant");
	if (cgroup >= 0)
		cgroup = sc_sandbox_mkdir(&b.box, "tenant/service");
	err = cgroup < 0 ? cgroup : sc_helper_call(cgroup, run, &b);
	if (err > 0)
		err = sc_wait_child(err, &status, LIMIT_MS);
	sc_sandbox_close(&b.box);
	return err ? die("cannot run", err) : status != 0;
}
