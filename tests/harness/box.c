/* SPDX-License-Identifier: Apache-2.0 */
/* What needs criterion: the sandbox of .init and .fini, and skips with their reason. */
#include "harness/harness.h"

#include <criterion/criterion.h>
#include <string.h>

struct sc_sandbox sc_box = {.dirfd = -1, .janitor_fd = -1, .janitor = -1};

void sc_need_root(void)
{
	if (geteuid() != 0)
		cr_skip("needs root");
}

void sc_need_file(const char *path, const char *why)
{
	if (access(path, F_OK))
		cr_skip("needs %s: %s", path, why);
}

void sc_box_init(void)
{
	int err;

	sc_need_root();
	err = sc_sandbox_open(&sc_box);
	cr_assert_eq(err, 0, "cannot make a sandbox: %s", strerror(-err));
}

void sc_box_fini(void)
{
	sc_sandbox_close(&sc_box);
}
