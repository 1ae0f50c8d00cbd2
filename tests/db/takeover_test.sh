#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A database of the original service is taken over with every row; what is something else is refused, and stays as it is.
# shellcheck source=../harness/tap.sh
. "$(dirname "$0")/../harness/tap.sh"
# shellcheck source=cluster.sh
. "$(dirname "$0")/cluster.sh"

KINDS="'process-exit', 'rollback-to-checkpoint', 'circuit-break-component', 'tenant-quarantine', 'global-readonly'"
STATUSES="'not-required', 'pending', 'approved', 'rejected', 'timed-out'"

database_anew() { # empty, and no scram in it
	"$pg_bin/psql" -qX "host=$pg/socket user=postgres dbname=postgres" -c 'DROP DATABASE IF EXISTS scram WITH (FORCE)' \
		-c 'CREATE DATABASE scram'
}

# What the original service made, and a row of each kind and status in it.
original() {
	sql "CREATE TABLE kill_conditions (
		id varchar(128) PRIMARY KEY CHECK (char_length(id) BETWEEN 1 AND 128),
		description text NOT NULL DEFAULT '',
		action_kind text NOT NULL CHECK (action_kind IN ($KINDS)),
		action_config jsonb NOT NULL DEFAULT '{}',
		auto_fire boolean NOT NULL DEFAULT false,
		requires_two_person boolean NOT NULL DEFAULT false,
		live boolean NOT NULL DEFAULT false,
		registered_by text NOT NULL,
		registered_at timestamptz NOT NULL DEFAULT now(),
		deleted_at timestamptz);
	CREATE INDEX idx_kill_conditions_live ON kill_conditions (live) WHERE deleted_at IS NULL;
	CREATE TABLE kill_fires (
		id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
		condition_id varchar(128) NOT NULL,
		fired_at timestamptz NOT NULL DEFAULT now(),
		fired_by text NOT NULL,
		reason text NOT NULL,
		state_snapshot jsonb NOT NULL DEFAULT '{}',
		dispatched boolean NOT NULL DEFAULT false,
		dispatch_result text,
		two_person_status text NOT NULL DEFAULT 'not-required' CHECK (two_person_status IN ($STATUSES)),
		second_operator text,
		second_at timestamptz);
	CREATE INDEX idx_kill_fires_fired_at ON kill_fires (fired_at DESC);
	INSERT INTO kill_conditions (id, action_kind, action_config, auto_fire, requires_two_person, live, registered_by, deleted_at)
		SELECT 'old-' || k || d, k, '{\"component\": \"a\"}', true, k = 'global-readonly', d = 0, 'ops', CASE d WHEN 1 THEN now() END
		FROM unnest(ARRAY[$KINDS]) k, generate_series(0, 1) d;
	INSERT INTO kill_fires (condition_id, fired_by, reason, state_snapshot, dispatched, dispatch_result, two_person_status,
			second_operator, second_at)
		SELECT 'old-' || k || '0', 'ann', 'because of ' || n, '{\"n\": [1, null]}', s IN ('approved', 'not-required'),
			CASE WHEN n % 2 = 0 THEN 'a stub' END, s, CASE s WHEN 'approved' THEN 'bob' END, CASE s WHEN 'approved' THEN now() END
		FROM unnest(ARRAY[$KINDS]) k, unnest(ARRAY[$STATUSES]) s, generate_series(1, 20) n"
}

# The queries of the original's clients, and what they find.
OLD_CONDITIONS='id, description, action_kind, action_config, auto_fire, requires_two_person, live, registered_by, registered_at, deleted_at'
OLD_FIRES='id, condition_id, fired_at, fired_by, reason, state_snapshot, dispatched, dispatch_result, two_person_status, second_operator, second_at'
seen() {
	sql "SELECT md5(string_agg(r::text, '|' ORDER BY id)), count(*) FROM (SELECT $OLD_CONDITIONS FROM kill_conditions) AS r"
	sql "SELECT md5(string_agg(r::text, '|' ORDER BY id)), count(*) FROM (SELECT $OLD_FIRES FROM kill_fires) AS r"
	sql 'SELECT id, live FROM kill_conditions WHERE deleted_at IS NULL ORDER BY id'
	sql 'SELECT condition_id, count(*), count(second_operator) FROM kill_fires GROUP BY 1 ORDER BY 1'
	sql "SELECT count(*) FROM kill_fires WHERE two_person_status = 'pending'"
}
# The whole of the schema and the rows, to tell that nothing was touched.
whole() { "$pg_bin/pg_dump" -d "$DATABASE_URL" | grep -v -e '^.restrict' -e '^.unrestrict' | md5sum; }

