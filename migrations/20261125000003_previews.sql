-- Who may reach the ports of a capsule through its preview addresses: everybody, or those who know the token.
ALTER TABLE sandboxes
    ADD COLUMN preview_access text NOT NULL DEFAULT 'token' CHECK (preview_access IN ('public', 'token')),
    -- Made anew for each row: 122 random bits.
    ADD COLUMN preview_token text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', '');
