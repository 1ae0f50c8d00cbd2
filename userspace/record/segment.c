/* SPDX-License-Identifier: Apache-2.0 */
#include "record/segment.h"

#include "base/io.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#define SUFFIX     ".jsonl"
#define DIGITS     8 /* at least; a hundred million segments take nine */
#define DIGITS_MAX 18

void sc_segment_name(uint64_t number, char out[static SC_SEGMENT_NAME_MAX])
{
	snprintf(out, SC_SEGMENT_NAME_MAX, "%0*" PRIu64 SUFFIX, DIGITS, number);
}

/* The number in a segment's name, 0 for any other file. */
static uint64_t parse_name(const char *name)
{
	size_t n = strspn(name, "0123456789");
	uint64_t v = 0;

	if (n < DIGITS || n > DIGITS_MAX || strcmp(name + n, SUFFIX) != 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (uint64_t)(name[i] - '0');
	return v;
}

static void close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

int sc_segment_range(int dirfd, uint64_t *first, uint64_t *last)
{
	_cleanup_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(close_dir) DIR *dir = NULL;
	const struct dirent *e;
	uint64_t low = 0;
	uint64_t high = 0;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	(void)SC_TAKE_FD(fd);
	while ((errno = 0, e = readdir(dir))) {
		uint64_t number = parse_name(e->d_name);

		if (number == 0)
			continue;
		low = low ? SC_MIN(low, number) : number;
		high = SC_MAX(high, number);
	}
	if (errno)
		return -errno;
	*first = low;
	*last = high;
	return 0;
}

int sc_segment_open(int dirfd, uint64_t number, int flags)
{
	char name[SC_SEGMENT_NAME_MAX];
	int fd;

	sc_segment_name(number, name);
	fd = openat(dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int sc_segment_make(int dirfd, uint64_t number, uint64_t size, const struct sc_journal_os *os)
{
	char name[SC_SEGMENT_NAME_MAX];
	_cleanup_close_ int fd = -1;
	int r;

	sc_segment_name(number, name);
	fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = -os->fallocate(fd, (int64_t)size);
	if (r == 0 && (fsync(fd) < 0 || fsync(dirfd) < 0))
		r = -errno;
	if (r < 0) {
		unlinkat(dirfd, name, 0);
		return r;
	}
	return SC_TAKE_FD(fd);
}

int sc_segment_is_blank(int fd, uint64_t offset)
{
	char buf[16384];
	ssize_t n;

	while ((n = pread(fd, buf, sizeof(buf), (off_t)offset)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (buf[0] != '\0' || memcmp(buf, buf + 1, (size_t)n - 1) != 0)
			return 0;
		offset += (uint64_t)n;
	}
	return 1;
}

void sc_head_format(const struct sc_head *head, char out[static SC_HEAD_BYTES + 1])
{
	struct sc_str s;

	sc_str_init(&s, out, SC_HEAD_BYTES + 1);
	sc_str_addf(&s,
		    "{\"seq\":%" PRIu64 ",\"hash\":\"%s\",\"segment\":%" PRIu64
		    ",\"durable_seq\":%" PRIu64 ",\"durable_segment\":%" PRIu64 ",\"boot\":\"%s\"}",
		    head->seq, head->hash, head->segment, head->durable_seq, head->durable_segment,
		    head->boot_id);
	SC_ASSERT(!s.truncated && s.len < SC_HEAD_BYTES);
	memset(out + s.len, ' ', SC_HEAD_BYTES - 1 - s.len);
	memcpy(out + SC_HEAD_BYTES - 1, "\n", 2);
}

int sc_head_read(int state_fd, struct sc_head *head)
{
	char text[SC_HEAD_BYTES + 2];
	json_int_t seq, segment, durable_seq, durable_segment;
	const char *hash, *boot;
	ssize_t n = sc_read_file_at(state_fd, "head", text, sizeof(text));
	json_t *root;
	int r = -EBADMSG;

	if (n < 0)
		return n == -EFBIG ? -EBADMSG : (int)n;
	root = n == SC_HEAD_BYTES ? json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL)
				  : NULL;
	if (root &&
	    json_unpack(root, "{s:I,s:s,s:I,s:I,s:I,s:s!}", "seq", &seq, "hash", &hash, "segment",
			&segment, "durable_seq", &durable_seq, "durable_segment", &durable_segment,
			"boot", &boot) == 0 &&
	    seq >= 0 && segment >= 0 && durable_seq >= 0 && durable_segment >= 0 &&
	    strlen(hash) == SC_HASH_TEXT_MAX - 1 &&
	    strspn(hash, "0123456789abcdef") == SC_HASH_TEXT_MAX - 1 &&
	    strlen(boot) < sizeof(head->boot_id)) {
		*head = (struct sc_head){
			.seq = (uint64_t)seq,
			.segment = (uint64_t)segment,
			.durable_seq = (uint64_t)durable_seq,
			.durable_segment = (uint64_t)durable_segment,
		};
		sc_strcopy(head->hash, sizeof(head->hash), hash);
		sc_strcopy(head->boot_id, sizeof(head->boot_id), boot);
		r = 0;
	}
	json_decref(root);
	return r;
}

static long real_pwrite(int fd, const void *data, size_t n, int64_t offset)
{
	return pwrite(fd, data, n, offset);
}

static int real_fallocate(int fd, int64_t size)
{
	return posix_fallocate(fd, 0, size);
}

const struct sc_journal_os sc_journal_os_real = {
	.pwrite = real_pwrite,
	.fdatasync = fdatasync,
	.fallocate = real_fallocate,
};
