#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The demo keeps its promises, and leaves nothing behind when it is interrupted.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"

B=${SCRAM:-build/scram}
export B=${B%/scram}

demo() { env -u SC_CGROUP bash scripts/demo; }
left() { compgen -G "$SC_CGROUP_MOUNT/scram-demo-$1-*"; }

check 'the demo keeps every promise' demo

for signal in INT TERM KILL; do
	setsid env -u SC_CGROUP bash scripts/demo >"$TMPDIR/out" 2>&1 &
	pid=$!
	until_true 60 grep -q '^3\.' "$TMPDIR/out"
	kill "-$signal" -- "-$pid"
	wait "$pid" 2>/dev/null
	gone() { ! left "$pid"; }
	check "nothing is left after SIG$signal" until_true 60 gone
done
tap_done
