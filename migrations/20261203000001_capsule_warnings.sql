-- Parts of a running capsule that its guest could not prepare because of what is on its disk, in words for its user.
ALTER TABLE sandboxes ADD COLUMN warnings text[] NOT NULL DEFAULT '{}';
