#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# scram migrate: in order, once, together, and never over an edited file.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=cluster.sh
. "$(dirname "$0")/cluster.sh"

check 'a cluster of its own' cluster_make 160
files=$(find migrations -maxdepth 1 -name '[0-9]*.sql' | wc -l)
copy=$TMPDIR/migrations
cp -r migrations "$copy"

refuse 'without DATABASE_URL it is a mistake of usage' 2 env -u DATABASE_URL "$scram_bin" migrate
refuse 'a store that is not there is told' 1 env DATABASE_URL="host=$TMPDIR/none user=x" "$scram_bin" migrate
refuse 'ping tells of a store without tables' 1 "$scram_bin" ping --store
check 'a dry run tells what would be done' says "^$files to apply" "$scram_bin" migrate --dry-run
equal 'and does nothing' "$(sql "SELECT to_regclass('schema_migrations') IS NULL AND to_regclass('journal') IS NULL")" t

# A file that fails takes back what it did, and what came before it stays.
printf 'CREATE TABLE half (a int);\nSELECT 1/0;\n' >"$copy/0004_projections.sql"
refuse 'a file that fails is told' 1 env SCRAM_MIGRATIONS_DIR="$copy" "$scram_bin" migrate
equal 'nothing of it stays' "$(sql "SELECT to_regclass('half') IS NULL, max(version) FROM schema_migrations")" 't|3'
printf 'CREATE TABLE half (a int);\nCOMMIT;\n' >"$copy/0004_projections.sql"
refuse 'a file that ends its own transaction is refused' 1 env SCRAM_MIGRATIONS_DIR="$copy" "$scram_bin" migrate
sql 'DROP TABLE half' >/dev/null

# Several at once: each file is applied by one of them.
pids=()
for i in 1 2 3 4; do
	"$scram_bin" migrate --json >"$TMPDIR/run.$i" &
	pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do
	wait "$pid" || failed=$((failed + 1))
done
equal 'four at once all succeed' "$failed" 0
equal 'and apply what was left once' "$(jq -s 'map(.applied) | add' "$TMPDIR"/run.*)" $((files - 3))
check 'again it has nothing to do' says "^0 applied, $files in all" "$scram_bin" migrate
equal 'each file has its row' "$(sql 'SELECT count(*), max(version) FROM schema_migrations')" "$files|$files"
check 'ping finds the store' says 'the store answers: PostgreSQL' "$scram_bin" ping --store

cp migrations/0004_projections.sql "$copy/"
echo '-- a word more' >>"$copy/0002_kill_fires.sql"
refuse 'an edited file is refused' 1 env SCRAM_MIGRATIONS_DIR="$copy" "$scram_bin" migrate
cp migrations/0002_kill_fires.sql "$copy/"
check 'put back it is fine' env SCRAM_MIGRATIONS_DIR="$copy" "$scram_bin" migrate
rm "$copy/0003_journal.sql"
refuse 'an applied file that is missing is refused' 1 env SCRAM_MIGRATIONS_DIR="$copy" "$scram_bin" migrate
cp migrations/0003_journal.sql "$copy/"
cp migrations/0001_kill_conditions.sql "$copy/0001_again.sql"
refuse 'a number twice is refused' 1 env SCRAM_MIGRATIONS_DIR="$copy" "$scram_bin" migrate
refuse 'a directory that is not there is told' 1 env SCRAM_MIGRATIONS_DIR="$copy/none" "$scram_bin" migrate

# The tables as the original service had them.
columns() { sql "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = '$1'"; }
check 'kill_conditions has the columns of the original' says \
	'id description action_kind action_config auto_fire requires_two_person live registered_by registered_at deleted_at' \
	columns kill_conditions
check 'kill_fires has the columns of the original' says \
	'id condition_id fired_at fired_by reason state_snapshot dispatched dispatch_result two_person_status second_operator second_at' \
	columns kill_fires
equal 'no foreign key' "$(sql "SELECT count(*) FROM pg_constraint WHERE contype = 'f'")" 0
host="'11111111-1111-4111-8111-111111111111'"
refuse 'an unknown kind of action is refused' 1 sql "INSERT INTO kill_conditions (host_id, id, action_kind, registered_at, seq, hash)
	VALUES ($host, 'x', 'explode', now(), 1, '')"
refuse 'an unknown two-person status is refused' 1 sql "INSERT INTO kill_fires (id, condition_id, fired_at, fired_by,
	two_person_status, host_id, state, seq, hash) VALUES ($host, 'x', now(), 'x', 'maybe', $host, 'failed', 1, '')"
tap_done
