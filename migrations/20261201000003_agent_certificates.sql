-- Agents attach by certificates of a private authority; a host token is good for heartbeats alone.

-- The authority of this installation; one row.
CREATE TABLE agent_authority (
    is_only      boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    certificate  bytea NOT NULL,
    private_key  bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- Certificates with which hosts may attach, by the SHA-256 of their DER; one that is not here is revoked.
CREATE TABLE host_certificates (
    fingerprint  bytea PRIMARY KEY CHECK (length(fingerprint) = 32),
    host_id      uuid NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL
);
CREATE INDEX host_certificates_host ON host_certificates (host_id, created_at);
CREATE INDEX host_certificates_expires ON host_certificates (expires_at);
