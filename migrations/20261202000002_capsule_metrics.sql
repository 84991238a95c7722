-- Measurements of capsules, as their hosts hand them over whenever a machine stops running: one packed row for each tier
-- (`domain/src/metrics/packed.rs`). While a machine runs the newer ones are on its host.
CREATE TABLE capsule_metrics (
    sandbox_id uuid NOT NULL REFERENCES sandboxes (id) ON DELETE CASCADE,
    tier       text NOT NULL CHECK (tier IN ('fine', 'medium', 'coarse')),
    points     bytea NOT NULL CHECK (octet_length(points) <= 98304),
    saved_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sandbox_id, tier)
);
-- They are packed already.
ALTER TABLE capsule_metrics ALTER COLUMN points SET STORAGE EXTERNAL;
CREATE INDEX capsule_metrics_saved ON capsule_metrics (saved_at);
