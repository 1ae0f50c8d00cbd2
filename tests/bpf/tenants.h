/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of what is counted between tenants: a kit with cgroups of two tenants and of nobody. */
#pragma once

#include "kit.h"

#define ACME  1
#define OTHER 2

struct tenants {
	int home;       /* where the test came from: not supervised */
	int acme, deep; /* ACME's, the second below the first */
	int other;      /* OTHER's */
	int nobody;
};
extern struct tenants at;

/* For TestSuite(.init, .fini). The test has a network namespace of its own. */
void tenants_init(void);
void tenants_fini(void);

/* Moves the test itself to a cgroup. */
void tenants_go(int cgroup_fd);
