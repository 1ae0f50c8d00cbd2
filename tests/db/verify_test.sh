#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What the store takes and refuses, what its verify finds, and what becomes of records that it will never take.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=cluster.sh
. "$(dirname "$0")/cluster.sh"

check 'a cluster of its own' cluster_make 160
check 'the store is made' "$scram_bin" migrate
ship() { # NAME RECORDS [TIMEOUT_S]
	"$drive_bin" "$ship_bin" "$TMPDIR/$1" "$2" 0 "${3:-60}" >"$TMPDIR/$1.json"
}
check 'a journal is shipped' ship one 600
host=$(jq -r .host "$TMPDIR/one.json")
verdict() { sql "SELECT concat_ws(' ', verdict, fault_seq) FROM scram_verify('$host'${1:+, $1})"; }
equal 'it is whole' "$(verdict)" ok

# The role of who ships adds lines, and nothing else.
sqlstate() { # STATEMENT
	"$pg_bin/psql" -qXAt -v VERBOSITY=sqlstate "$DATABASE_URL" -c "$1" 2>&1 | grep -o '[0-9A-Z]\{5\}$'
}
as_ship() { sql "SET ROLE scram_ship; $1"; }
check 'the role reads' as_ship 'SELECT count(*) FROM journal'
for statement in 'DELETE FROM journal' "UPDATE journal SET kind = 'x'" 'TRUNCATE journal' 'DELETE FROM kill_fires' \
	"UPDATE kill_fires SET reason = 'x'" 'DELETE FROM kill_conditions' 'DROP TABLE journal' \
	"INSERT INTO kill_fires (id) VALUES ('$host')"; do
	equal "the role may not: ${statement%% SET*}" "$(sqlstate "SET ROLE scram_ship; $statement")" 42501
done
for statement in 'DELETE FROM journal' "UPDATE journal SET kind = 'x'" 'TRUNCATE journal'; do
	equal "nor may the owner: ${statement%% SET*}" "$(sqlstate "$statement")" SC003
done

# Whoever owns the database can do it all the same; verify tells.
spoil() { # NAME WANTED STATEMENT [KNOWN]
	sql "CREATE TABLE saved AS TABLE journal; ALTER TABLE journal DISABLE TRIGGER ALL;
		ALTER TABLE journal DROP CONSTRAINT journal_line_is_whole" >/dev/null
	sql "$3" >/dev/null
	equal "$1" "$(verdict "${4-}")" "$2"
	sql "TRUNCATE journal; INSERT INTO journal TABLE saved; DROP TABLE saved; ALTER TABLE journal ENABLE TRIGGER ALL;
		ALTER TABLE journal ADD CONSTRAINT journal_line_is_whole CHECK (line IS NULL OR coalesce(
		hash = scram_line_hash(line) AND scram_line_is(line, seq, at, boot_id, kind, prev, hash), false))" >/dev/null
}
spoil 'an edited line is found' 'corrupt 77' "UPDATE journal SET line = replace(line, 'driven', 'drives') WHERE seq = 77"
spoil 'a line with a hash of its own is found' 'corrupt 78' "UPDATE journal SET
	hash = encode(sha256(convert_to(replace(left(line, -75), 'driven', 'drives'), 'UTF8')), 'hex'),
	line = replace(left(line, -75), 'driven', 'drives') || ',\"hash\":\"' ||
		encode(sha256(convert_to(replace(left(line, -75), 'driven', 'drives'), 'UTF8')), 'hex') || '\"}' WHERE seq = 77"
spoil 'an edited column is found' 'corrupt 78' "UPDATE journal SET kind = 'fact2' WHERE seq = 78"
spoil 'a time that was moved is found' 'corrupt 78' "UPDATE journal SET at = at + interval '1 s' WHERE seq = 78"
spoil 'a removed row is found' 'missing 80' 'DELETE FROM journal WHERE seq = 80'
spoil 'a removed first row is found' 'missing 1' 'DELETE FROM journal WHERE seq = 1'
spoil 'two rows that changed places are found' 'corrupt 81' 'UPDATE journal SET seq = seq + 1000000 WHERE seq IN (81, 82);
	UPDATE journal SET seq = 1000163 - seq WHERE seq > 1000000'
