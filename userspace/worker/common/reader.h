/* SPDX-License-Identifier: Apache-2.0 */
/* The journal read in order, through descriptors of its segments that the core hands out. */
#pragma once

#include "record/line.h"

#include <stdbool.h>

#define SC_READER_BYTES (8 * SC_RECORD_BYTES_MAX)

/* Opens segment `number` for reading: a descriptor, -ENOENT when there is none, another -errno. It
 * sets `first` of the reader where it learns of it: who needs the room may take old ones away. */
typedef int sc_reader_open_fn(void *arg, uint64_t number);

struct sc_reader {
	sc_reader_open_fn *open;
	void *arg;
	uint64_t first;   /* the oldest segment there is, when `open` has told; 0 = number 1 */
	uint64_t segment; /* being read; 0 = none */
	int fd;
	uint64_t offset;                   /* of the next line */
	char host_id[SC_HOST_ID_TEXT_MAX]; /* from the last header read; empty = none yet */
	uint64_t damaged;                  /* lines passed over, since init */
	struct sc_line line;               /* the last one; valid until the next call */
	size_t begin, end;                 /* of buf: read and not consumed */
	char *buf;
};

/* 0 or -ENOMEM. */
int sc_reader_init(struct sc_reader *r, sc_reader_open_fn *open, void *arg);
void sc_reader_done(struct sc_reader *r);

/*
 * Goes to the record `seq`, so that sc_reader_next gives it or, where it is not readable, the first
 * one after it. Returns 0, -ENOENT when the journal has no segment, or another -errno.
 */
int sc_reader_seek(struct sc_reader *r, uint64_t seq);

/*
 * The next record, into r->line: 1. 0 when nothing follows yet. Lines that are not whole are passed
 * over when another one follows, and counted in r->damaged: the numbers then have a gap. -errno
 * when a segment cannot be read.
 */
int sc_reader_next(struct sc_reader *r);
