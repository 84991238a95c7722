-- Notification channels, and the deliveries to them.
--
--   transition ─▶ outbox.notification ─▶ channel_deliveries, by one reader at a time ─▶ receiver

-- Events for channels -----------------------------------------------------------------------------------------------

-- The name under which channels get the event; null if they do not.
ALTER TABLE outbox ADD COLUMN notification text;
CREATE INDEX outbox_notifications ON outbox (xid, id) WHERE notification IS NOT NULL;

-- Channels ----------------------------------------------------------------------------------------------------------

CREATE TABLE channels (
    id              uuid PRIMARY KEY,
    team_id         uuid NOT NULL REFERENCES teams (id),
    name            text NOT NULL,
    provider        text NOT NULL CHECK (provider IN
                        ('discord', 'slack', 'teams', 'googlechat', 'telegram', 'matrix', 'webhook')),
    -- Addresses and tokens, by name of the field. A secret.
    config          jsonb NOT NULL CHECK (jsonb_typeof(config) = 'object'),
    -- Key with which deliveries to a webhook are signed.
    secret          text,
    events          text[] NOT NULL CHECK (cardinality(events) > 0),
    -- The user who set the configuration last.
    configured_by   uuid REFERENCES users (id) ON DELETE SET NULL,
    -- Counts changes: the outcome of a delivery that was begun before a change does not count against the channel.
    revision        bigint NOT NULL DEFAULT 0,
    -- Earlier events are not sent: those from before it was made, or from while it was off.
    listens_since   timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Set when the channel was switched off because its receiver fails.
    disabled_at     timestamptz,
    -- Reason of the last failure; null after a success.
    last_error      text,
    -- Beginning of the failures since the last success, and their number.
    failing_since   timestamptz,
    failures        integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT secret_iff_webhook CHECK ((provider = 'webhook') = (secret IS NOT NULL)),
    CONSTRAINT failing_iff_failures CHECK ((failing_since IS NULL) = (failures = 0))
);
CREATE INDEX channels_team ON channels (team_id, created_at, id);
CREATE INDEX channels_configured_by ON channels (configured_by);

-- The place in the outbox up to which events were turned into deliveries. Its lock makes one server the reader.
CREATE TABLE channel_cursor (
    only_one    boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    xid         bigint NOT NULL,
    id          bigint NOT NULL
);
INSERT INTO channel_cursor (xid, id) VALUES (0, 0);

-- Deliveries in the order of the outbox. Of the pending ones of a resource, the first has `due_at`: the others wait for it.
CREATE TABLE channel_deliveries (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              uuid NOT NULL UNIQUE,
    channel_id      uuid NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    team_id         uuid NOT NULL,
    -- The same for all channels that get the event.
    event_id        uuid NOT NULL,
    event           text NOT NULL,
    -- Kind and id of the resource, whose deliveries are in order.
    resource        text NOT NULL,
    data            jsonb NOT NULL CHECK (jsonb_typeof(data) = 'object'),
    -- Time of the event.
    created_at      timestamptz NOT NULL,
    -- `failed` if every attempt of a day failed, `dropped` if the channel was switched off.
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed', 'dropped')),
    -- Claims of this delivery: the number of the claim fences its outcome.
    attempts        integer NOT NULL DEFAULT 0,
    -- Time of the next attempt, or end of the lease of the server that makes one.
    due_at          timestamptz,
    leased_by       uuid,
    last_error      text,
    settled_at      timestamptz,
    CONSTRAINT settled_iff_ended CHECK ((status = 'pending') = (settled_at IS NULL)),
    CONSTRAINT due_only_pending CHECK (due_at IS NULL OR status = 'pending'),
    CONSTRAINT leased_only_due CHECK (leased_by IS NULL OR due_at IS NOT NULL)
);
CREATE INDEX channel_deliveries_due ON channel_deliveries (channel_id, due_at) WHERE due_at IS NOT NULL;
-- For the question of whether there is anything to do.
CREATE INDEX channel_deliveries_next ON channel_deliveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX channel_deliveries_leased ON channel_deliveries (channel_id) WHERE leased_by IS NOT NULL;
CREATE INDEX channel_deliveries_order ON channel_deliveries (channel_id, resource, seq) WHERE status = 'pending';
CREATE INDEX channel_deliveries_settled ON channel_deliveries (settled_at) WHERE settled_at IS NOT NULL;

-- Events of hosts and templates -------------------------------------------------------------------------------------

-- Returns an id as clients see it: the prefix, and 25 digits of base 36, as `domain/src/ids.rs` writes them.
CREATE FUNCTION text_id(prefix text, id uuid) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    hex text := replace(id::text, '-', '');
    rest numeric := 0;
    digits text := '';
BEGIN
    FOR place IN 1..32 LOOP
        rest := rest * 16 + strpos('0123456789abcdef', substr(hex, place, 1)) - 1;
    END LOOP;
    FOR place IN 1..25 LOOP
        digits := substr('0123456789abcdefghijklmnopqrstuvwxyz', mod(rest, 36)::integer + 1, 1) || digits;
        rest := div(rest, 36);
    END LOOP;
    RETURN prefix || '-' || digits;
END
$$;

-- A host is down when it counts as unreachable; a stream that breaks for a moment is no event.
CREATE FUNCTION host_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    host text := CASE WHEN NEW.status = 'unreachable' THEN 'host.down' ELSE 'host.up' END;
BEGIN
    INSERT INTO outbox (event, notification, team_id, resource_type, resource_id, payload)
    VALUES (host, host, NEW.team_id, 'host', text_id('host', NEW.id),
        jsonb_build_object('status', NEW.status));
    RETURN NULL;
END
$$;
CREATE TRIGGER hosts_event AFTER UPDATE OF status ON hosts FOR EACH ROW
    WHEN ((NEW.status = 'unreachable' AND OLD.status NOT IN ('pending', 'unreachable'))
        OR (NEW.status IN ('online', 'draining') AND OLD.status IN ('pending', 'unreachable')))
    EXECUTE FUNCTION host_event();

-- A template exists for clients from when it is ready until its deletion begins, or another one takes its place.
CREATE FUNCTION template_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    template templates := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    event text := CASE WHEN TG_OP = 'UPDATE' AND NEW.status = 'ready' THEN 'template.snapshot.created'
        ELSE 'template.snapshot.deleted' END;
BEGIN
    INSERT INTO outbox (event, notification, team_id, resource_type, resource_id, payload)
    VALUES (event, event, template.team_id, 'template', template.name,
        jsonb_build_object('template_id', text_id('tpl', template.id), 'type', template.type));
    RETURN NULL;
END
$$;
CREATE TRIGGER templates_status_event AFTER UPDATE OF status ON templates FOR EACH ROW
    WHEN (NEW.purpose = 'template' AND (NEW.status = 'ready') <> (OLD.status = 'ready'))
    EXECUTE FUNCTION template_event();
CREATE TRIGGER templates_deletion_event AFTER DELETE ON templates FOR EACH ROW
    WHEN (OLD.purpose = 'template' AND OLD.status = 'ready')
    EXECUTE FUNCTION template_event();
