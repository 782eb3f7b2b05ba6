-- What a name looks like (UTS 39), so that a new name does not look like another user's. NULL: not computed yet, as for
-- users of older versions and imported ones; the server fills it in.
ALTER TABLE users ADD COLUMN username_skeleton TEXT COLLATE "C";
-- Whether no other new name may look like this one. Existing and imported names keep theirs, even if they look alike.
ALTER TABLE users ADD COLUMN skeleton_guarded BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX users_by_skeleton ON users (username_skeleton, id);
-- Of two simultaneous registrations, one gets the name.
CREATE UNIQUE INDEX users_guarded_skeletons ON users (username_skeleton) WHERE skeleton_guarded;
-- A node of an older version renames and anonymises users without this column. Then it is computed again.
CREATE FUNCTION forget_skeleton() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.username_skeleton := NULL;
    NEW.skeleton_guarded := FALSE;
    RETURN NEW;
END
$$;
CREATE TRIGGER users_forget_skeleton BEFORE UPDATE OF username ON users FOR EACH ROW
    WHEN (NEW.username IS DISTINCT FROM OLD.username AND NEW.username_skeleton IS NOT DISTINCT FROM OLD.username_skeleton)
    EXECUTE FUNCTION forget_skeleton();
