/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe/prober.h"

#include "base/io.h"
#include "base/json.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

int sc_secret_ask(struct sc_prober *p, const char *kind, const char *name, int *fd,
		  char why[static SC_SECRET_WHY_MAX])
{
	_cleanup_str_ struct sc_str request;
	const char *error;
	struct sc_json j;
	json_t *reply;

	sc_str_init_heap(&request);
	sc_json_init(&j, &request);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "op", "secret");
	sc_json_member_text(&j, kind, name);
	sc_json_object_end(&j);
	sc_strcopy(why, SC_SECRET_WHY_MAX, "out of memory");
	if (request.truncated)
		return -ENOMEM;
	reply = sc_prober_ask(p, request.data, request.len, fd);
	error = json_string_value(json_object_get(reply, "error"));
	sc_strcopy(why, SC_SECRET_WHY_MAX, error ? error : "no descriptor came");
	json_decref(reply);
	return *fd < 0 ? -ENOENT : 0;
}

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