untouched() { # WHAT PATTERN: migrate refuses, says PATTERN, and everything is as it was
	local before
	before=$(whole)
	refuse "$1 is refused" 1 "$scram_bin" migrate
	check "$1: and told" grep -q "$2" <<<"$("$scram_bin" migrate 2>&1)"
	equal "$1: everything is as it was" "$(whole)" "$before"
}

check 'a cluster of its own' cluster_make 200

original
sql 'CREATE VIEW who_and_why AS SELECT fired_by, reason FROM kill_fires; CREATE ROLE reader; GRANT SELECT ON kill_fires TO reader'
old=$(seen)
check 'a dry run tells what would be done' says '^0001_kill_conditions.sql: would take over' "$scram_bin" migrate --dry-run
equal 'and does nothing' "$(seen; sql "SELECT to_regclass('schema_migrations') IS NULL")" "$old
t"

# A failure in the middle: what that file did is taken back, the rows are there, and the next run goes on.
cp -r migrations "$TMPDIR/broken"
printf 'UPDATE kill_fires SET reason = %s; DELETE FROM kill_conditions; SELECT 1/0;\n' "'gone'" >>"$TMPDIR/broken/original/0002_kill_fires.sql"
refuse 'a failure in the middle is told' 1 env SCRAM_MIGRATIONS_DIR="$TMPDIR/broken" "$scram_bin" migrate
equal 'and the rows are as they were' "$(seen)" "$old"
equal 'nothing of that file is left' "$(sql "SELECT count(*) FROM information_schema.columns WHERE table_name = 'kill_fires' AND column_name = 'host_id'")" 0
check 'the tables are taken over' says '^0002_kill_fires.sql: took over' "$scram_bin" migrate
equal 'every row is there, as the queries of old clients see it' "$(seen)" "$old"
check 'again there is nothing to do' says '^0 applied' "$scram_bin" migrate
equal 'and nothing is done' "$(seen)" "$old"
equal 'old rows are of no host' "$(sql 'SELECT count(*) FROM kill_fires WHERE host_id IS NULL AND seq IS NULL AND hash IS NULL AND state IS NULL')" 500
equal 'a view of theirs still reads' "$(sql 'SELECT count(*) FROM who_and_why')" 500
equal 'a right of theirs still holds' "$(sql "SELECT has_table_privilege('reader', 'kill_fires', 'SELECT')")" t
equal 'their indexes are there' "$(sql "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'idx\_kill\_%'")" 2
check 'ping finds the store' "$scram_bin" ping --store

# Two hosts ship into it beside the old rows.
for host in one two; do
	check "host $host ships" "$drive_bin" "$ship_bin" "$TMPDIR/$host" 600 0 60
done
equal 'old rows stay as they are' "$(sql "SELECT md5(string_agg(r::text, '|' ORDER BY id)), count(*)
	FROM (SELECT $OLD_FIRES FROM kill_fires WHERE host_id IS NULL) AS r")" "$(sed -n 2p <<<"$old")"
check 'and the new fires are there' test "$(sql 'SELECT count(DISTINCT host_id) FROM kill_fires WHERE state IS NOT NULL')" = 2
add_condition() { # HOST ID: as the projection does
	sql "SELECT scram_project_condition((a.host_id, 1000, now(), a.boot_id, 'condition.registered', a.prev, a.hash, a.line,
		a.refused, a.received_at)::journal, '{\"id\": \"$2\", \"action\": {\"kind\": \"freeze\"}, \"auto_fire\": false,
		\"requires_two_person\": false, \"live\": true}') FROM journal a WHERE host_id = '$1' AND seq = 1"
}
check 'a host registers an id of old' add_condition "$(cat "$TMPDIR/one/host-id")" old-process-exit0
check 'so does the other' add_condition "$(cat "$TMPDIR/two/host-id")" old-process-exit0
equal 'each has its own row' "$(sql "SELECT count(*), count(host_id) FROM kill_conditions WHERE id = 'old-process-exit0'")" '3|2'
check 'a client of old may still write' sql "INSERT INTO kill_fires (id, condition_id, fired_by, reason)
	VALUES (gen_random_uuid(), 'x', 'ann', 'r'); INSERT INTO kill_conditions (id, action_kind, registered_by) VALUES ('late', 'process-exit', 'ann')"
