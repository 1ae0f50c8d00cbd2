/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gate costs traffic it does not cut, and how fast it is told: datagrams and a TCP stream
 * over loopback, in processor time, with an idle gate and with 1 and 1,000 cut groups, by turns of
 * a millisecond with the same between sockets that no gate supervises; and the throughput of a
 * stream between two processes. Beside them, what the kernel
 * itself takes to call a program that does nothing. Then the time to open the gate, to put an
 * entry, to end a cut, and until the first packet is dropped. Prints one JSON object. Root; needs
 * nothing else.
 */
#include "bench/figures.h"
#include "harness/harness.h"

#include "base/clock.h"
#include "sys/bpf.h"
#include "sys/gate.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define TURNS        60 /* at a time */
#define PASSES       4
#define DATAGRAMS    400
#define STREAM_BYTES (8 << 20)
#define CHUNK        (64 << 10)
#define FLOW_BYTES   (64 << 20)
#define PUTS         10000
#define GROUPS       1000

/* Sockets of one cgroup. */
struct side {
	int udp, stream[2], flow[2];
};

struct bench {
	struct sc_sandbox box;
	char pin_dir[SC_BPF_PIN_DIR_MAX];
	int root_fd;             /* what the gate supervises */
	struct side gated, free; /* four levels deep, below root_fd and beside it */
};

static int die(const char *what, int err)
{
	fprintf(stderr, "gate-bench: %s: %s\n", what, strerror(-err));
	return 1;
}

static struct sc_gate *open_gate(const struct bench *b)
{
	struct sc_gate_options o = {.root_fd = b->root_fd, .pin_dir = b->pin_dir};
	char reason[SC_GATE_REASON_MAX];
	struct sc_gate *g = NULL;

	if (sc_gate_open(&g, &o, reason))
		fprintf(stderr, "gate-bench: %s\n", reason);
	return g;
}

/* Groups at the depths that tenants and their services have; none is the sender's. */
static int cut_groups(struct sc_gate *g, int n)
{
	struct sc_gate_wish wish = {.mode = SC_GATE_DROP, .fire_id = "bench", .name = "bench"};
	int err = 0;

	for (int i = 0; !err && i < n; i++) {
		wish.number = (uint32_t)i;
		err = sc_gate_set(g, &wish);
		if (!err)
			err = sc_gate_put(g, 1ULL << 62 | (unsigned int)i, 2 + (uint32_t)i % 2,
					  wish.number);
	}
	return err;
}

static void end_groups(struct sc_gate *g, int n)
{
	for (int i = 0; i < n; i++)
		sc_gate_end(g, (uint32_t)i);
}

/* To itself: sent and received by one socket, so that both programs run. */
static double datagram_ns(int fd)
{
	double begin = cpu_ns();
	char byte = 0;

	for (int i = 0; i < DATAGRAMS; i++)
		if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1)
			return -1;
	return (cpu_ns() - begin) / DATAGRAMS;
}

/* As much as fits into the socket is written, then read: the same packets at each turn. */
static double stream_ns(const int stream[2])
{
	static char chunk[CHUNK];
	double begin = cpu_ns();

	for (size_t moved = 0; moved < STREAM_BYTES; moved += sizeof(chunk))
		if (send(stream[0], chunk, sizeof(chunk), 0) != sizeof(chunk) ||
		    recv(stream[1], chunk, sizeof(chunk), MSG_WAITALL) != sizeof(chunk))
			return -1;
	return (cpu_ns() - begin) / (STREAM_BYTES >> 20);
}

/* What two processes on two processors move by the clock, as iperf measures it. */
static double flow_ns(const int flow[2])
{
	static char chunk[2 * CHUNK];
	uint64_t begin = sc_mono_ns();

	for (size_t moved = 0; moved < FLOW_BYTES; moved += sizeof(chunk))
		if (send(flow[0], chunk, sizeof(chunk), 0) != sizeof(chunk))
			return -1;
	return (double)(sc_mono_ns() - begin);
}

/* Takes what both sides send, to its end. */
static int drain(void *arg)
{
	static char chunk[2 * CHUNK];
	struct bench *b = arg;
	struct pollfd fds[2] = {{.fd = b->free.flow[1], .events = POLLIN},
				{.fd = b->gated.flow[1], .events = POLLIN}};

	for (;;) {
		if (poll(fds, SC_ARRAY_SIZE(fds), -1) < 0)
			return 1;
		for (size_t i = 0; i < SC_ARRAY_SIZE(fds); i++)
			if (fds[i].revents && recv(fds[i].fd, chunk, sizeof(chunk), 0) <= 0)
				return 0;
	}
}

