#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The HTTP API with a store: what is registered and deleted over HTTP is so in Postgres too, and the answers say from where.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=cluster.sh
. "$(dirname "$0")/cluster.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

export SCRAM_API_TOKEN=open-sesame
sock=$TMPDIR/run/api.sock
out=$TMPDIR/out.json

in_store() { [[ $(sql "$1") == "$2" ]]; }                         # QUERY VALUE
store_is() { scram status --json | jq -e ".store | $1"; }         # JQ_TEST
is() { # STATUS METHOD PATH [CURL ARGUMENT...], with the token
	local got
	got=$(curl -sS -m 60 --unix-socket "$sock" -o "$out" -w '%{http_code}' -H "Authorization: Bearer $SCRAM_API_TOKEN" \
		-H 'Content-Type: application/json' -X "$2" "${@:4}" "http://scram$3")
	[[ $got == "$1" ]] || { echo "$got, wanted $1: $(head -c 300 "$out")" && return 1; }
}
removes() { # ID WANTED: the answer of DELETE
	is 200 DELETE "/v1/conditions/$1" && jq -e "$2" "$out"
}
register() { is 201 POST /v1/conditions -d "{\"id\":\"$1\",\"action\":{\"kind\":\"process-exit\"},\"registered_by\":\"http\"}"; } # ID
gone='.removed_from_memory and .removed_from_db'

check 'a cluster of its own' cluster_make 160
check 'the store is made' "$scram_bin" migrate
check 'the agent becomes ready' agent_start
check 'it is connected to the store' until_true 60 store_is .connected
check 'api.sock is served' until_true 30 is 200 GET /v1/health
check 'a condition is registered' register one
check 'and is in the store' until_true 60 in_store "SELECT registered_by FROM kill_conditions WHERE id = 'one' AND deleted_at IS NULL" http
check 'deleting it says: from memory and from the store' removes one "$gone and .id == \"one\""
check 'and so it is' until_true 60 in_store "SELECT deleted_at IS NOT NULL FROM kill_conditions WHERE id = 'one'" t
check 'deleted is deleted' is 404 DELETE /v1/conditions/one
check 'another one' register two
check 'is in the store' until_true 60 in_store "SELECT count(*) FROM kill_conditions WHERE id = 'two'" 1
cluster_stop KILL
check 'the store is gone' until_true 60 store_is '.connected | not'
check 'deleting says so' removes two '.removed_from_memory and (.removed_from_db | not)'
check 'the store comes back' cluster_start
check 'and is told then' until_true 120 in_store "SELECT deleted_at IS NOT NULL FROM kill_conditions WHERE id = 'two'" t
check 'what was refused is shipped too' curl -sS -m 60 --unix-socket "$sock" -o "$out" -X POST http://scram/v1/fire -d '{}'
check 'with who and what' until_true 60 in_store "SELECT line::jsonb -> 'body' ->> 'what' FROM journal WHERE kind = 'request.refused'" 'POST /v1/fire'
check 'the agent ends' agent_stop
tap_done
