//! `tollgate adjust USER AMOUNT --note …`.

use serde_json::json;

use super::output::{print_json, print_line};
use super::{Refusal, block_on, explain, find_user, open_migrated_to_change};
use crate::administration::adjust;
use crate::audit::Actor;
use crate::clock;
use crate::config::Database;
use crate::domain::{OperationId, single_line};
use crate::metering::{Adjusted, Adjustment};

/// The most tokens of one adjustment, in either direction, so that a typing error cannot make
/// billions.
const MOST: i64 = 1_000_000_000_000;
/// The most characters of a note.
const NOTE_LENGTH: usize = 500;

/// Names cannot begin with `-` any more, but imported and older ones may.
const AFTER_HELP: &str = "\
A name that begins with - stands behind --, and options before it:
  tollgate adjust --note 'March top-up' -- -h 500";

#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// The user's name
    user: String,
    /// Tokens to add; a negative number removes tokens
    #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-MOST..=MOST))]
    amount: i64,
    /// The reason, which the user sees on the statement
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// Write the outcome to standard output as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    database: Database,
}

pub(super) fn run(args: Args) -> Result<(), Refusal> {
    if args.amount == 0 {
        return Err(
            "the amount is 0: give a number of tokens to add, or a negative number to remove".to_owned()
        );
    }
    let note = single_line(&args.note, NOTE_LENGTH).map_err(|_| {
        format!("give a --note of one line of 1 to {NOTE_LENGTH} characters: the reason, for the statement")
    })?;
    let db = open_migrated_to_change(&args.database)?;
    let user = find_user(&db, &args.user)?;
    let adjustment = Adjustment {
        user_id: user.id,
        amount: args.amount,
        note,
        actor_id: None,
        operation_id: OperationId::generate(),
        now: clock::now(),
    };
    match block_on(async { adjust(&db, &Actor::default(), adjustment).await.map_err(explain) })? {
        Adjusted::Done { balance, .. } if args.json => {
            print_json(&json!({ "username": user.username, "amount": args.amount, "balance": balance }))
        }
        Adjusted::Done { balance, .. } => {
            print_line(format_args!("{}: {:+} tokens, balance {balance}", user.username, args.amount))?;
            Ok(())
        }
        Adjusted::OutOfRange { balance } => Err(format!(
            "{} has {balance} tokens: with {:+} the balance would be out of range; nothing was changed",
            user.username, args.amount
        )),
        Adjusted::OtherOperation => Err("the operation id was used before: try again".to_owned()),
        Adjusted::NoSuchUser => Err(format!("there is no user {:?} any more", args.user)),
    }
}
