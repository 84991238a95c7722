-- Servers, and the one that speaks for each host.

-- A row for each server that lives. A server renews its row; one that is silent for too long is removed by any other
-- server, which sets free what it held.
CREATE TABLE servers (
    id          uuid PRIMARY KEY,
    started_at  timestamptz NOT NULL DEFAULT now(),
    seen_at     timestamptz NOT NULL DEFAULT now()
);

-- The server to which the host is attached, and how often that has become another one: every write about the host and its
-- sandboxes repeats both, so a server that has lost the host changes nothing.
ALTER TABLE hosts
    ADD COLUMN attached_to uuid REFERENCES servers (id) ON DELETE SET NULL,
    ADD COLUMN attachment_epoch bigint NOT NULL DEFAULT 0,
    -- Clients that the server before served have a moment to come back, before anything of theirs is idle.
    ADD COLUMN attached_at timestamptz;
CREATE INDEX hosts_attached_to ON hosts (attached_to);

-- The server that removes the template's files; if it is gone, another one ends the deletion.
ALTER TABLE templates ADD COLUMN deleted_by uuid REFERENCES servers (id) ON DELETE SET NULL;
CREATE INDEX templates_deleted_by ON templates (deleted_by) WHERE deleted_by IS NOT NULL;
