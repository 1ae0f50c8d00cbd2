/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Denying writes to cgroups by BPF LSM programs (bpf/readonly.bpf.c). Nothing is attached while
 * nothing is denied, so what is not read-only pays nothing. While something is, programs and maps
 * are pinned beside the agent's maps and outlive it. Mechanism only.
 *
 * One thread at a time: the hand, or whoever works while there is no hand.
 */
#pragma once

#include <scram/readonly_abi.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SC_LSM_REASON_MAX 256

struct sc_lsm;

struct sc_lsm_mark {
	uint64_t cgroup_id;
	struct sc_readonly_entry entry;
};

/* All that shall be denied; borrowed. No marks: nothing. */
struct sc_lsm_wish {
	const struct sc_lsm_mark *marks; /* what is spared before what is denied */
	size_t n_marks;                  /* at most SC_READONLY_MARKS_MAX */
	const struct sc_readonly_place *places;
	size_t n_places; /* at most SC_READONLY_PLACES_MAX */
};

/*
 * Whether this kernel lets such programs load, and asks them: one is attached for a moment, which
 * denies nothing. 0, or -errno with reason (SC_LSM_REASON_MAX bytes). Some 50 ms.
 */
int sc_lsm_probe(char *reason);

/* pin_dir is as sc_bpf_pin_dir writes it. Touches nothing. 0, -ENOMEM or -ENAMETOOLONG. */
int sc_lsm_open(struct sc_lsm **out, const char *pin_dir);
/* Leaves what stands pinned as it is. *l is NULL afterwards; NULL is fine. */
void sc_lsm_close(struct sc_lsm **l);

/* True when something is pinned, also by a predecessor. */
bool sc_lsm_stands(const struct sc_lsm *l);
/*
 * Makes the kernel deny exactly that: loads, attaches and pins what is missing, takes over what a
 * predecessor left, and with no marks takes everything away. *was_lost (never cleared) when
 * something that stood had been taken away by a stranger. 0, or -errno with reason; a first setting
 * that fails leaves nothing behind.
 */
int sc_lsm_set(struct sc_lsm *l, const struct sc_lsm_wish *wish, bool *was_lost, char *reason);
/* What was denied since it began; false when nothing is. */
bool sc_lsm_state(const struct sc_lsm *l, struct sc_readonly_state *out);

/* The directory as the kernel's programs name it. 0, -ENOTDIR, or -errno of who cannot be asked. */
int sc_lsm_place(const char *path, struct sc_readonly_place *out);
