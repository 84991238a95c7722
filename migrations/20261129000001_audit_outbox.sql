-- The audit log, and the outbox of events.

-- An entry for each change that somebody was permitted to make, written in the transaction of the change. Entries outlive
-- what they speak of, so nothing here refers to another table.
CREATE TABLE audit_logs (
    -- Grows with time, so that the oldest and the newest entries are found by it.
    id              uuid PRIMARY KEY,
    -- Null for a change of the platform.
    team_id         uuid,
    scope           text NOT NULL CHECK (scope IN ('team', 'platform')),
    actor_type      text NOT NULL CHECK (actor_type IN ('anonymous', 'user', 'api_key', 'host', 'system')),
    actor_id        uuid,
    -- The actor's name at the time of the change; of the system, the reason for which it acts.
    actor_name      text,
    action          text NOT NULL,
    resource_type   text NOT NULL,
    -- Null if the change was refused before there was a resource.
    resource_id     text,
    -- The entry of the operation in flight that the change joined, with which it is settled.
    joined_to       uuid,
    -- `accepted` until the operation that it began has ended.
    status          text NOT NULL CHECK (status IN ('accepted', 'succeeded', 'failed', 'refused')),
    error           text,
    metadata        jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at      timestamptz,

    CONSTRAINT settled_iff_ended CHECK ((status = 'accepted') = (settled_at IS NULL)),
    CONSTRAINT error_only_without_success CHECK (error IS NULL OR status IN ('failed', 'refused')),
    CONSTRAINT actor_iff_identified
        CHECK ((actor_type IN ('user', 'api_key', 'host')) = (actor_id IS NOT NULL))
-- An entry is settled soon after it was written: room on its page saves new entries in every index.
) WITH (fillfactor = 70);
CREATE INDEX audit_logs_team ON audit_logs (team_id, created_at DESC, id DESC);
-- Without the status, whose change would be one of an indexed column.
CREATE INDEX audit_logs_joined ON audit_logs (joined_to) WHERE joined_to IS NOT NULL;

-- Events, written in the transaction of what they tell of. Transactions commit in another order than they take numbers, so
-- readers go by the transaction's id and stop before the oldest one that is still open: nothing can appear behind them.
CREATE TABLE outbox (
    xid             xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id              bigint GENERATED ALWAYS AS IDENTITY,
    event           text NOT NULL,
    team_id         uuid,
    resource_type   text NOT NULL,
    resource_id     text,
    payload         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(payload) = 'object'),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (xid, id)
);

-- The entry of whoever began what is under way, whose outcome is written with its end.
ALTER TABLE sandboxes ADD COLUMN audit_id uuid;
ALTER TABLE templates ADD COLUMN audit_id uuid;
ALTER TABLE builds ADD COLUMN audit_id uuid;
