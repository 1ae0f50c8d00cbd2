#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What the agent finds on this kernel with every controller on: a row per feature for docs/kernels.md.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

for controller in memory pids cpu io; do
	echo "+$controller" >"$SC_CGROUP_DIR/cgroup.subtree_control"
done
chmod 600 "$config"
AT_ONCE=1 agent_start "$@"
doctor=$(scram doctor --json)

level_of() { # NAME
	jq -r --arg n "$1" '(if type == "array" then . else .checks end)[] | select(.name == $n) | .level' <<<"$doctor"
}

for feature in proc oom tcp tenant cgroup-iterator task-iterator memory-controller pids-controller cpu-controller \
	io-controller pressure app; do
	equal "signals of $feature" "$(level_of "signals of $feature")" green
done
equal 'packet sockets refused by BPF LSM' "$(level_of 'packet sockets')" green
tap_done
