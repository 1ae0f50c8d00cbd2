#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The agent where the kernel lacks what it would like to have: what is missing is said in words and unknown, never 0.
# Only in a guest that was booted so (tests/vm/run): psi=0 and no bpf among the LSMs.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

condition() { # WHEN
	cat >"$config" <<END
conditions:
  - {id: sick, scope: "$work/*", when: "$1", action: {kind: process-exit}, auto_fire: true, live: true, registered_by: t}
END
	chmod 600 "$config"
}

doctor_says() { # PATTERN; its exit status says whether anything is red
	scram doctor 2>&1 | grep -E -- "$1"
}

is_null() { # SIGNAL
	scram signals "$work/web" --json | jq -e --arg s "$1" '[.. | objects | select(has("signals")) | .signals[$s]] | first == null'
}

is_number() { # SIGNAL
	scram signals "$work/web" --json | jq -e --arg s "$1" '[.. | objects | select(has("signals")) | .signals[$s]] | first | type == "number"'
}

refuses_to_start() { # PATTERN
	local status=0
	agent_launch
	wait "$agent_pid" || status=$?
	sed 's/^/agent: /' "$agent_log"
	[[ $status -ne 0 ]] && grep -E -- "$1" "$agent_log"
}

mkdir "$work_dir/web"
: >"$config" && chmod 600 "$config"
AT_ONCE=1 agent_start "$@"

check 'doctor says that pressure is not measured' doctor_says 'signals of pressure: .*psi=1'
for signal in psi.cpu.some.avg10 psi.memory.full.avg60 psi.io.full.total_us; do
	check "$signal is unknown" is_null $signal
done
check 'doctor says that the memory controller is not on there' doctor_says 'signals of memory-controller: .*cgroup.controllers'
for signal in mem.current_bytes mem.events.oom_kill cpu.throttled_us pids.max io.writes; do
	check "$signal is unknown" is_null $signal
done
check 'what needs no controller is known' is_number proc.alive
check 'doctor says that no BPF LSM stops packet sockets' doctor_says 'packet sockets: no BPF LSM'
agent_stop TERM

condition 'psi.memory.full.avg10 > 60%'
check 'a live condition on pressure is refused' refuses_to_start 'the signals of pressure are unknown on this host'

for controller in memory pids cpu io; do
	echo "+$controller" >"$SC_CGROUP_DIR/cgroup.subtree_control"
	echo "+$controller" >"$work_dir/cgroup.subtree_control"
done
condition 'mem.current_bytes > 1GiB'
AT_ONCE=1 agent_start "$@"
for signal in mem.current_bytes mem.swap_bytes mem.events.oom_kill pids.current; do
	check "with the controllers on, $signal is known" until_true 5 is_number $signal
done
check 'a limit that is not set is unknown' is_null mem.max_bytes
agent_stop TERM

mount -t tmpfs none /sys/kernel/btf
check 'without BTF the agent does not start, and says why' refuses_to_start 'BPF: .*/sys/kernel/btf/vmlinux'
check 'doctor says that there is no BTF' doctor_says '^red +btf: .*no BPF program can be loaded'
umount /sys/kernel/btf

# A host with cgroup v1 alone, in a mount namespace of its own.
v1_only() {
	# shellcheck disable=SC2016 # the inner shell's
	unshare -m bash -c 'umount -l "$1" && mkdir -p "$TMPDIR/v1" && mount -t cgroup -o none,name=v1 none "$TMPDIR/v1" &&
		shift && "$@"' v1-only "$SC_CGROUP_MOUNT" "$@" 2>&1
}
v1_says() { # PATTERN VERB...
	local pattern=$1
	shift
	v1_only "$scram_bin" "$@" --run-dir "$TMPDIR/run" --state-dir "$TMPDIR/state" | grep -E -- "$pattern"
}
check 'with cgroup v1 alone the agent does not start, and says why' \
	v1_says 'scram needs cgroup v2' run --config "$config" --http off
check 'doctor says that cgroup2 is not mounted' v1_says '^red +cgroup2: .*not mounted' doctor

tap_done
