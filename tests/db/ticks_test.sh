#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Ticks go on while the store hangs: stopped, cut off behind a proxy that answers nothing, and slow. They are counted against
# the clock; how late they were is printed, and judged by make bench-store on a quiet machine.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=cluster.sh
. "$(dirname "$0")/cluster.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

FOR_S=${TICKS_FOR_S:-8} # of each trouble
BUDGET_US=${TICKS_BUDGET_US:-0} # lateness p99 that is asked; 0 = none is

store_is() { scram status --json | jq -se ".[0].store | $1"; } # JQ_TEST
tick_is() { scram status --json | jq -se ".[0].tick | $1"; }   # JQ_TEST
pause() { read -r -t "$1" <> <(:) || true; }                   # SECONDS of trouble, not a wait for something
register() { # ID: a record more to be shipped
	scram register - <<<"{\"id\": \"$1\", \"action\": {\"kind\": \"process-exit\", \"config\": {\"target\": \"$work/x\"}}, \"registered_by\": \"t\"}"
}

# troubled NAME COMMAND...: ticks are counted from the command on.
troubled() {
	local before after late name=$1
	shift
	before=$(scram status --json | jq -c '{count: .tick.count, uptime: .uptime_s}')
	check "$name: the trouble begins" "$@"
	check "$name: there is something to ship" register "$name"
	pause "$FOR_S"
	after=$(scram status --json)
	# Ten a second; half of them on a machine that is busy with other things.
	# shellcheck disable=SC2016
	check "$name: ticks go on" jq -ne --argjson a "$after" --argjson b "$before" \
		'($a.tick.count - $b.count) >= ($a.uptime_s - $b.uptime) * 10 * 0.5'
	late=$(jq -n --argjson a "$after" '$a.tick.late_p99_us')
	echo "# $name: ticks late p99 $late us"
	[[ $BUDGET_US == 0 ]] || check "$name: in time" test "${late%.*}" -le "$BUDGET_US"
}

check 'a cluster of its own' cluster_make 160
check 'the store is made' "$scram_bin" migrate
printf 'conditions: []\n' >"$config"
chmod 600 "$config"
check 'the agent starts' agent_start
check 'it is connected' until_true 30 store_is '.connected and .lag_records == 0'
troubled stopped cluster_signal STOP
check 'stopped: it goes on' cluster_signal CONT
check 'stopped: all of it arrives' until_true 90 store_is '.connected and .lag_records == 0'

slow() { sql "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END \$\$;
	CREATE TRIGGER slow AFTER INSERT ON journal FOR EACH STATEMENT EXECUTE FUNCTION slow()"; }
troubled slow slow
check 'slow: it ends' sql 'DROP TRIGGER slow ON journal'
check 'slow: all of it arrives' until_true 90 store_is '.connected and .lag_records == 0'

locked() { # somebody holds the table: what is shipped waits for the server's own limit
	"$pg_bin/psql" -qX "$DATABASE_URL" -c 'BEGIN; LOCK TABLE journal IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)' >/dev/null 2>&1 &
	locker=$!
	until_true 30 is_locked
}
is_locked() { [[ $(sql "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'journal'::regclass") == 1 ]]; }
troubled locked locked
kill "$locker"
sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%LOCK TABLE%' AND pid <> pg_backend_pid()" >/dev/null
check 'locked: all of it arrives' until_true 90 store_is '.connected and .lag_records == 0'
check 'the agent ends' agent_stop

# A server that takes the connection and says nothing, for ever.
mkdir -p "$TMPDIR/hole"
python3 tests/db/fake_pg.py "$TMPDIR/hole/.s.PGSQL.5432" start:silence &
hole=$!
check 'a hole' until_true 30 test -S "$TMPDIR/hole/.s.PGSQL.5432"
usual=$DATABASE_URL
export DATABASE_URL="host=$TMPDIR/hole user=postgres dbname=scram"
check 'the agent starts' agent_start
troubled silent true
check 'silent: it is told' until_true 60 store_is '(.connected | not) and (.last_error | test("in time"))'
check 'the agent ends' agent_stop
kill "$hole"
export DATABASE_URL=$usual
tap_done
