ALTER TABLE models DROP COLUMN extra_fields;
ALTER TABLE models DROP COLUMN image_tokens;
ALTER TABLE models DROP COLUMN max_output;
ALTER TABLE models DROP COLUMN default_output;
ALTER TABLE models DROP COLUMN context_tokens;
ALTER TABLE models DROP COLUMN accepts_tools;
ALTER TABLE models DROP COLUMN accepts_audio;
ALTER TABLE models DROP COLUMN accepts_images;
