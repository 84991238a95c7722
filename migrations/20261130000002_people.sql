-- People, teams and their administration: how a user signs in, who belongs to which team, and what a team may use.

-- Keys that sign tokens ----------------------------------------------------------------------------------------------

-- The newest one signs; the others check what they have signed, until `wrenn admin rotate-token-key` removes them.
CREATE TABLE token_keys (
    -- The `kid` in the header of a token.
    id          text PRIMARY KEY,
    secret      bytea NOT NULL CHECK (length(secret) >= 32),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Tokens that the former key has signed have no `kid`.
INSERT INTO token_keys (id, secret)
SELECT 'first', value FROM settings WHERE name = 'jwt_key' AND length(value) >= 32;
DELETE FROM settings WHERE name = 'jwt_key';

-- Users ------------------------------------------------------------------------------------------------------------

ALTER TABLE users
    -- Part of every token: incrementing it ends all tokens of the user.
    ADD COLUMN token_epoch bigint NOT NULL DEFAULT 0,
    -- Null until the address was proved by its link. Without mail, every address counts as verified.
    ADD COLUMN email_verified_at timestamptz,
    -- Secret of the second factor; it counts once `totp_enabled_at` is set.
    ADD COLUMN totp_secret bytea,
    ADD COLUMN totp_enabled_at timestamptz,
    -- Time step of the last code that was accepted: a code is good once.
    ADD COLUMN totp_last_step bigint,
    ADD CONSTRAINT totp_enabled_with_secret CHECK (totp_enabled_at IS NULL OR totp_secret IS NOT NULL);
-- Accounts that exist were made without mail.
UPDATE users SET email_verified_at = created_at;
-- Search by prefix.
CREATE INDEX users_email_prefix ON users (lower(email) text_pattern_ops);

CREATE TABLE user_recovery_codes (
    user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code_hash   bytea NOT NULL CHECK (length(code_hash) = 32),
    PRIMARY KEY (user_id, code_hash)
);

-- Links that prove an address or replace a password. A row is deleted when its link is used.
CREATE TABLE user_links (
    token_hash  bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind        text NOT NULL CHECK (kind IN ('activation', 'password_reset')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL
);
-- A new link replaces the former one.
CREATE UNIQUE INDEX user_links_one_of_kind ON user_links (user_id, kind);

-- Accounts at identity providers by which a user can sign in.
CREATE TABLE user_identities (
    provider    text NOT NULL,
    subject     text NOT NULL,
    user_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email       text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, subject),
    UNIQUE (user_id, provider)
);

-- Sign-ins that are under way at a provider. A row is deleted when the browser comes back.
CREATE TABLE provider_sign_ins (
    state_hash      bytea PRIMARY KEY CHECK (length(state_hash) = 32),
    provider        text NOT NULL,
    nonce           text NOT NULL,
    pkce_verifier   text NOT NULL,
    -- The user who connects a provider; null for a sign-in.
    user_id         uuid REFERENCES users (id) ON DELETE CASCADE,
    -- The account's epoch then: a connection that was begun with a token ends with it.
    user_epoch      bigint,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    CONSTRAINT epoch_iff_user CHECK ((user_id IS NULL) = (user_epoch IS NULL))
);
CREATE INDEX provider_sign_ins_expire ON provider_sign_ins (expires_at);

-- Teams ------------------------------------------------------------------------------------------------------------

-- Limits of one team; where one is null, the platform's default applies.
ALTER TABLE teams
    ADD COLUMN quota jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(quota) = 'object');

