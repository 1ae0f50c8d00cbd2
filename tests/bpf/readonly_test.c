/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs of the BPF LSM deny, to whom, and that it is all given back. */
#include "readonly_ops.h"

#include "harness/harness.h"
#include "sys/bpf.h"
#include "sys/readonly_lsm.h"
#include "sys/try_write.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static struct sc_lsm *lsm;
static char pin_dir[SC_BPF_PIN_DIR_MAX];
static char reason[SC_LSM_REASON_MAX];
static char dir[SC_SANDBOX_PATH_MAX + 16];

#define WAIT_MS 60000

static int run(const char *const argv[])
{
	pid_t pid = sc_helper_exec(-1, argv, -1, 2);
	int status = 1;

	return pid > 0 && sc_wait_child(pid, &status, WAIT_MS) == 0 ? status : -1;
}

/* A file system that keeps what is written, whatever the sandbox is on. */
static void mount_disk(void)
{
	char image[SC_SANDBOX_PATH_MAX + 16];
	const char *const load[] = {"modprobe", "-a", "loop", "ext4", NULL};
	const char *const truncate[] = {"truncate", "-s", "16M", image, NULL};
	const char *const make[] = {"mkfs.ext4", "-qF", image, NULL};
	const char *const put[] = {"mount", "-o", "loop", image, dir, NULL};

	snprintf(image, sizeof(image), "%s/image", sc_box.tmp);
	cr_assert_eq(mkdir(dir, 0700), 0);
	(void)run(load); /* built in, elsewhere */
	cr_assert(!run(truncate) && !run(make) && !run(put), "no ext4 on a loop device");
}

static void init(void)
{
	sc_box_init();
	if (sc_lsm_probe(reason) < 0)
		cr_skip_test("no BPF LSM here: %s", reason);
	cr_assert_eq(sc_bpf_pin_dir(sc_box.tmp, pin_dir), 0);
	cr_assert_eq(sc_sandbox_remove_pins(&sc_box, sc_box.tmp), 0);
	cr_assert_eq(sc_lsm_open(&lsm, pin_dir), 0);
	snprintf(dir, sizeof(dir), "%s/store", sc_box.tmp);
	mount_disk();
}

static void fini(void)
{
	struct sc_lsm_wish nothing = {0};
	bool was_lost = false;

	if (lsm)
		(void)sc_lsm_set(lsm, &nothing, &was_lost, reason);
	sc_lsm_close(&lsm);
	(void)umount2(dir, MNT_DETACH);
	sc_box_fini();
}

TestSuite(readonly, .init = init, .fini = fini, .timeout = 600);

/* Depth of the cgroup NAME of the sandbox below the hierarchy's root. */
static uint32_t level_of(const char *name)
{
	uint32_t level = 1;

	for (const char *c = sc_box.cgroup; *c; c++)
		level += *c == '/';
	for (const char *c = name; *c; c++)
		level += *c == '/';
	return level;
}

static struct sc_lsm_mark mark(int cgroup_fd, const char *name, enum sc_readonly_mark kind)
{
	return (struct sc_lsm_mark){sc_cgroup_id(cgroup_fd), {kind, level_of(name)}};
}

static void set(const struct sc_lsm_mark *marks, size_t n)
{
	struct sc_lsm_wish wish = {.marks = marks, .n_marks = n};
	bool was_lost = false;

	cr_assert_eq(sc_lsm_set(lsm, &wish, &was_lost, reason), 0, "%s", reason);
	cr_expect_not(was_lost);
}

static void deny(int cgroup_fd, const char *name)
{
	struct sc_lsm_mark one = mark(cgroup_fd, name, SC_READONLY_DENY);

	set(&one, 1);
}

/* --- one process that tries everything --- */

struct trial {
	struct readonly_place place;
	const char *dir;
	int ready[2], go[2];
	int *answers; /* shared */
	pid_t pid;
};

static int try_all(void *arg)
{
	struct trial *t = arg;
	char word = 'r';

	if (readonly_hold(&t->place, t->dir) < 0 || write(t->ready[1], &word, 1) != 1 ||
	    read(t->go[0], &word, 1) != 1)
		return 1;
	for (size_t i = 0; i < readonly_ops_n; i++)
		t->answers[i] = readonly_ops[i].attempt(&t->place);
	return 0;
}

