/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shipped examples about one sick cgroup: what each is about is provoked twice, once below a
 * dry copy of the condition and once below a live one, and both fire; the live one acts, the dry
 * one does not. The copies have shorter times and smaller numbers, for machines that are slow.
 */
#include "live/engine_kit.h"

#include "base/io.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <signal.h>
#include <string.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Averages of pressure over 10 s need half a minute to rise, as long again on a slow machine. */
TestSuite(examples, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

#define FILE_MAX 8192
#define MIB      (1UL << 20)
/* Ends by itself, should nobody freeze it. */
#define HAMMER_MAX 2000000

struct example {
	const char *id; /* of the file and of its one condition */
	const char *outcome;
	const char *changes[5][2];
	int (*sicken)(void *cgroup_fd); /* in a process born in the cgroup */
};

static void replace(struct sc_str *out, const char *text, const char *what, const char *by)
{
	const char *at;

	while ((at = strstr(text, what)) != NULL) {
		sc_str_addn(out, text, (size_t)(at - text));
		sc_str_add(out, by);
		text = at + strlen(what);
	}
	sc_str_add(out, text);
}

/* Every one of `what`, of which there must be one, in heap memory. */
static char *changed(char *text, const char *what, const char *by)
{
	struct sc_str out;

	cr_assert(strstr(text, what), "the example has no `%s`", what);
	sc_str_init_heap(&out);
	replace(&out, text, what, by);
	free(text);
	return out.data;
}

/* Adds the condition of the file with the cgroup `name` as its scope and id-name as its id. */
static void add_copy(struct sc_str *out, const struct example *x, const char *name)
{
	char *text = calloc(1, FILE_MAX);
	char path[128], scope[64], id[64], new_id[64];

	snprintf(path, sizeof(path), "conditions.d/examples/%s.yaml", x->id);
	snprintf(scope, sizeof(scope), "@ROOT@/%s", name);
	snprintf(id, sizeof(id), "- id: %s", x->id);
	snprintf(new_id, sizeof(new_id), "- id: %s", name);
	cr_assert_gt(sc_read_file_at(AT_FDCWD, path, text, FILE_MAX), 0, "%s", path);
	text = changed(text, "/workload/*", scope);
	text = changed(text, id, new_id);
	if (strcmp(name, "live") == 0)
		text = changed(text, "live: false", "live: true");
	for (size_t i = 0; i < SC_ARRAY_SIZE(x->changes) && x->changes[i][0]; i++)
		text = changed(text, x->changes[i][0], x->changes[i][1]);
	sc_str_add(out, strstr(text, "conditions:\n") + strlen("conditions:\n"));
	free(text);
}

static void expect_fires(const struct example *x)
{
	_cleanup_str_ struct sc_str yaml;
	int dry = sc_kit_mkdir("dry"), live = sc_kit_mkdir("live");
	int calm = sc_kit_mkdir("calm");
	pid_t bystander = sc_kit_sleeper(calm), waiting = sc_kit_sleeper(dry);

	sc_str_init_heap(&yaml);
	sc_str_add(&yaml, "conditions:\n");
	add_copy(&yaml, x, "dry");
	add_copy(&yaml, x, "live");
	sc_kit_start(yaml.data);
	sc_kit_wait_grace();
	cr_assert_gt(sc_helper_call(dry, x->sicken, &dry), 0);
	cr_assert_gt(sc_helper_call(live, x->sicken, &live), 0);
	sc_kit_wait("live", "outcome", x->outcome, 1);
	sc_kit_wait("dry", "state", "dry-run", 1);
	if (strcmp(x->outcome, "frozen") == 0)
		cr_expect(sc_kit_is_frozen(live));
	else
		cr_expect_eq(sc_wait_populated(live, false, SC_KIT_EVENT_MS), 0);
	sc_kit_expect_untouched(waiting, dry);
	sc_kit_expect_untouched(bystander, calm);
	sc_kit_end(waiting);
}

static void signal_default(int signo)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};

	sigaction(signo, &by_default, NULL);
}

static int crash_again_and_again(void *arg)
{
	const struct rlimit no_core = {0, 0};

	(void)arg;
	setrlimit(RLIMIT_CORE, &no_core);
	signal_default(SIGABRT); /* the test runner has a handler of its own */
	for (int i = 0; i < 8; i++)
		if (fork() == 0)
			abort();
	pause();
	return 0;
}

Test(examples, crash_loop)
{
	expect_fires(&(struct example){
		.id = "crash-loop", .outcome = "frozen", .sicken = crash_again_and_again});
}

static int fork_much(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++)
		if (fork() == 0)
			pause();
	pause();
	return 0;
}

/* A real bomb against the real kill is engine_detect's; here it is the file that is tried. */
Test(examples, fork_bomb)
{
	expect_fires(&(struct example){.id = "fork-bomb",
				       .outcome = "emptied",
				       .changes = {{"forks[2s]", "forks[30s]"},
						   {"> 200 ", "> 5 "},
						   {"alive > 1000", "alive > 200"}},
				       .sicken = fork_much});
}

