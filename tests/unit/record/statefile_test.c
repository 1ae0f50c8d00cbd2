/* SPDX-License-Identifier: Apache-2.0 */
#include "record/statefile.h"
#include "unit/record/fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS 1000000ULL

/* B4 */
Test(statefile, writes_the_first_change_at_once_and_then_one_each_debounce)
{
	struct sc_statefile f = {0};

	cr_expect_not(sc_statefile_is_due(&f, 1000 * MS), "nothing changed");
	sc_statefile_touch(&f, 1000 * MS);
	cr_expect(sc_statefile_is_due(&f, 1000 * MS));
	sc_statefile_written(&f, 1000 * MS);
	cr_expect_not(sc_statefile_is_due(&f, 9000 * MS));
	sc_statefile_touch(&f, 1001 * MS);
	sc_statefile_touch(&f, 1200 * MS);
	cr_expect_not(sc_statefile_is_due(&f, 1249 * MS));
	cr_expect(sc_statefile_is_due(&f, 1250 * MS));
	sc_statefile_written(&f, 1250 * MS);
	cr_expect_not(sc_statefile_is_due(&f, 1250 * MS));
}

/* B4 */
Test(statefile, replaces_the_file_as_a_whole_and_for_its_owner_only)
{
	_cleanup_place_ struct place p = place_new();
	int fd = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[256];
	char buf[64];
	struct stat st;

	cr_assert_eq(sc_statefile_write(fd, "{\"n\":1}", 7), 0);
	cr_assert_eq(sc_statefile_write(fd, "{}", 2), 0);
	cr_expect_eq(sc_statefile_read(fd, buf, sizeof(buf)), 2);
	cr_expect_str_eq(buf, "{}");
	snprintf(path, sizeof(path), "%s/" SC_STATEFILE_NAME, p.dir);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	cr_expect_eq(sc_statefile_read(fd, buf, 2), -EFBIG);
	close(fd);
}