/* The process holds what it holds and waits. */
static void begin(struct trial *t, int cgroup_fd, const char *where)
{
	char word;

	cr_assert_eq(readonly_lay(where), 0);
	t->dir = where;
	t->answers = mmap(NULL, READONLY_OPS * sizeof(int), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(t->answers, MAP_FAILED);
	cr_assert_eq(pipe2(t->ready, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(t->go, O_CLOEXEC), 0);
	t->pid = sc_helper_call(cgroup_fd, try_all, t);
	cr_assert_gt(t->pid, 0);
	sc_close(&t->ready[1]);
	cr_assert_eq(read(t->ready[0], &word, 1), 1);
}

static void finish(struct trial *t)
{
	int status;

	cr_assert_eq(write(t->go[1], "g", 1), 1);
	cr_assert_eq(sc_wait_child(t->pid, &status, WAIT_MS), 0);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	sc_close(&t->ready[0]);
	sc_close(&t->go[0]);
	sc_close(&t->go[1]);
}

/* Undenied, denied, and undenied again; what a file system cannot do at all says nothing. */
static void expect_table(int cgroup_fd, const char *name, const char *where, bool is_store)
{
	struct trial before, now, after;

	begin(&before, cgroup_fd, where);
	finish(&before);
	begin(&now, cgroup_fd, where);
	deny(cgroup_fd, name);
	finish(&now);
	set(NULL, 0);
	begin(&after, cgroup_fd, where);
	finish(&after);
	for (size_t i = 0; i < readonly_ops_n; i++) {
		const struct readonly_op *op = &readonly_ops[i];
		int want = op->is_stopped && is_store ? EROFS : before.answers[i];

		cr_expect_neq(before.answers[i], EROFS, "%s before", op->what);
		cr_expect_eq(after.answers[i], before.answers[i], "%s after: %s", op->what,
			     strerror(after.answers[i]));
		if (before.answers[i] == 0)
			cr_expect_eq(now.answers[i], want, "%s: %s", op->what,
				     strerror(now.answers[i]));
	}
}

Test(readonly, every_way_to_change_a_file_is_refused)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	char where[SC_SANDBOX_PATH_MAX + 32];

	snprintf(where, sizeof(where), "%s/inside", dir);
	expect_table(web, "web", where, true);
}

/* As containers have it: their files are on layers. */
Test(readonly, every_way_to_change_a_file_of_a_layer_is_refused)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	static const char *const parts[] = {"lower", "upper", "work", "merged"};
	char options[4 * SC_SANDBOX_PATH_MAX], where[SC_SANDBOX_PATH_MAX + 32];

	for (size_t i = 0; i < SC_ARRAY_SIZE(parts); i++) {
		snprintf(where, sizeof(where), "%s/%s", dir, parts[i]);
		cr_assert_eq(mkdir(where, 0700), 0);
	}
	snprintf(options, sizeof(options), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work",
		 dir, dir, dir);
	cr_assert_eq(mount("overlay", where, "overlay", 0, options), 0, "%s", strerror(errno));
	snprintf(where, sizeof(where), "%s/merged/inside", dir);
	expect_table(web, "web", where, true);
	snprintf(where, sizeof(where), "%s/merged", dir);
	cr_expect_eq(umount2(where, MNT_DETACH), 0);
}

Test(readonly, what_keeps_nothing_stays_writable)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	char where[SC_SANDBOX_PATH_MAX + 32];

	cr_assert_eq(mount("scram-test", dir, "tmpfs", 0, NULL), 0); /* over the disk */
	snprintf(where, sizeof(where), "%s/inside", dir);
	expect_table(web, "web", where, false);
	cr_expect_eq(umount(dir), 0);
}

/* --- whom --- */

