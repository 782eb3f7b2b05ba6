-- What a model can do and how much it may write. NULL: unknown, or as the settings say.
ALTER TABLE models ADD COLUMN accepts_images BOOLEAN;
ALTER TABLE models ADD COLUMN accepts_audio BOOLEAN;
ALTER TABLE models ADD COLUMN accepts_tools BOOLEAN;
ALTER TABLE models ADD COLUMN context_tokens BIGINT CHECK (context_tokens > 0);
ALTER TABLE models ADD COLUMN default_output BIGINT CHECK (default_output > 0);
ALTER TABLE models ADD COLUMN max_output BIGINT CHECK (max_output > 0);
-- The most tokens that one image may count as.
ALTER TABLE models ADD COLUMN image_tokens BIGINT CHECK (image_tokens > 0);
-- Names of further fields of a request that are passed on, separated by commas.
ALTER TABLE models ADD COLUMN extra_fields TEXT NOT NULL DEFAULT '';
