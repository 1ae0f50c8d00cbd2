#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Figures, no test: a backlog of RECORDS into a PostgreSQL whose disk is a tmpfs, as make bench-store runs it. Prints records
# per second, of the clock and of the processor time of the server's process, which a busy machine does not change.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=cluster.sh
. "$(dirname "$0")/cluster.sh"

RECORDS=100000
TICKS=$(getconf CLK_TCK)
BUDGET=10000

# Of the children that the server has waited for: proc(5), cutime and cstime.
children_ticks() { sed 's/.*) //' "/proc/$pg_pid/stat" | awk '{ print $14 + $15 }'; }
is_waited_for() { [[ $(children_ticks) -gt $1 ]]; }

cluster_make 400 && "$scram_bin" migrate >/dev/null || exit 1
before=$(children_ticks)
"$drive_bin" "$ship_bin" "$TMPDIR/bench" "$RECORDS" 0 120 >"$TMPDIR/bench.json" || exit 1
until_true 60 is_waited_for "$before"
after=$(children_ticks)
jq -c --argjson ticks $((after - before)) --argjson hz "$TICKS" --argjson budget $BUDGET \
	'{bench: "ship", records: .seq, seconds, per_s: .backlog_per_s, per_server_cpu_s: (.seq * $hz / $ticks | floor), budget: $budget}' \
	"$TMPDIR/bench.json"
jq -e ".backlog_per_s >= $BUDGET" "$TMPDIR/bench.json" >/dev/null
