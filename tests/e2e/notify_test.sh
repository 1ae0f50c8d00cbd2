#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Who is told of a fire: the receiver's recipe of the README, and a real journald, which has a mount namespace of its own here.
if [[ ${1-} != inside ]]; then
	exec unshare --mount --propagation private bash "$0" inside
fi
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

here=$(dirname "$0")
journald=/lib/systemd/systemd-journald
fired=$(awk -F'`' '$2 == "fire-verified" { print $6 }' "$here/../../docs/reference/messages.md")

# Nothing of the host's journal is seen or written in here.
start_journald() {
	mkdir -p /run/systemd /run/log
	mount -t tmpfs tmpfs /run/systemd && mount -t tmpfs tmpfs /run/log && mount -t tmpfs tmpfs /var/lib/systemd || return 1
	mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal /var/lib/systemd/catalog
	printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitIntervalSec=0\n' >/run/systemd/journald.conf.d/test.conf
	run_in "$SC_CGROUP_DIR/agent" "$journald"
	until_true 60 test -S /run/systemd/journal/socket
}

entry() { journalctl --quiet --no-pager "$@" "MESSAGE_ID=$fired"; }
has_entry() { entry --output json | grep -q "$1"; }

run_in "$SC_CGROUP_DIR" python3 "$here/../harness/webhooks.py" "$TMPDIR" "$TMPDIR/secret"
printf 'a secret of more than sixty-four bytes, as some like them: %s\n' "$(printf 'k%.0s' {1..80})" >"$TMPDIR/secret"
chmod 600 "$TMPDIR/secret"
check 'the receiver listens' until_true 60 test -s "$TMPDIR/port"
check 'a journald runs' start_journald

mkdir "$work_dir"/web
cat >"$config" <<END
notify:
  - {webhook: "http://127.0.0.1:$(<"$TMPDIR/port")/ok", secret_file: $TMPDIR/secret}
  - journal
conditions:
  - id: kill-web
    scope: $work/*
    action: {kind: process-exit}
    live: true
    registered_by: test
END
chmod 600 "$config"
check 'the agent becomes ready' agent_start
check 'everybody hears a test' scram test-notify

run_in "$work_dir/web" tail -f /dev/null
check 'a fire' scram fire kill-web --target "$work/web" --reason 'a "reason"' --operator tester --wait
fire=$(scram fires --json | jq -r '.[0].id')
check 'the journal has it by its MESSAGE_ID' until_true 60 has_entry "$fire"
equal 'with the fields' "$(entry --output json | jq -r '[.PRIORITY, .SCRAM_FIRE_ID, .SCRAM_CONDITION, .SCRAM_TARGET, .SCRAM_ACTION, .SCRAM_OUTCOME, .SCRAM_EVENT, .SCRAM_OPERATOR, .SYSLOG_IDENTIFIER] | join(" ")')" \
	"2 $fire kill-web $work/web process-exit emptied fire-verified tester scram"
equal 'from a process without rights' "$(entry --output json | jq -r '[._CAP_EFFECTIVE, (._UID != "0")] | join(" ")')" '0 true'

explained() {
	mount -t tmpfs tmpfs /usr/lib/systemd/catalog
	scram_page catalog >/usr/lib/systemd/catalog/scram.catalog
	journalctl --update-catalog && entry -x | grep -q "its action process-exit took effect: the outcome is emptied"
}
scram_page() { "$scram_bin" reference "$1"; }
check 'journalctl -x says what it means' explained

# As the README has it, on the bytes as they came.
received() { jq -r "select(.event == \"fire-verified\") | .$1" "$TMPDIR/log"; }
is_received() { [[ -s $TMPDIR/log && $(received key) == *-webhook-* ]]; }
recipe() {
	local lines
	lines=$(sed -n '/^signature=v1/,/SCRAM_SIGNATURE/p' "$here/../../README.md" | sed "s|/etc/scram/hook.secret|$TMPDIR/secret|")
	[[ -n $lines ]] && eval "$lines"
}
check 'the webhook came' until_true 60 is_received
BODY=$TMPDIR/body
SCRAM_TIMESTAMP=$(received stamp)
SCRAM_SIGNATURE=$(received signature)
export BODY SCRAM_TIMESTAMP SCRAM_SIGNATURE
received raw | tr -d '\n' >"$BODY"
check 'the recipe of the README finds its signature right' recipe
printf ' ' >>"$BODY"
refuse 'and that of a changed body wrong' 1 recipe

equal 'show tells who was told' "$(scram show "$fire" --json | jq -r '[.told[] | .ok] | join(" ")')" 'true true'
check 'the journal of scram is whole' scram verify
check 'the agent stops' agent_stop
tap_done
