#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The runner counts what a suite hides: crashes, early ends, empty reports, time-outs, lies.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"

tap_file=$(mktemp)
trap 'rm -f "$tap_file" "$tap_out"' EXIT

counted() { # NAME WANT STATUS LINE...
	local name=$1 want=$2 status=$3
	shift 3
	printf '%s\n' "$@" >"$tap_file"
	equal "$name" "$(bash scripts/test --count "$tap_file" "$status" | tail -n 1)" "$want"
}

counted 'passes are counted' '2 passed, 0 failed, 0 skipped' 0 1..2 'ok - a::b  (0.00s)' 'ok 2 - c'
counted 'failures are counted once' '1 passed, 1 failed, 0 skipped' 1 1..2 'ok 1 - a' 'not ok 2 - b' '  ---' '  - x.c:4'
counted 'a crashed test is a failure' '0 passed, 1 failed, 0 skipped' 1 1..1 'not ok - a::b unexpected signal after x.c:5'
counted 'a skip is no pass' '0 passed, 0 failed, 1 skipped' 0 1..1 'ok - a::b  # SKIP needs root'
counted 'no test is a failure' '0 passed, 1 failed, 0 skipped' 0 1..0
counted 'an empty report is a failure' '0 passed, 1 failed, 0 skipped' 139 ''
counted 'an early end is a failure' '1 passed, 1 failed, 0 skipped' 0 1..2 'ok 1 - a'
counted 'a missing plan is a failure' '1 passed, 1 failed, 0 skipped' 0 'ok 1 - a'
counted 'an exit status without a failed test is a failure' '1 passed, 1 failed, 0 skipped' 3 1..1 'ok 1 - a'
counted 'a time-out is a failure' '1 passed, 1 failed, 0 skipped' 124 1..1 'ok 1 - a'
refuse 'an unknown suite is refused' 2 scripts/test no-such-suite
tap_done