spoil 'a line that was blanked is found' 'corrupt 83' 'ALTER TABLE journal DROP CONSTRAINT journal_line_or_refused;
	UPDATE journal SET line = NULL WHERE seq = 83'
sql 'ALTER TABLE journal ADD CONSTRAINT journal_line_or_refused CHECK ((line IS NULL) = (refused IS NOT NULL))' >/dev/null
last=$(jq .seq "$TMPDIR/one.json")
spoil 'a tail that was cut shows by what is known elsewhere' "rollback $((last - 9))" "DELETE FROM journal WHERE seq > $last - 10" "$last"
spoil 'another history shows likewise' "fork $last" 'SELECT 1' "$last, repeat('0', 64)"
spoil 'records without a seal are unsigned' unsigned 'DELETE FROM journal WHERE seq >= (SELECT min(seq) FROM journal WHERE kind = '"'seal'"')'
equal 'and put back it is whole' "$(verdict)" ok

# Order and forks.
append_as() { # SEQ HEAD_OF_LINE: a line that is whole in itself, as record SEQ
	echo "SELECT scram_append(host_id, ARRAY[$1]::bigint[], ARRAY[at::text], ARRAY[boot_id], ARRAY[kind], ARRAY[prev], ARRAY[h],
		ARRAY[head || ',\"hash\":\"' || h || '\"}']) FROM (SELECT *, encode(sha256(convert_to(head, 'UTF8')), 'hex') AS h
		FROM (SELECT *, $2 AS head FROM journal WHERE host_id = '$host' AND seq = 5) AS one) AS two"
}
equal 'a record that leaves a gap is refused' "$(sqlstate "$(append_as $((last + 2)) 'left(line, -75)')")" SC001
equal 'another record of a number is a fork' "$(sqlstate "$(append_as 5 "replace(left(line, -75), 'driven', 'drives')")")" SC002
equal 'the same one again is none' "$(sqlstate "$(append_as 5 'left(line, -75)')")" ''
equal 'a line that is not what its columns say is refused' "$(sqlstate "$(append_as $((last + 1)) 'left(line, -75)')")" 23514

# A host whose journal was put back to an older state: nothing is shipped, and it is told.
cp -r "$TMPDIR/one" "$TMPDIR/old"
check 'the journal goes on' ship one 50
equal 'and is whole' "$(verdict)" ok
ship old 10 5
check 'a journal that was put back is told as a fork' jq -e .forked "$TMPDIR/old.json"
ship old 100 5
check 'and so it is when it has gone on otherwise' jq -e .forked "$TMPDIR/old.json"
equal 'and nothing of the second one is taken' "$(verdict "$(jq .seq "$TMPDIR/one.json")")" ok

# Records that the store will never take: put aside, with their place kept, and what follows goes on.
store_anew
sql "ALTER TABLE journal ADD CONSTRAINT no_sevens CHECK (line IS NULL OR line NOT LIKE '%record 1_7 %')" >/dev/null
check 'what is refused for good does not stop the rest' ship odd 900
host=$(jq -r .host "$TMPDIR/odd.json")
refused=$(sql "SELECT count(*) FROM journal WHERE refused IS NOT NULL")
check 'some were refused' test "$refused" -ge 5
equal 'each is put aside' "$(find "$TMPDIR/odd" -name 'refused-*' | wc -l)" "$refused"
equal 'and told' "$(jq .refused "$TMPDIR/odd.json")" "$refused"
equal 'the chain goes on over their places' "$(sql "SELECT verdict, refused FROM scram_verify('$host', $(jq .seq "$TMPDIR/odd.json"))")" "ok|$refused"
check 'what was put aside is the record' grep -q 'record 1.7 ' "$TMPDIR"/odd/refused-*
tap_done
