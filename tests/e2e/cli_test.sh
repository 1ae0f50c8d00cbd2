#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The command line as an operator and a script meet it: exit statuses, --json, refusals, an agent that is dead.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

mkdir "$work_dir"/{web,api,other}
cat >"$config" <<END
protect: [$work/api]
conditions:
  - id: kill-web
    description: kills web by hand
    scope: $work/*
    action: {kind: process-exit}
    live: true
    registered_by: test
  - id: rehearsal
    description: does nothing yet
    scope: $work/web
    action: {kind: process-exit}
    registered_by: test
END
chmod 600 "$config"

who=(--reason test --operator tester)

refuse 'status says that no agent is there' 3 scram status
refuse 'fire says that no agent is there' 3 scram fire kill-web --target "$work/web" "${who[@]}"
refuse 'an unknown verb is a usage error' 2 scram no-such-verb
refuse 'an unknown option is a usage error' 2 scram list --no-such-option
check 'version needs no agent' scram version
check 'check accepts a good file' scram check "$config"
sed 's/process-exit/process-exti/' "$config" >"$TMPDIR/bad.yaml"
refuse 'check refuses a bad file' 1 scram check "$TMPDIR/bad.yaml"
equal 'and names the place' "$(scram check "$TMPDIR/bad.yaml" 2>&1 | grep -c "^$TMPDIR/bad.yaml:6:[0-9]*: .*;")" 1

check 'the agent becomes ready' agent_start
check 'ping answers' scram ping
equal 'status tells its state' "$(scram status --json | jq -r .state)" ready
equal 'list shows the conditions' "$(scram list --json | jq -r '[.[].id] | sort | join(" ")')" 'kill-web rehearsal'
equal 'nothing was fired' "$(scram fires --json)" '[]'
check 'doctor prints its checks' says cgroup scram doctor
AT_ONCE=1
agent_is_refused() {
	local first=$agent_pid status=0
	agent_launch
	wait "$agent_pid" || status=$?
	agent_pid=$first
	return "$status"
}
session() { jq -r .session "$TMPDIR/run/state.json"; }
until_true 60 session
first_session=$(session)
refuse 'a second agent on the same directories is refused' 1 agent_is_refused
equal 'and leaves the state file of the first alone' "$(session)" "$first_session"

refuse 'a fire without a reason is a usage error' 2 scram fire kill-web --target "$work/web" --operator tester
refuse 'a fire without an operator is a usage error' 2 scram fire kill-web --target "$work/web" --reason test
refuse 'a scoped condition needs a target' 2 scram fire kill-web "${who[@]}"
refuse 'a target outside the scope is refused' 2 scram fire rehearsal --target "$work/other" "${who[@]}"

run_in "$work_dir/web" sleep 1000
run_in "$work_dir/api" sleep 1000
until_true 60 is_populated "$work_dir/api"
check 'a condition that is not live fires dry' scram fire rehearsal --target "$work/web" --wait "${who[@]}"
equal 'and says so' "$(scram fires --json | jq -r '.[0] | "\(.dry_run) \(.dispatched)"')" 'true false'
equal 'and touches nothing' "$(populated "$work_dir/web")" 1

refuse 'a protected target is vetoed' 4 scram fire kill-web --target "$work/api" --wait "${who[@]}"
equal 'and lives' "$(populated "$work_dir/api")" 1
check 'disarm' scram disarm "${who[@]}"
refuse 'a disarmed agent vetoes' 4 scram fire kill-web --target "$work/web" --wait "${who[@]}"
check 'arm' scram arm "${who[@]}"

check 'a fire by hand kills, and waits for it' scram fire kill-web --target "$work/web" --wait "${who[@]}"
equal 'the cgroup is empty' "$(populated "$work_dir/web")" 0
equal 'the fire is verified' "$(scram fires --json | jq -r '.[0] | "\(.condition_id) \(.outcome) \(.dispatched) \(.killed)"')" \
	'kill-web emptied true 1'
id=$(scram fires --json | jq -r '.[0].id')
check 'show tells of it' scram show "$id"
equal 'with every stage timed' "$(scram show "$id" --json | jq '[.decided_ns, .intent_ns, .act_begin_ns, .act_end_ns, .verified_ns] | . == sort and .[0] > 0')" true

check 'signals shows the cgroups' says "$work/web" scram signals
check 'promote makes it live' scram promote rehearsal "${who[@]}"
run_in "$work_dir/web" sleep 1000
until_true 60 is_populated "$work_dir/web"
check 'then it kills' scram fire rehearsal --target "$work/web" --wait "${who[@]}"
equal 'really' "$(populated "$work_dir/web")" 0

check 'the journal verifies beside a running agent' scram verify
check 'SIGTERM ends the agent well' agent_stop TERM
check 'the journal verifies' scram verify
refuse 'status shows the state file of a dead agent' 3 scram status
printf x | dd of="$(find "$TMPDIR/state/journal" -type f | sort | head -n 1)" bs=1 seek=200 conv=notrunc status=none
refuse 'a changed byte is found' 21 scram verify
tap_done
