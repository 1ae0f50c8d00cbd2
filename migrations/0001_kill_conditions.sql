-- SPDX-License-Identifier: Apache-2.0
-- The conditions that were registered at run time, by host: a projection of the journal (0004).
-- Soft-deleted, so that a fire can outlive its condition.

CREATE TABLE kill_conditions (
	host_id             uuid        NOT NULL,
	id                  text        NOT NULL CHECK (octet_length(id) BETWEEN 1 AND 128),
	description         text        NOT NULL DEFAULT '',
	action_kind         text        NOT NULL CHECK (action_kind IN (
		'process-exit', 'rollback-to-checkpoint', 'circuit-break-component', 'tenant-quarantine',
		'global-readonly', 'freeze', 'refuse-new')),
	action_config       jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(action_config) = 'object'),
	auto_fire           boolean     NOT NULL DEFAULT false,
	requires_two_person boolean     NOT NULL DEFAULT false,
	live                boolean     NOT NULL DEFAULT false,
	registered_by       text        NOT NULL DEFAULT '',
	registered_at       timestamptz NOT NULL,
	deleted_at          timestamptz,
	seq                 bigint      NOT NULL, -- the record that it was last changed by
	hash                text        NOT NULL, -- and that record's hash
	PRIMARY KEY (host_id, id)
);

CREATE INDEX kill_conditions_id ON kill_conditions (id) WHERE deleted_at IS NULL;
CREATE INDEX kill_conditions_armed ON kill_conditions (host_id) WHERE auto_fire AND live AND deleted_at IS NULL;
