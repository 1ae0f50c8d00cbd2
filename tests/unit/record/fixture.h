/* SPDX-License-Identifier: Apache-2.0 */
/* A journal in a directory of its own, and hands to spoil it with. */
#pragma once

#include "base/clock.h"
#include "base/mem.h"

#include <scram/journal.h>

#include <stdbool.h>
#include <stdint.h>

#define BOOT_A "11111111-1111-4111-8111-111111111111"
#define BOOT_B "22222222-2222-4222-8222-222222222222"

struct place {
	char dir[64];
};

struct place place_new(void);
void place_done(struct place *place);
#define _cleanup_place_ _cleanup_(place_done)

/* Opens with small segments in boot A; asserts that it works. */
struct sc_journal *journal_at(const char *dir);
struct sc_journal *journal_with(const struct sc_journal_options *options);
void append(struct sc_journal *j, const char *body);

/* The verdict of verify in boot A, or in the boot given. */
enum sc_verify_verdict verdict_at(const char *dir);
enum sc_verify_verdict verdict_in(const char *dir, const char *boot_id,
				  struct sc_verify_report *report);

/* A file of the state directory, whole. */
struct file {
	char *data;
	size_t n;
};
struct file file_read(const char *dir, const char *name);
void file_write(const char *dir, const char *name, const struct file *file);
void file_done(struct file *file);
#define _cleanup_file_ _cleanup_(file_done)

/* Bytes up to the NUL room. */
size_t file_used(const struct file *file);
/* Start of line number n (from 0), or the end of the last one. */
size_t file_line(const struct file *file, unsigned int n);
/* Writes a small journal: 1 header, 2 and 3 facts, 4 seal, 5 fact. */
void write_small(const char *dir);
void place_path(char path[static 256], const char *dir, const char *name);
/* Copies the whole directory. */
void place_copy(const char *from, const char *to);

struct sc_time time_at(int64_t seconds);
#define SEGMENT_1 "journal/00000001.jsonl"
#define SEGMENT_2 "journal/00000002.jsonl"
#define SEGMENT_3 "journal/00000003.jsonl"
