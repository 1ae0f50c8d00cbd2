/* SPDX-License-Identifier: GPL-2.0-only */
/* The shared maps and nothing else: loaded first, so that every other object is optional. */
#include "maps.h"

char LICENSE[] SEC("license") = "GPL";
