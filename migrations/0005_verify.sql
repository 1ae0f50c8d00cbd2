-- SPDX-License-Identifier: Apache-2.0
-- SELECT * FROM scram_verify('<host id>'): is what the store holds of a host one whole chain?
-- The words are those of `scram verify`. known_seq and known_hash are what is known of the journal
-- from elsewhere (the host's head file, a seal in the system log): only they show rows that are
-- missing at the end. The signatures of seals are checked on a host, by `scram verify`.

CREATE FUNCTION scram_verify(host uuid, known_seq bigint DEFAULT NULL, known_hash text DEFAULT NULL,
	OUT verdict text, OUT records bigint, OUT refused bigint, OUT seals bigint, OUT last_seq bigint,
	OUT last_hash text, OUT fault_seq bigint, OUT detail text) LANGUAGE plpgsql STABLE AS $$
DECLARE
	r journal;
	before_hash text := repeat('0', 64);
	stored text;
BEGIN
	records := 0; refused := 0; seals := 0; last_seq := 0; verdict := 'ok';
	FOR r IN SELECT * FROM journal j WHERE j.host_id = host ORDER BY j.seq LOOP
		IF r.seq <> last_seq + 1 THEN
			verdict := 'missing';
			fault_seq := last_seq + 1;
			detail := format('records %s to %s are not here', last_seq + 1, r.seq - 1);
		ELSIF r.line IS NOT NULL AND r.hash IS DISTINCT FROM scram_line_hash(r.line) THEN
			verdict := 'corrupt';
			detail := 'the line does not have its hash';
		ELSIF r.line IS NOT NULL AND scram_line_is(r.line, r.seq, r.at, r.boot_id, r.kind, r.prev, r.hash)
				IS NOT TRUE THEN
			verdict := 'corrupt';
			detail := 'the columns do not say what the line says';
		ELSIF r.line IS NULL AND r.refused IS NULL THEN
			verdict := 'corrupt';
			detail := 'the line is gone';
		ELSIF r.prev IS DISTINCT FROM before_hash AND before_hash IS NOT NULL AND NOT (r.prev IS NULL AND r.line IS NULL) THEN
			verdict := 'corrupt';
			detail := 'it does not follow the record before';
		END IF;
		IF verdict <> 'ok' THEN
			fault_seq := coalesce(fault_seq, r.seq);
			RETURN;
		END IF;
		records := records + 1;
		refused := refused + (r.line IS NULL)::int;
		seals := seals + (r.kind IS NOT DISTINCT FROM 'seal')::int;
		last_seq := r.seq;
		before_hash := r.hash;
		last_hash := r.hash;
	END LOOP;
	IF known_seq > last_seq THEN
		verdict := 'rollback';
		fault_seq := last_seq + 1;
		detail := format('record %s was seen elsewhere, the last one here is %s', known_seq, last_seq);
	ELSIF known_hash IS NOT NULL THEN
		SELECT j.hash INTO stored FROM journal j WHERE j.host_id = host AND j.seq = known_seq;
		IF stored IS DISTINCT FROM known_hash THEN
			verdict := 'fork';
			fault_seq := known_seq;
			detail := format('record %s was seen elsewhere with another hash', known_seq);
		END IF;
	END IF;
	IF verdict = 'ok' AND seals = 0 THEN
		verdict := 'unsigned';
		detail := 'no seal is among the records';
	END IF;
END $$;
