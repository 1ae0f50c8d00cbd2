# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Shell tests report in TAP (https://testanything.org): source this, then
#	check "what should hold" COMMAND...       the command succeeds
#	refuse "what is refused" STATUS COMMAND...   it exits with exactly this status
#	equal "what is said" "$got" "$want"
#	skip "what" "why"
#	tap_done                                   at the end; a script that dies before it has failed
# What a command prints is shown only when its check fails.

tap_count=0
tap_failed=0
tap_out=$(mktemp)
trap 'rm -f "$tap_out"' EXIT

tap_result() { # RESULT NAME
	tap_count=$((tap_count + 1))
	echo "$1 $tap_count - $2"
	[[ $1 == ok ]] || tap_failed=$((tap_failed + 1))
}

check() {
	local name=$1
	shift
	refuse "$name" 0 "$@"
}

refuse() {
	local name=$1 want=$2 got=0
	shift 2
	"$@" >"$tap_out" 2>&1 || got=$?
	if [[ $got -eq $want ]]; then
		tap_result ok "$name"
	else
		tap_result 'not ok' "$name"
		echo "# exit status $got, wanted $want: $*"
		sed 's/^/#   /' "$tap_out"
	fi
}

equal() {
	if [[ $2 == "$3" ]]; then
		tap_result ok "$1"
	else
		tap_result 'not ok' "$1"
		printf '# got:\n%s\n# wanted:\n%s\n' "$2" "$3" | sed '/^#/!s/^/#   /'
	fi
}

skip() {
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# until_true SECONDS COMMAND...: waits for a condition that has no event to wait on.
until_true() {
	local deadline=$((SECONDS + $1 * ${SC_TIME_SCALE:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		[[ $SECONDS -lt $deadline ]] || return 1
		read -r -t 0.02 <> <(:) || true
	done
}

# says PATTERN COMMAND...: the command succeeds and says what matches.
says() {
	local pattern=$1 out
	shift
	out=$("$@") && echo "$out" && grep -q -- "$pattern" <<<"$out"
}

tap_done() {
	echo "1..$tap_count"
	[[ $tap_failed -eq 0 ]]
}
