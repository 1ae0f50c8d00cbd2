/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * The journal: the append-only, hash-chained file that is the truth. Everything else (registry,
 * fire list, state file, store) is a projection of it.
 *
 * <state-dir>/journal/NNNNNNNN.jsonl holds one record per line:
 *   {"seq":N,"time":"RFC 3339","boot":"<boot
 * id>","kind":"...","body":{...},"prev":"<hex>","hash":"<hex>"} hash is the SHA-256 of the line's
 * bytes as stored, from `{` up to and including the quote that ends prev; prev is the hash of the
 * record before, 64 zeros for the first. Segments are allocated beforehand; room not used yet is
 * NUL. The first record of a segment has kind `segment`. <state-dir>/head names the last record: it
 * may lag behind the segments, it never leads while the machine is up.
 *
 * Threads. The loop thread owns the journal: every function here is for it alone, but
 * sc_journal_sync and sc_journal_durable_seq (sync thread) and sc_journal_stats (any thread). They
 * share atomics and bounded queues; no lock is taken, nothing is allocated and no disk is waited
 * for on the append path.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sc_diag;
struct sc_journal;
struct sc_str;
struct sc_time;

#define SC_RECORD_BYTES_MAX 16384                       /* one line, the newline included */
#define SC_RECORD_BODY_MAX  (SC_RECORD_BYTES_MAX - 512) /* the body alone */
#define SC_HASH_TEXT_MAX    65
#define SC_KEY_ID_TEXT_MAX  17
#define SC_HOST_ID_TEXT_MAX 37

#define SC_SEGMENT_BYTES_DEFAULT (1024 * 1024)
#define SC_SEGMENT_BYTES_MIN     (8 * SC_RECORD_BYTES_MAX)
#define SC_HELD_BYTES_DEFAULT    (1024 * 1024) /* records kept in memory while the disk refuses */
#define SC_RESERVE_DEFAULT       16 /* fires that must still fit for a person's fire to be taken */

/* Symbol, name. `segment`, `snapshot`, `seal` and `journal.*` are written by the journal itself. */
#define SC_RECORD_KINDS(X)                                                                        \
	X(SEGMENT, "segment")                                                                     \
	X(SNAPSHOT, "snapshot")                                                                   \
	X(SEAL, "seal")                                                                           \
	X(JOURNAL_TORN, "journal.torn") /* a crash cut the last record; body says how much */     \
	X(JOURNAL_DAMAGED, "journal.damaged") /* the chain was broken at the last start */        \
	X(JOURNAL_SUSPECT, "journal.suspect") /* a sync failed: that segment may be incomplete */ \
	X(JOURNAL_LOST, "journal.lost")       /* records that found no room even in memory */     \
	X(AGENT_STARTED, "agent.started")                                                         \
	X(AGENT_STOPPED, "agent.stopped")                                                         \
	X(CONFIG_LOADED, "config.loaded")                                                         \
	X(CONDITION_REGISTERED, "condition.registered")                                           \
	X(CONDITION_DELETED, "condition.deleted")                                                 \
	X(CONDITION_PROMOTED, "condition.promoted")                                               \
	X(CONDITION_DEMOTED, "condition.demoted")                                                 \
	X(CONDITION_LISTED, "condition.listed") /* a part of what the files define */             \
	X(PREDICATE_ERROR, "predicate.error")                                                     \
	X(FIRE_INTENT, "fire.intent")                                                             \
	X(FIRE_VETOED, "fire.vetoed")                                                             \
	X(FIRE_PENDING, "fire.pending")                                                           \
	X(FIRE_APPROVED, "fire.approved")                                                         \
	X(FIRE_REJECTED, "fire.rejected")                                                         \
	X(FIRE_TIMED_OUT, "fire.timed-out")                                                       \
	X(FIRE_DRY_RUN, "fire.dry-run")                                                           \
	X(FIRE_DISPATCHED, "fire.dispatched")                                                     \
	X(FIRE_VERIFIED, "fire.verified")                                                         \
	X(FIRE_FAILED, "fire.failed")                                                             \
	X(FIRE_REKILLED, "fire.rekilled")                                                         \
	X(FIRE_RELEASED, "fire.released")                                                         \
	X(BREAKER_TRANSITION, "breaker.transition")                                               \
	X(SESSION_BLOCKER, "session-blocker")                                                     \
	X(COMPONENT_EVENT, "component.event")                                                     \
	X(CANARY_TRANSITION, "canary.transition")                                                 \
	X(DRAIN, "drain")                                                                         \
	X(DISARM, "disarm")                                                                       \
	X(ARM, "arm")                                                                             \
	X(NOTIFY_SINK, "notify.sink")         /* from now on it is told, or no longer */          \
	X(NOTIFY_OUTCOME, "notify.outcome")   /* it was told of a record, or could not be */      \
	X(NOTIFY_TEST, "notify.test")         /* somebody wants to see who is told */             \
	X(REQUEST_REFUSED, "request.refused") /* somebody had no right to it; counted */          \
	X(FACT, "fact") /* anything else that must be kept: a limit reached, a reconciliation */

enum sc_record_kind {
#define SC_RECORD_ENUM(symbol, name) SC_RECORD_##symbol,
	SC_RECORD_KINDS(SC_RECORD_ENUM)
#undef SC_RECORD_ENUM
		SC_RECORD_KIND_COUNT
};

const char *sc_record_kind_name(enum sc_record_kind kind);
/* The kind of that name, or -ENOENT. */
int sc_record_kind_find(const char *name);

/* --- writing: the loop thread --- */

/* The system calls that a test makes fail. NULL in the options: the real ones. Return as the calls
 * do. */
struct sc_journal_os {
	long (*pwrite)(int fd, const void *data, size_t n, int64_t offset);
	int (*fdatasync)(int fd);
	int (*fallocate)(int fd, int64_t size); /* 0 or an errno value, as posix_fallocate(3) */
};

struct sc_journal_options {
	const char *state_dir;
	const char *boot_id;          /* NULL: the kernel's */
	uint64_t segment_bytes;       /* 0: SC_SEGMENT_BYTES_DEFAULT */
	uint64_t held_bytes;          /* 0: SC_HELD_BYTES_DEFAULT */
	unsigned int reserve_records; /* 0: SC_RESERVE_DEFAULT */
	const struct sc_journal_os *os;
};

/*
 * Opens the journal of state_dir for writing, making what is missing (directories 0700, host-id,
 * seal.key 0600, seal.pub, head, the first segment). The chain is checked from the last durable
 * record on; a tail torn by a crash is cut, kept aside as journal/torn-<seq>, and recorded; a chain
 * broken otherwise is left as it is, recorded, and continued in a new segment, so that the agent
 * can start and verify still shows the damage. May block on the disk. The time is a label of the
 * records it writes. Returns 0 with *out owned by the caller, -EBUSY when another process has it
 * open, or another -errno with *diag filled and *out untouched.
 */
int sc_journal_open(const struct sc_journal_options *options, const struct sc_time *now,
		    struct sc_journal **out, struct sc_diag *diag);

/* Gives everything back and sets *journal to NULL; NULL is fine. No other thread may use it any
 * more. */
void sc_journal_close(struct sc_journal **journal);

/*
 * Fills body with part number `part` (from 0) of the whole state as one JSON object, at most
 * SC_RECORD_BODY_MAX bytes; returns false when there is no such part. Runs inside an append.
 */
typedef bool sc_snapshot_fn(void *arg, unsigned int part, struct sc_str *body);
/* From now on each new segment begins with the snapshot, so that a replay is bounded. NULL: none.
 */
void sc_journal_set_snapshot(struct sc_journal *journal, sc_snapshot_fn *snapshot, void *arg);

/*
 * Appends one record. body is one valid JSON object without newline. Returns 0 when it is in the
 * page cache and *seq (may be NULL) is its number; 1 when the disk refused and it is kept in
 * memory, *seq then 0; -ENOBUFS when that room is full too: the record is lost and counted; -E2BIG
 * for a longer body, nothing recorded.
 */
int sc_journal_append(struct sc_journal *journal, const struct sc_time *now,
		      enum sc_record_kind kind, const char *body, uint64_t *seq);

/* Tries to write what is kept in memory; for every tick. Returns how many records are still kept.
 */
unsigned int sc_journal_flush(struct sc_journal *journal);

/*
 * Appends a seal over the last record and, where copy is not NULL, adds the seal's body to it, for
 * sinks the host cannot rewrite. Send it there once its seq is durable: a witness of a record that
 * a power cut took away looks like a rollback. Returns 0, also when the last record is a seal and
 * there is nothing to do; -EAGAIN while records are kept in memory; or another -errno. A seal is
 * never kept: it would speak of the wrong record.
 */
int sc_journal_seal(struct sc_journal *journal, const struct sc_time *now, struct sc_str *copy);

/* False when a fire by a person must be refused: records are kept in memory, or the reserve is used
 * up. */
bool sc_journal_can_record(const struct sc_journal *journal);

/* --- the sync thread --- */

/*
 * Makes what was appended durable (fdatasync of each segment written), advances the durable seq,
 * and prepares the next segment. A failed sync is final for that segment: it is counted and marked
 * suspect, never tried again, and the loop goes on in a new one. Blocks on the disk. Returns 0 or
 * the first -errno, which the caller logs.
 */
int sc_journal_sync(struct sc_journal *journal);
/* The last record known to be on disk; records of a suspect segment are passed over. Any thread. */
uint64_t sc_journal_durable_seq(const struct sc_journal *journal);

/* --- any thread --- */

struct sc_journal_stats {
	uint64_t seq;         /* last record in the page cache */
	uint64_t durable_seq; /* last record on disk */
	uint64_t sealed_seq;  /* last record that a seal covers */
	uint64_t appended;    /* since open, the journal's own records included */
	uint64_t held;        /* kept in memory now */
	uint64_t lost;        /* since open */
	uint64_t write_errors;
	uint64_t sync_errors;
	uint64_t rotations;
	uint64_t segment;    /* number of the current one */
	uint64_t room_bytes; /* left in the current segment and the one prepared after it */
	bool broken; /* journal.broken: records are kept in memory, or the last sync failed */
};
void sc_journal_stats(const struct sc_journal *journal, struct sc_journal_stats *out);

/* The journal's own identity: random host id, boot id, id of the sealing key. Constant after open.
 */
const char *sc_journal_host_id(const struct sc_journal *journal);
const char *sc_journal_boot_id(const struct sc_journal *journal);
const char *sc_journal_key_id(const struct sc_journal *journal);

/* --- reading: any process, works with the agent alive or dead --- */

/* One record as read back; valid during the call only. */
struct sc_record {
	uint64_t seq;
	enum sc_record_kind kind; /* SC_RECORD_KIND_COUNT for a kind this version does not know */
	char time[32];
	char boot_id[37];
	const char *body; /* body_len bytes of JSON, not terminated */
	size_t body_len;
	const char *line; /* the record as stored, without newline, line_len bytes */
	size_t line_len;
};
/* Returns 0 to go on; anything else ends the replay and is its result. */
typedef int sc_record_fn(void *arg, const struct sc_record *record);

/*
 * Calls fn for the records in order, from the newest segment that begins with a whole snapshot and
 * has at least `segments` segments after it (0: as few as possible; UINT32_MAX: from the first
 * record on). Ends without error at a torn tail. Where the chain is broken otherwise it goes on at
 * the next segment. Returns 0, fn's result, -EBADMSG at the end when the chain was broken
 * somewhere, or another -errno.
 */
int sc_journal_replay(const char *state_dir, uint32_t segments, sc_record_fn *fn, void *arg);

/* Values are ordered by how the verdict is chosen: see sc_journal_verify. */
enum sc_verify_verdict {
	SC_VERDICT_OK,
	SC_VERDICT_TORN,        /* a crash cut the tail: normal */
	SC_VERDICT_CORRUPT,     /* bytes were changed, or a seal's signature is false */
	SC_VERDICT_MISSING,     /* a record, a segment or the head file is not there */
	SC_VERDICT_FORK,        /* two histories: one seq with two hashes */
	SC_VERDICT_ROLLBACK,    /* a witness has seen a later record than the log has */
	SC_VERDICT_UNSIGNED,    /* no valid seal */
	SC_VERDICT_UNKNOWN_KEY, /* sealed by another key */
	SC_VERDICT_COUNT
};
const char *sc_verdict_name(enum sc_verify_verdict verdict);
/* 0, 20 .. 26 in the order of the enum. */
int sc_verdict_exit_status(enum sc_verify_verdict verdict);

struct sc_verify_options {
	const char *public_key;   /* path of the trusted seal.pub; NULL: the one in state_dir */
	const char *boot_id;      /* of this machine now; NULL: the kernel's */
	uint64_t witness_seq;     /* what a sink outside the host has seen; 0: none */
	const char *witness_hash; /* its hash in hex; NULL: only the number is compared */
};

struct sc_verify_report {
	enum sc_verify_verdict verdict;
	uint64_t records;
	uint64_t segments;
	uint64_t seals; /* valid ones */
	uint64_t last_seq;
	uint64_t last_sealed_seq;
	char last_hash[SC_HASH_TEXT_MAX];
	char first_time[32];
	char last_time[32];
	char last_seal_time[32];
	/* The place of the fault: 0 = none. Line from 1; byte is the offset in the segment file. */
	uint64_t fault_segment;
	uint64_t fault_line;
	uint64_t fault_byte;
	uint64_t fault_seq; /* the record that was expected there */
	char text[256];     /* the finding in words, printable */
};

/*
 * Checks the journal of state_dir, offline or beside a running agent, in bounded memory. The
 * verdict is the first of: the first fault in the chain (corrupt, missing, fork; nothing after it
 * is believed), fork or rollback against the witness and the head file, corrupt or missing head
 * file, unknown key, unsigned, torn, ok. Torn is: the last line is incomplete and only NUL follows;
 * or, when the head file is of another boot than boot_id, anything wrong after the last durable
 * record (a power cut may tear any page not yet synced). Records after the last seal are ok.
 * Returns 0 with *report filled, or -errno when it cannot be read.
 */
int sc_journal_verify(const char *state_dir, const struct sc_verify_options *options,
		      struct sc_verify_report *report);