/* room: of both buffers; 0 lets the kernel tune them. */
static int connect_pair(int stream[2], int room)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t size = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	stream[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (room && (setsockopt(stream[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) ||
		     setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room))))
		return -errno;
	if (bind(listener, (struct sockaddr *)&at, size) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&at, &size) ||
	    connect(stream[0], (struct sockaddr *)&at, size))
		return -errno;
	stream[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return stream[1] < 0 ? -errno : 0;
}

/* Sockets belong to the cgroup that this process is in when it makes them. */
static int make_sockets(struct side *side, int cgroup_fd)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t size = sizeof(at);
	int err = sc_cgroup_write(cgroup_fd, "cgroup.procs", "0");

	if (err)
		return err;
	side->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(side->udp, (struct sockaddr *)&at, size) ||
	    getsockname(side->udp, (struct sockaddr *)&at, &size) ||
	    connect(side->udp, (struct sockaddr *)&at, size))
		return -errno;
	/* Fixed: what the kernel tunes by itself differs from one connection to the next. */
	err = connect_pair(side->stream, 4 * CHUNK);
	return err ? err : connect_pair(side->flow, 0);
}

enum setting { SET_NONE, SET_EMPTY, SET_IDLE, SET_ONE, SET_MANY, SET_COUNT };

static const struct {
	const char *name;
	int groups; /* cut; < 0: no gate */
} settings[SET_COUNT] = {
	[SET_NONE] = {"no_gate", -1},
	[SET_EMPTY] = {"empty_program", -1},
	[SET_IDLE] = {"idle", 0},
	[SET_ONE] = {"1_group", 1},
	[SET_MANY] = {"1000_groups", GROUPS},
};

/* Attaches "return 1" where the gate would be: what is lost then is not the gate's. */
static int attach_empty(const struct bench *b, int links[2])
{
	static const enum bpf_attach_type types[2] = {BPF_CGROUP_INET_INGRESS,
						      BPF_CGROUP_INET_EGRESS};
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};

	for (int i = 0; i < 2; i++) {
		DECLARE_LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = types[i]);
		int fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "empty", "GPL", insns,
				       SC_ARRAY_SIZE(insns), &opts);

		links[i] = fd < 0 ? -1 : bpf_link_create(fd, b->root_fd, types[i], NULL);
		sc_close(&fd);
		if (links[i] < 0)
			return -errno;
	}
	return 0;
}

struct losses {
	double datagrams[PASSES * TURNS], streams[PASSES * TURNS], flows[PASSES * TURNS];
	unsigned int n;
};

static void take_turns(const struct bench *b, struct losses *l)
{
	for (int i = 0; i < TURNS; i++, l->n++) {
		double free_ns = datagram_ns(b->free.udp);

		l->datagrams[l->n] = datagram_ns(b->gated.udp) / free_ns;
		free_ns = stream_ns(b->free.stream);
		l->streams[l->n] = stream_ns(b->gated.stream) / free_ns;
		free_ns = flow_ns(b->free.flow);
		l->flows[l->n] = flow_ns(b->gated.flow) / free_ns;
	}
}

static int measure_one(const struct bench *b, enum setting s, struct losses *l)
{
	int groups = settings[s].groups, links[2] = {-1, -1};
	struct sc_gate *g = groups < 0 ? NULL : open_gate(b);
	int err = s == SET_EMPTY ? attach_empty(b, links) : 0;

	if (!err && groups >= 0)
		err = g ? cut_groups(g, groups) : -EIO;
	if (!err)
		take_turns(b, l);
	if (g)
		end_groups(g, groups);
	sc_gate_close(&g);
	sc_close(&links[0]);
	sc_close(&links[1]);
	return err;
}

static int measure_traffic(const struct bench *b)
{
	static struct losses losses[SET_COUNT];

	for (int i = 0; i < PASSES * SET_COUNT; i++) {
		int err = measure_one(b, (enum setting)(i % SET_COUNT), &losses[i % SET_COUNT]);

		if (err)
			return err;
	}
	for (int s = 0; s < SET_COUNT; s++) {
		struct losses *l = &losses[s];

		printf("  \"%s\": {\"datagram_loss_percent\": %.2f, "
		       "\"stream_loss_percent\": %.2f, \"throughput_loss_percent\": %.2f},\n",
		       settings[s].name, (quantile(l->datagrams, l->n, 0.5) - 1) * 100,
		       (quantile(l->streams, l->n, 0.5) - 1) * 100,
		       (1 - 1 / quantile(l->flows, l->n, 0.5)) * 100);
	}
	printf("  \"datagram_ns\": %.0f,\n  \"stream_us_per_mib\": %.1f,\n",
	       datagram_ns(b->free.udp), stream_ns(b->free.stream) / 1e3);
	return 0;
}

