/* SPDX-License-Identifier: Apache-2.0 */
/* An agent with a network around it, and ways to see what passes. */
#include "live/traffic_kit.h"

#include "base/io.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define NFT_MS        30000
#define NFT_WORDS_MAX 16
#define NFT_OUT_MAX   (1024 * 1024)
#define SEGMENT_MAX   (4 * 1024 * 1024)
#define LOOKS_MAX     100

struct sc_net sc_traffic_net = {.space = {-1, -1, -1}};
struct sc_peer sc_traffic_world = {.fd = -1};

const struct sc_traffic_kind sc_traffic_kinds[SC_TRAFFIC_KINDS] = {
	[SC_TCP4] = {"tcp4", "tcp", AF_INET},        [SC_UDP4] = {"udp4", "udp", AF_INET},
	[SC_LOOSE4] = {"loose4", "loose", AF_INET},  [SC_ICMP4] = {"icmp4", "icmp", AF_INET},
	[SC_TCP6] = {"tcp6", "tcp", AF_INET6},       [SC_UDP6] = {"udp6", "udp", AF_INET6},
	[SC_LOOSE6] = {"loose6", "loose", AF_INET6}, [SC_ICMP6] = {"icmp6", "icmp", AF_INET6},
};

struct sc_peer sc_traffic_peer(int cgroup_fd, enum sc_net_space space)
{
	struct sc_peer peer;
	int err = sc_peer_start(&peer, cgroup_fd < 0 ? sc_kit.agent_fd : cgroup_fd,
				sc_traffic_net.space[space]);

	cr_assert_eq(err, 0, "no peer: %s", strerror(-err));
	return peer;
}

void sc_traffic_serve(struct sc_peer *peer)
{
	cr_assert_str_eq(sc_peer_tell(peer, "listen tcp :: %d", SC_TRAFFIC_ECHO_PORT), "ok");
	cr_assert_str_eq(sc_peer_tell(peer, "listen udp :: %d", SC_TRAFFIC_ECHO_PORT), "ok");
}

void sc_traffic_init(void)
{
	int err;

	sc_kit_init();
	err = sc_net_open(&sc_traffic_net);
	cr_assert_eq(err, 0, "no network: %s", strerror(-err));
	sc_kit.space_fd = sc_traffic_net.space[SC_NET_HOST];
	sc_traffic_world = sc_traffic_peer(-1, SC_NET_OUTSIDE);
	sc_traffic_serve(&sc_traffic_world);
	cr_assert_str_eq(sc_peer_tell(&sc_traffic_world, "sink udp :: %d", SC_TRAFFIC_SINK_PORT),
			 "ok");
}

void sc_traffic_fini(void)
{
	sc_kit_fini();
	sc_net_close(&sc_traffic_net);
}

const struct sc_traffic_path sc_traffic_out = {SC_NET_HOST, SC_NET_OUTSIDE, SC_TRAFFIC_ECHO_PORT};
const struct sc_traffic_path sc_traffic_in = {SC_NET_OUTSIDE, SC_NET_HOST, SC_TRAFFIC_ECHO_PORT};

long sc_traffic_open(struct sc_peer *peer, const struct sc_traffic_kind *kind,
		     const struct sc_traffic_path *path, unsigned int ms)
{
	return sc_peer_number(peer, "open %s %s %d %u", kind->proto,
			      sc_net_address(path->to, path->from, kind->family), path->port, ms);
}

const char *sc_traffic_try(struct sc_peer *peer, const struct sc_traffic_kind *kind,
			   const struct sc_traffic_path *path, unsigned int ms)
{
	long handle = sc_traffic_open(peer, kind, path, ms);
	char word[SC_PEER_WORD_MAX];

	if (handle < 0)
		return peer->word;
	sc_strcopy(word, sizeof(word), sc_peer_tell(peer, "talk %ld %u", handle, ms));
	sc_peer_tell(peer, "close %ld", handle);
	sc_strcopy(peer->word, sizeof(peer->word), word);
	return peer->word;
}

