#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The HTTP API as its users meet it: the routes of the original service, who may what, limits, malformed requests, the stream.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

here=$(dirname "$0")
port=$((20000 + $$ % 10000))
url=http://127.0.0.1:$port
token=open-sesame
out=$TMPDIR/out.json
cat >"$config" <<END
conditions:
  - id: kill
    scope: $work/*
    description: by hand
    action: {kind: process-exit}
    live: true
  - id: hold-still
    scope: $work/*
    action: {kind: freeze}
    live: true
  - id: rehearsed
    scope: $work/*
    action: {kind: process-exit}
  - id: two
    scope: $work/*
    action: {kind: process-exit}
    requires_two_person: true
    live: true
END
chmod 600 "$config"

api_start() { # the agent, with or without SCRAM_API_TOKEN as the caller sets it
	run_in "$SC_CGROUP_DIR/agent" "$scram_bin" run --config "$config" --cgroup-root "$work_dir" \
		--run-dir "$TMPDIR/run" --state-dir "$TMPDIR/state" --http "127.0.0.1:$port"
	agent_pid=$!
	until_true 60 scram status && until_true 60 curl -fsS -m 2 "$url/v1/health"
}

# is STATUS METHOD PATH [CURL ARGUMENT...]: the answer has the status; its body is in $out.
is() {
	local got
	got=$(curl -sS -m 10 -o "$out" -w '%{http_code}' -X "$2" "${@:4}" "$url$3")
	[[ $got == "$1" ]] || { echo "$got, wanted $1: $(head -c 300 "$out")" && return 1; }
}
auth=(-H "Authorization: Bearer $token")
json=(-H 'Content-Type: application/json')
post() { # STATUS PATH BODY [CURL ARGUMENT...], with the token
	is "$1" POST "$2" "${auth[@]}" "${json[@]}" -d "$3" "${@:4}"
}
that() { jq -e "$1" "$out"; }
both() { # STATUS-CHECK... -- JQ
	local call=()
	while [[ $1 != -- ]]; do call+=("$1") && shift; done
	"${call[@]}" && that "$2"
}
fire() { # CONDITION [MORE MEMBERS]
	printf '{"condition_id":"%s","reason":"a test","operator":"tester"%s}' "$1" "${2-}"
}
at() { printf ',"target":"%s"' "$work/$1"; }
is_thawed() { ! is_frozen "$1"; }
victim() { # NAME
	mkdir -p "$work_dir/$1"
	run_in "$work_dir/$1" sleep 1000
	until_true 60 is_populated "$work_dir/$1"
}

export SCRAM_API_TOKEN=$token
check "the agent is ready when HTTP listens" api_start

# reading
check "health is as it was" both is 200 GET /v1/health -- '.status == "ok" and .registered_conditions == 4 and (.valid_action_kinds | length == 5)
	and .journal_failures == 0 and .halt == null'
check "conditions are listed in the order of ids" both is 200 GET /v1/conditions -- '[.[].id] == ["hold-still", "kill", "rehearsed", "two"]'
check "a view says whether there is a predicate" that 'all(.has_predicate == false) and all(has("registered_by") and has("live"))'
check "fires are a list" both is 200 GET /v1/fires -- '. == []'
check "targets are told" both is 200 GET /v1/targets -- "any(.path == \"$work\")"
check "signals of one target are told" both is 200 GET "/v1/signals?target=$work" -- '.[0].signals | has("proc.alive")'
check "an escaped path is the same" is 200 GET "/v1/signals?target=${work//\//%2F}"
check "of no target" is 404 GET "/v1/signals?target=/nope"
check "limits are clamped" is 200 GET "/v1/fires?limit=0"
check "limits above too" is 200 GET "/v1/fires?limit=100000"
check "a limit is a number" is 422 GET "/v1/fires?limit=many"
check "HEAD has no body" is 200 HEAD /v1/health -I
check "no such path" is 404 GET /v1/nothing
check "not by that method" is 405 PUT /v1/fire

# conditions
rule='{"id":"by-http","description":"d","action":{"kind":"process-exit","config":{"code":137}},"scope":"/x/*","when":"increase(proc.crashes[60s]) >= 3","hold":"1s"}'
check "a condition is registered" both post 201 /v1/conditions "$rule" -- '.has_predicate and .id == "by-http" and .live == false and .hold == "1s"'
check "again: the same" post 201 /v1/conditions "$rule"
check "it is seen at once" both is 200 GET /v1/conditions -- 'any(.id == "by-http")'
check "one without predicate, of a tenant that nobody declared" both post 201 /v1/conditions \
	'{"id":"manual","auto_fire":true,"action":{"kind":"tenant-quarantine","config":{"tenant_id":"nobody"}}}' -- '.has_predicate == false'
check "unknown kinds are refused" post 422 /v1/conditions '{"id":"x","action":{"kind":"explode"}}'
check "a file's condition is the file's" post 409 /v1/conditions '{"id":"kill","action":{"kind":"process-exit"}}'
check "deleting says from where" both is 200 DELETE /v1/conditions/manual "${auth[@]}" -- '. == {id: "manual", removed_from_memory: true, removed_from_db: false}'
check "deleted is deleted" is 404 DELETE /v1/conditions/manual "${auth[@]}"
check "not a file's" is 409 DELETE /v1/conditions/kill "${auth[@]}"

# fires
victim one
check "unknown condition" post 404 /v1/fire "$(fire nothing)"
check "no target" post 422 /v1/fire "$(fire kill)"
check "a target outside" post 422 /v1/fire "$(fire kill ',"target":"/elsewhere"')"
check "missing field" post 422 /v1/fire '{"condition_id":"kill","reason":"r"}'
check "unknown field" post 422 /v1/fire "$(fire kill ',"speed":"high"')"
check "a dry-run is recorded" both post 200 /v1/fire "$(fire rehearsed "$(at one)")" -- '.dispatched == false and .error == null and (.dispatch_descriptor | startswith("dry-run"))'
check "a second person is waited for" both post 200 /v1/fire "$(fire two "$(at one)")" -- '.dispatched == false and (.dispatch_descriptor | startswith("pending"))'
check "nothing was killed so far" is_populated "$work_dir/one"
check "a snapshot of the state that the client saw is kept" both post 200 /v1/fire "$(fire rehearsed "$(at one),\"state_snapshot\":{\"seen\":1.5}")" -- \
	'.dispatched == false'
check "and told with the token" both is 200 GET "/v1/fires?limit=1" "${auth[@]}" -- '.[0].state_snapshot == {seen: 1.5}'
check "a freeze is dispatched" both post 200 /v1/fire "$(fire hold-still "$(at one)")" -H 'Idempotency-Key: first' -- '.dispatched and .condition_id == "hold-still"'
frozen=$(jq -r .fire_id "$out")
check "the same key again: the same fire" both post 200 /v1/fire "$(fire hold-still "$(at one)")" -H 'Idempotency-Key: first' -- ".fire_id == \"$frozen\""
check "the same key for something else" post 422 /v1/fire "$(fire kill "$(at one)")" -H 'Idempotency-Key: first'
check "one fire, not two" fires_are 1 hold-still true
check "it is frozen" until_true 60 is_frozen "$work_dir/one"
check "a fire is shown" both is 200 GET "/v1/fires/$frozen" -- '.fired_by == "tester" and .principal == "token:api" and .two_person_status == "not-required"'
check "release needs the token" is 401 POST "/v1/fires/$frozen/release"
check "and thaws" post 200 "/v1/fires/$frozen/release" '{"operator":"tester"}'
check "it is thawed" until_true 60 is_thawed "$work_dir/one"
check "no such fire to release" post 404 "/v1/fires/00000000-0000-4000-8000-000000000000/release" '{"operator":"tester"}'
check "a path is no fire" post 404 "/v1/fires/$(printf %s "$work/one" | sed 's,/,%2F,g')/release" '{"operator":"tester"}'
check "a kill kills" both post 200 /v1/fire "$(fire kill "$(at one)")" -- '.dispatched'
check "it is empty" until_true 60 is_empty "$work_dir/one"
check "nobody may hold the link by waiting" post 422 /v1/fire "$(fire kill "$(at one),\"wait\":true")"
check "fires are told newest first" both is 200 GET /v1/fires -- '.[0].condition_id == "kill" and .[-1].condition_id == "rehearsed"'
check "without evidence" that 'all(has("state_snapshot") | not)'
check "with it for the token" both is 200 GET /v1/fires "${auth[@]}" -- 'all(has("state_snapshot"))'

# who may what: principal, what it brings, and the statuses of read, register, delete, fire, release
no=00000000-0000-4000-8000-000000000000
matrix() { # NAME READ WRITE DELETE FIRE RELEASE [CURL ARGUMENT...]
	local name=$1 row=("${@:2:5}") bring=("${@:7}")
	check "$name reads: ${row[0]}" is "${row[0]}" GET /v1/fires "${bring[@]}"
	check "$name registers: ${row[1]}" is "${row[1]}" POST /v1/conditions "${json[@]}" -d '{}' "${bring[@]}"
	check "$name deletes: ${row[2]}" is "${row[2]}" DELETE /v1/conditions/none "${bring[@]}"
	check "$name fires: ${row[3]}" is "${row[3]}" POST /v1/fire "${json[@]}" -d "$(fire none)" "${bring[@]}"
	check "$name releases: ${row[4]}" is "${row[4]}" POST "/v1/fires/$no/release" "${bring[@]}"
}
matrix "anonymous" 200 401 401 401 401
matrix "the token" 200 422 404 404 404 "${auth[@]}"
matrix "a wrong token" 200 401 401 401 401 -H 'Authorization: Bearer open-sesam'
matrix "a longer token" 200 401 401 401 401 -H "Authorization: Bearer ${token}x"
matrix "an empty token" 200 401 401 401 401 -H 'Authorization: Bearer '
matrix "basic" 200 401 401 401 401 -u "x:$token"
matrix "the token alone" 200 401 401 401 401 -H "Authorization: $token"
matrix "the token in a cookie" 200 401 401 401 401 -b "token=$token"
matrix "a stranger's page with the token" 403 403 403 403 403 "${auth[@]}" -H 'Origin: http://evil.example'
matrix "by another name with the token" 421 421 421 421 421 "${auth[@]}" -H 'Host: evil.example'
matrix "by the name of the host with the token" 200 422 404 404 404 "${auth[@]}" -H "Host: $(uname -n):$port"
matrix "the own page with the token" 200 422 404 404 404 "${auth[@]}" -H "Origin: http://127.0.0.1:$port"

# malformed
check "malformed requests have their status" python3 "$here/../harness/http_corpus.py" requests "$here/../corpus/http/requests.tsv" "$port"
check "malformed bodies have theirs" python3 "$here/../harness/http_corpus.py" bodies "$here/../corpus/http/bodies.tsv" "$port" "$token"
check "a large body" is 413 POST /v1/fire "${auth[@]}" "${json[@]}" -d "$(head -c 70000 /dev/zero | tr '\0' x)"
check "a form" is 415 POST /v1/fire "${auth[@]}" -d 'a=b'
check "plain text" is 415 POST /v1/fire "${auth[@]}" -H 'Content-Type: text/plain' -d '{}'
check "JSON that curl calls a form is read" is 404 POST /v1/fire "${auth[@]}" -d '{"condition_id":"nope","reason":"r","operator":"o"}'
check "and so is JSON of no type" is 404 POST /v1/fire "${auth[@]}" -H 'Content-Type:' -d '{"condition_id":"nope","reason":"r","operator":"o"}'
check "and refused for what it is" is 422 POST /v1/fire "${auth[@]}" -d '{"condition_id":'
check "the worker lives on" is 200 GET /v1/health

# the command line over HTTP
there() { scram "$@" --base-url "$url"; }
victim two
check "the command line lists over HTTP" says '^rehearsed ' there list
check "and by SCRAM_BASE_URL" says '^rehearsed ' env SCRAM_BASE_URL="$url" "$scram_bin" list
check "it fires" there fire hold-still --target "$work/two" --reason test --operator tester
check "it is frozen" until_true 60 is_frozen "$work_dir/two"
frozen=$(there fires --limit 1 --json | jq -r '.[0].id')
check "it shows" says '^action *freeze' there show "$frozen"
check "it releases" there release "$frozen" --operator tester
check "it is thawed" until_true 60 is_thawed "$work_dir/two"
refuse "an HTTP error is 1" 1 there fire nothing --reason test --operator tester
refuse "a wrong token too" 1 env SCRAM_API_TOKEN=other "$scram_bin" fire kill --reason test --operator tester --base-url "$url"
refuse "nobody there too" 1 scram list --base-url http://127.0.0.1:1
refuse "no token is 2" 2 env -u SCRAM_API_TOKEN "$scram_bin" fire kill --reason test --operator tester --base-url "$url"
refuse "what HTTP has not is 2" 2 there disarm
check "and nothing was disarmed" says null jq .halt <(curl -sS "$url/v1/health")

# limits and the stream
check "slow and many connections, the stream" python3 "$here/../harness/http_drive.py" "$port" "$token" "$(fire rehearsed "$(at one)")"

# what it tells of itself
check "the page loads nothing from elsewhere" says "default-src 'none'" curl -sS -D - -o /dev/null "$url/"
check "metrics end as they must" until_true 60 says '^# EOF$' curl -sS "$url/metrics"
check "and count the fires by stage" says '^scram_fire_stage_seconds_count{stage="total"} [1-9]' curl -sS "$url/metrics"
check "every example of the description is accepted" python3 "$here/../harness/http_examples.py" "$url" "$token"

check "the agent never lost the worker" test "$(scram status --json | jq '.workers[] | select(.name == "api") | .restarts')" = 0
check "it ends well" agent_stop TERM

unset SCRAM_API_TOKEN
check "without SCRAM_API_TOKEN it starts too" api_start
matrix "anybody, while no token is set," 200 503 503 503 503
matrix "with the old token, while none is set," 200 503 503 503 503 "${auth[@]}"
check "it ends well again" agent_stop TERM
tap_done
