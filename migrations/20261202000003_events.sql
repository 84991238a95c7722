-- Events that clients follow, and the history of a capsule.

-- Retention of the outbox --------------------------------------------------------------------------------------------

-- The last event that was removed because of its age: a reader that has read less than this may have missed events.
CREATE TABLE outbox_horizon (
    only_one    boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    xid         xid8 NOT NULL,
    id          bigint NOT NULL
);
INSERT INTO outbox_horizon (xid, id) VALUES ('0', 0);

-- Rows that are followed ---------------------------------------------------------------------------------------------

-- Returns the word for the change of a row.
CREATE FUNCTION change_of(operation text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE operation WHEN 'INSERT' THEN 'created' WHEN 'DELETE' THEN 'deleted' ELSE 'changed' END
$$;

-- Each change of a host is an event. For channels it is one only if the host is down (it counts as unreachable; a stream that
-- breaks for a moment is no event), attaches for the first time, or is back.
DROP TRIGGER hosts_event ON hosts;
CREATE OR REPLACE FUNCTION host_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    notification text;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.deleted_at IS NULL THEN
        notification := CASE
            WHEN NEW.status = 'unreachable' AND OLD.status NOT IN ('pending', 'unreachable') THEN 'host.down'
            WHEN NEW.status IN ('online', 'draining') AND OLD.status IN ('pending', 'unreachable') THEN 'host.up' END;
    END IF;
    INSERT INTO outbox (event, notification, team_id, resource_type, resource_id, payload)
    VALUES ('host.changed', notification, NEW.team_id, 'host', text_id('host', NEW.id),
        jsonb_build_object('status', CASE WHEN NEW.deleted_at IS NOT NULL THEN 'deleted'
            WHEN NEW.is_draining AND NEW.status = 'online' THEN 'draining' ELSE NEW.status END));
    RETURN NULL;
END
$$;
CREATE TRIGGER hosts_creation_event AFTER INSERT ON hosts FOR EACH ROW EXECUTE FUNCTION host_event();
CREATE TRIGGER hosts_event AFTER UPDATE OF status, is_draining, deleted_at ON hosts FOR EACH ROW
    WHEN (NEW.status <> OLD.status OR NEW.is_draining <> OLD.is_draining
        OR (NEW.deleted_at IS NULL) <> (OLD.deleted_at IS NULL))
    EXECUTE FUNCTION host_event();

-- A template exists for clients from when it is ready until its deletion begins, or another one takes its place.
CREATE OR REPLACE FUNCTION template_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    template templates := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    is_ready boolean := TG_OP = 'UPDATE' AND NEW.status = 'ready';
BEGIN
    INSERT INTO outbox (event, notification, team_id, resource_type, resource_id, payload)
    VALUES ('template.changed', CASE WHEN is_ready THEN 'template.snapshot.created' ELSE 'template.snapshot.deleted' END,
        template.team_id, 'template', template.name,
        jsonb_build_object('template_id', text_id('tpl', template.id), 'type', template.type,
            'change', CASE WHEN is_ready THEN 'created' ELSE 'deleted' END));
    RETURN NULL;
END
$$;

-- Each attempt at a build is an event, also one that takes up what another one has lost.
CREATE FUNCTION build_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (event, team_id, resource_type, resource_id, payload)
    VALUES ('build.changed', NEW.team_id, 'build', text_id('bld', NEW.id),
        jsonb_build_object('status', NEW.status, 'name', NEW.name, 'attempt', NEW.attempt));
    RETURN NULL;
END
$$;
CREATE TRIGGER template_builds_creation_event AFTER INSERT ON template_builds FOR EACH ROW
    EXECUTE FUNCTION build_event();
CREATE TRIGGER template_builds_event AFTER UPDATE OF status, attempt ON template_builds FOR EACH ROW
    WHEN (NEW.status <> OLD.status OR NEW.attempt <> OLD.attempt)
    EXECUTE FUNCTION build_event();

CREATE FUNCTION member_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    member team_members := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    INSERT INTO outbox (event, team_id, resource_type, resource_id, payload)
    VALUES ('member.changed', member.team_id, 'member', text_id('usr', member.user_id),
        jsonb_build_object('change', change_of(TG_OP), 'role', member.role));
    RETURN NULL;
END
$$;
CREATE TRIGGER team_members_event AFTER INSERT OR DELETE ON team_members FOR EACH ROW EXECUTE FUNCTION member_event();
CREATE TRIGGER team_members_role_event AFTER UPDATE OF role ON team_members FOR EACH ROW
    WHEN (NEW.role <> OLD.role)
    EXECUTE FUNCTION member_event();

CREATE FUNCTION team_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (event, team_id, resource_type, resource_id, payload)
    VALUES ('team.changed', NEW.id, 'team', text_id('team', NEW.id),
        jsonb_build_object('change', CASE WHEN NEW.deleted_at IS NULL THEN change_of(TG_OP) ELSE 'deleted' END,
            'name', NEW.name));
    RETURN NULL;
END
$$;
CREATE TRIGGER teams_creation_event AFTER INSERT ON teams FOR EACH ROW EXECUTE FUNCTION team_event();
CREATE TRIGGER teams_event AFTER UPDATE OF name, is_byoc, quota, deleted_at ON teams FOR EACH ROW
    WHEN (NEW.name <> OLD.name OR NEW.is_byoc <> OLD.is_byoc OR NEW.quota <> OLD.quota
        OR (NEW.deleted_at IS NULL) <> (OLD.deleted_at IS NULL))
    EXECUTE FUNCTION team_event();

-- For the administrators of the platform alone. Says neither name nor address.
CREATE FUNCTION user_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    account users := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    INSERT INTO outbox (event, resource_type, resource_id, payload)
    VALUES ('user.changed', 'user', text_id('usr', account.id), jsonb_build_object('change', change_of(TG_OP)));
    RETURN NULL;
END
$$;
CREATE TRIGGER users_row_event AFTER INSERT OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION user_event();
CREATE TRIGGER users_event AFTER UPDATE OF name, email, is_active, is_admin ON users FOR EACH ROW
    WHEN (NEW.name <> OLD.name OR NEW.email <> OLD.email OR NEW.is_active <> OLD.is_active
        OR NEW.is_admin <> OLD.is_admin)
    EXECUTE FUNCTION user_event();

-- History of a capsule -----------------------------------------------------------------------------------------------

-- Changes of capsules that nobody requested, which the audit log does not have. Kept as long as that log, and longer than
-- capsules, so nothing here refers to another table.
CREATE TABLE sandbox_incidents (
    -- Grows with time, so that the oldest ones are found by it.
    id          uuid PRIMARY KEY,
    sandbox_id  uuid NOT NULL,
    team_id     uuid NOT NULL,
    incident    text NOT NULL CHECK (incident IN ('stopped', 'failed', 'missing', 'found')),
    reason      text,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX sandbox_incidents_sandbox ON sandbox_incidents (sandbox_id, created_at DESC, id DESC);

-- Entries of a capsule, and of the templates that were made of it. Without the columns that settle an entry, so that
-- settling it touches no index.
CREATE INDEX audit_logs_capsule
    ON audit_logs ((CASE resource_type WHEN 'capsule' THEN resource_id ELSE metadata ->> 'capsule' END),
        created_at DESC, id DESC)
    WHERE resource_type IN ('capsule', 'template');
