#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Tenants and components cut from the network by name, and given back: with the agent, by time, without it. The network is the
# script's own: the loopback of a namespace that goes with it.
if [[ -z ${OWN_NETWORK-} ]]; then
	OWN_NETWORK=1 exec unshare --net "$0" "$@"
fi
ip link set lo up
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

who=(--reason test --operator tester)
port=7000

cat >"$config" <<END
tenants:
  acme: {cgroups: [$work/acme]}
  calm: {cgroups: [$work/calm]}
components:
  web: {cgroups: [$work/web]}
conditions:
  - id: rehearsed
    description: cuts tenant calm, as a dry-run
    action: {kind: tenant-quarantine, config: {tenant_id: calm}}
    registered_by: test
END
chmod 600 "$config"
mkdir "$work_dir"/{acme,calm,web,lone} "$SC_CGROUP_DIR/world"
run_in "$SC_CGROUP_DIR/world" python3 -c "
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self): self.wfile.write(self.rfile.readline())
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(('127.0.0.1', $port), Echo).serve_forever()"
world_pid=$!
trap 'kill "$world_pid" $agent_pid 2>/dev/null; rm -f "$tap_out"' EXIT

# reaches CGROUP: a new process in it gets an answer from the world. 1 = refused, 124 = nothing came.
reaches() {
	(
		echo "$BASHPID" >"$work_dir/$1/cgroup.procs"
		exec timeout 0.5 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port && echo hello >&3 && read -r line <&3 && [[ \$line == hello ]]"
	)
}
until_true 60 reaches calm
check 'the agent becomes ready' agent_start
check 'acme reaches the world' reaches acme

check 'a tenant is quarantined by its name' scram quarantine acme --wait "${who[@]}"
refuse 'its packets vanish' 124 reaches acme
check 'another tenant goes on' reaches calm
check 'status says what is cut' says 'tenant acme: drop' scram status
check 'by whom' says 'by tester' scram status
check 'and how to undo it' says 'undo: scram unquarantine acme' scram status
held_back() { scram status --json | jq -e '.isolations[0].packets_out > 0'; }
check 'and how much it has held back' until_true 60 held_back
check 'a second time leaves one cut' scram quarantine acme --wait "${who[@]}"
one_cut() { scram status --json | jq -e '.isolations | length == 1'; }
check 'really' until_true 60 one_cut
check 'unquarantine lists what it released' says 'released tenant acme from tenant-quarantine' scram unquarantine acme "${who[@]}"
check 'acme reaches the world again' reaches acme
check 'releasing what does not stand is harmless' says 'nothing of scram' scram unquarantine acme "${who[@]}"
refuse 'a name that is not declared cuts nothing' 1 scram quarantine acne "${who[@]}"
refuse 'a dry-run is not taken for real' 1 scram quarantine calm "${who[@]}"
check 'calm still reaches the world' reaches calm

check 'a component is broken' scram break web --mode all --wait "${who[@]}"
refuse 'its connections are refused at once' 1 reaches web
check 'unbreak gives it back' says 'released component web' scram unbreak web "${who[@]}"
check 'web reaches the world again' reaches web

check 'a cgroup that is not declared is cut by its path' scram quarantine "$work/lone" --wait "${who[@]}"
refuse 'its packets vanish' 124 reaches lone
check 'and it is given back by its path' scram unquarantine "$work/lone" "${who[@]}"
check 'lone reaches the world again' reaches lone

check 'a cut with a ttl' scram quarantine acme --ttl 1s --wait "${who[@]}"
check 'ends by itself' until_true 60 reaches acme

check 'doctor knows that it can cut' says 'quarantine: the gate is attached' scram doctor
check 'another cut' scram quarantine acme --wait "${who[@]}"
fire=$(scram fires --json | jq -r '.[0].id')
check 'is in the state file soon' until_true 60 grep -q "{\"fire_id\":\"$fire\",[^}]*\"group\"" "$TMPDIR/run/state.json"
kill -KILL "$agent_pid"
wait "$agent_pid" 2>/dev/null
refuse 'it stands with the agent dead' 124 reaches acme
dead_says() { scram status 2>&1 | grep -F -- "$1"; }
check 'status says so' dead_says 'tenant acme: drop'
check 'and how to undo it' dead_says 'scram release acme --offline'
refuse 'a mistyped name lets nothing go' 1 scram release acne --offline "${who[@]}"
refuse 'acme is still cut' 124 reaches acme
check 'release --offline gives the network back' says 'released 1 fire' scram release acme --offline "${who[@]}"
check 'acme reaches the world' reaches acme
check 'a second time is harmless' says 'nothing in force' scram release acme --offline "${who[@]}"
check 'the journal verifies' scram verify
AT_ONCE=1
check 'a successor becomes ready' agent_start
no_cut() { scram status --json | jq -e '.isolations == []'; }
check 'and takes nothing up again' no_cut
check 'acme still reaches the world' reaches acme
check 'SIGTERM ends the agent well' agent_stop TERM

cp -a "$TMPDIR/state" "$TMPDIR/older"
check 'and one more begins' agent_start
scram quarantine acme --wait "${who[@]}" >/dev/null
kill -KILL "$agent_pid"
wait "$agent_pid" 2>/dev/null
refuse 'one more cut stands' 124 reaches acme
mv "$TMPDIR/state" "$TMPDIR/lost" && mv "$TMPDIR/older" "$TMPDIR/state"
check 'a cut that stands in no record is released by its name' says 'no record knows' scram release acme --offline "${who[@]}"
check 'acme reaches the world' reaches acme
tap_done
