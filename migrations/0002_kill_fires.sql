-- SPDX-License-Identifier: Apache-2.0
-- The fires, each in its last state: a projection of the journal (0004). No foreign key to
-- kill_conditions: a fire outlives its condition, and most conditions are in files of the host.

CREATE TABLE kill_fires (
	id                uuid        PRIMARY KEY,
	condition_id      text        NOT NULL,
	fired_at          timestamptz NOT NULL,
	fired_by          text        NOT NULL,
	reason            text        NOT NULL DEFAULT '',
	state_snapshot    jsonb       NOT NULL DEFAULT '{}',
	dispatched        boolean     NOT NULL DEFAULT false,
	dispatch_result   text,
	two_person_status text        NOT NULL DEFAULT 'not-required' CHECK (two_person_status IN (
		'not-required', 'pending', 'approved', 'rejected', 'timed-out')),
	second_operator   text,
	second_at         timestamptz,
	host_id           uuid        NOT NULL,
	state             text        NOT NULL CHECK (state IN (
		'pending', 'approved', 'intent', 'dispatched', 'verified', 'failed', 'released', 'vetoed',
		'rejected', 'timed-out', 'dry-run')),
	action_kind       text        CHECK (action_kind IN (
		'process-exit', 'rollback-to-checkpoint', 'circuit-break-component', 'tenant-quarantine',
		'global-readonly', 'freeze', 'refuse-new')),
	target            text,
	principal         text,
	outcome           text,
	error             text,
	veto              text,
	released_at       timestamptz,
	released_by       text,
	seq               bigint      NOT NULL, -- the record of the last step
	hash              text        NOT NULL  -- and that record's hash
);

CREATE INDEX kill_fires_newest ON kill_fires (fired_at DESC);
CREATE INDEX kill_fires_condition ON kill_fires (condition_id, fired_at DESC);
CREATE INDEX kill_fires_host ON kill_fires (host_id, seq);
CREATE INDEX kill_fires_pending ON kill_fires (fired_at) WHERE two_person_status = 'pending';
