-- Accounts and certificates that ACME directories issued. All servers of the installation share them.

CREATE TABLE acme_accounts (
    directory   text NOT NULL,
    contact     text NOT NULL,
    -- PKCS #8.
    key         bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (directory, contact)
);

CREATE TABLE acme_certificates (
    directory     text NOT NULL,
    -- In the order of the configuration, with a comma between them.
    names         text NOT NULL,
    -- Private key and chain as PEM; null until the first order has succeeded.
    pem           bytea,
    issued_at     timestamptz,
    -- No server orders before this time: while one orders, after a failure, and until the renewal is due.
    next_order_at timestamptz NOT NULL,
    -- Failed orders since the last one that succeeded.
    failures      integer NOT NULL DEFAULT 0,
    PRIMARY KEY (directory, names)
);
