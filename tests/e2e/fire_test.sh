#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Fires by itself: ladder, dry-run, bystanders, reload, and what a killed agent leaves to its successor.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

who=(--reason test --operator tester)

conditions() { # EXTRA: the file, with one more condition
	cat >"$config" <<END
conditions:
  - id: crash-loop
    scope: $work/*
    description: keeps crashing
    when: increase(proc.crashes[20s]) >= 3
    action: {kind: process-exit}
    escalate: [{kind: freeze, dwell: 500ms}, {kind: process-exit}]
    auto_fire: true
    live: true
    registered_by: test
  - id: rehearsed
    scope: $work/dry*
    description: forks a lot, dry-run
    when: increase(proc.forks[20s]) >= 50
    action: {kind: process-exit}
    auto_fire: true
    registered_by: test
  - id: hold-still
    scope: $work/*
    description: freezes by hand
    action: {kind: freeze}
    live: true
    registered_by: test
$1
END
	chmod 600 "$config"
}

mkdir "$work_dir"/{web,dry,calm,late}
conditions ''
check 'the agent becomes ready' agent_start

run_in "$work_dir/calm" "$programs/bystander" 120
calm=$!
run_in "$work_dir/dry" "$programs/forkbomb" 100 60
run_in "$work_dir/web" "$programs/crash-looper" 60

check 'a crash loop is frozen first' until_true 60 fires_are 1 crash-loop '.action == "freeze" and .outcome == "frozen"'
check 'and killed when it stays true' until_true 60 fires_are 1 crash-loop '.action == "process-exit" and .outcome == "emptied"'
check 'its cgroup is empty' is_empty "$work_dir/web"
refuse 'and not frozen any more' 1 is_frozen "$work_dir/web"
check 'a dry-run is recorded' until_true 60 fires_are 1 rehearsed '.dry_run and (.dispatched | not)'
check 'and touches nothing' is_populated "$work_dir/dry"
check 'the bystander is alive' kill -0 "$calm"
check 'and nobody fired at it' test "$(scram fires --json | jq --arg t "$work/calm" '[.[] | select(.target == $t)] | length')" = 0
check 'why explains it' says 'proc.forks' scram why rehearsed "$work/dry"

conditions "  - id: added
    scope: $work/late
    description: came with the reload
    action: {kind: process-exit}
    live: true
    registered_by: test"
kill -HUP "$agent_pid"
check 'SIGHUP loads the new file' until_true 60 says added scram list
echo '  broken: [' >>"$config"
kill -HUP "$agent_pid"
check 'a bad file is refused and the running set stays' scram ping
check 'really' says added scram list
conditions ''

run_in "$work_dir/late" sleep 1000
until_true 60 is_populated "$work_dir/late"
check 'a freeze by hand' scram fire hold-still --target "$work/late" --wait "${who[@]}"
check 'freezes' is_frozen "$work_dir/late"
count=$(scram fires --json | jq length)
kill -KILL "$agent_pid"
wait "$agent_pid" 2>/dev/null
refuse 'status says that the agent is dead' 3 scram status
verified() {
	local status=0
	scram verify || status=$?
	[[ $status -eq 0 || $status -eq 20 ]]
}
check 'after SIGKILL the journal is whole or torn at its end' verified
AT_ONCE=1
check 'a successor becomes ready' agent_start
thawed() { ! is_frozen "$work_dir/late"; }
check 'it thaws what was left frozen' until_true 60 thawed
check 'the frozen process lives' is_populated "$work_dir/late"
check 'no fire is lost or fired twice' test "$(scram fires --json | jq length)" -eq "$count"
check 'the bystander still lives' kill -0 "$calm"

check 'another freeze' scram fire hold-still --target "$work/late" --wait "${who[@]}"
check 'is undone by release' scram release "$work/late" "${who[@]}"
check 'thawed' until_true 60 thawed
check 'a third freeze' scram fire hold-still --target "$work/late" --wait "${who[@]}"
check 'SIGTERM ends the agent well' agent_stop TERM
check 'and thaws' thawed
check 'the journal verifies' scram verify
tap_done