void sc_traffic_expect_open(struct sc_peer *peer)
{
	for (size_t i = 0; i < SC_TRAFFIC_KINDS; i++)
		cr_expect_str_eq(sc_traffic_try(peer, &sc_traffic_kinds[i], &sc_traffic_out,
						SC_TRAFFIC_OPEN_MS),
				 "ok", "%s does not pass: %s", sc_traffic_kinds[i].name,
				 peer->word);
}

void sc_traffic_expect_held(struct sc_peer *peer)
{
	long before = sc_traffic_arrived(&sc_traffic_world);

	for (size_t i = 0; i < SC_TRAFFIC_KINDS; i++)
		cr_expect_str_neq(sc_traffic_try(peer, &sc_traffic_kinds[i], &sc_traffic_out,
						 SC_TRAFFIC_HELD_MS),
				  "ok", "%s passes", sc_traffic_kinds[i].name);
	cr_expect_eq(sc_traffic_arrived(&sc_traffic_world), before, "packets left the cgroup");
}

static void read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, name);
	cr_assert_gt(sc_read_file_at(AT_FDCWD, path, text, size), 0, "%s", path);
}

/* Of the two lines "Ip: name name..." and "Ip: 1 2...": the number below that name. */
static long snmp_value(const char *text, const char *group, const char *name)
{
	const char *names = strstr(text, group);
	const char *values = names ? strstr(names + 1, group) : NULL;
	const char *at = names ? strstr(names, name) : NULL;
	long value = -1;

	cr_assert(at && values && at < values, "no %s %s", group, name);
	for (const char *c = names; c < at; c++)
		if (*c == ' ')
			values = strchr(values, ' ') + 1;
	sscanf(values, "%ld", &value);
	return value;
}

static long snmp6_value(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	long value = -1;

	cr_assert_not_null(at, "no %s", name);
	sscanf(at + strlen(name), "%ld", &value);
	return value;
}

static long read_arrived(const struct sc_peer *peer)
{
	char text[16384];
	long n;

	read_proc(peer->pid, "snmp", text, sizeof(text));
	n = snmp_value(text, "Ip:", "InDelivers");
	read_proc(peer->pid, "snmp6", text, sizeof(text));
	/* Of ICMPv6 only pings: the kernels talk to each other with the rest. */
	return n + snmp6_value(text, "Ip6InDelivers") - snmp6_value(text, "Icmp6InMsgs") +
	       snmp6_value(text, "Icmp6InEchos ");
}

/* The kernel does not count in one go: a sum taken while a packet of its own comes in is off by it,
 * until the next look. */
long sc_traffic_arrived(const struct sc_peer *peer)
{
	long n = read_arrived(peer), again;

	for (int i = 0; i < LOOKS_MAX && (again = read_arrived(peer)) != n; i++)
		n = again;
	return n;
}

void sc_traffic_start(const char *more)
{
	_cleanup_str_ struct sc_str yaml;

	sc_str_init_heap(&yaml);
	sc_str_addf(&yaml,
		    "tenants:\n"
		    "  acme: {cgroups: [\"@ROOT@/acme\", \"@ROOT@/acme-*\"]}\n"
		    "  beta: {cgroups: [\"@ROOT@/beta\"]}\n"
		    "  gamma: {cgroups: [\"@ROOT@/x*z\"]}\n"
		    "components:\n"
		    "  shop: {cgroups: [\"@ROOT@/shop*\"]}\n"
		    "conditions:\n"
		    "  - {id: cut, action: {kind: tenant-quarantine, config: {tenant_id: acme}}, "
		    "live: true}\n"
		    "  - {id: cut-gamma, action: {kind: tenant-quarantine, config: {tenant_id: "
		    "gamma}}, live: true}\n"
		    "  - {id: break, action: {kind: circuit-break-component, config: {component: "
		    "shop, mode: all}}, live: true}\n"
		    "  - {id: break-new, action: {kind: circuit-break-component, config: "
		    "{component: shop, mode: new}}, live: true}\n"
		    "%s",
		    more);
	sc_kit_start(yaml.data);
}

