-- SPDX-License-Identifier: Apache-2.0
-- In place of ../0002_kill_fires.sql where the original service's table is there: as kill_conditions in
-- 0001. Of the old rows host_id, state, seq and hash are NULL: their steps were not recorded.

DO $$
DECLARE
	it constant regclass := 'kill_fires';
	id constant int2 := (SELECT attnum FROM pg_attribute WHERE attrelid = it AND attname = 'id');
	r record;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = it AND indisunique AND indpred IS NULL
			AND indkey::text = id::text) THEN
		ALTER TABLE kill_fires ADD PRIMARY KEY (id);
	END IF;
	FOR r IN SELECT attname FROM pg_attribute
			WHERE attrelid = it AND atttypid = 'varchar'::regtype AND atttypmod >= 0 AND NOT attisdropped
	LOOP
		EXECUTE format('ALTER TABLE kill_fires ALTER COLUMN %I TYPE text', r.attname);
	END LOOP;
END $$;

ALTER TABLE kill_fires
	ADD COLUMN IF NOT EXISTS dispatch_result text,
	ADD COLUMN IF NOT EXISTS second_operator text,
	ADD COLUMN IF NOT EXISTS second_at       timestamptz,
	ADD COLUMN IF NOT EXISTS host_id         uuid,
	ADD COLUMN IF NOT EXISTS state           text CHECK (state IN (
		'pending', 'approved', 'intent', 'dispatched', 'verified', 'failed', 'released', 'vetoed',
		'rejected', 'timed-out', 'dry-run')),
	ADD COLUMN IF NOT EXISTS action_kind     text CHECK (action_kind IN (
		'process-exit', 'rollback-to-checkpoint', 'circuit-break-component', 'tenant-quarantine',
		'global-readonly', 'freeze', 'refuse-new')),
	ADD COLUMN IF NOT EXISTS target          text,
	ADD COLUMN IF NOT EXISTS principal       text,
	ADD COLUMN IF NOT EXISTS outcome         text,
	ADD COLUMN IF NOT EXISTS error           text,
	ADD COLUMN IF NOT EXISTS veto            text,
	ADD COLUMN IF NOT EXISTS released_at     timestamptz,
	ADD COLUMN IF NOT EXISTS released_by     text,
	ADD COLUMN IF NOT EXISTS seq             bigint,
	ADD COLUMN IF NOT EXISTS hash            text;

CREATE INDEX IF NOT EXISTS kill_fires_newest ON kill_fires (fired_at DESC);
CREATE INDEX IF NOT EXISTS kill_fires_condition ON kill_fires (condition_id, fired_at DESC);
CREATE INDEX IF NOT EXISTS kill_fires_host ON kill_fires (host_id, seq);
CREATE INDEX IF NOT EXISTS kill_fires_pending ON kill_fires (fired_at) WHERE two_person_status = 'pending';
