/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe/prober.h"

#include "base/io.h"

#include <errno.h>
#include <string.h>

ssize_t sc_secret_read(int fd, bool is_text, char *buf)
{
	ssize_t n = sc_read_fd(fd, buf, SC_SECRET_MAX + 1);

	if (n < 0)
		return n;
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	if (n > 0 && is_text && buf[n - 1] == '\r')
		n--;
	buf[n] = '\0';
	if (n == 0)
		return -ENODATA;
	return is_text && !sc_http_is_header_value(buf, (size_t)n) ? -EINVAL : n;
}
