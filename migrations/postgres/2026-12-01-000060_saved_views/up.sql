-- The columns of a list that an administrator has chosen. No row: the list's own choice.
CREATE TABLE panel_columns (
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    -- The path of the list.
    list TEXT NOT NULL,
    -- Their labels, as a JSON array.
    chosen TEXT NOT NULL,
    PRIMARY KEY (user_id, list)
);

-- Filters, words and the order of a list under a name.
CREATE TABLE saved_views (
    id BIGSERIAL PRIMARY KEY,
    -- The administrator who saved it.
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    -- The path of the list.
    list TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The query string.
    query TEXT NOT NULL,
    -- Whether all administrators see it.
    is_shared BOOLEAN NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX saved_views_by_user ON saved_views (user_id, id);
CREATE INDEX saved_views_shared ON saved_views (id) WHERE is_shared;