CREATE TABLE team_invitations (
    id          uuid PRIMARY KEY,
    team_id     uuid NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    email       text NOT NULL,
    role        text NOT NULL CHECK (role IN ('admin', 'member')),
    token_hash  bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    -- Ends with its maker's place among the admins of the team.
    invited_by  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX team_invitations_email ON team_invitations (team_id, lower(email));
CREATE INDEX team_invitations_invited_by ON team_invitations (invited_by);
CREATE INDEX team_members_user ON team_members (user_id);
-- For the removal of what deleted teams have left.
CREATE INDEX teams_deleted ON teams (id) WHERE deleted_at IS NOT NULL;

-- API keys ---------------------------------------------------------------------------------------------------------

ALTER TABLE api_keys
    ADD COLUMN scopes text[] NOT NULL DEFAULT '{capsules,builds}'
        CHECK (scopes <@ '{read,capsules,builds,admin}' AND cardinality(scopes) > 0),
    ADD COLUMN expires_at timestamptz,
    DROP CONSTRAINT api_keys_created_by_fkey,
    ADD CONSTRAINT api_keys_created_by_fkey FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE CASCADE;
ALTER TABLE api_keys ALTER COLUMN scopes DROP DEFAULT;
CREATE INDEX api_keys_created_by ON api_keys (created_by);

-- Capsules ---------------------------------------------------------------------------------------------------------

-- The principal that made it, as in the audit log; null for capsules from before this was recorded.
ALTER TABLE sandboxes
    ADD COLUMN created_by_type text CHECK (created_by_type IN ('user', 'api_key', 'system')),
    ADD COLUMN created_by_id uuid,
    ADD COLUMN created_by_name text;

ALTER TABLE hosts
    DROP CONSTRAINT hosts_created_by_fkey,
    ADD CONSTRAINT hosts_created_by_fkey FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE SET NULL;

-- Builds -----------------------------------------------------------------------------------------------------------

ALTER TABLE builds RENAME TO template_builds;
ALTER TABLE template_builds
    -- The team whose template it makes; the all-zero team is the platform.
    ADD COLUMN team_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000' REFERENCES teams (id),
    -- Steps that have ended, one entry each, with the last 16 KB of each of its streams.
    ADD COLUMN logs jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(logs) = 'array');
ALTER TABLE template_builds ALTER COLUMN team_id DROP DEFAULT;
ALTER INDEX builds_pkey RENAME TO template_builds_pkey;
ALTER INDEX builds_newest RENAME TO template_builds_newest;
ALTER INDEX builds_open RENAME TO template_builds_open;
ALTER INDEX builds_archive RENAME TO template_builds_archive;
DROP INDEX builds_open_name;
CREATE UNIQUE INDEX template_builds_open_name ON template_builds (team_id, name) WHERE status IN ('pending', 'running');
CREATE INDEX template_builds_team ON template_builds (team_id, created_at DESC, id DESC);

-- Audit log --------------------------------------------------------------------------------------------------------

-- The log of the whole platform, newest first; that of one team has an index of its own.
CREATE INDEX audit_logs_newest ON audit_logs (created_at DESC, id DESC);

-- Lists of the platform --------------------------------------------------------------------------------------------

CREATE INDEX users_newest ON users (created_at DESC, id DESC);
CREATE INDEX teams_newest ON teams (created_at DESC, id DESC);
CREATE INDEX sandboxes_newest ON sandboxes (created_at DESC, id DESC) WHERE destroyed_at IS NULL;

-- Quotas -----------------------------------------------------------------------------------------------------------

-- Returns the use that a team makes of each resource. A capsule has a machine as long as `Lifecycle::hold` says so.
CREATE FUNCTION team_usage(of_team uuid)
RETURNS TABLE (running_capsules bigint, vcpus bigint, memory_mb bigint, disk_mb bigint, paused_capsules bigint,
    templates bigint, concurrent_builds bigint)
LANGUAGE sql STABLE AS $$
    SELECT count(*) FILTER (WHERE has_machine),
        COALESCE(sum(capsules.vcpus) FILTER (WHERE has_machine), 0)::bigint,
        COALESCE(sum(capsules.memory_mb) FILTER (WHERE has_machine), 0)::bigint,
        COALESCE(sum(capsules.disk_size_mb) FILTER (WHERE has_machine OR status <> 'error'), 0)::bigint,
        count(*) FILTER (WHERE status IN ('paused', 'hibernated') OR operation = 'pausing'),
        -- A template that takes the place of another one counts once.
        (SELECT count(*) FROM (
            SELECT name FROM templates WHERE team_id = of_team AND status = 'ready' AND purpose = 'template'
            UNION
            SELECT name FROM templates
            WHERE team_id = of_team AND status IN ('making', 'testing') AND purpose = 'template') AS names),
        (SELECT count(*) FROM template_builds WHERE team_id = of_team AND status IN ('pending', 'running'))
    FROM (
        SELECT sandboxes.vcpus, sandboxes.memory_mb, disk_size_mb, status, operation,
            COALESCE(operation, '') IN ('starting', 'resuming') OR status IN ('pending', 'starting', 'running', 'missing')
                OR (status = 'error' AND operation IS NOT NULL) AS has_machine
        FROM sandboxes WHERE team_id = of_team AND destroyed_at IS NULL) AS capsules
$$;