void sc_traffic_fire(const char *id)
{
	int status = sc_kit_fire(id, NULL, "--wait");
	json_t *fire = sc_kit_get(id, NULL, NULL, 0);

	cr_assert_eq(status, 0, "fire %s: exit %d: %s", id, status,
		     sc_kit_text(fire, "dispatch_result"));
	cr_assert_str_eq(sc_kit_text(fire, "outcome"), "isolated");
	json_decref(fire);
}

void sc_traffic_release(const char *id)
{
	json_t *fire = sc_kit_get(id, "state", "verified", 0);
	char line[128];

	snprintf(line, sizeof(line), "release %s --operator tester", sc_kit_text(fire, "id"));
	sc_kit_expect(line, 0, "");
	json_decref(fire);
}

void sc_traffic_stream(struct sc_peer *peer, long handle, unsigned int us)
{
	cr_assert_str_eq(sc_peer_tell(peer, "stream %ld %u", handle, us), "ok");
}

struct settling {
	struct sc_peer *peer;
	struct sc_peer_counts counts;
};

static bool has_settled(void *arg)
{
	struct settling *s = arg;

	cr_assert_eq(sc_peer_count(s->peer, &s->counts), 0);
	return s->counts.echoed == s->counts.sent;
}

void sc_traffic_expect_whole(struct sc_peer *peer, long handle)
{
	struct settling s = {.peer = peer};

	sc_traffic_stream(peer, handle, 0);
	cr_expect_eq(sc_wait_until(has_settled, &s, SC_TRAFFIC_OPEN_MS), 0,
		     "of %ld sent %ld came back", s.counts.sent, s.counts.echoed);
	cr_expect_eq(s.counts.failed, 0, "%ld failed", s.counts.failed);
	cr_expect_gt(s.counts.sent, 0);
}

char *sc_traffic_nft(const char *arguments)
{
	_cleanup_close_ int out = memfd_create("nft", MFD_CLOEXEC);
	_cleanup_free_ char *copy = strdup(arguments);
	const char *argv[NFT_WORDS_MAX + 2] = {"nft"};
	char *text = calloc(1, NFT_OUT_MAX);
	char *rest = NULL;
	int status = 0;
	size_t n = 1;
	pid_t pid;

	cr_assert(copy && text && out >= 0);
	for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		cr_assert_lt(n, NFT_WORDS_MAX);
		argv[n++] = w;
	}
	pid = sc_helper_exec_in(sc_kit.agent_fd, sc_traffic_net.space[SC_NET_HOST], argv, out, out);
	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_child(pid, &status, NFT_MS), 0);
	cr_assert_geq(pread(out, text, NFT_OUT_MAX - 1, 0), 0);
	cr_assert_eq(status, 0, "nft %s: %s", arguments, text);
	return text;
}

static unsigned int count_lines(int dirfd, const char *name, const char *a, const char *b)
{
	_cleanup_free_ char *text = malloc(SEGMENT_MAX);
	unsigned int n = 0;
	char *rest = NULL;

	cr_assert(text && sc_read_file_at(dirfd, name, text, SEGMENT_MAX) >= 0, "%s", name);
	for (char *l = strtok_r(text, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest))
		n += strstr(l, a) && strstr(l, b);
	return n;
}

unsigned int sc_traffic_journal(const char *a, const char *b)
{
	_cleanup_close_ int fd = open(sc_kit.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int journal = openat(fd, "journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned int n = 0;
	struct dirent *e;
	DIR *dir;

	cr_assert_geq(journal, 0, "no journal");
	dir = fdopendir(dup(journal));
	while ((e = readdir(dir)) != NULL)
		if (strstr(e->d_name, ".jsonl"))
			n += count_lines(journal, e->d_name, a, b);
	closedir(dir);
	return n;
}

struct journal_query {
	const char *a, *b;
	unsigned int n;
};

static bool is_recorded(void *arg)
{
	const struct journal_query *q = arg;

	return sc_traffic_journal(q->a, q->b) >= q->n;
}

void sc_traffic_wait_journal(const char *a, const char *b, unsigned int n)
{
	struct journal_query q = {a, b, n};

	cr_assert_eq(sc_wait_until(is_recorded, &q, SC_KIT_EVENT_MS), 0,
		     "no %u records with \"%s\" and \"%s\"", n, a, b);
}
