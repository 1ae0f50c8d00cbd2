/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quarantine through the running agent, while the tenant sends without a pause: from the decision
 * to the first packet that its sender is refused, to gate and rules read back, and what the command
 * line takes in all. Prints one JSON object. Root; in a network namespace of its own.
 */
#include "bench/figures.h"
#include "harness/rig.h"

#include "base/clock.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define ROUNDS     200
#define WARM_UP    5
#define REFUSED_MS 2000

/* Shared with the sender. */
struct watch {
	struct sockaddr_in to;
	_Atomic uint64_t refused_ns; /* CLOCK_MONOTONIC of the first refusal; 0 = it passes */
};

struct figures {
	double first_us[ROUNDS], set_us[ROUNDS], shell_us[ROUNDS];
	unsigned int n;
};

static void print(const char *name, double *values, unsigned int n, const char *end)
{
	printf("  \"%s\": {\"p50\": %.1f, \"p99\": %.1f}%s\n", name, quantile(values, n, 0.5),
	       quantile(values, n, 0.99), end);
}

/* Nobody reads at the other end: what finds no room there has passed the gate. The socket is not
 * connected, because connected ones are ended. */
static int send_on_and_on(void *arg)
{
	struct watch *watch = arg;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	while (fd >= 0) {
		bool passed = sendto(fd, "x", 1, 0, (struct sockaddr *)&watch->to,
				     sizeof(watch->to)) == 1;

		if (passed)
			atomic_store(&watch->refused_ns, 0);
		else if (errno == EPERM && !atomic_load(&watch->refused_ns))
			atomic_store(&watch->refused_ns, sc_mono_ns());
	}
	return 1;
}

/* The other end, of this process, which is in no tenant. */
static int open_sink(struct watch *watch)
{
	socklen_t size = sizeof(watch->to);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	watch->to = (struct sockaddr_in){.sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (bind(fd, (struct sockaddr *)&watch->to, size) ||
	    getsockname(fd, (struct sockaddr *)&watch->to, &size))
		return -errno;
	return fd;
}

static bool is_refused(void *arg)
{
	return atomic_load(&((struct watch *)arg)->refused_ns) != 0;
}

static bool is_passing(void *arg)
{
	return !is_refused(arg);
}

static uint64_t timing(const json_t *fire, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(fire, name));
}

static int round_trip(struct sc_rig *rig, struct watch *watch, struct figures *f)
{
	uint64_t begin = sc_mono_ns(), end;
	json_t *fires, *fire;
	int r = sc_rig_run(rig, "quarantine acme --reason bench --operator bench --wait");

	end = sc_mono_ns();
	if (r != 0 || sc_wait_until(is_refused, watch, REFUSED_MS) != 0)
		return -EIO;
	fires = sc_rig_json(rig, "fires --limit 1");
	fire = json_array_get(fires, 0);
	if (fire) {
		uint64_t decided = timing(fire, "decided_ns");

		f->first_us[f->n] = (double)(atomic_load(&watch->refused_ns) - decided) / 1e3;
		f->set_us[f->n] = (double)(timing(fire, "verified_ns") - decided) / 1e3;
		f->shell_us[f->n] = (double)(end - begin) / 1e3;
	}
	json_decref(fires);
	r = sc_rig_run(rig, "unquarantine acme --operator bench");
	if (!fire || r != 0 || sc_wait_until(is_passing, watch, REFUSED_MS) != 0)
		return -EIO;
	return 0;
}

static int measure(struct sc_rig *rig, struct watch *watch)
{
	static struct figures f;

	for (int i = 0; i < WARM_UP + ROUNDS; i++) {
		int r = round_trip(rig, watch, &f);

		if (r < 0)
			return r;
		f.n += i >= WARM_UP;
	}
	printf("{\n");
	print("decision_to_first_refused_packet_us", f.first_us, f.n, ",");
	print("decision_to_cut_read_back_us", f.set_us, f.n, ",");
	print("shell_to_cut_us", f.shell_us, f.n, "");
	printf("}\n");
	return 0;
}

int main(void)
{
	static const char yaml[] =
		"tenants:\n  acme: {cgroups: [@ROOT@/acme]}\n"
		"conditions:\n  - {id: cut-acme, action: {kind: tenant-quarantine, config: "
		"{tenant_id: acme}}, live: true}\n";
	struct watch *watch = mmap(NULL, sizeof(*watch), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sc_rig rig;
	int r = watch == MAP_FAILED ? -errno : sc_netns_enter(), acme, sink = -1;

	if (r == 0)
		sink = r = open_sink(watch);
	if (r >= 0)
		r = sc_rig_open(&rig, yaml);
	if (r < 0) {
		fprintf(stderr, "bench-cut: %s\n", strerror(-r));
		return 1;
	}
	acme = sc_sandbox_mkdir(&rig.box, "work/acme");
	r = acme < 0 ? acme : sc_rig_start(&rig, NULL);
	if (r == 0 && sc_helper_call(acme, send_on_and_on, watch) < 0)
		r = -ECHILD;
	if (r == 0)
		r = measure(&rig, watch);
	if (r < 0)
		fprintf(stderr, "bench-cut: %s\n", strerror(-r));
	sc_rig_close(&rig);
	sc_close(&sink);
	return r < 0;
}
