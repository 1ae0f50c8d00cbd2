#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The ship worker with a server that speaks wrong, in many ways and at every stage: it tells of a failure within its
# deadlines, does not end, keeps its memory bounded, and shows the server's words plain and without secrets.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"

scram_bin=${SCRAM:-build/scram}
ship_bin=${scram_bin%/*}/scram-ship
drive_bin=${scram_bin%/*}/tests/db-drive
fake=tests/db/fake_pg.py
TOGETHER=58
RSS_MAX_KIB=98304 # 64 MiB of data and what is mapped of files

# try NUMBER CASE: leaves $TMPDIR/NUMBER.{json,err}; waits until the worker has told of one failure.
try() {
	local dir=$TMPDIR/$1 server
	mkdir "$dir"
	python3 "$fake" "$dir/.s.PGSQL.5432" "$2" 2>"$dir/server.err" &
	server=$!
	until_true 60 test -S "$dir/.s.PGSQL.5432"
	# shellcheck disable=SC2097,SC2098
	DATABASE_URL="host=$dir user=postgres dbname=scram password=hunter2" "$drive_bin" "$ship_bin" "$dir/state" 20 0 \
		$((120 * ${SC_TIME_SCALE:-1})) 0 1 >"$dir.json" 2>"$dir.err"
	kill "$server"
	wait "$server" 2>/dev/null
}

mapfile -t cases < <(python3 "$fake" --list)
for ((i = 0; i < ${#cases[@]}; i += TOGETHER)); do
	pids=()
	for ((k = i; k < i + TOGETHER && k < ${#cases[@]}; k++)); do
		try "$k" "${cases[k]}" &
		pids+=($!)
	done
	wait "${pids[@]}"
done

plain() { ! LC_ALL=C grep -q '[^[:print:]]' "$1" && ! grep -q hunter2 "$1"; } # FILE
for ((i = 0; i < ${#cases[@]}; i++)); do
	# shellcheck disable=SC2016
	check "${cases[i]}: told, survived, bounded" jq -se --argjson rss $RSS_MAX_KIB 'length == 1 and (.[0] |
		.failures >= 1 and .starts == 1 and .status == 0 and .refused == 0 and .rss_kib < $rss)' "$TMPDIR/$i.json"
	check "${cases[i]}: what is shown is plain" plain "$TMPDIR/$i.err"
done
check 'enough of them' test "${#cases[@]}" -ge 90
echo "# ${#cases[@]} cases; the worker's greatest resident set $(jq -s 'map(.rss_kib) | max' "$TMPDIR"/*.json) KiB"
tap_done
