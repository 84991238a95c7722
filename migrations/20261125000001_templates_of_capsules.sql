-- Templates that are made of capsules, and the operations that make them.

-- A template is there for its team once it is `ready`. Its row exists from before the host is told to make it, so
-- that whatever a host has can be told apart from what nobody knows.
ALTER TABLE templates
    ADD COLUMN status text NOT NULL DEFAULT 'ready' CHECK (status IN ('making', 'ready', 'deleting')),
    -- File name of an image that every host is given; null for a template whose files were made on a host.
    ADD COLUMN image text,
    -- It takes the place of the ready template of the same name when it is ready itself.
    ADD COLUMN replaces boolean NOT NULL DEFAULT false;
UPDATE templates SET image = name || '.ext4';

-- One that is being made holds its name against others, and the one that it replaces still has it.
ALTER TABLE templates DROP CONSTRAINT templates_team_id_name_key;
CREATE UNIQUE INDEX templates_ready_name ON templates (team_id, name) WHERE status = 'ready';
CREATE UNIQUE INDEX templates_making_name ON templates (team_id, name) WHERE status = 'making';

-- Which hosts have the files of which template.
CREATE TABLE template_hosts (
    template_id uuid NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
    host_id     uuid NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (template_id, host_id)
);
CREATE INDEX template_hosts_host ON template_hosts (host_id);

ALTER TABLE sandboxes
    -- File name of the image that it was started from; null if it came from files that were made on its host.
    ADD COLUMN template_image text,
    -- What the operation in flight makes.
    ADD COLUMN operation_template_id uuid REFERENCES templates (id),
    ADD CONSTRAINT making_iff_template
        CHECK ((COALESCE(operation, '') IN ('snapshotting', 'flattening')) = (operation_template_id IS NOT NULL));
UPDATE sandboxes SET template_image = template_name || '.ext4';
-- For whoever looks for capsules that nobody uses.
CREATE INDEX sandboxes_with_timeout ON sandboxes (last_active_at)
    WHERE status = 'running' AND operation IS NULL AND timeout_sec > 0 AND destroyed_at IS NULL;
