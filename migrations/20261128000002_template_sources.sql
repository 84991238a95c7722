-- A template whose disk is that of its capsule as it was, and was not made small: what a build keeps of each of its steps.
ALTER TABLE templates
    ADD COLUMN as_it_is boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT only_disks_are_as_they_are CHECK (type = 'base' OR NOT as_it_is);
