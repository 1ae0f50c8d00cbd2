#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What goes wrong with a store is told by its class; a store that refuses everything does not fill the disk; and what is
# recorded last is shipped before the agent ends.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=cluster.sh
. "$(dirname "$0")/cluster.sh"
# shellcheck source=../harness/agent.sh
. "$(dirname "$0")/../harness/agent.sh"

HOUR_MAX=256 # SC_QUARANTINE_HOUR_MAX

store_is() { scram status --json | jq -se ".[0].store | $1"; }                     # JQ_TEST
doctor_says() { scram doctor | grep -q "$1"; }                                     # PATTERN; a red finding is its exit status
finding_is() { scram doctor --json | jq -se --arg n "$1" ".[0] | any(.[]; .name == \$n and ($2))"; } # NAME JQ_TEST
in_store() { [[ $(sql "$1") == "$2" ]]; }                                          # QUERY VALUE
head_seq() { jq .seq "$TMPDIR/state/head"; }
put_aside() { find "$TMPDIR/state/quarantine" -mindepth 1 -maxdepth 1 -type d | wc -l; }
register() { # ID: a record that names it
	scram register - <<<"{\"id\": \"$1\", \"action\": {\"kind\": \"process-exit\", \"config\": {\"target\": \"$work/x\"}}, \"registered_by\": \"t\"}"
}
# shellcheck disable=SC2119
starts_and_ends() { agent_start && until_true 30 store_is '.connected and .lag_records == 0' && agent_stop; }
ends_in_store() { # the last record of the journal, the agent's own end among the last, is there
	in_store "SELECT max(seq) = $(head_seq), bool_or(kind = 'agent.stopped' AND seq > $(head_seq) - 3) FROM journal" 't|t'
}

check 'a cluster of its own' cluster_make 200
check 'the store is made' "$scram_bin" migrate
printf 'conditions: []\n' >"$config"
chmod 600 "$config"

# The end of the agent.
for i in 1 2 3; do
	check "start and end $i" starts_and_ends
	check "its end is in the store when it has ended $i" ends_in_store
done
check 'it starts again' agent_start
check 'and is connected' until_true 30 store_is .connected
cluster_signal STOP
check 'it ends also when the store hangs' agent_stop
cluster_signal CONT
check 'it starts again' starts_and_ends
check 'and what was left over is there' in_store "SELECT count(*) = max(seq), count(*) FILTER (WHERE kind = 'agent.stopped') FROM journal" 't|5'

# Classes. A table by time, with room for the last century alone, and later a line that nobody takes.
check 'it starts again' agent_start
check 'it is connected' until_true 30 store_is '.connected and .lag_records == 0'
refuse 'doctor has nothing to tell' 1 doctor_says '^[a-z]* *store \(refused\|errors\)'
sql "ALTER TABLE journal ADD CONSTRAINT no_word CHECK (line IS NULL OR line NOT LIKE '%unspeakable%')" >/dev/null
check 'a record that the store will never take' register unspeakable
check 'is told as malformed' until_true 30 finding_is 'store refused, malformed' \
	'.level == "red" and (.text | test("^1 in the last 10 minutes: .*no_word")) and (.fix | test("quarantine"))'
check 'and so in status' store_is '.errors.malformed.count == 1 and .errors.malformed.recent == 1 and .errors.transient.count == 0'
sql "CREATE FUNCTION too_old() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
	IF EXISTS (SELECT FROM added WHERE line LIKE '%ancient%') THEN
		RAISE EXCEPTION 'no partition of relation \"journal\" found for row' USING ERRCODE = '23514';
	END IF; RETURN NULL; END \$\$;
	CREATE TRIGGER too_old AFTER INSERT ON journal REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION too_old()" >/dev/null
check 'a record of a time that it has no room for' register ancient
check 'is told as out of window' until_true 30 finding_is 'store refused, out of window' \
	'.level == "red" and (.text | test("no partition")) and (.fix | test("scram_verify"))'
cluster_stop KILL
check 'a store that is gone' until_true 30 finding_is 'store errors, transient' '.level == "yellow" and (.fix | test("scram ping --store"))'
equal 'the more actionable first' "$(scram doctor --json | jq -r '[.[].name | select(startswith("store "))] | join("; ")')" \
	'store refused, out of window; store refused, malformed; store errors, transient'
check 'the store comes back' cluster_start
check 'and all of it is there' until_true 60 store_is '.connected and .lag_records == 0'
check 'the agent ends' agent_stop

# A store that refuses everything: a backlog of 600 records, of which none is taken.
refuse 'a backlog' 1 "$drive_bin" "$ship_bin" "$TMPDIR/state" 600 0 0
sql "ALTER TABLE journal DROP CONSTRAINT no_word; ALTER TABLE journal ADD CONSTRAINT nothing CHECK (line IS NULL) NOT VALID" >/dev/null
before=$(put_aside)
check 'the agent starts' agent_start
check 'the quarantine takes no more at some point' until_true 120 store_is '.quarantine_refused > 0'
check 'which is an hour'"'"'s worth' test "$(put_aside)" -le $((before + HOUR_MAX))
check 'and not less' test "$(put_aside)" -ge $((before + HOUR_MAX - 2))
check 'doctor is red' doctor_says 'red *store quarantine: takes no more'
check 'the rest waits' store_is '.lag_records > 200'
check 'and the agent works' register of-today
sql 'ALTER TABLE journal DROP CONSTRAINT nothing' >/dev/null
check 'all of it goes when the store takes it' until_true 90 store_is '.connected and .lag_records == 0'
check 'and nothing more lies aside' test "$(put_aside)" -le $((before + HOUR_MAX))
check 'it was recorded once' in_store "SELECT count(*) FROM journal WHERE line LIKE '%the quarantine takes no more%'" 1
check 'the agent ends' agent_stop
equal 'the chain in the store is whole' "$(sql "SELECT verdict FROM scram_verify('$(cat "$TMPDIR/state/host-id")')")" ok
tap_done
