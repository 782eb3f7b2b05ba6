//! `tollgate changepassword`, for users who have forgotten their password.

use serde_json::json;

use super::output::{print_json, print_line};
use super::passwords::PasswordSource;
use super::{Refusal, block_on, explain, find_user, open_migrated_to_change};
use crate::audit::Actor;
use crate::auth::{Keep, parse_new_password, password_hash, set_password};
use crate::config::{Database, PasswordHashing};

/// Names cannot begin with `-` any more, but imported and older ones may.
const AFTER_HELP: &str = "\
A name that begins with - stands behind = :
  tollgate changepassword --username=--help";

#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// The user's name
    #[arg(long, allow_hyphen_values = true)]
    username: String,
    #[command(flatten)]
    password: PasswordSource,
    /// Write the outcome to standard output as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    hashing: PasswordHashing,
}

pub(super) fn run(args: Args) -> Result<(), Refusal> {
    let db = open_migrated_to_change(&args.database)?;
    let user = find_user(&db, &args.username)?;
    let password = args.password.read()?;
    let password =
        parse_new_password(&password, &user).map_err(|invalid| format!("password: {}", invalid.reason))?;
    let hash = password_hash::hash(password.as_ref(), args.hashing.bcrypt_cost)
        .map_err(|error| format!("cannot hash the password: {error}"))?;
    let actor = Actor::default();
    block_on(async { set_password(&db, &actor, user.id, hash, None, Keep::Nothing).await.map_err(explain) })?;
    if args.json {
        return print_json(&json!({ "username": user.username }));
    }
    print_line(format_args!(
        "Password of {} changed; all auth tokens of the user have ended",
        user.username
    ))?;
    Ok(())
}
