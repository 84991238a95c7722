-- Whoever forgets a template, and whoever asks which templates nobody knows, looks for the capsules that name it; without
-- these that is a look at every capsule there ever was.
CREATE INDEX sandboxes_template ON sandboxes (template_id) WHERE template_id IS NOT NULL;
CREATE INDEX sandboxes_making ON sandboxes (operation_template_id) WHERE operation_template_id IS NOT NULL;
