-- Hosts that are made, drained and deleted over REST, and the hosts on which templates may run.

ALTER TABLE hosts
    -- A deleted host is left out everywhere; its row stays, because capsules that have ended name it.
    ADD COLUMN deleted_at timestamptz,
    -- A drained host takes no new capsules. The agent's coming and going does not change that.
    ADD COLUMN is_draining boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT deleted_is_unattached CHECK (deleted_at IS NULL OR attached_to IS NULL);
CREATE INDEX hosts_team ON hosts (team_id) WHERE deleted_at IS NULL;
-- Every server looks for hosts that nobody speaks for, and those that are deleted become more and more.
CREATE INDEX hosts_unattached ON hosts (id) WHERE attached_to IS NULL AND deleted_at IS NULL;

CREATE TABLE host_tags (
    host_id     uuid NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    tag         text NOT NULL CHECK (tag ~ '^[A-Za-z0-9][A-Za-z0-9._:=-]{0,62}$'),
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (host_id, tag)
);

-- The team on whose own host the template was made; null for one of the platform's hosts. Memory and device state that a team's
-- host has written are loaded by hosts of that team only.
ALTER TABLE templates ADD COLUMN origin_host_team uuid REFERENCES teams (id);
UPDATE templates SET origin_host_team = team_id
WHERE image IS NULL
    AND EXISTS (SELECT FROM template_hosts AS placed JOIN hosts ON hosts.id = placed.host_id
        WHERE placed.template_id = templates.id AND hosts.team_id = templates.team_id)
    AND NOT EXISTS (SELECT FROM template_hosts AS placed JOIN hosts ON hosts.id = placed.host_id
        WHERE placed.template_id = templates.id AND hosts.team_id IS NULL);
