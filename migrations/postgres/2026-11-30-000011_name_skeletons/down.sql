DROP TRIGGER users_forget_skeleton ON users;
DROP FUNCTION forget_skeleton();
DROP INDEX users_guarded_skeletons;
DROP INDEX users_by_skeleton;
ALTER TABLE users DROP COLUMN skeleton_guarded;
ALTER TABLE users DROP COLUMN username_skeleton;
