-- Capsules of one team, in the order of its list. Plans that a connection makes while there are no capsules are kept until
-- Postgres has gathered statistics, and all indexes of an empty table cost the same: Postgres then takes the one that was
-- created last. `sandboxes_newest` was, so lists and quotas read the capsules of every team.
DROP INDEX sandboxes_team;
CREATE INDEX sandboxes_team ON sandboxes (team_id, created_at DESC, id DESC) WHERE destroyed_at IS NULL;
