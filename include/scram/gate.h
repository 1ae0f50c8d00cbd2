/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What the BPF programs of the gate and userspace share: fixed-width types only, every size
 * asserted. The maps of these structs are pinned under <bpffs>/scram/gate<SC_GATE_SCHEMA>/ and stay
 * there, with the programs, while a cut stands, whether or not an agent runs. Anyone may read them
 * with bpftool; their field names are documentation. A change of layout raises SC_GATE_SCHEMA, and
 * whoever raises it takes over what the older layout holds.
 *
 * A cgroup is cut when it, or one above it, has an entry in `gates` whose cut stands. Of several
 * the strongest mode decides.
 */
#pragma once

#ifndef __BPF__
#include <linux/types.h>
#endif

#define SC_GATE_SCHEMA 1

#define SC_GATE_CUTS_MAX    1024  /* at one time; the number of a cut is below this */
#define SC_GATE_ENTRIES_MAX 16384 /* cgroups with an entry, removed ones included */
#define SC_GATE_GLOBS_MAX   4096  /* patterns of all cuts together */
#define SC_GATE_PEERS_MAX   8192  /* remote ends remembered; the least recently seen goes first */
#define SC_GATE_LEVELS      32    /* depth of a cgroup with an entry is below this */
#define SC_GATE_NAME_MAX    144
#define SC_GATE_FIRE_MAX    40
/* The longest path that is compared, its NUL included; of a longer one, its beginning. */
#define SC_GATE_PATH_MAX 248

/* How hard, in the order of strength; the values of enum sc_cut_mode. */
enum sc_gate_mode {
	SC_GATE_NONE, /* does not stand */
	SC_GATE_TRY,  /* as NEW, but as many new connections pass as `tries` says */
	SC_GATE_NEW,  /* new TCP connections are dropped, both ways; all else passes */
	SC_GATE_ALL,  /* everything is dropped but TCP resets, which tell clients at once */
	SC_GATE_DROP, /* everything is dropped */
	SC_GATE_MODE_COUNT
};

/* Map `gate_cuts`: by number of the cut. BPF writes the counts, userspace the rest, mode last. */
struct sc_gate_cut {
	__u32 mode;    /* enum sc_gate_mode */
	__u32 serial;  /* another one for each cut that gets this number: entries and patterns of an
			  older one are void */
	__u32 tries;   /* SC_GATE_TRY: so many new connections pass */
	__u32 attempt; /* of which half-open period `passed` tells */
	__u64 since_ns; /* CLOCK_MONOTONIC */
	__u64 passed;   /* new connections let through in this attempt */
	/* Held back, as the program sees packets: after segmentation offload joined them. Bytes are
	 * those from the IP header on. */
	__u64 packets_in, bytes_in;
	__u64 packets_out, bytes_out;
	__u64 first_ns, last_ns; /* CLOCK_MONOTONIC of the first and last drop; 0 = none */
	__u64 made;              /* cgroups taken in at their mkdir */
	char fire_id[SC_GATE_FIRE_MAX];
	char name[SC_GATE_NAME_MAX];
};
_Static_assert(sizeof(struct sc_gate_cut) == 88 + SC_GATE_FIRE_MAX + SC_GATE_NAME_MAX,
	       "no padding");

/* Map `gates`: by cgroup id. */
struct sc_gate_entry {
	__u32 cut;
	__u32 serial;  /* of the cut; another than the cut has now: void */
	__u32 level;   /* depth below the hierarchy's root, which is 0 */
	__u32 is_made; /* 1: taken in by the kernel at mkdir; 0: put by userspace */
	__u64 born_ns; /* CLOCK_MONOTONIC of this entry */
	__u64 gone_ns; /* CLOCK_MONOTONIC of the cgroup's rmdir; its sockets may live on. 0 = exists
			*/
};
_Static_assert(sizeof(struct sc_gate_entry) == 32, "no padding");

/* Key of the map `gate_globs`, a trie of longest prefixes over the bytes of paths. */
struct sc_gate_path {
	__u32 bits; /* of data */
	/* An exact path with its NUL; or, without, what all paths of a pattern begin with. */
	__u8 data[SC_GATE_PATH_MAX];
};
_Static_assert(sizeof(struct sc_gate_path) == 4 + SC_GATE_PATH_MAX, "no padding");

/* Its value: what a new cgroup with such a path belongs to. */
struct sc_gate_glob {
	__u32 cut;
	__u32 serial; /* as in struct sc_gate_entry */
	__u32 bits;   /* those of the key, so that shorter ones can be looked for */
	__u32 unused;
};
_Static_assert(sizeof(struct sc_gate_glob) == 16, "no padding");

/* Map `gate_state`, one entry. */
struct sc_gate_state {
	__u32 levels;       /* bit n: a cgroup of depth n may have an entry; 0 = nothing is cut */
	__u32 globs;        /* patterns in gate_globs */
	__u64 entries_full; /* new cgroups that found no room in gates: not cut from birth */
	__u64 too_deep;     /* new cgroups at SC_GATE_LEVELS or below: likewise */
	__u64 paths_failed; /* new cgroups whose path could not be read: likewise */
	__u64 denied;       /* packet sockets that were refused, or kept from sending */
};
_Static_assert(sizeof(struct sc_gate_state) == 40, "no padding");

/*
 * Map `gate_filter`, one entry: a bit for the low bits of each cgroup id that may have an entry in
 * `gates`. Ids are given in sequence, so hardly any packet of a cgroup that is not cut costs a
 * look-up. A bit too many costs one; bits are taken back when cuts end.
 */
#define SC_GATE_FILTER_WORDS 1024
struct sc_gate_filter {
	__u64 words[SC_GATE_FILTER_WORDS];
};
_Static_assert(sizeof(struct sc_gate_filter) == 8 * SC_GATE_FILTER_WORDS, "no padding");

#define sc_gate_filter_word(id) ((id) >> 6 & (SC_GATE_FILTER_WORDS - 1))
#define sc_gate_filter_bit(id)  (1ULL << ((id)&63))

/* Map `gate_peers`: packets held back by the remote end they were to or from. */
struct sc_gate_peer {
	__u32 cut;
	__u32 serial;
	__u8 address[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u16 port;       /* 0 where the protocol has none, or it could not be read */
	__u8 protocol;    /* IPPROTO_ */
	__u8 unused;
};
_Static_assert(sizeof(struct sc_gate_peer) == 28, "no padding");
