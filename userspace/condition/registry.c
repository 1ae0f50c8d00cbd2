/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry: specs by id, in id order. It knows nothing of targets or predicates; what a change
 * of it means for the running set is the caller's business (clone, change, build, swap).
 */
#include <scram/condition.h>

#include <errno.h>
#include <string.h>

struct entry {
	struct sc_condition_spec spec;
	enum sc_origin origin;
	bool overridden;
	bool live; /* when overridden */
};

struct sc_registry {
	struct entry *entry;
	size_t n;
	size_t cap;
};

struct sc_registry *sc_registry_new(void)
{
	return calloc(1, sizeof(struct sc_registry));
}

void sc_registry_free(struct sc_registry **reg)
{
	if (!*reg)
		return;
	for (size_t i = 0; i < (*reg)->n; i++)
		sc_condition_spec_done(&(*reg)->entry[i].spec);
	free((*reg)->entry);
	free(*reg);
	*reg = NULL;
}

/* Where id is, or (-1 - i) with i where it belongs. */
static ssize_t locate(const struct sc_registry *reg, const char *id)
{
	size_t low = 0;
	size_t high = reg->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(reg->entry[mid].spec.id, id);

		if (order == 0)
			return (ssize_t)mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -1 - (ssize_t)low;
}

static int make_room(struct sc_registry *reg, size_t n)
{
	struct entry *grown;

	if (n <= reg->cap)
		return 0;
	n = SC_MAX(n, reg->cap * 2);
	grown = reallocarray(reg->entry, n, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	reg->entry = grown;
	reg->cap = n;
	return 0;
}

/* Opens a zeroed gap at i; room must be there. */
static struct entry *insert_at(struct sc_registry *reg, size_t i)
{
	SC_ASSERT(reg->n < reg->cap && i <= reg->n);
	memmove(reg->entry + i + 1, reg->entry + i, (reg->n - i) * sizeof(struct entry));
	reg->n++;
	reg->entry[i] = (struct entry){0};
	return &reg->entry[i];
}

static void remove_at(struct sc_registry *reg, size_t i)
{
	sc_condition_spec_done(&reg->entry[i].spec);
	reg->n--;
	memmove(reg->entry + i, reg->entry + i + 1, (reg->n - i) * sizeof(struct entry));
}

struct sc_registry *sc_registry_clone(const struct sc_registry *reg)
{
	_cleanup_(sc_registry_free) struct sc_registry *copy = sc_registry_new();

	if (!copy || make_room(copy, SC_MAX(reg->n, (size_t)1)))
		return NULL;
	for (size_t i = 0; i < reg->n; i++) {
		struct sc_condition_spec spec;

		if (sc_condition_spec_copy(&spec, &reg->entry[i].spec))
			return NULL;
		copy->entry[copy->n] = reg->entry[i];
		copy->entry[copy->n++].spec = spec;
	}
	return SC_TAKE_PTR(copy);
}

size_t sc_registry_count(const struct sc_registry *reg)
{
	return reg->n;
}

struct sc_registration sc_registry_get(const struct sc_registry *reg, size_t i)
{
	const struct entry *e = &reg->entry[i];

	SC_ASSERT(i < reg->n);
	return (struct sc_registration){
		.spec = &e->spec,
		.origin = e->origin,
		.live = e->overridden ? e->live : e->spec.live,
		.overridden = e->overridden,
	};
}

int sc_registry_find(const struct sc_registry *reg, const char *id)
{
	ssize_t i = locate(reg, id);

	return i < 0 ? -ENOENT : (int)i;
}

static int too_many(struct sc_diag *diag)
{
	return sc_diag_set(diag, -E2BIG, 0, 0, "more than %d conditions; remove some",
			   SC_CONDITIONS_MAX);
}

/* Adds a file-defined condition, with the promotion that it had in old if that still holds. */
static int add_from_file(struct sc_registry *reg, const struct sc_condition_spec *spec,
			 const struct sc_registry *old, struct sc_diag *diag)
{
	struct sc_condition_spec copy;
	ssize_t at = locate(reg, spec->id);
	ssize_t was = locate(old, spec->id);
	struct entry *e;

	if (at >= 0)
		return sc_diag_set(diag, -EEXIST, spec->line, 1,
				   "condition %s is defined twice; ids are unique over all files",
				   spec->id);
	if (make_room(reg, reg->n + 1) || sc_condition_spec_copy(&copy, spec))
		return sc_diag_set(diag, -ENOMEM, 0, 0, "out of memory");
	e = insert_at(reg, (size_t)(-1 - at));
	e->spec = copy;
	e->origin = SC_ORIGIN_FILE;
	if (was >= 0 && old->entry[was].origin == SC_ORIGIN_FILE && old->entry[was].overridden &&
	    old->entry[was].spec.live == spec->live) {
		e->overridden = true;
		e->live = old->entry[was].live;
	}
	return 0;
}

/* Copies the run-time conditions of old whose ids no file took. */
static int keep_runtime(struct sc_registry *reg, const struct sc_registry *old,
			struct sc_diag *diag)
{
	for (size_t i = 0; i < old->n; i++) {
		struct sc_condition_spec copy;
		ssize_t at = locate(reg, old->entry[i].spec.id);
		struct entry *e;

		if (old->entry[i].origin != SC_ORIGIN_RUNTIME || at >= 0)
			continue;
		if (make_room(reg, reg->n + 1) ||
		    sc_condition_spec_copy(&copy, &old->entry[i].spec))
			return sc_diag_set(diag, -ENOMEM, 0, 0, "out of memory");
		e = insert_at(reg, (size_t)(-1 - at));
		*e = old->entry[i];
		e->spec = copy;
	}
	return 0;
}

int sc_registry_set_files(struct sc_registry *reg, const struct sc_condition_spec *specs, size_t n,
			  struct sc_diag *diag)
{
	_cleanup_(sc_registry_free) struct sc_registry *fresh = sc_registry_new();
	struct sc_registry swap;
	int err = 0;

	if (!fresh)
		return sc_diag_set(diag, -ENOMEM, 0, 0, "out of memory");
	for (size_t i = 0; i < n && !err; i++)
		err = add_from_file(fresh, &specs[i], reg, diag);
	if (!err)
		err = keep_runtime(fresh, reg, diag);
	if (!err && fresh->n > SC_CONDITIONS_MAX)
		err = too_many(diag);
	if (err)
		return err;
	swap = *reg;
	*reg = *fresh;
	*fresh = swap;
	return 0;
}

static int refuse_file_defined(const struct entry *e, struct sc_diag *diag)
{
	return sc_diag_set(diag, -EPERM, 0, 0, "condition %s is defined by %s; change it there",
			   e->spec.id, e->spec.file ? e->spec.file : "a file");
}

int sc_registry_upsert(struct sc_registry *reg, const struct sc_condition_spec *spec,
		       struct sc_diag *diag)
{
	struct sc_condition_spec copy;
	ssize_t at = locate(reg, spec->id);
	struct entry *e;

	if (at >= 0 && reg->entry[at].origin == SC_ORIGIN_FILE)
		return refuse_file_defined(&reg->entry[at], diag);
	if (at >= 0 && !reg->entry[at].overridden &&
	    sc_condition_spec_equal(&reg->entry[at].spec, spec))
		return 1;
	if (at < 0 && reg->n >= SC_CONDITIONS_MAX)
		return too_many(diag);
	if (make_room(reg, reg->n + 1) || sc_condition_spec_copy(&copy, spec))
		return sc_diag_set(diag, -ENOMEM, 0, 0, "out of memory");
	if (at >= 0) {
		e = &reg->entry[at];
		sc_condition_spec_done(&e->spec);
		*e = (struct entry){0};
	} else {
		e = insert_at(reg, (size_t)(-1 - at));
	}
	e->spec = copy;
	e->origin = SC_ORIGIN_RUNTIME;
	return 0;
}

int sc_registry_delete(struct sc_registry *reg, const char *id, struct sc_diag *diag)
{
	ssize_t at = locate(reg, id);

	if (at < 0)
		return 0;
	if (reg->entry[at].origin == SC_ORIGIN_FILE)
		return refuse_file_defined(&reg->entry[at], diag);
	remove_at(reg, (size_t)at);
	return 1;
}

int sc_registry_set_live(struct sc_registry *reg, const char *id, bool live, struct sc_diag *diag)
{
	ssize_t at = locate(reg, id);
	struct entry *e;

	if (at < 0)
		return sc_diag_set(diag, -ENOENT, 0, 0, "no condition %s; see scram list", id);
	e = &reg->entry[at];
	if ((e->overridden ? e->live : e->spec.live) == live)
		return 0;
	e->overridden = live != e->spec.live;
	e->live = live;
	return 1;
}

int sc_registry_restore_live(struct sc_registry *reg, const char *id, bool live, bool own_live)
{
	ssize_t at = locate(reg, id);

	if (at < 0)
		return -ENOENT;
	if (reg->entry[at].spec.live != own_live)
		return 0;
	reg->entry[at].overridden = live != own_live;
	reg->entry[at].live = live;
	return 1;
}
