# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # the names are for those who source this
#
# Shell tests with an agent: source this after tap.sh, inside in-sandbox. The supervised cgroup is $work (as conditions name
# it) and $work_dir; the agent lives beside it. Conditions go to $config before agent_start.

scram_bin=${SCRAM:-build/scram}
programs=${scram_bin%/*}/programs
work=$SC_CGROUP/work
work_dir=$SC_CGROUP_DIR/work
config=$TMPDIR/scram.yaml
agent_log=$TMPDIR/agent.log # run_in names a log after its cgroup
agent_pid=
mkdir -p "$work_dir" "$SC_CGROUP_DIR/agent" "$TMPDIR/run" "$TMPDIR/state"
: >"$config"

scram() { # VERB ARGUMENT...
	"$scram_bin" "$@" --run-dir "$TMPDIR/run" --state-dir "$TMPDIR/state"
}

run_in() { # CGROUP_DIRECTORY COMMAND...: in the background, moved in before it runs; the pid is $!
	(
		echo "$BASHPID" >"$1/cgroup.procs"
		exec "${@:2}"
	) >>"$TMPDIR/${1##*/}.log" 2>&1 &
}

agent_launch() { # ARGUMENT...
	run_in "$SC_CGROUP_DIR/agent" "$scram_bin" run --config "$config" --cgroup-root "$work_dir" \
		--run-dir "$TMPDIR/run" --state-dir "$TMPDIR/state" --http off "$@"
	agent_pid=$!
}

# Launches and waits until the agent is ready and, unless AT_ONCE is set, past its start-up grace.
agent_start() {
	agent_launch "$@"
	until_true 60 scram status || { sed 's/^/# agent: /' "$agent_log" && return 1; }
	[[ -n ${AT_ONCE-} ]] || until_true 60 past_grace
}

past_grace() { scram status --json | jq -e '.uptime_s > 2'; }

agent_stop() { # SIGNAL; the status is the agent's
	kill "-${1:-TERM}" "$agent_pid" && wait "$agent_pid"
}

# fires_are N CONDITION JQ_TEST: exactly N fires of the condition for which the test holds.
fires_are() {
	[[ $(scram fires --json --limit 500 | jq --arg c "$2" "[.[] | select(.condition_id == \$c and ($3))] | length") == "$1" ]]
}

populated() { # CGROUP_DIRECTORY: 1 or 0
	awk '$1 == "populated" { print $2 }' "$1/cgroup.events"
}
is_populated() { [[ $(populated "$1") == 1 ]]; }
is_empty() { [[ $(populated "$1") == 0 ]]; }
is_frozen() { [[ $(awk '$1 == "frozen" { print $2 }' "$1/cgroup.events") == 1 ]]; }
