-- Builds: recipes that become templates.
--
-- The row is the truth about a build; the queue in Redis only wakes workers. A worker holds a build by a lease, and each
-- time a build is taken up its `attempt` is increased: whoever writes repeats it, so a worker that lost the build changes
-- nothing any more.

CREATE TABLE builds (
    id              uuid PRIMARY KEY,
    -- Of the platform's template that it makes.
    name            text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    base_template   text NOT NULL,
    -- As it was sent: an array of texts.
    recipe          jsonb NOT NULL CHECK (jsonb_typeof(recipe) = 'array'),
    healthcheck     text,
    vcpus           integer NOT NULL CHECK (vcpus > 0),
    memory_mb       integer NOT NULL CHECK (memory_mb > 0),
    disk_size_mb    integer NOT NULL CHECK (disk_size_mb > 0),
    skip_pre_post   boolean NOT NULL DEFAULT false,
    no_cache        boolean NOT NULL DEFAULT false,
    -- Where its archive is in object storage; null if it has none, or has ended.
    archive         text,

    status          text NOT NULL DEFAULT 'pending'
                    CHECK (status IN ('pending', 'running', 'success', 'failed', 'cancelled')),
    -- What a running one is doing.
    stage           text CHECK (stage IN ('preparing', 'steps', 'healthcheck', 'template', 'testing')),
    current_step    integer NOT NULL DEFAULT 0 CHECK (current_step >= 0),
    total_steps     integer NOT NULL CHECK (total_steps >= 0),
    -- Why it failed, or why it had to begin anew.
    error           text,
    sandbox_id      uuid REFERENCES sandboxes (id) ON DELETE SET NULL,
    host_id         uuid REFERENCES hosts (id) ON DELETE SET NULL,
    template_id     uuid,
    default_user    text NOT NULL DEFAULT 'root',
    default_env     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(default_env) = 'object'),

    attempt         integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    lease_until     timestamptz,
    -- Not before this a build that was given back is taken up again.
    not_before      timestamptz,
    created_by      uuid REFERENCES users (id) ON DELETE SET NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at      timestamptz,
    completed_at    timestamptz,

    CONSTRAINT leased_iff_running CHECK ((status = 'running') = (lease_until IS NOT NULL)),
    CONSTRAINT completed_iff_ended
        CHECK ((status IN ('success', 'failed', 'cancelled')) = (completed_at IS NOT NULL))
);
CREATE INDEX builds_newest ON builds (created_at DESC, id DESC);
CREATE INDEX builds_open ON builds (created_at, id) WHERE status IN ('pending', 'running');
-- Two that make the same template would only get in each other's way.
CREATE UNIQUE INDEX builds_open_name ON builds (name) WHERE status IN ('pending', 'running');
CREATE INDEX builds_archive ON builds (id) WHERE archive IS NOT NULL;

-- The steps of a build's latest attempt.
CREATE TABLE build_steps (
    build_id    uuid NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
    step        integer NOT NULL CHECK (step > 0),
    phase       text NOT NULL CHECK (phase IN ('pre-build', 'recipe', 'post-build', 'healthcheck')),
    cmd         text NOT NULL,
    -- Null while it runs, and for a step that is no command.
    exit        integer,
    -- Null while it runs.
    ok          boolean,
    elapsed_ms  bigint NOT NULL DEFAULT 0,
    cached      boolean NOT NULL DEFAULT false,
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (build_id, step)
);

-- What the steps printed, line by line. `seq` goes on over all attempts.
CREATE TABLE build_lines (
    build_id    uuid NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
    seq         bigint NOT NULL,
    step        integer NOT NULL,
    stream      text NOT NULL CHECK (stream IN ('stdout', 'stderr')),
    line        text NOT NULL,
    PRIMARY KEY (build_id, seq)
);

-- The capsules of a build: those that the build does not know any more are destroyed.
ALTER TABLE sandboxes
    ADD COLUMN build_id uuid REFERENCES builds (id) ON DELETE SET NULL,
    ADD COLUMN build_attempt integer,
    ADD CONSTRAINT attempt_iff_build CHECK (build_id IS NULL OR build_attempt IS NOT NULL);
CREATE INDEX sandboxes_of_builds ON sandboxes (build_id) WHERE build_id IS NOT NULL AND destroyed_at IS NULL;

-- Templates of a build are made, then tested, then ready. A `step` is what a build's step left: nobody's to use but
-- later builds', and never listed.
ALTER TABLE templates
    ADD COLUMN purpose text NOT NULL DEFAULT 'template' CHECK (purpose IN ('template', 'step')),
    ADD COLUMN build_id uuid REFERENCES builds (id) ON DELETE SET NULL,
    ADD COLUMN build_attempt integer,
    -- Everything that led to a template without memory: another build of the same would make the same.
    ADD COLUMN result_key bytea,
    DROP CONSTRAINT templates_status_check,
    ADD CONSTRAINT templates_status_check CHECK (status IN ('making', 'testing', 'ready', 'deleting'));
DROP INDEX templates_making_name;
CREATE UNIQUE INDEX templates_making_name ON templates (team_id, name) WHERE status IN ('making', 'testing');
CREATE INDEX templates_testing ON templates (build_id) WHERE status = 'testing';

-- The step cache: what everything up to a step leads to. Several keys may lead to one disk, as not every step changes it.
CREATE TABLE build_cache (
    key         bytea PRIMARY KEY CHECK (length(key) = 32),
    template_id uuid NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
    used_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX build_cache_template ON build_cache (template_id);
