/* SPDX-License-Identifier: Apache-2.0 */
#include "record/statefile.h"

#include "base/io.h"

void sc_statefile_touch(struct sc_statefile *file, uint64_t now_ns)
{
	file->touches++;
	if (file->changed_ns == 0)
		file->changed_ns = now_ns ? now_ns : 1;
}

bool sc_statefile_is_due(const struct sc_statefile *file, uint64_t now_ns)
{
	if (file->changed_ns == 0)
		return false;
	return file->written_ns == 0 || now_ns >= file->written_ns + SC_STATEFILE_DEBOUNCE_NS;
}

void sc_statefile_written(struct sc_statefile *file, uint64_t now_ns)
{
	file->changed_ns = 0;
	file->written_ns = now_ns;
}

int sc_statefile_write(int run_dir_fd, const char *json, size_t n)
{
	return sc_write_file_atomic(run_dir_fd, SC_STATEFILE_NAME, json, n, 0600);
}

ssize_t sc_statefile_read(int run_dir_fd, char *buf, size_t size)
{
	return sc_read_file_at(run_dir_fd, SC_STATEFILE_NAME, buf, size);
}
