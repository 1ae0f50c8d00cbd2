/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/record/fixture.h"

#include "base/diag.h"
#include "base/io.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

struct place place_new(void)
{
	struct place p = {"/tmp/scram-record-XXXXXX"};

	cr_assert_not_null(mkdtemp(p.dir));
	return p;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void place_done(struct place *place)
{
	if (place->dir[0])
		nftw(place->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	place->dir[0] = '\0';
}

struct sc_time time_at(int64_t seconds)
{
	return (struct sc_time){
		.mono_ns = (uint64_t)seconds * SC_NS_PER_S,
		.boot_ns = (uint64_t)seconds * SC_NS_PER_S,
		.real_ns = (1700000000 + seconds) * (int64_t)SC_NS_PER_S,
	};
}

struct sc_journal *journal_with(const struct sc_journal_options *options)
{
	struct sc_journal_options o = *options;
	struct sc_time now = time_at(0);
	struct sc_journal *j = NULL;
	struct sc_diag diag = {0};
	int r;

	if (!o.boot_id)
		o.boot_id = BOOT_A;
	if (!o.segment_bytes)
		o.segment_bytes = SC_SEGMENT_BYTES_MIN;
	r = sc_journal_open(&o, &now, &j, &diag);
	cr_assert_eq(r, 0, "open: %s (%s)", diag.text, strerror(-r));
	return j;
}

struct sc_journal *journal_at(const char *dir)
{
	return journal_with(&(struct sc_journal_options){.state_dir = dir});
}

void append(struct sc_journal *j, const char *body)
{
	struct sc_time now = time_at(1);
	uint64_t seq = 0;

	cr_assert_eq(sc_journal_append(j, &now, SC_RECORD_FACT, body, &seq), 0);
	cr_assert_gt(seq, 0);
}

enum sc_verify_verdict verdict_in(const char *dir, const char *boot_id,
				  struct sc_verify_report *report)
{
	struct sc_verify_options o = {.boot_id = boot_id};
	struct sc_verify_report mine;
	int r = sc_journal_verify(dir, &o, report ? report : &mine);

	cr_assert_eq(r, 0, "verify: %s", strerror(-r));
	return report ? report->verdict : mine.verdict;
}

enum sc_verify_verdict verdict_at(const char *dir)
{
	return verdict_in(dir, BOOT_A, NULL);
}

struct file file_read(const char *dir, const char *name)
{
	char path[256];
	struct file f = {0};
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert(fd >= 0, "%s", path);
	cr_assert_eq(fstat(fd, &st), 0);
	f.n = (size_t)st.st_size;
	f.data = malloc(f.n + 1);
	cr_assert_eq(pread(fd, f.data, f.n, 0), (ssize_t)f.n);
	f.data[f.n] = '\0';
	close(fd);
	return f;
}

void file_write(const char *dir, const char *name, const struct file *file)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert(fd >= 0, "%s", path);
	cr_assert_eq(sc_write_all(fd, file->data, file->n), 0);
	close(fd);
}

void file_done(struct file *file)
{
	free(file->data);
	*file = (struct file){0};
}

size_t file_used(const struct file *file)
{
	size_t n = file->n;

	while (n > 0 && file->data[n - 1] == '\0')
		n--;
	return n;
}

static void copy_into(const char *from, const char *to, const char *name)
{
	_cleanup_file_ struct file f = file_read(from, name);

	file_write(to, name, &f);
}

void place_copy(const char *from, const char *to)
{
	static const char *const names[] = {"head", "host-id", "seal.key", "seal.pub"};
	char path[256];

	snprintf(path, sizeof(path), "%s/journal", to);
	cr_assert_eq(sc_mkdir_p(path, 0700), 0);
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++)
		copy_into(from, to, names[i]);
	for (unsigned int i = 1; i < 100; i++) {
		char name[64];

		snprintf(name, sizeof(name), "journal/%08u.jsonl", i);
		snprintf(path, sizeof(path), "%s/%s", from, name);
		if (access(path, F_OK) == 0)
			copy_into(from, to, name);
	}
}

size_t file_line(const struct file *f, unsigned int n)
{
	size_t at = 0;

	while (n-- > 0)
		at += strcspn(f->data + at, "\n") + 1;
	return at;
}

void write_small(const char *dir)
{
	struct sc_journal *j = journal_at(dir);
	struct sc_time now = time_at(2);

	append(j, "{\"n\":1}");
	append(j, "{\"n\":2}");
	cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
	append(j, "{\"n\":3}");
	sc_journal_close(&j);
}

void place_path(char path[static 256], const char *dir, const char *name)
{
	snprintf(path, 256, "%s/%s", dir, name);
}
