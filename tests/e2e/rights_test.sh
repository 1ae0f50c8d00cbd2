#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Who may what, over HTTP, on api.sock and on the control socket: each cell of tests/corpus/rights.tsv, and each refusal in
# the journal. A group scram is made for it in a mount namespace of its own.
if [[ -z ${SC_RIGHTS_SPACE-} ]]; then
	SC_RIGHTS_SPACE=1 exec unshare --mount --propagation private bash "$0" "$@"
fi
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

here=$(dirname "$0")
table=$here/../corpus/rights.tsv
port=$((20000 + $$ % 10000))
token=open-sesame
expected=$TMPDIR/expected.json
chmod 755 "$TMPDIR"
printf 'conditions:\n  - {id: kill, scope: "%s/*", action: {kind: process-exit}}\n' "$work" >"$config"
chmod 600 "$config"
grep -v '^scram:' /etc/group >"$TMPDIR/group"
echo 'scram:x:64999:' >>"$TMPDIR/group"
chmod 644 "$TMPDIR/group"
mount --bind "$TMPDIR/group" /etc/group

start() { # the agent, with or without SCRAM_API_TOKEN as the caller sets it
	run_in "$SC_CGROUP_DIR/agent" "$scram_bin" run --config "$config" --cgroup-root "$work_dir" \
		--run-dir "$TMPDIR/run" --state-dir "$TMPDIR/state" --http "127.0.0.1:$port"
	agent_pid=$!
	until_true 30 scram status
}
asks() { python3 "$here/../harness/rights.py" ask "$table" "$token" "$1" "$port" "$TMPDIR/run" "$expected"; }
told() { # every refusal has come to the core
	[[ $(scram status --json | jq .requests_refused) == $(jq '[.[]] | add' "$expected") ]]
}
recorded() { python3 "$here/../harness/rights.py" journal "$TMPDIR/state" "$expected"; }
mode_is() { [[ $(stat -c '%a %U %g' "$TMPDIR/run/$1") == "660 root 64999" ]]; }

export SCRAM_API_TOKEN=$token
check "and is ready" start
check "control.sock is for root and the group" mode_is control.sock
check "so is api.sock" mode_is api.sock
check "each may what the table says" asks set
check "the agent is told of what was refused" until_true 20 told
check "it ends" agent_stop TERM
check "each refusal is in the journal" recorded
check "api.sock went with it" test ! -e "$TMPDIR/run/api.sock"

unset SCRAM_API_TOKEN
rm -rf "$TMPDIR/state" && mkdir "$TMPDIR/state"
: >"$TMPDIR/run/api.sock"
check "without a token it starts too, over what lies in the place of api.sock" start
check "each may what the table says then" asks unset
check "the agent is told of it" until_true 20 told
check "it ends again" agent_stop TERM
check "each refusal is in the journal again" recorded
tap_done
