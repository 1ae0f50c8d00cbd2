/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/stat, whose second field is whatever the process likes. */
#include "sys/pidfd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

/* Fields 4 to 22 with the given flags and start time. */
#define REST(flags, start) " 1 1 1 0 -1 " flags " 0 0 0 0 0 0 0 0 20 0 1 0 " start " 4096 1\n"

Test(sys_process, stat_is_parsed_after_the_last_parenthesis)
{
	static const struct {
		const char *text, *comm;
		char state;
		uint64_t start_boot_ns;
	} cases[] = {
		{"12 (sleep) S" REST("4194304", "154716"), "sleep", 'S', 1547160000000ULL},
		{"12 () Z" REST("0", "0"), "", 'Z', 0},
		{"12 (a) R 7 (b) D" REST("0", "5"), "a) R 7 (b", 'D', 50000000},
		{"12 (()))) S" REST("0", "5"), "()))", 'S', 50000000},
		{"12 (x y\n\033z) T" REST("0", "5"), "x y\n\033z", 'T', 50000000},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_process process;

		cr_assert_eq(sc_process_parse_stat(cases[i].text, &process), 0, "case %zu", i);
		cr_assert_eq(process.state, cases[i].state, "case %zu", i);
		cr_assert_eq(process.start_boot_ns, cases[i].start_boot_ns, "case %zu", i);
		cr_assert_str_eq(process.comm, cases[i].comm, "case %zu", i);
		cr_assert_not(process.is_kernel_thread);
	}
}

Test(sys_process, flags_tell_kernel_threads_and_the_dying)
{
	struct sc_process process;

	cr_assert_eq(sc_process_parse_stat("2 (kthreadd) S" REST("2129984", "1"), &process), 0);
	cr_assert(process.is_kernel_thread && !process.is_exiting);
	cr_assert_eq(sc_process_parse_stat("9 (x) R" REST("4228100", "1"), &process), 0);
	cr_assert(!process.is_kernel_thread && process.is_exiting);
}

Test(sys_process, damaged_stat_is_refused_and_changes_nothing)
{
	static const char *const texts[] = {
		"",
		"12",
		"12 sleep S 1 1",
		"12 (sleep",
		"12 )sleep( S" REST("0", "1"),
		"12 (sleep)",
		"12 (sleep) ",
		"12 (sleep) S",
		"12 (sleep) S 1 1 1 0 -1 0 0 0 0 0",
		"12 (sleep) S" REST("0", "x"),
		"12 (0123456789012345678901234567890123456789012345678901234567890123456789) "
		"S" REST("0", "1"),
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(texts); i++) {
		struct sc_process process = {.state = '!'};

		cr_assert_eq(sc_process_parse_stat(texts[i], &process), -EINVAL, "case %zu", i);
		cr_assert_eq(process.state, '!');
	}
}

Test(sys_process, own_process_is_alive_and_pid_0_is_none)
{
	_cleanup_close_ int fd = sc_pidfd_open(getpid());
	struct sc_process process;

	cr_assert_geq(fd, 0);
	cr_assert_not(sc_pidfd_is_dead(fd));
	cr_assert_eq(sc_pidfd_signal(fd, 0), 0);
	cr_assert_eq(sc_process_read(getpid(), &process), 0);
	cr_assert_gt(process.start_boot_ns, 0);
	cr_assert_eq(sc_process_read(0x3fffff, &process), -ESRCH);
}
