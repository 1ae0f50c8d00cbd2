#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The HTTP API where it meets the agent: api.sock, ends of the worker, keys that outlive them, a port that comes free, what is
# fired though nothing can be done, pages. In a network namespace of its own, so that the default port is its own too.
if [[ -z ${SC_API_SPACE-} ]]; then
	SC_API_SPACE=1 exec unshare --net bash "$0" "$@"
fi
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

url=http://127.0.0.1:8400
sock=$TMPDIR/run/api.sock
out=$TMPDIR/out.json
export SCRAM_API_TOKEN=open-sesame
auth=(-H "Authorization: Bearer $SCRAM_API_TOKEN" -H 'Content-Type: application/json')
cat >"$config" <<END
conditions:
  - id: hold-still
    scope: $work/*
    action: {kind: freeze}
    live: true
  - id: kill
    scope: $work/*
    action: {kind: process-exit}
    live: true
END
chmod 600 "$config"

start() { # [ARGUMENT...]
	run_in "$SC_CGROUP_DIR/agent" "$scram_bin" run --config "$config" --cgroup-root "$work_dir" \
		--run-dir "$TMPDIR/run" --state-dir "$TMPDIR/state" "$@"
	agent_pid=$!
	until_true 30 scram status && until_true 30 worker_is up
}
api() { scram status --json | jq -r ".workers[] | select(.name == \"api\") | $1"; } # JQ
worker_is() { [[ $(api .state) == "$1" ]]; }
is_again() { [[ $(api .pid) != "$1" ]] && worker_is up; } # PID of the one before
http_is() { scram status --json | jq -e ".http | $1"; }
is() { # STATUS METHOD WHERE PATH [CURL ARGUMENT...]; WHERE is tcp or sock
	local got where=("$url$4")
	[[ $3 == tcp ]] || where=(--unix-socket "$sock" "http://any.name$4")
	got=$(curl -sS -m 30 -D "$TMPDIR/head" -o "$out" -w '%{http_code}' -X "$2" "${@:5}" "${where[@]}")
	[[ $got == "$1" ]] || { echo "$got, wanted $1: $(head -c 300 "$out")" && return 1; }
}
both() { # COMMAND... -- JQ: of the body
	local call=()
	while [[ $1 != -- ]]; do call+=("$1") && shift; done
	"${call[@]}" && jq -e "$2" "$out"
}
fire() { # CONDITION [MORE MEMBERS]
	printf '{"condition_id":"%s","reason":"a test","operator":"tester"%s}' "$1" "${2-}"
}
at() { printf ',"target":"%s"' "$work/$1"; }
victim() { # NAME
	mkdir -p "$work_dir/$1"
	run_in "$work_dir/$1" sleep 1000
	until_true 10 is_populated "$work_dir/$1"
}
is_thawed() { ! is_frozen "$1"; }

check "there is a network" ip link set lo up

# without TCP
check "HTTP off: the agent starts" start --http off
check "it tells the socket" http_is ".state == \"off\" and .socket == \"$sock\""
check "curl reads there" both is 200 GET sock /v1/health -- '.status == "ok"'
refuse "and not over TCP" 7 curl -sS -m 5 "$url/v1/health"
check "Host and Origin are nobody's there" is 200 GET sock /v1/fires -H 'Host: evil.example' -H 'Origin: http://evil.example'
check "writing needs the token there too" is 401 POST sock /v1/conditions -d '{"id":"x","action":{"kind":"process-exit"}}'
check "with it one writes" is 201 POST sock /v1/conditions "${auth[@]}" -d '{"id":"x","action":{"kind":"process-exit"}}'
check "the agent ends" agent_stop TERM
check "the socket is gone" test ! -e "$sock"

# a port that is taken first
python3 -c 'import socket, sys
s = socket.create_server(("127.0.0.1", 8400)); print("ready", flush=True); sys.stdin.read()' < <(exec sleep 1000) >"$TMPDIR/holder" &
holder=$!
until_true 10 grep -q ready "$TMPDIR/holder"
check "the default port is taken: the agent goes on" start
check "and says so" http_is '.state == "refused" and (.why | test("in use"))'
check "api.sock is served" is 200 GET sock /v1/health
worker=$(api .pid)
kill "$holder"
check "the port is free: it is served" until_true 60 is 200 GET tcp /v1/health
check "by the same worker" test "$(api .pid)" = "$worker"
check "and said to be" http_is '.state == "listening" and .why == null'

# the worker ends
victim one
key=(-H 'Idempotency-Key: of-today')
check "a fire with a key" both is 200 POST tcp /v1/fire "${auth[@]}" "${key[@]}" -d "$(fire hold-still "$(at one)")" -- .dispatched
first=$(jq -r .fire_id "$out")
kill -KILL "$worker"
check "the worker is started again" until_true 30 is_again "$worker"
check "the same key: the same fire" both is 200 POST tcp /v1/fire "${auth[@]}" "${key[@]}" -d "$(fire hold-still "$(at one)")" -- \
	".dispatched and .error == null and .fire_id == \"$first\""
check "on the other socket too" both is 200 POST sock /v1/fire "${auth[@]}" "${key[@]}" -d "$(fire hold-still "$(at one)")" -- ".fire_id == \"$first\""
check "the key for something else" is 422 POST tcp /v1/fire "${auth[@]}" "${key[@]}" -d "$(fire kill "$(at one)")"
check "one fire" fires_are 1 hold-still true
check "the fire tells no key of a client" both is 200 GET tcp "/v1/fires/$first" "${auth[@]}" -- '(.key | test("^[0-9a-f]{32}$"))'
check "it is frozen" until_true 10 is_frozen "$work_dir/one"
check "and released" is 200 POST tcp "/v1/fires/$first/release" "${auth[@]}" -d '{"operator":"tester"}'
check "it is thawed" until_true 10 is_thawed "$work_dir/one"
check "the key is still that fire's" both is 200 POST tcp /v1/fire "${auth[@]}" "${key[@]}" -d "$(fire hold-still "$(at one)")" -- ".fire_id == \"$first\""
check "and nothing was frozen again" is_thawed "$work_dir/one"

# what cannot be done
old() { printf '{"id":"%s","live":true,"action":{"kind":"%s","config":{%s}}}' "$@"; }
check "a condition as the clients of old have it" is 201 POST tcp /v1/conditions "${auth[@]}" -d "$(old plain process-exit '"code":137')"
check "its fire is recorded, and failed" both is 200 POST tcp /v1/fire "${auth[@]}" -d "$(fire plain)" -- \
	'.dispatched == false and (.error | test("target")) and (.fire_id | length == 36)'
check "it is in the list" fires_are 1 plain '.state == "failed" and (.dispatched | not) and .two_person_status == "not-required"'
check "named a target, it acts" both is 200 POST tcp /v1/fire "${auth[@]}" -d "$(fire plain "$(at one)")" -- '.dispatched and .error == null'
check "a scope without a target is asked for one" is 422 POST tcp /v1/fire "${auth[@]}" -d "$(fire kill)"
check "so much may be said" both is 200 POST tcp /v1/fire "${auth[@]}" -d \
	"{\"condition_id\":\"plain\",\"operator\":\"tester\",\"reason\":\"$(printf 'ä%.0s' {1..2000})\"}" -- '.fire_id | length == 36'
check "and is cut where the record ends" both is 200 GET tcp '/v1/fires?limit=1' "${auth[@]}" -- \
	'.[0].reason | (startswith("äää") and endswith("... (cut, it had 4000 bytes)"))'
check "so much may be seen" both is 200 POST tcp /v1/fire "${auth[@]}" -d "$(fire plain ",\"state_snapshot\":{\"x\":\"$(printf '%5000s' '')\"}")" -- \
	'.fire_id | length == 36'
check "and is named in its place" both is 200 GET tcp '/v1/fires?limit=1' "${auth[@]}" -- \
	'.[0].state_snapshot | (.bytes == 5008 and (.sha256 | length == 64))'

# pages
mkdir "$work_dir"/{a,b,c,d,e}
sees() { is 200 GET tcp /v1/targets && [[ $(jq length "$out") == "$1" ]]; }
check "all targets are told" until_true 10 sees "$(find "$work_dir" -type d | wc -l)"
walk() { # PATH: follows the pages; the same as all at once
	local next="$1?limit=2" pages=0
	: >"$TMPDIR/pages"
	while [[ $next ]]; do
		is 200 GET tcp "$next" || return 1
		jq -c '.[].path' "$out" >>"$TMPDIR/pages"
		pages=$((pages + 1))
		next=$(sed -n 's/^Link: <\(.*\)>; rel="next"\r$/\1/p' "$TMPDIR/head")
	done
	is 200 GET tcp "$1" && diff <(jq -c '.[].path' "$out") "$TMPDIR/pages" && [[ $pages -ge 3 ]]
}
check "pages of targets are all of them" walk /v1/targets
check "pages of signals too" walk /v1/signals
check "a page has its bounds" is 200 GET tcp '/v1/signals?limit=100000'
check "and is a number" is 422 GET tcp '/v1/signals?limit=x'
check "so is what it follows" is 422 GET tcp '/v1/signals?after=x'

# the agent ends
check "the agent ends" agent_stop TERM
check "and starts where HTTP is asked for" start --http 127.0.0.1:8400
check "the key outlives it" both is 200 POST tcp /v1/fire "${auth[@]}" "${key[@]}" -d "$(fire hold-still "$(at one)")" -- ".fire_id == \"$first\""
check "one fire still" fires_are 1 hold-still true

# ready, while the worker is started again
stays_ready() { # PID: of the worker that ended
	until is_again "$1"; do
		scram status >/dev/null || return 1
	done
}
worker=$(api .pid)
kill -KILL "$worker"
check "the agent is ready all the while" stays_ready "$worker"
check "clients wait in the queue" is 200 GET tcp /v1/health
fails() { # TIMES
	local i pid
	for ((i = 0; i < $1; i++)); do
		until_true 30 worker_is up || return 1
		pid=$(api .pid)
		kill -KILL "$pid"
		until_true 30 is_not "$pid" || return 1
	done
}
is_not() { [[ $(api .pid) != "$1" ]]; }
is_unready() { scram status --json | jq -e '.ready == false and .http.state == "failing" and (.http.why | test("times in a row"))'; }
check "it fails again and again" fails 8
check "that is not ready, and says why" until_true 10 is_unready
check "the status is not 0" eval '! scram status'
check "until it stays" until_true 60 scram status
check "the agent ends well" agent_stop TERM
tap_done
