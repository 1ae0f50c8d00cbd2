-- SPDX-License-Identifier: Apache-2.0
-- Rows that no host wrote: those of the original service, and what its clients still write. They name
-- neither host nor record. With those of the hosts they are told apart by host_id IS NULL.

ALTER TABLE kill_conditions DROP CONSTRAINT IF EXISTS kill_conditions_pkey;
ALTER TABLE kill_conditions
	ALTER COLUMN host_id DROP NOT NULL,
	ALTER COLUMN seq DROP NOT NULL,
	ALTER COLUMN hash DROP NOT NULL,
	ALTER COLUMN registered_at SET DEFAULT now(),
	REPLICA IDENTITY FULL; -- it has no primary key, and may be replicated
CREATE UNIQUE INDEX kill_conditions_one ON kill_conditions (host_id, id);
CREATE UNIQUE INDEX kill_conditions_of_no_host ON kill_conditions (id) WHERE host_id IS NULL;

ALTER TABLE kill_fires
	ALTER COLUMN host_id DROP NOT NULL,
	ALTER COLUMN state DROP NOT NULL,
	ALTER COLUMN seq DROP NOT NULL,
	ALTER COLUMN hash DROP NOT NULL,
	ALTER COLUMN fired_at SET DEFAULT now();

-- The name of our list of migrations where schema_migrations is somebody else's.
DO $$
BEGIN
	IF to_regclass('scram_migrations') IS NOT NULL
			AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'scram_ship') THEN
		GRANT SELECT ON scram_migrations TO scram_ship;
	END IF;
END $$;