static int reap_nothing(void *arg)
{
	(void)arg;
	for (int i = 0; i < 60; i++)
		if (fork() == 0)
			_exit(0);
	pause();
	return 0;
}

Test(examples, zombie_pile)
{
	expect_fires(&(struct example){
		.id = "zombie-pile",
		.outcome = "emptied",
		.changes = {{"[5m]", "[1s]"}, {"> 500", "> 50"}, {"grace: 10s", "grace: 0s"}},
		.sicken = reap_nothing});
}

static int hammer(void *arg)
{
	/* Nobody listens on port 1; each attempt is refused at once. */
	const struct sockaddr_in nobody = {
		.sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};

	(void)arg;
	for (int i = 0; i < HAMMER_MAX; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		(void)connect(fd, (const struct sockaddr *)&nobody, sizeof(nobody));
		close(fd);
	}
	return 0;
}

Test(examples, connection_failures)
{
	expect_fires(&(struct example){
		.id = "connection-failures",
		.outcome = "frozen",
		.changes = {{"hold: 5s", "hold: 100ms"}, {"ttl: 30s", "ttl: 300s"}},
		.sicken = hammer});
}

/* True when the file is there: the memory controller is on in cgroup v2. */
static void need_memory_in(const char *name)
{
	char text[64];
	int fd;

	sc_cgroup_write(sc_kit.box.dirfd, "cgroup.subtree_control", "+memory");
	sc_cgroup_write(sc_kit.root_fd, "cgroup.subtree_control", "+memory");
	fd = sc_kit_mkdir(name);
	if (sc_read_file_at(fd, "memory.high", text, sizeof(text)) < 0)
		cr_skip("the memory controller is not on in cgroup v2 here");
	close(fd);
	sc_kit_rmdir(name);
}

static int take_more_than_it_may(void *cgroup_fd)
{
	char *at = mmap(NULL, 256 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	sc_cgroup_write(*(int *)cgroup_fd, "memory.high", "16777216");
	for (size_t i = 0; at != MAP_FAILED; i = (i + 4096) % (256 * MIB))
		at[i]++;
	return 1;
}

/*
 * Over memory.high, with nothing that could be reclaimed, the kernel makes its tasks wait: pressure
 * in its purest form.
 */
Test(examples, memory_pressure)
{
	need_memory_in("probe");
	expect_fires(&(struct example){
		.id = "memory-pressure",
		.outcome = "emptied",
		.changes = {{"hold: 30s", "hold: 500ms"}, {"grace: 2s", "grace: 0s"}},
		.sicken = take_more_than_it_may});
}

static void run_tool(const char *tool, const char *arg)
{
	const char *const argv[] = {tool, arg, NULL};
	int status = -1;
	pid_t pid = sc_helper_exec(-1, argv, -1, -1);

	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_child(pid, &status, SC_KIT_EVENT_MS), 0);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s %s: %x", tool, arg, status);
}

/* 64 MiB of swap on a loop device over memory. */
static void add_swap(void)
{
	char device[32];
	int memory, control, loop, number;

	run_tool("modprobe", "loop");
	memory = memfd_create("swap", MFD_CLOEXEC);
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	number = ioctl(control, LOOP_CTL_GET_FREE);
	cr_assert_geq(number, 0);
	snprintf(device, sizeof(device), "/dev/loop%d", number);
	loop = open(device, O_RDWR | O_CLOEXEC);
	cr_assert_eq(ftruncate(memory, 64 * MIB), 0);
	cr_assert_eq(ioctl(loop, LOOP_SET_FD, memory), 0);
	run_tool("mkswap", device);
	run_tool("swapon", device);
	close(loop);
	close(control);
	close(memory);
}

/* Fills swap and then rests: memory.high takes away all that is over it. */
static int fill_swap(void *cgroup_fd)
{
	char *at = mmap(NULL, 48 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sc_cgroup_write(*(int *)cgroup_fd, "memory.high", "4194304");
	memset(at, 1, 48 * MIB);
	pause();
	return 0;
}

/*
 * The two copies share the host's swap: what the live one kills gives some back. A fifth of it is
 * what one of them has for itself.
 */
Test(examples, swap_exhausted)
{
	sc_need_file("/run/vm/command", "it takes all swap of the machine: only in a guest");
	need_memory_in("probe");
	add_swap();
	expect_fires(&(struct example){.id = "swap-exhausted",
				       .outcome = "emptied",
				       .changes = {{"host.mem_used > 90%", "host.mem_used > 1%"},
						   {"host.swap_used > 90%", "host.swap_used > 20%"},
						   {"hold: 1s", "hold: 0s"}},
				       .sicken = fill_swap});
}
