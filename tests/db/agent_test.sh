#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The agent with a store: what people register and fire appears there, a store that is gone is told, and costs nothing.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=cluster.sh
. "$(dirname "$0")/cluster.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

# The rows of conditions, as a client reads them.
conditions_are() { in_store "SELECT string_agg(id || ' ' || live || ' ' || (deleted_at IS NULL) || ' ' || (defined_in IS NOT NULL), ', '
	ORDER BY id) FROM kill_conditions" "$1"; }
store_is() { scram status --json | jq -e ".store | $1"; } # JQ_TEST
doctor_says() { scram doctor | grep -q "$1"; }                 # PATTERN; a red finding is its exit status
in_store() { [[ $(sql "$1") == "$2" ]]; }                  # QUERY VALUE

check 'a cluster of its own' cluster_make 160
check 'the store is made' "$scram_bin" migrate
cat >"$config" <<END
conditions:
  - id: by-hand
    scope: $work/*
    description: ended by hand
    action: {kind: process-exit}
    live: true
    registered_by: test
  - id: store-gone
    description: told by the store's own signal
    when: store.down_s > 1
    hold: 0s
    action: {kind: process-exit, config: {target: $work/idle}}
    auto_fire: true
    registered_by: test
END
chmod 600 "$config"
# What lies in quarantine for longer than it is kept goes at the first report.
mkdir -p "$TMPDIR/state/quarantine"/{7,8,mine}
touch -d '40 days ago' "$TMPDIR/state/quarantine"/{7,mine}
mkdir "$work_dir"/{web,idle}
check 'the agent becomes ready' agent_start
check 'it is connected to the store' until_true 60 store_is '.connected and .down_s == 0'
check 'the conditions of the file are in the store' until_true 20 conditions_are \
	'by-hand true true true, store-gone false true true'
run_in "$work_dir/web" sleep 300
check 'a fire by hand' scram fire by-hand --reason 'it is time' --operator ann --target "$work/web" --wait
check 'the fire is in the store, verified' until_true 60 in_store \
	"SELECT fired_by, reason, state, outcome, dispatched, two_person_status FROM kill_fires WHERE condition_id = 'by-hand'" \
	'ann|it is time|verified|emptied|t|not-required'
cat >"$TMPDIR/one.json" <<END
{"id": "of-today", "description": "d", "action": {"kind": "process-exit", "config": {"target": "$work/web"}},
 "registered_by": "bob"}
END
check 'a condition is registered' scram register "$TMPDIR/one.json"
check 'it is in the store' until_true 60 in_store \
	"SELECT description, action_kind, live, registered_by, deleted_at IS NULL FROM kill_conditions WHERE id = 'of-today'" \
	'd|process-exit|f|bob|t'
check 'it is promoted' scram promote of-today --operator bob --reason r
check 'and so it is in the store' until_true 60 in_store "SELECT live FROM kill_conditions WHERE id = 'of-today'" t
check 'it is removed' scram unregister of-today --operator bob --reason r
check 'and stays in the store, deleted' until_true 60 in_store \
	"SELECT deleted_at IS NOT NULL FROM kill_conditions WHERE id = 'of-today'" t
check 'one of the file is promoted' scram promote store-gone --operator bob --reason r
check 'and so it is in the store' until_true 20 in_store "SELECT live FROM kill_conditions WHERE id = 'store-gone'" t
registered=$(sql "SELECT registered_at FROM kill_conditions WHERE id = 'by-hand'")
cp "$config" "$TMPDIR/before.yaml"
sed -i 's/ended by hand/ended by people/; s/^  - id: store-gone/  - id: store-went/' "$config"
check 'the file is changed, and loaded' scram reload
check 'what it changed is changed, what it added is there, what it lost is deleted' until_true 20 conditions_are \
	'by-hand true true true, of-today true false false, store-gone true false true, store-went false true true'
equal 'and when it was first there stays' "$(sql "SELECT description, registered_at FROM kill_conditions WHERE id = 'by-hand'")" \
	"ended by people|$registered"
cp "$TMPDIR/before.yaml" "$config"
check 'the file is put back, and loaded' scram reload
check 'and so are the rows' until_true 20 conditions_are \
	'by-hand true true true, of-today true false false, store-gone false true true, store-went false false true'
check 'status says so to people' says '^store  *connected, seq' scram status
check 'doctor is content' says 'green *store: connected' scram doctor
check 'what was old in quarantine is gone' until_true 60 test ! -e "$TMPDIR/state/quarantine/7"
check 'and nothing else' test -d "$TMPDIR/state/quarantine/8" -a -d "$TMPDIR/state/quarantine/mine"

cluster_stop KILL
check 'a store that is gone is told' until_true 60 store_is '(.connected | not) and .down_s > 1 and .last_error != null'
check 'doctor tells how to look' says 'scram ping --store' scram doctor
check 'a condition on store.down_s sees it' until_true 60 fires_are 1 store-gone '.state == "dry-run"'
check 'fires go on' scram fire by-hand --reason 'without a store' --operator ann --target "$work/web" --wait
check 'and wait for it' store_is '.lag_records > 0'
check 'the store comes back' cluster_start
check 'all of it arrives' until_true 60 store_is '.connected and .lag_records == 0'
equal 'the fire too' "$(sql "SELECT count(*) FROM kill_fires WHERE reason = 'without a store'")" 1

# A record that the store will never take.
sql "ALTER TABLE journal ADD CONSTRAINT no_word CHECK (line IS NULL OR line NOT LIKE '%unspeakable%')" >/dev/null
check 'a fire with what the store refuses' scram fire by-hand --reason unspeakable --operator ann --target "$work/web" --wait
check 'its records are put aside' until_true 60 store_is '.quarantined >= 2 and .connected'
aside=$(find "$TMPDIR/state/quarantine" -name record.json -exec grep -l unspeakable {} + | head -n 1)
check 'each with its line' test -s "$aside"
check 'and the reason beside it' grep -q no_word "${aside%/*}/reason.txt"
check 'doctor is red' doctor_says 'red *store: .* in quarantine'
check 'what follows arrives' until_true 60 store_is '.lag_records == 0'
check 'the agent ends' agent_stop
host=$(cat "$TMPDIR/state/host-id")
equal 'the chain in the store is whole' "$(sql "SELECT verdict FROM scram_verify('$host')")" ok
tap_done