refuse 'but no condition twice' 1 sql "INSERT INTO kill_conditions (id, action_kind, registered_by) VALUES ('late', 'process-exit', 'ann')"
refuse 'nor an unknown kind' 1 sql "INSERT INTO kill_conditions (id, action_kind, registered_by) VALUES ('odd', 'explode', 'ann')"
taken=$(sql "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
	WHERE table_name IN ('kill_conditions', 'kill_fires') AND column_name NOT IN ('id') ORDER BY 1, 2")

# One table alone.
database_anew
original
sql 'DROP TABLE kill_conditions'
check 'a store with the fires alone is taken over' says '^0001_kill_conditions.sql: applied' "$scram_bin" migrate
equal 'with every row' "$(sql 'SELECT count(*) FROM kill_fires')" 500
database_anew
check 'a new store' "$scram_bin" migrate
equal 'has the same columns as one that was taken over' "$(sql "SELECT table_name, column_name, data_type, is_nullable
	FROM information_schema.columns WHERE table_name IN ('kill_conditions', 'kill_fires') AND column_name NOT IN ('id') ORDER BY 1, 2")" "$taken"
equal 'and takes the rows of an old one' "$(sql "INSERT INTO kill_conditions (id, action_kind, registered_by)
	VALUES ('restored', 'process-exit', 'ann') RETURNING host_id IS NULL")" t

# Somebody else's list of migrations, of the same name.
database_anew
original
sql "CREATE TABLE schema_migrations (version varchar(14) PRIMARY KEY); INSERT INTO schema_migrations VALUES ('20240101000000')"
check "another program's list of migrations does not matter" "$scram_bin" migrate
equal 'it is left alone' "$(sql "SELECT count(*), min(version) FROM schema_migrations")" '1|20240101000000'
equal 'ours has another name' "$(sql 'SELECT count(*) FROM scram_migrations')" "$(find migrations -maxdepth 1 -name '[0-9]*.sql' | wc -l)"
check 'again there is nothing to do' says '^0 applied' "$scram_bin" migrate
check 'ping finds the store' "$scram_bin" ping --store

# Tables that are something else.
other() { # WHAT PATTERN STATEMENT...: made of the original's
	database_anew
	original
	sql "${*:3}"
	untouched "$1" "$2"
}
other 'a table without a column that matters' 'lacks the column requires_two_person' 'ALTER TABLE kill_conditions DROP requires_two_person'
other 'a column of another type' 'state_snapshot of type text' 'ALTER TABLE kill_fires ALTER state_snapshot DROP DEFAULT, ALTER state_snapshot TYPE text'
other 'a column that wants a value of its own' 'column region that must be given' 'ALTER TABLE kill_fires ADD region text NOT NULL DEFAULT 0;
	ALTER TABLE kill_fires ALTER region DROP DEFAULT'
other 'a foreign key' 'foreign key kill_fires_condition_id_fkey' 'ALTER TABLE kill_fires ADD FOREIGN KEY (condition_id) REFERENCES kill_conditions'
other 'a view of that name' 'not an ordinary table' 'ALTER TABLE kill_fires RENAME TO f; CREATE VIEW kill_fires AS SELECT * FROM f'
other 'a kind that nobody knows' '1 rows of an unknown action_kind' "ALTER TABLE kill_conditions DROP CONSTRAINT kill_conditions_action_kind_check;
	INSERT INTO kill_conditions (id, action_kind, registered_by) VALUES ('odd', 'explode', 'ann')"
other 'a journal of somebody' 'CREATE SCHEMA scram' 'CREATE TABLE journal (day date, entry text)'
database_anew
original
sql 'CREATE ROLE mig LOGIN; GRANT ALL ON DATABASE scram TO mig; GRANT ALL ON SCHEMA public TO mig'
refuse "another user's tables are refused" 1 env DATABASE_URL="host=$pg/socket user=mig dbname=scram" "$scram_bin" migrate
check 'and told whose they are' grep -q 'belong to postgres' <<<"$(DATABASE_URL="host=$pg/socket user=mig dbname=scram" "$scram_bin" migrate 2>&1)"
check 'the remedy is one' sql 'CREATE SCHEMA apart AUTHORIZATION mig; ALTER ROLE mig IN DATABASE scram SET search_path = apart'
check 'and it works' env DATABASE_URL="host=$pg/socket user=mig dbname=scram" "$scram_bin" migrate
tap_done