-- Returns true if a team may use so much more of each resource, and keeps others from using more of the team's quota until
-- the transaction ends. Each of its statements sees what was committed when it began, so it counts what others did while it
-- waited for the lock; a statement that calls it must not read the counted rows itself.
--
-- Fails with WRN01, and a resource with its limit and its use as DETAIL, if the quota does not allow it, and with WRN02 if
-- the team was deleted. The platform's own team has no limits.
CREATE FUNCTION team_admits(for_team uuid, more_machines bigint, more_vcpus bigint, more_memory_mb bigint,
    more_disk_mb bigint, more_paused bigint, more_builds bigint, new_template text)
RETURNS boolean LANGUAGE plpgsql VOLATILE COST 10000 AS $$
DECLARE
    bounds jsonb;
    capsules record;
    other record;
    short record;
BEGIN
    IF for_team = '00000000-0000-0000-0000-000000000000' THEN
        RETURN true;
    END IF;
    SELECT jsonb_strip_nulls(convert_from(value, 'UTF8')::jsonb) INTO bounds FROM settings WHERE name = 'quota';
    bounds := COALESCE(bounds, '{}') || (SELECT jsonb_strip_nulls(quota) FROM teams WHERE id = for_team);
    IF bounds = '{}' THEN
        -- Only a deletion of the team has to wait.
        PERFORM FROM teams WHERE id = for_team AND deleted_at IS NULL FOR SHARE;
    ELSE
        PERFORM FROM teams WHERE id = for_team AND deleted_at IS NULL FOR NO KEY UPDATE;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'WRN02', MESSAGE = 'the team was deleted';
    END IF;
    IF bounds = '{}' THEN
        RETURN true;
    END IF;
    -- Only what is needed is counted: the function is inlined, and columns that nobody reads cost nothing. The types of both
    -- branches are the same, as the plans of the expressions below are kept with them.
    IF more_machines > 0 OR more_paused > 0 THEN
        SELECT running_capsules, vcpus, memory_mb, disk_mb, paused_capsules INTO capsules FROM team_usage(for_team);
    ELSE
        SELECT 0::bigint AS running_capsules, 0::bigint AS vcpus, 0::bigint AS memory_mb, 0::bigint AS disk_mb,
            0::bigint AS paused_capsules INTO capsules;
    END IF;
    IF more_builds > 0 OR new_template IS NOT NULL THEN
        SELECT templates, concurrent_builds INTO other FROM team_usage(for_team);
    ELSE
        SELECT 0::bigint AS templates, 0::bigint AS concurrent_builds INTO other;
    END IF;
    SELECT resource, used, (bounds ->> resource)::bigint AS bound INTO short
    FROM (VALUES
        ('running_capsules', capsules.running_capsules, more_machines),
        ('vcpus', capsules.vcpus, more_vcpus),
        ('memory_mb', capsules.memory_mb, more_memory_mb),
        ('disk_mb', capsules.disk_mb, more_disk_mb),
        ('paused_capsules', capsules.paused_capsules, more_paused),
        ('concurrent_builds', other.concurrent_builds, more_builds),
        ('templates', other.templates, CASE
            WHEN new_template IS NULL OR EXISTS (
                SELECT FROM templates WHERE team_id = for_team AND name = new_template AND purpose = 'template'
                    AND status IN ('ready', 'making', 'testing')) THEN 0
            ELSE 1 END)) AS demand (resource, used, more)
    WHERE more > 0 AND used + more > (bounds ->> resource)::bigint
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'WRN01', MESSAGE = 'the quota does not allow it',
            DETAIL = jsonb_build_object('resource', short.resource, 'limit', short.bound, 'used', short.used)::text;
    END IF;
    RETURN true;
END
$$;

-- Revocation -------------------------------------------------------------------------------------------------------

-- Tells every server that somebody may have lost rights, so that open sessions end at once.
CREATE FUNCTION notify_principals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('wrenn_principals', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER users_principals AFTER DELETE OR UPDATE OF is_active, is_admin, token_epoch ON users
    FOR EACH STATEMENT EXECUTE FUNCTION notify_principals();
CREATE TRIGGER team_members_principals AFTER DELETE OR UPDATE OF role ON team_members
    FOR EACH STATEMENT EXECUTE FUNCTION notify_principals();
CREATE TRIGGER teams_principals AFTER DELETE OR UPDATE OF deleted_at ON teams
    FOR EACH STATEMENT EXECUTE FUNCTION notify_principals();
CREATE TRIGGER api_keys_principals AFTER DELETE OR UPDATE OF scopes, expires_at ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION notify_principals();
