#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The journal into a real PostgreSQL that is killed, stopped, hung, full and cut off, while records come: nothing is missing,
# nothing double, the order is kept. The numbers are printed.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=cluster.sh
. "$(dirname "$0")/cluster.sh"

drive() { # NAME RECORDS RATE TIMEOUT_S [KILL_MS]: in the background; ends when all is shipped
	"$drive_bin" "$ship_bin" "$TMPDIR/$1" "${@:2}" >"$TMPDIR/$1.json" 2>"$TMPDIR/$1.err" &
	drive_pid=$!
}

pause() { read -r -t "$1" <> <(:) || true; } # SECONDS of trouble, not a wait for something

# whole NAME: the store has the journal of that drive, all of it, once, in one chain, and every fire in its last state.
whole() {
	local host seq fires
	host=$(jq -r .host "$TMPDIR/$1.json") seq=$(jq .seq "$TMPDIR/$1.json") fires=$(jq .fires "$TMPDIR/$1.json")
	equal "$1: the chain in the store is whole" \
		"$(sql "SELECT verdict, records, refused, last_seq FROM scram_verify('$host', $seq)")" "ok|$seq|0|$seq"
	equal "$1: nothing is missing or double" \
		"$(sql "SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM journal WHERE host_id = '$host'")" "$seq|$seq|1|$seq"
	equal "$1: every fire is there" "$(sql "SELECT count(*) FROM kill_fires WHERE host_id = '$host'")" "$fires"
	check "$1: scram verify agrees with the last hash" test "$(sql "SELECT last_hash FROM scram_verify('$host')")" = \
		"$(jq -r .hash "$TMPDIR/$1/head")"
	echo "# $1: $(jq -c 'del(.host)' "$TMPDIR/$1.json")"
}

check 'a cluster of its own' cluster_make 160
check 'the store is made' "$scram_bin" migrate

drive calm 20000 0 60
check 'a backlog is shipped' wait "$drive_pid"
whole calm
equal 'calm: fires in every state that there is, with what belongs to it' "$(sql "SELECT string_agg(DISTINCT state || ' ' || two_person_status
	|| CASE WHEN second_operator IS NOT NULL THEN ' by ' || second_operator ELSE '' END
	|| CASE WHEN released_at IS NOT NULL THEN ' released by ' || released_by ELSE '' END, ', ') FROM kill_fires")" \
	"$(printf '%s, ' 'approved approved by bob' 'dispatched not-required' 'dry-run not-required' 'failed approved by bob' \
		'intent not-required' 'pending pending' 'rejected rejected by bob' 'released not-required released by ann' \
		'timed-out timed-out' 'verified not-required' 'vetoed not-required' | sed 's/, $//')"

drive killed 4000 800 120
for _ in 1 2 3; do
	pause 1
	cluster_stop KILL
	pause 0.5
	check 'the killed server starts again' cluster_start
done
check 'a server that is killed by SIGKILL' wait "$drive_pid"
whole killed

drive stopped 3000 800 120
pause 1
cluster_stop INT
pause 3
check 'the stopped server starts again' cluster_start
check 'a server that is stopped for a while' wait "$drive_pid"
whole stopped

# For longer than the worker waits for an answer, which is 20 s.
drive hung 3000 800 180
pause 1
cluster_signal STOP
pause 24
cluster_signal CONT
check 'a server that hangs' wait "$drive_pid"
check 'it was given up meanwhile' jq -e '.failures >= 1' "$TMPDIR/hung.json"
whole hung

drive worker 5000 1000 120 700
check 'a worker that is killed again and again' wait "$drive_pid"
check 'it was killed indeed' jq -e '.kills >= 3' "$TMPDIR/worker.json"
whole worker

# Commits that the client never learns of.
server_url=$DATABASE_URL
mkdir "$TMPDIR/cut"
python3 "$(dirname "$0")/proxy.py" "$TMPDIR/cut/.s.PGSQL.5432" "$pg/socket/.s.PGSQL.5432" 9 >"$TMPDIR/cuts" &
proxy_pid=$!
until_true 60 test -S "$TMPDIR/cut/.s.PGSQL.5432"
DATABASE_URL="host=$TMPDIR/cut user=postgres dbname=scram" drive unacknowledged 3000 800 180
check 'acknowledgements of COMMIT that are lost' wait "$drive_pid"
kill "$proxy_pid" && wait "$proxy_pid"
check 'they were lost indeed' test "$(cat "$TMPDIR/cuts")" -ge 3
echo "# unacknowledged: $(cat "$TMPDIR/cuts") connections cut behind a commit"
DATABASE_URL=$server_url
whole unacknowledged

# A full disk: the server may refuse, or die of it.
drive full 4000 1000 180
pause 1
head -c 200M /dev/zero >"$pg/ballast" 2>/dev/null
pause 4
rm "$pg/ballast"
pg_answers || cluster_start
check 'a disk that is full for a while' wait "$drive_pid"
check 'it was in the way indeed' jq -e '.failures >= 1' "$TMPDIR/full.json"
whole full
tap_done
