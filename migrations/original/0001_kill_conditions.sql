-- SPDX-License-Identifier: Apache-2.0
-- In place of ../0001_kill_conditions.sql where the original service's table is there: it is taken over
-- as it stands, with its rows, rights and views. The old rows are of no host: host_id, seq and hash are NULL.

-- The id alone is no key any more, and there are more kinds of action. Limits of length go: what a host
-- may register, the host knows.
DO $$
DECLARE
	it constant regclass := 'kill_conditions';
	id constant int2 := (SELECT attnum FROM pg_attribute WHERE attrelid = it AND attname = 'id');
	kind constant int2 := (SELECT attnum FROM pg_attribute WHERE attrelid = it AND attname = 'action_kind');
	r record;
BEGIN
	FOR r IN SELECT conname FROM pg_constraint WHERE conrelid = it
			AND (contype IN ('p', 'u') AND conkey = ARRAY[id] OR contype = 'c' AND conkey = ARRAY[kind])
	LOOP
		EXECUTE format('ALTER TABLE kill_conditions DROP CONSTRAINT %I', r.conname);
	END LOOP;
	FOR r IN SELECT indexrelid::regclass AS name FROM pg_index
			WHERE indrelid = it AND indisunique AND indpred IS NULL AND indkey::text = id::text
	LOOP
		EXECUTE format('DROP INDEX %s', r.name);
	END LOOP;
	FOR r IN SELECT attname FROM pg_attribute
			WHERE attrelid = it AND atttypid = 'varchar'::regtype AND atttypmod >= 0 AND NOT attisdropped
	LOOP
		EXECUTE format('ALTER TABLE kill_conditions ALTER COLUMN %I TYPE text', r.attname);
	END LOOP;
END $$;

ALTER TABLE kill_conditions
	ADD COLUMN IF NOT EXISTS description   text NOT NULL DEFAULT '',
	ADD COLUMN IF NOT EXISTS registered_at timestamptz,
	ADD COLUMN IF NOT EXISTS deleted_at    timestamptz,
	ADD COLUMN IF NOT EXISTS host_id       uuid,
	ADD COLUMN IF NOT EXISTS seq           bigint,
	ADD COLUMN IF NOT EXISTS hash          text,
	ADD CONSTRAINT kill_conditions_action_kind_check CHECK (action_kind IN (
		'process-exit', 'rollback-to-checkpoint', 'circuit-break-component', 'tenant-quarantine',
		'global-readonly', 'freeze', 'refuse-new'));

CREATE INDEX IF NOT EXISTS kill_conditions_id ON kill_conditions (id) WHERE deleted_at IS NULL;
CREATE INDEX IF NOT EXISTS kill_conditions_armed ON kill_conditions (host_id)
	WHERE auto_fire AND live AND deleted_at IS NULL;