static int create(void *arg)
{
	char path[SC_SANDBOX_PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%d", (const char *)arg, (int)getpid());
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int create_in(int cgroup_fd, char *where)
{
	pid_t pid = sc_helper_call(cgroup_fd, create, where);
	int status;

	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_child(pid, &status, WAIT_MS), 0);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

Test(readonly, the_nearest_mark_decides)
{
	int web = sc_sandbox_mkdir(&sc_box, "web"), inner = sc_sandbox_mkdir(&sc_box, "web/in");
	int spared = sc_sandbox_mkdir(&sc_box, "web/log"), deep, later;
	int other = sc_sandbox_mkdir(&sc_box, "other");
	struct sc_lsm_mark marks[3];

	deep = sc_sandbox_mkdir(&sc_box, "web/log/deep");
	marks[0] = mark(spared, "web/log", SC_READONLY_EXEMPT);
	marks[1] = mark(web, "web", SC_READONLY_DENY);
	set(marks, 2);
	later = sc_sandbox_mkdir(&sc_box, "web/later");
	cr_expect_eq(create_in(web, dir), EROFS);
	cr_expect_eq(create_in(inner, dir), EROFS);
	cr_expect_eq(create_in(later, dir), EROFS, "made while it was denied");
	cr_expect_eq(create_in(spared, dir), 0);
	cr_expect_eq(create_in(deep, dir), 0);
	cr_expect_eq(create_in(other, dir), 0);
	cr_expect_eq(create(dir), 0);

	marks[1].entry.mark = SC_READONLY_DENY_BELOW;
	set(marks, 2);
	cr_expect_eq(create_in(web, dir), 0, "below it alone");
	cr_expect_eq(create_in(inner, dir), EROFS);
	set(&marks[0], 1);
	cr_expect_eq(create_in(inner, dir), 0, "its mark was taken back");
}

/* A reload may protect others than before, and the map has no room for both. */
Test(readonly, marks_are_all_replaced_by_others)
{
	static struct sc_lsm_mark marks[SC_READONLY_MARKS_MAX];
	int web = sc_sandbox_mkdir(&sc_box, "web"), other = sc_sandbox_mkdir(&sc_box, "other");
	uint32_t level = mark(web, "web", SC_READONLY_DENY).entry.level;

	for (uint64_t i = 1; i < SC_READONLY_MARKS_MAX; i++)
		marks[i] = (struct sc_lsm_mark){UINT64_MAX - i, {SC_READONLY_EXEMPT, level}};
	marks[0] = mark(web, "web", SC_READONLY_DENY);
	set(marks, SC_READONLY_MARKS_MAX);
	cr_expect_eq(create_in(web, dir), EROFS);
	for (uint64_t i = 1; i < SC_READONLY_MARKS_MAX; i++)
		marks[i].cgroup_id -= SC_READONLY_MARKS_MAX;
	marks[0] = mark(other, "other", SC_READONLY_DENY);
	set(marks, SC_READONLY_MARKS_MAX);
	cr_expect_eq(create_in(web, dir), 0);
	cr_expect_eq(create_in(other, dir), EROFS);
}

Test(readonly, a_declared_place_stays_writable)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_lsm_mark one = mark(web, "web", SC_READONLY_DENY);
	char logs[SC_SANDBOX_PATH_MAX + 32], below[SC_SANDBOX_PATH_MAX + 64];
	struct sc_readonly_place place;
	struct sc_lsm_wish wish = {.marks = &one, .n_marks = 1, .places = &place, .n_places = 1};
	bool was_lost = false;

	snprintf(logs, sizeof(logs), "%s/logs", dir);
	snprintf(below, sizeof(below), "%s/web", logs);
	cr_assert_eq(mkdir(logs, 0700), 0);
	cr_assert_eq(mkdir(below, 0700), 0);
	cr_assert_eq(sc_lsm_place(logs, &place), 0);
	cr_assert_eq(sc_lsm_set(lsm, &wish, &was_lost, reason), 0, "%s", reason);
	cr_expect_eq(create_in(web, logs), 0);
	cr_expect_eq(create_in(web, below), 0);
	cr_expect_eq(create_in(web, dir), EROFS);
}

static int open_disk(void *arg)
{
	int fd = open(arg, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? errno : 0;
}

Test(readonly, a_disk_is_refused_although_its_node_is_a_device)
{
	int web = sc_sandbox_mkdir(&sc_box, "web"), status;
	char node[] = "/dev/scram-test-disk";
	pid_t pid;

	/* A ram disk or a loop device; where there is neither, ENXIO comes before the question. */
	(void)run((const char *const[]){"modprobe", "loop", NULL});
	unlink(node);
	cr_assert_eq(mknod(node, S_IFBLK | 0600, makedev(7, 0)), 0);
	deny(web, "web");
	pid = sc_helper_call(web, open_disk, node);
	cr_assert_eq(sc_wait_child(pid, &status, WAIT_MS), 0);
	unlink(node);
	cr_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == ENXIO)
		cr_skip_test("no block device here");
	cr_expect_eq(WEXITSTATUS(status), EROFS);
}

/* --- how long --- */

Test(readonly, outlives_its_agent_and_is_taken_over)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_lsm_mark one = mark(web, "web", SC_READONLY_DENY);

	cr_expect_not(sc_lsm_stands(lsm));
	deny(web, "web");
	sc_lsm_close(&lsm);
	cr_expect_eq(create_in(web, dir), EROFS, "nobody runs");
	cr_assert_eq(sc_lsm_open(&lsm, pin_dir), 0);
	cr_expect(sc_lsm_stands(lsm));
	set(&one, 1);
	cr_expect_eq(create_in(web, dir), EROFS);
	sc_lsm_close(&lsm);
	cr_assert_eq(sc_lsm_open(&lsm, pin_dir), 0);
	set(NULL, 0);
	cr_expect_eq(create_in(web, dir), 0);
	cr_expect_not(sc_lsm_stands(lsm));
}

