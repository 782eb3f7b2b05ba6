//! Decides which auth tokens of the source are imported.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDateTime;

use super::found::{FoundToken, Owner};
use super::here::Here;
use super::report::{Report, Topic};
use crate::domain::{TokenDigest, first_characters_of};

/// An auth token that the import adds.
#[derive(Clone, Debug)]
pub(super) struct PlannedToken {
    pub owner: Owner,
    pub digest: TokenDigest,
    /// The first characters of the token, by which its owner recognises it.
    pub first_characters: String,
    pub created: Option<NaiveDateTime>,
}

impl PlannedToken {
    /// Returns the key in the map of ids.
    pub(super) fn key(&self) -> String {
        hexadecimal(&self.digest)
    }
}

fn hexadecimal(digest: &TokenDigest) -> String {
    digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decides about all auth tokens. `owners` are the users who are here after the import.
pub(super) fn plan_tokens(
    found: &[FoundToken],
    here: &Here,
    owners: &HashSet<Owner>,
    report: &mut Report,
) -> Vec<PlannedToken> {
    let shared = shared(found);
    let mut planned: HashMap<TokenDigest, PlannedToken> = HashMap::new();
    let mut order = Vec::new();
    for token in found {
        report.auth_tokens.found += 1;
        let first_characters = first_characters_of(&token.plain).to_owned();
        let shown = || format!("{first_characters}… of {} {}", token.owner.0.as_str(), token.owner.1);
        let refused = match TokenDigest::of(&token.plain) {
            None => Err(Topic::UnusableToken),
            Some(digest) if here.tokens.contains(&hexadecimal(&digest)) => Ok(None),
            Some(_) if shared.contains(token.plain.as_str()) => Err(Topic::SharedToken),
            Some(_) if !owners.contains(&token.owner) => Err(Topic::TokenWithoutUser),
            Some(digest) => Ok(Some(digest)),
        };
        match refused {
            Err(topic) => {
                report.auth_tokens.not_imported += 1;
                report.note(topic, shown);
            }
            Ok(None) => report.auth_tokens.imported_before += 1,
            // Two tables may have the same auth token of one user.
            Ok(Some(digest)) if planned.contains_key(&digest) => report.auth_tokens.imported_before += 1,
            Ok(Some(digest)) => {
                report.auth_tokens.new += 1;
                let (owner, created) = (token.owner.clone(), token.created);
                planned.insert(digest, PlannedToken { owner, digest, first_characters, created });
                order.push(digest);
            }
        }
    }
    order.iter().filter_map(|digest| planned.remove(digest)).collect()
}

/// Returns the auth tokens that several users have.
fn shared(found: &[FoundToken]) -> HashSet<&str> {
    let mut owners: HashMap<&str, &Owner> = HashMap::new();
    let mut shared = HashSet::new();
    for token in found {
        if *owners.entry(&token.plain).or_insert(&token.owner) != &token.owner {
            shared.insert(token.plain.as_str());
        }
    }
    shared
}
