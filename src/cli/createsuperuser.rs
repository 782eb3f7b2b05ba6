//! `tollgate createsuperuser`.

use super::passwords::{PasswordSource, ask};
use super::{Refusal, block_on, explain, open};
use crate::auth::{NewSuperuser, make_superuser, password_hash};
use crate::config::Config;
use crate::domain::{NewPassword, Username};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The name, which cannot begin with -; asked for on the terminal if not given
    #[arg(long, allow_hyphen_values = true)]
    username: Option<String>,
    #[command(flatten)]
    password: PasswordSource,
}

pub(super) fn run(config: &Config, args: Args) -> Result<(), Refusal> {
    let name = args.username.map_or_else(|| ask("username"), Ok)?;
    let username = Username::parse(&name).map_err(|invalid| format!("username: {}", invalid.reason))?;
    let db = open(config)?;
    let password = args.password.read()?;
    let password = NewPassword::parse(&password, &username)
        .map_err(|invalid| format!("password: {}", invalid.reason))?;
    let password_hash = password_hash::hash(password.as_ref(), config.accounts.bcrypt_cost)
        .map_err(|error| format!("cannot hash the password: {error}"))?;
    let name = username.as_str().to_owned();
    let new = NewSuperuser { username, password_hash, tokens: config.metering.opening_tokens };
    block_on(async { make_superuser(&db, new).await.map_err(explain) })?;
    println!("Superuser {name} created");
    Ok(())
}
