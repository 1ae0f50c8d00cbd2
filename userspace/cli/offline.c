/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/offline.h"

#include "cli/ask.h"

#include <scram/fire.h>
#include <scram/journal.h>

#include "base/clock.h"
#include "base/json.h"
#include "record/fold.h"
#include "sys/cgroup.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* A thaw is done when cgroup.events says so; it takes well under a millisecond, unless an ancestor
 * is frozen. */
#define THAW_TIMEOUT_NS (2 * SC_NS_PER_S)
#define FIRE_PREFIX_MIN 8

struct offline {
	const struct sc_args *args;
	const char *what;
	struct sc_journal *journal;
	struct sc_fold *fold;
	struct sc_cgroup_fs fs;
	unsigned int released;
	int status;
};

/* Waits until the cgroup reads frozen 0: 0, -ETIMEDOUT, or -ENODEV when it is gone. */
static int wait_thawed(int dirfd)
{
	_cleanup_close_ int fd = sc_cgroup_open_file(dirfd, "cgroup.events", false);
	uint64_t deadline = sc_mono_ns() + THAW_TIMEOUT_NS;

	if (fd < 0)
		return fd;
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLPRI};
		struct sc_cgroup_events events;
		uint64_t now = sc_mono_ns();
		int r = sc_cgroup_events_read(fd, &events);

		if (r < 0 || !events.frozen)
			return r;
		if (now >= deadline)
			return -ETIMEDOUT;
		/* A change between the read and the poll is seen by the poll (kernfs counts
		 * events). */
		if (poll(&p, 1, (int)((deadline - now) / SC_NS_PER_MS) + 1) < 0 && errno != EINTR)
			return -errno;
	}
}

/* Undoes what the fire holds in force on its cgroup; one that is gone is a success. */
static int thaw(const struct offline *o, const struct sc_fire *fire)
{
	_cleanup_close_ int dirfd = -1;
	_cleanup_close_ int fd = -1;
	int r;

	/* Of another boot: the cgroup went with it, and its id may be another's now. */
	if (strcmp(fire->boot_id, sc_journal_boot_id(o->journal)) != 0)
		return 0;
	dirfd = sc_cgroup_open(&o->fs, fire->cgroup_id);
	if (dirfd == -ESTALE)
		return 0;
	if (dirfd < 0)
		return dirfd;
	fd = sc_cgroup_open_file(dirfd, "cgroup.freeze", true);
	r = fd < 0 ? fd : sc_cgroup_flag_write(fd, false);
	if (r == 0)
		r = wait_thawed(dirfd);
	return r == -ENODEV || r == -ENOENT ? 0 : r;
}

/* Appends fire.released, so that the next start takes nothing up again. */
static int record_release(struct offline *o, struct sc_fire *fire)
{
	struct sc_time now = sc_time_now();
	_cleanup_str_ struct sc_str body = {0};
	struct sc_json json;
	int r;

	fire->state = SC_FIRE_RELEASED;
	fire->released_at_ns = now.real_ns;
	if (fire->action == SC_ACTION_FREEZE)
		fire->outcome = SC_OUTCOME_THAWED;
	sc_strcopy(fire->released_by, sizeof(fire->released_by), sc_args_operator(o->args));
	sc_str_init_heap(&body);
	sc_json_init(&json, &body);
	sc_fire_json(&json, fire, SC_FIRE_NO_EVIDENCE);
	if (body.truncated)
		return -ENOMEM;
	r = sc_journal_append(o->journal, &now, SC_RECORD_FIRE_RELEASED, body.data, NULL);
	if (r != 0)
		return r < 0 ? r : -EIO;
	sc_fold_fire(o->fold, fire);
	return 0;
}

static void release_one(struct offline *o, struct sc_fire *fire)
{
	int r = fire->action == SC_ACTION_FREEZE ? thaw(o, fire) : 0;

	if (r < 0) {
		o->status = sc_complain(
			o->args, SC_EXIT_UNCONFIRMED, "%s (fire %s): %s", fire->target, fire->id,
			r == -ETIMEDOUT ? "thawed, but it still reads frozen; is an "
					  "ancestor frozen?"
					: strerror(-r));
		return;
	}
	o->released++;
	r = record_release(o, fire);
	if (r < 0)
		o->status = sc_complain(o->args, SC_EXIT_FAILED,
					"%s is released, but the journal could not be written: %s",
					fire->target, strerror(-r));
}

/* In force, or begun by an agent that died before it could tell. */
static bool is_in_force(const struct sc_fire *fire)
{
	return sc_fire_is_standing(fire) ||
	       (fire->action == SC_ACTION_FREEZE &&
		(fire->state == SC_FIRE_INTENT || fire->state == SC_FIRE_DISPATCHED));
}

