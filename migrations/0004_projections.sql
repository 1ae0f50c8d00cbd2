-- SPDX-License-Identifier: Apache-2.0
-- kill_conditions and kill_fires follow the journal, in the transaction that adds to it. What is
-- there already is not added again, so nothing is projected twice.

-- The text of the member; NULL for null and for "".
CREATE FUNCTION scram_member(body jsonb, name text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT nullif(body ->> name, '') $$;

CREATE FUNCTION scram_project_condition(r journal, body jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CASE r.kind
	WHEN 'condition.registered' THEN
		INSERT INTO kill_conditions AS c (host_id, id, description, action_kind, action_config, auto_fire,
				requires_two_person, live, registered_by, registered_at, seq, hash)
			VALUES (r.host_id, body ->> 'id', coalesce(body ->> 'description', ''),
				body #>> '{action,kind}', coalesce(body #> '{action,config}', '{}'),
				(body ->> 'auto_fire')::boolean, (body ->> 'requires_two_person')::boolean,
				(body ->> 'live')::boolean, coalesce(body ->> 'registered_by', ''),
				r.at, r.seq, r.hash)
			ON CONFLICT (host_id, id) DO UPDATE SET
				description = excluded.description, action_kind = excluded.action_kind,
				action_config = excluded.action_config, auto_fire = excluded.auto_fire,
				requires_two_person = excluded.requires_two_person, live = excluded.live,
				registered_by = excluded.registered_by, registered_at = excluded.registered_at,
				deleted_at = NULL, seq = excluded.seq, hash = excluded.hash
			WHERE c.seq < excluded.seq;
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

-- The evidence comes with the first record of a fire alone, so it stays. A fire of another host is
-- left alone, whatever id a record names.
CREATE FUNCTION scram_project_fire(r journal, body jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO kill_fires AS f (id, condition_id, fired_at, fired_by, reason, state_snapshot, dispatched,
			dispatch_result, two_person_status, second_operator, second_at, host_id, state, action_kind,
			target, principal, outcome, error, veto, released_at, released_by, seq, hash)
		VALUES ((body ->> 'id')::uuid, coalesce(body ->> 'condition_id', ''), (body ->> 'fired_at')::timestamptz,
			coalesce(body ->> 'fired_by', ''), coalesce(body ->> 'reason', ''),
			coalesce(nullif(body -> 'state_snapshot', 'null'), '{}'), (body ->> 'dispatched')::boolean,
			scram_member(body, 'dispatch_result'), body ->> 'two_person_status',
			scram_member(body, 'second_operator'), (body ->> 'second_at')::timestamptz, r.host_id,
			body ->> 'state', body ->> 'action', scram_member(body, 'target'),
			scram_member(body, 'principal'), body ->> 'outcome', scram_member(body, 'error'),
			scram_member(body, 'veto'), (body ->> 'released_at')::timestamptz,
			scram_member(body, 'released_by'), r.seq, r.hash)
		ON CONFLICT (id) DO UPDATE SET
			dispatched = excluded.dispatched, dispatch_result = excluded.dispatch_result,
			two_person_status = excluded.two_person_status, second_operator = excluded.second_operator,
			second_at = excluded.second_at, state = excluded.state, target = excluded.target,
			outcome = excluded.outcome, error = excluded.error, veto = excluded.veto,
			released_at = excluded.released_at, released_by = excluded.released_by,
			seq = excluded.seq, hash = excluded.hash
		WHERE f.host_id = excluded.host_id AND f.seq < excluded.seq
$$;

-- Runs as the owner: who ships may add to the journal and to nothing else.
CREATE FUNCTION scram_project() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	r journal;
BEGIN
	FOR r IN SELECT * FROM added a WHERE a.line IS NOT NULL
			AND (starts_with(a.kind, 'fire.') OR starts_with(a.kind, 'condition.')) ORDER BY a.seq
	LOOP
		IF starts_with(r.kind, 'fire.') THEN
			PERFORM scram_project_fire(r, r.line::jsonb -> 'body');
		ELSE
			PERFORM scram_project_condition(r, r.line::jsonb -> 'body');
		END IF;
	END LOOP;
	RETURN NULL;
END $$;

CREATE TRIGGER journal_project AFTER INSERT ON journal REFERENCING NEW TABLE AS added
	FOR EACH STATEMENT EXECUTE FUNCTION scram_project();
