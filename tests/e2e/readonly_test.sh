#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What programs ask at their start: the header and the shell form of it, and the agent that obeys too.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

marker=$TMPDIR/marker
boot=$(cat /proc/sys/kernel/random/boot_id)
start=$(sed 's/.*) //' /proc/1/stat | cut -d ' ' -f 20)
pidns=$(readlink /proc/self/ns/pid | tr -cd 0-9)
export SCRAM_READONLY_MARKER=$marker

ask() { # what the program says, the shell form in brackets
	local program shell=writable
	program=$("$programs/force-readonly" </dev/null)
	scripts/force-readonly && shell=read-only
	echo "$program [$shell]"
}
marked() { # TEXT
	printf '%b' "$1" >"$marker"
	ask
	rm -f "$marker"
}

check "the header is C11 alone" cc -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude tests/programs/force-readonly.c
check "and GNU C" cc -std=gnu17 -Wall -Wextra -Werror -fsyntax-only -Iinclude tests/programs/force-readonly.c

equal "without a word programs may write" "$(ask)" "writable [writable]"
equal "the environment forbids it" "$(SCRAM_FORCE_READONLY=1 ask)" "read-only [read-only]"
equal "any other value does not" "$(SCRAM_FORCE_READONLY=10 ask)" "writable [writable]"
equal "a marker of this boot" "$(marked "epoch=$boot:$start\npidns=$pidns\nfire=x\n")" "read-only [read-only]"
equal "a marker of another boot" "$(marked "epoch=00000000-0000-0000-0000-000000000000:$start\n")" "writable [writable]"
equal "a marker of another start of pid 1" "$(marked "epoch=$boot:1${start}1\npidns=$pidns\n")" "writable [writable]"
equal "the pid 1 of another namespace says nothing" "$(marked "epoch=$boot:1${start}1\npidns=1\n")" "read-only [read-only]"
equal "a marker without an epoch" "$(marked "fire=x\n")" "read-only [read-only]"
equal "a marker whose epoch is no epoch" "$(marked "epoch=x\n")" "read-only [read-only]"
equal "an empty marker" "$(marked '')" "read-only [read-only]"
mkdir "$marker"
equal "what cannot be read" "$(ask)" "read-only [read-only]"
rmdir "$marker"

# A flip while the program runs changes nothing, either way.
flip() { # BEFORE AFTER: commands
	eval "$1"
	coproc program { "$programs/force-readonly"; }
	local first second
	read -r first <&"${program[0]}"
	eval "$2"
	echo again >&"${program[1]}"
	read -r second <&"${program[0]}"
	eval "exec ${program[1]}>&-" # the end of its input ends it
	rm -f "$marker"
	echo "$first $second"
}
equal "set while it runs" "$(flip : "touch $marker")" "writable writable"
equal "taken away while it runs" "$(flip "touch $marker" "rm -f $marker")" "read-only read-only"

# The agent: environment and command line, never the marker, which it must be able to take back.
cat >"$config" <<END
conditions:
  - {id: hold-still, scope: $work/*, action: {kind: freeze}, live: true}
END
chmod 600 "$config"
touch "$TMPDIR/run/readonly"
check "the agent starts beside a marker" agent_start
equal "and is not observe-only by it" "$(scram status --json | jq -r .state)" ready
agent_stop TERM
export SCRAM_FORCE_READONLY=1
check "it starts when it is forced" agent_start
unset SCRAM_FORCE_READONLY
equal "forced, it observes only" "$(scram status --json | jq -r .state)" observe-only
refuse "refuses to arm" 4 scram arm --reason test --operator tester
equal "says so in doctor" "$(scram doctor --json | jq -r '.. | objects | select(.name == "observe-only") | .level')" red
agent_stop TERM
tap_done
