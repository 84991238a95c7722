-- The walking skeleton: who there is, which hosts there are, which sandboxes run on them.
--
-- Rules about the shape of a row are constraints here, not conventions in code. Ids are UUIDs; their
-- text form (`cl-…`) exists outside the database only.

-- Values that the control plane makes once and keeps, such as the key that signs dashboard tokens.
CREATE TABLE settings (
    name        text PRIMARY KEY,
    value       bytea NOT NULL
);

CREATE TABLE users (
    id              uuid PRIMARY KEY,
    email           text NOT NULL,
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    password_hash   text,
    is_admin        boolean NOT NULL DEFAULT false,
    is_active       boolean NOT NULL DEFAULT true,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);
-- Addresses differ in more than case only in theory; nobody means two people by it.
CREATE UNIQUE INDEX users_email_key ON users (lower(email));

CREATE TABLE teams (
    id          uuid PRIMARY KEY,
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    slug        text NOT NULL UNIQUE,
    is_byoc     boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz
);

CREATE TABLE team_members (
    team_id     uuid NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role        text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    -- The team that signing in leads to.
    is_default  boolean NOT NULL DEFAULT false,
    joined_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (team_id, user_id)
);
CREATE UNIQUE INDEX team_members_one_default ON team_members (user_id) WHERE is_default;
CREATE UNIQUE INDEX team_members_one_owner ON team_members (team_id) WHERE role = 'owner';

CREATE TABLE api_keys (
    id          uuid PRIMARY KEY,
    team_id     uuid NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    name        text NOT NULL,
    -- SHA-256 of the whole key; the key has enough entropy to need no slow hash.
    key_hash    bytea NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    key_prefix  text NOT NULL,
    created_by  uuid NOT NULL REFERENCES users (id),
    created_at  timestamptz NOT NULL DEFAULT now(),
    last_used   timestamptz
);
CREATE INDEX api_keys_team ON api_keys (team_id);

CREATE TABLE hosts (
    id                  uuid PRIMARY KEY,
    type                text NOT NULL CHECK (type IN ('regular', 'byoc')),
    team_id             uuid REFERENCES teams (id),
    provider            text,
    availability_zone   text,
    arch                text,
    cpu_cores           integer CHECK (cpu_cores > 0),
    memory_mb           bigint CHECK (memory_mb > 0),
    disk_mb             bigint CHECK (disk_mb >= 0),
    address             text,
    status              text NOT NULL DEFAULT 'pending'
                        CHECK (status IN ('pending', 'online', 'offline', 'draining', 'unreachable')),
    last_heartbeat_at   timestamptz,
    created_by          uuid REFERENCES users (id),
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT byoc_iff_team CHECK ((type = 'byoc') = (team_id IS NOT NULL))
);

-- Every secret that a host can show, hashed: one-time registration tokens (1 h), host tokens (7 d) and
-- the refresh tokens that renew them.
CREATE TABLE host_tokens (
    token_hash  bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    host_id     uuid NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    kind        text NOT NULL CHECK (kind IN ('registration', 'host', 'refresh')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL
);
CREATE INDEX host_tokens_host ON host_tokens (host_id, kind);

CREATE TABLE templates (
    id              uuid PRIMARY KEY,
    -- The all-zero team is the platform: its templates are visible to everybody.
    team_id         uuid NOT NULL REFERENCES teams (id),
    name            text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    type            text NOT NULL CHECK (type IN ('base', 'snapshot')),
    -- Size of the machine whose memory a snapshot holds; a base image fits any machine.
    vcpus           integer CHECK (vcpus > 0),
    memory_mb       integer CHECK (memory_mb > 0),
    -- Least disk that a capsule of it needs.
    disk_size_mb    integer NOT NULL CHECK (disk_size_mb > 0),
    size_bytes      bigint NOT NULL DEFAULT 0 CHECK (size_bytes >= 0),
    default_user    text NOT NULL DEFAULT 'root',
    default_env     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(default_env) = 'object'),
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (team_id, name),
    CONSTRAINT snapshot_has_size CHECK (type = 'base' OR (vcpus IS NOT NULL AND memory_mb IS NOT NULL))
);

CREATE TABLE sandboxes (
    id              uuid PRIMARY KEY,
    team_id         uuid NOT NULL REFERENCES teams (id),
    -- Null when the template is gone; the name stays for people.
    template_id     uuid REFERENCES templates (id) ON DELETE SET NULL,
    template_name   text NOT NULL,
    host_id         uuid NOT NULL REFERENCES hosts (id),
    vcpus           integer NOT NULL CHECK (vcpus > 0),
    memory_mb       integer NOT NULL CHECK (memory_mb > 0),
    disk_size_mb    integer NOT NULL DEFAULT 5120 CHECK (disk_size_mb > 0),
    timeout_sec     integer NOT NULL DEFAULT 0 CHECK (timeout_sec >= 0),
    auto_resume     boolean NOT NULL DEFAULT false,
    default_user    text NOT NULL,
    envs            jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(envs) = 'object'),
    metadata        jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),

    -- The last settled state, and the one operation in flight beside it.
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN
                    ('pending', 'starting', 'running', 'paused', 'hibernated', 'stopped', 'missing', 'error')),
    operation       text CHECK (operation IN
                    ('starting', 'pausing', 'resuming', 'snapshotting', 'flattening', 'destroying')),
    -- Fencing number. Incremented by the sandbox's actor alone, in the transaction that writes
    -- `operation`, before any command leaves; every later write repeats it in its WHERE.
    generation      bigint NOT NULL DEFAULT 1 CHECK (generation > 0),
    -- Why the last operation failed; null when it did not.
    last_error      text,
    -- Why the machine is not running any more.
    stop_reason     text,

    guest_ip        text,
    host_ip         text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    started_at      timestamptz,
    last_active_at  timestamptz,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    -- When somebody asked for its end, and when that end was reached; a destroyed row is settled for
    -- ever. `destroying` without a request only removes what a failed machine left on its host.
    destroy_requested_at timestamptz,
    destroyed_at    timestamptz,

    CONSTRAINT destroyed_is_settled CHECK (destroyed_at IS NULL OR (status = 'stopped' AND operation IS NULL)),
    CONSTRAINT destroyed_was_requested CHECK (destroyed_at IS NULL OR destroy_requested_at IS NOT NULL),
    CONSTRAINT running_has_started CHECK (status <> 'running' OR started_at IS NOT NULL)
);
CREATE INDEX sandboxes_team ON sandboxes (team_id, created_at DESC) WHERE destroyed_at IS NULL;
CREATE INDEX sandboxes_host ON sandboxes (host_id) WHERE destroyed_at IS NULL;
CREATE INDEX sandboxes_in_flight ON sandboxes (operation) WHERE operation IS NOT NULL;

INSERT INTO teams (id, name, slug) VALUES ('00000000-0000-0000-0000-000000000000', 'Platform', 'platform');
INSERT INTO templates (id, team_id, name, type, disk_size_mb)
VALUES ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000000', 'minimal', 'base', 5120);
