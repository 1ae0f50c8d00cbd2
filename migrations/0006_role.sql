-- SPDX-License-Identifier: Apache-2.0
-- The role of who ships: it adds to the journal and reads; the projections are the trigger's.
-- GRANT scram_ship TO <the user in DATABASE_URL>. Who may not make roles gets none, and a notice.

DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'scram_ship') THEN
		CREATE ROLE scram_ship NOLOGIN;
	END IF;
EXCEPTION
	WHEN duplicate_object OR unique_violation THEN NULL; -- another database's migration was first
	WHEN insufficient_privilege THEN RAISE NOTICE 'no role scram_ship: this user may not create roles';
END $$;

REVOKE ALL ON journal, kill_conditions, kill_fires FROM PUBLIC;
REVOKE ALL ON FUNCTION scram_append, scram_refuse, scram_must_follow, scram_project, scram_project_fire,
	scram_project_condition FROM PUBLIC;

DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'scram_ship') THEN
		GRANT SELECT, INSERT ON journal TO scram_ship;
		GRANT SELECT ON kill_conditions, kill_fires, schema_migrations TO scram_ship;
		GRANT EXECUTE ON FUNCTION scram_append, scram_refuse, scram_must_follow TO scram_ship;
	END IF;
END $$;