static int measure_writes(const struct bench *b)
{
	static double puts[PUTS], ends[GROUPS];
	struct sc_gate_wish wish = {.mode = SC_GATE_DROP, .fire_id = "bench", .name = "bench"};
	double begin = (double)sc_mono_ns(), opened;
	struct sc_gate *g = open_gate(b);

	if (!g || sc_gate_set(g, &wish))
		return -EIO;
	opened = (double)sc_mono_ns() - begin;
	for (int i = 0; i < PUTS; i++) {
		begin = (double)sc_mono_ns();
		if (sc_gate_put(g, 1ULL << 62 | (unsigned int)i, 2, 0))
			return -EIO;
		puts[i] = (double)sc_mono_ns() - begin;
	}
	begin = (double)sc_mono_ns();
	sc_gate_end(g, 0);
	printf("  \"open_ms\": %.1f,\n  \"put_us\": {\"p50\": %.2f, \"p99\": %.2f},\n"
	       "  \"end_of_%d_us\": %.0f,\n",
	       opened / 1e6, quantile(puts, PUTS, 0.5) / 1e3, quantile(puts, PUTS, 0.99) / 1e3,
	       PUTS, ((double)sc_mono_ns() - begin) / 1e3);
	for (int i = 0; i < GROUPS; i++) {
		cut_groups(g, 1);
		begin = (double)sc_mono_ns();
		sc_gate_end(g, 0);
		ends[i] = (double)sc_mono_ns() - begin;
	}
	printf("  \"end_of_1_us\": {\"p50\": %.2f, \"p99\": %.2f},\n",
	       quantile(ends, GROUPS, 0.5) / 1e3, quantile(ends, GROUPS, 0.99) / 1e3);
	sc_gate_close(&g);
	return 0;
}

/* From the decision to the first datagram that is refused: the cut, its entry, and a sender that
 * never stops. */
static int measure_first_drop(struct bench *b)
{
	static double waits[GROUPS];
	struct sc_gate *g = open_gate(b);
	struct sc_gate_wish wish = {.mode = SC_GATE_DROP, .fire_id = "bench", .name = "bench"};
	uint64_t id = sc_cgroup_id(b->root_fd);
	double begin;
	char byte = 0;

	for (int i = 0; g && i < GROUPS; i++) {
		begin = (double)sc_mono_ns();
		if (sc_gate_set(g, &wish) || sc_gate_put(g, id, 2, 0))
			return -EIO;
		while (send(b->gated.udp, &byte, 1, 0) == 1)
			recv(b->gated.udp, &byte, 1, 0);
		waits[i] = (double)sc_mono_ns() - begin;
		sc_gate_end(g, 0);
	}
	printf("  \"decision_to_first_drop_us\": {\"p50\": %.2f, \"p99\": %.2f}\n}\n",
	       quantile(waits, GROUPS, 0.5) / 1e3, quantile(waits, GROUPS, 0.99) / 1e3);
	sc_gate_close(&g);
	return 0;
}

/* cgroup.procs moves this process from one side to the other; it ends on the gated one. */
static int run_inside(void *arg)
{
	struct bench *b = arg;
	int err = sc_netns_enter();

	if (!err)
		err = make_sockets(&b->free, sc_sandbox_mkdir(&b->box, "free/a/b"));
	if (!err)
		err = make_sockets(&b->gated, sc_sandbox_mkdir(&b->box, "gated/a/b"));
	if (err)
		return die("sockets", err);
	if (sc_helper_call(-1, drain, b) < 0)
		return die("drain", -ECHILD);
	printf("{\n");
	err = measure_traffic(b);
	if (!err)
		err = measure_writes(b);
	if (!err)
		err = measure_first_drop(b);
	fflush(stdout);
	return err ? die("measuring", err) : 0;
}

int main(void)
{
	struct bench b = {.root_fd = -1};
	int err = sc_sandbox_open(&b.box), status = 1;
	char run_dir[48];
	pid_t pid = -1;

	if (err)
		return die("sandbox", err);
	snprintf(run_dir, sizeof(run_dir), "/run/scram-bench-%d", getpid());
	err = sc_bpf_pin_dir(run_dir, b.pin_dir);
	if (!err)
		err = sc_sandbox_remove_pins(&b.box, run_dir);
	b.root_fd = sc_sandbox_mkdir(&b.box, "gated");
	if (!err && b.root_fd >= 0 && sc_sandbox_mkdir(&b.box, "gated/a") >= 0 &&
	    sc_sandbox_mkdir(&b.box, "free") >= 0 && sc_sandbox_mkdir(&b.box, "free/a") >= 0)
		pid = sc_helper_call(-1, run_inside, &b);
	if (pid > 0)
		sc_wait_child(pid, &status, 600000);
	sc_sandbox_close(&b.box);
	return status != 0;
}
