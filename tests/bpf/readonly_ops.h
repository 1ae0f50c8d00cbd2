/* SPDX-License-Identifier: Apache-2.0 */
/* Every way to change a file that the tests of read-only try, as one table; docs/readonly.md shows
 * it, and a test compares both. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define READONLY_OPS 40

/* What a process tries on: a directory, and what it held open in it before. */
struct readonly_place {
	const char *dir;
	int fd;        /* a file, for reading and writing */
	int append_fd; /* another, for appending */
	char *rw_map;  /* the first, mapped shared and writable */
	char *ro_map;  /* the same, mapped shared, for reading */
};

struct readonly_op {
	const char *what;
	bool is_held; /* through what was open before */
	bool is_stopped;
	int (*attempt)(const struct readonly_place *p); /* 0 or an errno */
};

extern const struct readonly_op readonly_ops[];
extern const size_t readonly_ops_n;

/* (Re)makes in the directory what the operations need; 0 or -errno. */
int readonly_lay(const char *dir);
/* Opens what is held; 0 or -errno. */
int readonly_hold(struct readonly_place *p, const char *dir);