Test(readonly, what_a_stranger_unpins_is_put_back)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_lsm_mark one = mark(web, "web", SC_READONLY_DENY);
	struct sc_lsm_wish wish = {.marks = &one, .n_marks = 1};
	char link[SC_BPF_PIN_DIR_MAX + 64];
	bool was_lost = false;

	deny(web, "web");
	snprintf(link, sizeof(link), "%.*s/readonly%d/link_inode_create",
		 (int)(strrchr(pin_dir, '/') - pin_dir), pin_dir, SC_READONLY_SCHEMA);
	cr_assert_eq(unlink(link), 0);
	cr_assert_eq(sc_lsm_set(lsm, &wish, &was_lost, reason), 0, "%s", reason);
	cr_expect(was_lost);
	cr_expect_eq(access(link, F_OK), 0);
	cr_expect_eq(create_in(web, dir), EROFS);
}

Test(readonly, programs_that_hear_nothing_any_more_are_replaced)
{
	int web = sc_sandbox_mkdir(&sc_box, "web"), other = sc_sandbox_mkdir(&sc_box, "other");
	char map[SC_BPF_PIN_DIR_MAX + 64];

	deny(web, "web");
	sc_lsm_close(&lsm);
	snprintf(map, sizeof(map), "%.*s/readonly%d/ro_marks",
		 (int)(strrchr(pin_dir, '/') - pin_dir), pin_dir, SC_READONLY_SCHEMA);
	cr_assert_eq(unlink(map), 0);
	cr_assert_eq(sc_lsm_open(&lsm, pin_dir), 0);
	deny(other, "other");
	cr_expect_eq(create_in(other, dir), EROFS);
	cr_expect_eq(create_in(web, dir), 0);
}

Test(readonly, counts_what_it_denied)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_readonly_state state;

	cr_expect_not(sc_lsm_state(lsm, &state));
	deny(web, "web");
	cr_expect_eq(create_in(web, dir), EROFS);
	cr_assert(sc_lsm_state(lsm, &state));
	cr_expect_eq(state.denied[SC_READONLY_OP_CREATE], 1);
	cr_expect_eq(state.denied[SC_READONLY_OP_REMOVE], 0);
}

Test(readonly, one_of_ours_that_is_born_there_finds_out)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	const char *const dirs[] = {dir};

	cr_expect_eq(sc_try_write(web, dirs, 1), 0);
	deny(web, "web");
	cr_expect_eq(sc_try_write(web, dirs, 1), 1);
	cr_expect_eq(sc_try_write(web, NULL, 0), -ENOENT);
}

/* --- what people are told --- */

/* No LSM is needed for this one. */
Test(readonly_page, shows_what_is_stopped)
{
	_cleanup_fclose_ FILE *page = fopen("docs/readonly.md", "re");
	_cleanup_free_ char *text = NULL;
	char row[256];
	size_t cap = 0;

	cr_assert(page, "run it in the checkout");
	cr_assert_gt(getdelim(&text, &cap, '\0', page), 0);
	for (size_t i = 0; i < readonly_ops_n; i++) {
		snprintf(row, sizeof(row), "\n| %s | %s | %s |\n", readonly_ops[i].what,
			 readonly_ops[i].is_held ? "what was open before" : "a path",
			 readonly_ops[i].is_stopped ? "EROFS" : "passes");
		cr_expect(strstr(text, row), "docs/readonly.md lacks%s", row);
	}
}
