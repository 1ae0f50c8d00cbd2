-- SPDX-License-Identifier: Apache-2.0
-- The conditions that files define: a host lists them after each load, in parts (condition.listed), and
-- what the last list does not name any more is deleted. defined_in is the file, NULL for the others.

ALTER TABLE kill_conditions ADD COLUMN IF NOT EXISTS defined_in text;

CREATE FUNCTION scram_upsert_condition(r journal, body jsonb, is_live boolean, file text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO kill_conditions AS c (host_id, id, description, action_kind, action_config, auto_fire,
			requires_two_person, live, registered_by, registered_at, defined_in, seq, hash)
		VALUES (r.host_id, body ->> 'id', coalesce(body ->> 'description', ''), body #>> '{action,kind}',
			coalesce(body #> '{action,config}', '{}'), (body ->> 'auto_fire')::boolean,
			(body ->> 'requires_two_person')::boolean, is_live, coalesce(body ->> 'registered_by', ''),
			r.at, file, r.seq, r.hash)
		ON CONFLICT (host_id, id) DO UPDATE SET
			description = excluded.description, action_kind = excluded.action_kind,
			action_config = excluded.action_config, auto_fire = excluded.auto_fire,
			requires_two_person = excluded.requires_two_person, live = excluded.live,
			registered_by = excluded.registered_by, defined_in = excluded.defined_in,
			-- of a file: since when it is there; at run time: when it was last registered
			registered_at = CASE WHEN excluded.defined_in IS NOT NULL AND c.deleted_at IS NULL
				THEN c.registered_at ELSE excluded.registered_at END,
			deleted_at = NULL, seq = excluded.seq, hash = excluded.hash
		WHERE c.seq < excluded.seq
$$;

CREATE FUNCTION scram_project_list(r journal, body jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	item jsonb;
	first_seq bigint;
BEGIN
	FOR item IN SELECT * FROM jsonb_array_elements(body -> 'conditions') LOOP
		PERFORM scram_upsert_condition(r, item -> 'condition', (item ->> 'live')::boolean,
			coalesce(item ->> 'defined_in', ''));
	END LOOP;
	IF NOT coalesce((body ->> 'last')::boolean, false) THEN
		RETURN;
	END IF;
	-- The first part of this list: the newest there is. A list that was not finished deletes nothing.
	SELECT j.seq INTO first_seq FROM journal j
		WHERE j.host_id = r.host_id AND j.kind = r.kind AND j.seq <= r.seq
			AND j.line::jsonb #>> '{body,part}' = '1'
		ORDER BY j.seq DESC LIMIT 1;
	UPDATE kill_conditions c SET deleted_at = r.at, seq = r.seq, hash = r.hash
		WHERE c.host_id = r.host_id AND c.defined_in IS NOT NULL AND c.deleted_at IS NULL AND c.seq < first_seq;
END $$;

CREATE OR REPLACE FUNCTION scram_project_condition(r journal, body jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CASE r.kind
	WHEN 'condition.registered' THEN
		PERFORM scram_upsert_condition(r, body, (body ->> 'live')::boolean, NULL);
	WHEN 'condition.listed' THEN
		PERFORM scram_project_list(r, body);
	WHEN 'condition.deleted' THEN
		UPDATE kill_conditions c SET deleted_at = r.at, seq = r.seq, hash = r.hash
			WHERE c.host_id = r.host_id AND c.id = body ->> 'id' AND c.seq < r.seq;
	WHEN 'condition.promoted', 'condition.demoted' THEN
		UPDATE kill_conditions c SET live = r.kind = 'condition.promoted', seq = r.seq, hash = r.hash
			WHERE c.host_id = r.host_id AND c.id = body ->> 'id' AND c.seq < r.seq;
	ELSE
		NULL;
	END CASE;
END $$;

REVOKE ALL ON FUNCTION scram_upsert_condition, scram_project_list FROM PUBLIC;
