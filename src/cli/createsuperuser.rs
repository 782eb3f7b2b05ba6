//! `tollgate createsuperuser`.

use serde_json::json;

use super::output::{print_json, print_line};
use super::passwords::{PasswordSource, ask};
use super::{Refusal, block_on, explain, open};
use crate::auth::{NewSuperuser, make_superuser, password_hash};
use crate::config::{Database, OpeningBalance, PasswordHashing};
use crate::domain::{NewPassword, Username};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The name, which cannot begin with -; asked for on the terminal if not given
    #[arg(long, allow_hyphen_values = true)]
    username: Option<String>,
    #[command(flatten)]
    password: PasswordSource,
    /// Write the outcome to standard output as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    opening: OpeningBalance,
    #[command(flatten)]
    hashing: PasswordHashing,
}

pub(super) fn run(args: Args) -> Result<(), Refusal> {
    let name = args.username.map_or_else(|| ask("username"), Ok)?;
    let username = Username::parse(&name).map_err(|invalid| format!("username: {}", invalid.reason))?;
    let db = open(&args.database)?;
    let password = args.password.read()?;
    let password = NewPassword::parse(&password, &username)
        .map_err(|invalid| format!("password: {}", invalid.reason))?;
    let password_hash = password_hash::hash(password.as_ref(), args.hashing.bcrypt_cost)
        .map_err(|error| format!("cannot hash the password: {error}"))?;
    let name = username.as_str().to_owned();
    let new = NewSuperuser { username, password_hash, tokens: args.opening.opening_tokens };
    block_on(async { make_superuser(&db, new).await.map_err(explain) })?;
    if args.json {
        return print_json(&json!({ "username": name }));
    }
    print_line(format_args!("Superuser {name} created"))?;
    Ok(())
}
