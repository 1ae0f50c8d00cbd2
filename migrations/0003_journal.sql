-- SPDX-License-Identifier: Apache-2.0
-- The journals of all hosts, line by line as they stand on the host. Rows are only ever added.

-- The hash covers the line's bytes up to the comma before its last member, ,"hash":"<64>"}.
CREATE FUNCTION scram_line_hash(line text) RETURNS text LANGUAGE sql STABLE STRICT AS
$$ SELECT encode(sha256(convert_to(left(line, -75), 'UTF8')), 'hex') $$;

-- True when the columns say what the line says.
CREATE FUNCTION scram_line_is(line text, seq bigint, at timestamptz, boot_id text, kind text, prev text, hash text)
RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT starts_with(line, '{"seq":' || seq || ',"time":"'
			|| to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
			|| '","boot":"' || boot_id || '","kind":"' || kind || '","body":{')
		AND right(line, 149) = ',"prev":"' || prev || '","hash":"' || hash || '"}'
$$;

CREATE TABLE journal (
	host_id     uuid        NOT NULL,
	seq         bigint      NOT NULL CHECK (seq > 0),
	at          timestamptz,
	boot_id     text,
	kind        text,
	prev        text,
	hash        text,
	line        text,
	refused     text, -- why this store would not take the line, which is in the host's quarantine
	received_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (host_id, seq),
	CONSTRAINT journal_line_or_refused CHECK ((line IS NULL) = (refused IS NOT NULL)),
	CONSTRAINT journal_line_is_whole CHECK (line IS NULL OR coalesce(
		hash = scram_line_hash(line) AND scram_line_is(line, seq, at, boot_id, kind, prev, hash), false))
);

CREATE INDEX journal_kind ON journal (host_id, kind, seq);

CREATE FUNCTION scram_journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'the journal takes inserts only' USING ERRCODE = 'SC003';
END $$;

CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
	FOR EACH STATEMENT EXECUTE FUNCTION scram_journal_is_append_only();

-- SC001 when the record does not follow what is there: order is kept whoever sends.
CREATE FUNCTION scram_must_follow(host uuid, first_seq bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	newest bigint := coalesce((SELECT max(j.seq) FROM journal j WHERE j.host_id = host), 0);
BEGIN
	IF first_seq IS NULL OR first_seq > newest + 1 THEN
		RAISE EXCEPTION 'record % does not follow record %', first_seq, newest USING ERRCODE = 'SC001';
	END IF;
END $$;

-- Adds lines in a row; those that are there already must be the same, or it is SC002, a fork: one
-- seq with two histories. All or nothing.
CREATE FUNCTION scram_append(host uuid, seqs bigint[], times text[], boots text[], kinds text[],
	prevs text[], hashes text[], lines text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n int := cardinality(seqs);
	added int;
	forked bigint;
BEGIN
	PERFORM scram_must_follow(host, seqs[1]);
	IF seqs[n] - seqs[1] <> n - 1 THEN
		RAISE EXCEPTION 'records % to % are not in a row', seqs[1], seqs[n] USING ERRCODE = 'SC001';
	END IF;
	INSERT INTO journal (host_id, seq, at, boot_id, kind, prev, hash, line)
		SELECT host, t.seq, t.at::timestamptz, t.boot_id, t.kind, t.prev, t.hash, t.line
		FROM unnest(seqs, times, boots, kinds, prevs, hashes, lines)
			AS t (seq, at, boot_id, kind, prev, hash, line)
		ON CONFLICT (host_id, seq) DO NOTHING;
	GET DIAGNOSTICS added = ROW_COUNT;
	IF added < n THEN
		SELECT min(t.seq) INTO forked
			FROM unnest(seqs, hashes) AS t (seq, hash)
			JOIN journal j ON j.host_id = host AND j.seq = t.seq
			WHERE j.hash <> t.hash;
		IF forked IS NOT NULL THEN
			RAISE EXCEPTION 'record % is here with another hash', forked USING ERRCODE = 'SC002';
		END IF;
	END IF;
END $$;

-- Keeps the place of a record whose line this store refuses, so that the chain goes on. The hash is
-- NULL where the host could not read the line itself.
CREATE FUNCTION scram_refuse(host uuid, refused_seq bigint, its_prev text, its_hash text, why text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM scram_must_follow(host, refused_seq);
	INSERT INTO journal (host_id, seq, prev, hash, refused)
		VALUES (host, refused_seq, its_prev, its_hash, why)
		ON CONFLICT (host_id, seq) DO NOTHING;
END $$;
