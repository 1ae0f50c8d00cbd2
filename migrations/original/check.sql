-- SPDX-License-Identifier: Apache-2.0
-- Before anything is applied: are the tables that stand in the way those of the original service?
-- SC004 with what is the matter and the remedy, when one is not. Changes nothing.

-- What is wrong with the table of that name; NULL = nothing, or it is not there. A row of columns is
-- {name, the types that it may have, needed}; ours are among them, lest one is there and is something else.
CREATE FUNCTION pg_temp.scram_fault(tab text, columns text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	it regclass := to_regclass(quote_ident(tab));
	fault text;
BEGIN
	IF it IS NULL THEN
		RETURN NULL;
	END IF;
	IF (SELECT relkind <> 'r' FROM pg_class WHERE oid = it) THEN
		RETURN 'is not an ordinary table';
	END IF;
	SELECT 'lacks the column ' || w.name INTO fault
		FROM (SELECT columns[i][1], columns[i][3] FROM generate_subscripts(columns, 1) i) AS w (name, needed)
		WHERE w.needed = 'needed' AND NOT EXISTS (SELECT FROM pg_attribute a
			WHERE a.attrelid = it AND a.attname = w.name AND NOT a.attisdropped) LIMIT 1;
	IF fault IS NULL THEN
		SELECT format('has a column %s of type %s, not %s', w.name, format_type(a.atttypid, NULL), w.types) INTO fault
			FROM (SELECT columns[i][1], columns[i][2] FROM generate_subscripts(columns, 1) i) AS w (name, types)
			JOIN pg_attribute a ON a.attrelid = it AND a.attname = w.name AND NOT a.attisdropped
			WHERE format_type(a.atttypid, NULL) <> ALL (string_to_array(w.types, ' or ')) LIMIT 1;
	END IF;
	IF fault IS NULL THEN
		SELECT format('has a column %s that must be given a value', a.attname) INTO fault
			FROM pg_attribute a WHERE a.attrelid = it AND a.attnum > 0 AND NOT a.attisdropped
				AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND NOT EXISTS (
				SELECT FROM generate_subscripts(columns, 1) i WHERE columns[i][1] = a.attname) LIMIT 1;
	END IF;
	IF fault IS NULL THEN
		SELECT format('is tied to another table by the foreign key %s', c.conname) INTO fault
			FROM pg_constraint c WHERE c.contype = 'f' AND it IN (c.conrelid, c.confrelid) LIMIT 1;
	END IF;
	RETURN fault;
END $$;

DO $$
DECLARE
	a_text constant text := 'text or character varying';
	fault text;
	n bigint;
	owner name;
BEGIN
	SELECT pg_get_userbyid(relowner) INTO owner FROM pg_class
		WHERE oid IN (to_regclass('kill_conditions'), to_regclass('kill_fires'))
			AND NOT pg_has_role(relowner, 'USAGE') LIMIT 1;
	IF owner IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'SC004', MESSAGE = format('the original service''s tables belong to %I; '
			'run scram migrate as that user, or GRANT %I TO %I', owner, owner, current_user);
	END IF;
	fault := 'kill_conditions ' || pg_temp.scram_fault('kill_conditions', ARRAY[
		['id', a_text, 'needed'], ['description', a_text, ''], ['action_kind', a_text, 'needed'],
		['action_config', 'jsonb', 'needed'], ['auto_fire', 'boolean', 'needed'],
		['requires_two_person', 'boolean', 'needed'], ['live', 'boolean', 'needed'],
		['registered_by', a_text, 'needed'], ['registered_at', 'timestamp with time zone', ''],
		['deleted_at', 'timestamp with time zone', ''],
		['host_id', 'uuid', ''], ['seq', 'bigint', ''], ['hash', 'text', '']]);
	fault := coalesce(fault, 'kill_fires ' || pg_temp.scram_fault('kill_fires', ARRAY[
		['id', 'uuid', 'needed'], ['condition_id', a_text, 'needed'],
		['fired_at', 'timestamp with time zone', 'needed'], ['fired_by', a_text, 'needed'],
		['reason', a_text, 'needed'], ['state_snapshot', 'jsonb', 'needed'],
		['dispatched', 'boolean', 'needed'], ['dispatch_result', a_text, ''],
		['two_person_status', a_text, 'needed'], ['second_operator', a_text, ''],
		['second_at', 'timestamp with time zone', ''],
		['host_id', 'uuid', ''], ['state', 'text', ''], ['action_kind', 'text', ''], ['target', 'text', ''],
		['principal', 'text', ''], ['outcome', 'text', ''], ['error', 'text', ''], ['veto', 'text', ''],
		['released_at', 'timestamp with time zone', ''], ['released_by', 'text', ''],
		['seq', 'bigint', ''], ['hash', 'text', '']]));
	IF fault IS NULL AND to_regclass('kill_conditions') IS NOT NULL THEN
		SELECT count(*) INTO n FROM kill_conditions WHERE action_kind NOT IN ('process-exit',
			'rollback-to-checkpoint', 'circuit-break-component', 'tenant-quarantine', 'global-readonly');
		fault := CASE WHEN n > 0 THEN format('kill_conditions has %s rows of an unknown action_kind', n) END;
	END IF;
	IF fault IS NULL AND to_regclass('journal') IS NOT NULL THEN
		fault := 'journal';
	END IF;
	IF fault IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'SC004', MESSAGE = format('there is a table that is not the original '
			'service''s: %s; rename it, or give scram a schema of its own: CREATE SCHEMA scram; '
			'ALTER ROLE %I IN DATABASE %I SET search_path = scram', fault, current_user, current_database());
	END IF;
END $$;
