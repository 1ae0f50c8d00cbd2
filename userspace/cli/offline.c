/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/offline.h"

#include "cli/ask.h"

#include <scram/fire.h>
#include <scram/journal.h>

#include "base/clock.h"
#include "base/json.h"
#include "record/fold.h"
#include "sys/cgroup.h"
#include "wire/readonly.h"
#include "wire/traffic.h"

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
	unsigned int unrecorded; /* cuts that were held and stand in no record */
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

/* Of another boot: the cgroup and the cut went with it, and the id may be another's now. */
static bool is_of_this_boot(const struct offline *o, const struct sc_fire *fire)
{
	return strcmp(fire->boot_id, sc_journal_boot_id(o->journal)) == 0;
}

/* Undoes what the fire holds in force on its cgroup; one that is gone is a success. */
static int thaw(const struct offline *o, const struct sc_fire *fire)
{
	_cleanup_close_ int dirfd = -1;
	_cleanup_close_ int fd = -1;
	int r;

	if (!is_of_this_boot(o, fire))
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

/* Gives the network back to what is cut under that fire or name. How many cuts, or -errno; what
 * holds nothing is none. What went wrong, and what stays held, is told. */
static int uncut(struct offline *o, const char *fire_or_name)
{
	struct sc_cut_report report = {0};
	int r = sc_traffic_offline_release(o->args->run_dir, fire_or_name, &report);

	if (r != -ENOENT && report.text[0])
		o->status = sc_complain(o->args, r < 0 ? SC_EXIT_UNCONFIRMED : o->status, "%s: %s",
					fire_or_name, report.text);
	return r == -ENOENT ? 0 : r;
}

/* Gives everything back that is read-only: the mechanisms do not tell fires apart, and a next agent
 * makes read-only again what other fires still hold. */
static int make_writable(struct offline *o, const struct sc_fire *fire)
{
	char text[SC_READONLY_TEXT_MAX];
	int r = sc_readonly_offline_release(o->args->run_dir, text);

	if (r < 0 && r != -ENOENT && text[0])
		o->status = sc_complain(o->args, SC_EXIT_UNCONFIRMED, "fire %s: %s", fire->id,
					text);
	return r == -ENOENT ? 0 : r;
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

/* What a cut acts on is its group. */
static const char *subject(const struct sc_fire *fire)
{
	return fire->group[0] ? fire->group : fire->target;
}

static void release_one(struct offline *o, struct sc_fire *fire)
{
	int r = 0;

	if (fire->action == SC_ACTION_FREEZE)
		r = thaw(o, fire);
	else if (sc_action_kind_cuts(fire->action) && is_of_this_boot(o, fire))
		r = uncut(o, fire->id);
	else if (fire->action == SC_ACTION_READONLY && is_of_this_boot(o, fire))
		r = make_writable(o, fire);
	if (r < 0) {
		o->status = sc_complain(
			o->args, SC_EXIT_UNCONFIRMED, "%s (fire %s): %s", subject(fire), fire->id,
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
					subject(fire), strerror(-r));
}

/* In force, or begun by an agent that died before it could tell. */
static bool is_in_force(const struct sc_fire *fire)
{
	return sc_fire_is_standing(fire) ||
	       ((fire->action == SC_ACTION_FREEZE || fire->action == SC_ACTION_READONLY ||
		 sc_action_kind_cuts(fire->action)) &&
		(fire->state == SC_FIRE_INTENT || fire->state == SC_FIRE_DISPATCHED));
}

/* By the name of the tenant or component, or as status shows it: `tenant acme`. */
static bool is_of_group(const struct offline *o, const struct sc_fire *fire)
{
	const char *blank = strchr(fire->group, ' ');
	size_t room = sizeof(fire->group) - 1; /* a longer one is cut off there */

	if (!blank)
		return false;
	return strncmp(fire->group, o->what, room) == 0 ||
	       strncmp(blank + 1, o->what, room - (size_t)(blank + 1 - fire->group)) == 0;
}

static bool is_meant(const struct offline *o, const struct sc_fire *fire)
{
	if (o->what[0] == '/')
		return strcmp(fire->target, o->what) == 0;
	if (is_of_group(o, fire))
		return true;
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

static bool has_cuts(const struct offline *o)
{
	for (unsigned int i = 0; i < sc_fold_fire_count(o->fold); i++) {
		const struct sc_fire *fire = sc_fold_fire_at(o->fold, i);

		if (sc_action_kind_cuts(fire->action) && is_in_force(fire) &&
		    is_of_this_boot(o, fire))
			return true;
	}
	return false;
}

/* A journal that was lost or replaced must not keep anybody from the network. But a name that was
 * mistyped must not let go of cuts that others are meant by: the rules have no names. */
static bool uncut_unrecorded(struct offline *o)
{
	static const char *const kinds[] = {"tenant", "component", "cgroup"};
	_cleanup_str_ struct sc_str name;
	int r;

	sc_str_init_heap(&name);
	if (has_cuts(o))
		return false;
	r = uncut(o, o->what);
	for (size_t i = 0; r == 0 && i < SC_ARRAY_SIZE(kinds); i++) {
		sc_str_reset(&name);
		sc_str_addf(&name, "%s %s", kinds[i], o->what);
		r = name.truncated ? -ENOMEM : uncut(o, name.data);
	}
	if (r > 0)
		o->unrecorded += (unsigned int)r;
	return r != 0;
}

static bool is_known_group(const struct offline *o)
{
	for (unsigned int i = 0; i < sc_fold_fire_count(o->fold); i++)
		if (is_of_group(o, sc_fold_fire_at(o->fold, i)))
			return true;
	return false;
}

/* Releasing twice is harmless, as it is beside an agent; only what never was is a fault. */
static void tell_not_in_force(struct offline *o)
{
	bool ambiguous = false;

	if (uncut_unrecorded(o))
		return;
	if (o->what[0] == '/' || is_known_group(o) ||
	    sc_fold_fire_find(o->fold, o->what, &ambiguous))
		printf("the journal has nothing in force by that name\n");
	else
		o->status = sc_complain(o->args, SC_EXIT_FAILED, "%s: %s",
					ambiguous ? "more than one fire begins so"
						  : "no such fire, tenant or component",
					o->what);
}

static void release_all(struct offline *o)
{
	unsigned int n = sc_fold_fire_count(o->fold);
	_cleanup_free_ struct sc_fire *meant = calloc(n + 1, sizeof(*meant));
	unsigned int count = 0;
	bool is_prefix = false;

	if (!meant) {
		o->status = sc_complain(o->args, SC_EXIT_FAILED, "out of memory");
		return;
	}
	/* Copies: a release changes the fold that is being read. */
	for (unsigned int i = 0; i < n; i++) {
		const struct sc_fire *fire = sc_fold_fire_at(o->fold, i);

		if (!fire || !is_in_force(fire) || !is_meant(o, fire))
			continue;
		is_prefix = is_prefix || (o->what[0] != '/' && !is_of_group(o, fire));
		meant[count++] = *fire;
	}
	if (count > 1 && is_prefix) {
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
	if (o.unrecorded)
		printf("released %u cut%s that no record knows of\n", o.unrecorded,
		       o.unrecorded == 1 ? "" : "s");
	if (o.fs.root_fd >= 0)
		sc_cgroup_fs_close(&o.fs);
	sc_journal_close(&o.journal);
	sc_fold_free(&o.fold);
	return o.status;
}