static bool is_meant(const struct offline *o, const struct sc_fire *fire)
{
	if (o->what[0] == '/')
		return strcmp(fire->target, o->what) == 0;
	return strlen(o->what) >= FIRE_PREFIX_MIN &&
	       strncmp(fire->id, o->what, strlen(o->what)) == 0;
}

static int load(struct offline *o)
{
	struct sc_journal_options options = {.state_dir = o->args->state_dir};
	struct sc_time now = sc_time_now();
	struct sc_diag diag = {0};
	char journal[PATH_MAX];
	int r;

	if (snprintf(journal, sizeof(journal), "%s/journal", o->args->state_dir) >=
		    (int)sizeof(journal) ||
	    access(journal, F_OK) < 0)
		return sc_complain(o->args, SC_EXIT_FAILED, "there is no journal in %s",
				   o->args->state_dir);
	r = sc_journal_open(&options, &now, &o->journal, &diag);
	if (r == -EBUSY)
		return sc_complain(
			o->args, SC_EXIT_FAILED,
			"an agent runs on %s: release without --offline, or stop it first",
			o->args->state_dir);
	if (r < 0)
		return sc_complain(o->args, SC_EXIT_FAILED, "cannot open the journal: %s",
				   diag.text[0] ? diag.text : strerror(-r));
	r = sc_fold_new(&o->fold);
	if (r == 0)
		r = sc_journal_replay(o->args->state_dir, 0, sc_fold_record, o->fold);
	if (r < 0)
		return sc_complain(o->args, SC_EXIT_FAILED, "cannot read the journal: %s",
				   strerror(-r));
	sc_journal_set_snapshot(o->journal, sc_fold_snapshot, o->fold);
	r = sc_cgroup_fs_open(&o->fs, NULL);
	if (r < 0)
		return sc_complain(o->args, SC_EXIT_FAILED, "cannot open the cgroup2 mount: %s",
				   strerror(-r));
	return SC_EXIT_DONE;
}

/* What fails here leaves a journal that verify calls unsealed at its end, not a wrong release. */
static void seal(struct offline *o)
{
	struct sc_time now = sc_time_now();
	int r = sc_journal_seal(o->journal, &now, NULL);

	if (r == 0)
		r = sc_journal_sync(o->journal);
	if (r != 0)
		o->status = sc_complain(o->args, SC_EXIT_FAILED,
					"released, but the record may not be durable: %s",
					strerror(r < 0 ? -r : EIO));
}

/* Releasing twice is harmless, as it is beside an agent; only a fire that never was is a fault. */
static void tell_not_in_force(struct offline *o)
{
	bool ambiguous = false;

	if (o->what[0] == '/' || sc_fold_fire_find(o->fold, o->what, &ambiguous))
		printf("the journal has nothing in force by that name\n");
	else
		o->status = sc_complain(o->args, SC_EXIT_FAILED, "%s: %s",
					ambiguous ? "more than one fire begins so" : "no such fire",
					o->what);
}

static void release_all(struct offline *o)
{
	unsigned int n = sc_fold_fire_count(o->fold);
	_cleanup_free_ struct sc_fire *meant = calloc(n + 1, sizeof(*meant));
	unsigned int count = 0;

	if (!meant) {
		o->status = sc_complain(o->args, SC_EXIT_FAILED, "out of memory");
		return;
	}
	/* Copies: a release changes the fold that is being read. */
	for (unsigned int i = 0; i < n; i++) {
		const struct sc_fire *fire = sc_fold_fire_at(o->fold, i);

		if (fire && is_in_force(fire) && is_meant(o, fire))
			meant[count++] = *fire;
	}
	if (count > 1 && o->what[0] != '/') {
		o->status = sc_complain(o->args, SC_EXIT_USAGE,
					"%s begins %u fires; give more digits", o->what, count);
		return;
	}
	for (unsigned int i = 0; i < count; i++)
		release_one(o, &meant[i]);
	if (count == 0)
		tell_not_in_force(o);
	if (o->released)
		seal(o);
}

int sc_release_offline(const struct sc_args *args)
{
	struct offline o = {.args = args, .what = args->operands[0], .fs = {.root_fd = -1}};

	o.status = load(&o);
	if (o.status == SC_EXIT_DONE)
		release_all(&o);
	if (o.released)
		printf("released %u fire%s; the next start of the agent goes on from there\n",
		       o.released, o.released == 1 ? "" : "s");
	if (o.fs.root_fd >= 0)
		sc_cgroup_fs_close(&o.fs);
	sc_journal_close(&o.journal);
	sc_fold_free(&o.fold);
	return o.status;
}
