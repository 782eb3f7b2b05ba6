//! Whether a user can chat, by what the server checks before it charges a message, and in the same
//! order.

use super::limits::{concurrent_chats, requests_per_minute};
use crate::http::Site;
use crate::metering::Price;
use crate::models::{Model, OpenHolds, User};
use crate::panel::kit::format;

/// What decides whether a user can chat, besides the user's own row.
pub(super) struct Circumstances<'a> {
    /// The number of live auth tokens.
    pub live_tokens: usize,
    pub holds: OpenHolds,
    /// The stored models.
    pub models: &'a [Model],
    pub site: &'a Site,
    /// Whether messages a minute are limited (`--throttle`).
    pub is_throttled: bool,
    /// Whether chats wait for their answers, so that they are held and counted.
    pub are_held: bool,
}

/// Whether a user can chat.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ability {
    /// Messages are accepted.
    Yes,
    /// Messages are accepted after a login, which makes an auth token.
    AfterLogin,
    /// Messages are rejected. Holds every reason.
    No(Vec<String>),
}

impl Ability {
    /// Decides whether a user can chat.
    pub(super) fn of(user: &User, now: &Circumstances<'_>) -> Ability {
        let has_token = now.live_tokens > 0;
        let reasons = [
            (!user.is_active).then(|| "the user is deactivated".to_owned()),
            (!has_token && !has_password(user))
                .then(|| "there is no live auth token, and no password to log in with".to_owned()),
            no_requests(user, now),
            too_poor(user, now),
            too_many_chats(user, now),
        ];
        let reasons: Vec<String> = reasons.into_iter().flatten().collect();
        match (reasons.is_empty(), has_token) {
            (true, true) => Ability::Yes,
            (true, false) => Ability::AfterLogin,
            (false, _) => Ability::No(reasons),
        }
    }
}

/// Whether a log-in can succeed: the stored hash has an algorithm. Django's unusable password has
/// none.
pub(super) fn has_password(user: &User) -> bool {
    let algorithm = user.password.split_once('$').map_or("", |(algorithm, _)| algorithm);
    !algorithm.is_empty() && !algorithm.starts_with('!')
}

fn no_requests(user: &User, now: &Circumstances<'_>) -> Option<String> {
    let is_barred = now.is_throttled && requests_per_minute(user, now.site) == 0;
    is_barred.then(|| "the limit is 0 requests a minute".to_owned())
}

fn too_poor(user: &User, now: &Circumstances<'_>) -> Option<String> {
    let Some(cheapest) = cheapest(now.models, now.site) else {
        return Some("no model is on offer".to_owned());
    };
    let (balance, price) = (format::tokens(user.tokens), format::tokens(cheapest));
    (user.tokens < cheapest)
        .then(|| format!("the balance is {balance}, and the cheapest message costs {price}"))
}

fn too_many_chats(user: &User, now: &Circumstances<'_>) -> Option<String> {
    let (most, pending) = (concurrent_chats(user, now.site), now.holds.number);
    if !now.are_held || pending < most {
        return None;
    }
    Some(match most {
        0 => "the limit is 0 chats at once".to_owned(),
        _ => format!("{} of {} chats at once are pending", format::tokens(pending), format::tokens(most)),
    })
}

/// Returns the least that a message can cost with one of the models on offer. `None` if all are
/// withdrawn.
fn cheapest(models: &[Model], site: &Site) -> Option<i64> {
    if site.models.is_empty() {
        // The dummy answers.
        return Some(site.message_price);
    }
    let price = |name: &String| match models.iter().find(|model| model.name == *name) {
        Some(model) if model.is_withdrawn => None,
        Some(model) => Some(Price::of(model, site.message_price).hold(1, 1, 1)),
        None => Some(site.message_price),
    };
    site.models.iter().filter_map(price).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> User {
        User {
            id: 7,
            username: "ada".to_owned(),
            username_canonical: "ada".to_owned(),
            password: "bcrypt_sha256$$2b$04$x".to_owned(),
            tokens: 100,
            is_active: true,
            is_staff: false,
            is_superuser: false,
            date_joined: Default::default(),
            last_login: None,
            version: 0,
            concurrent_chats: None,
            requests_per_minute: None,
        }
    }

    fn site() -> Site {
        Site { message_price: 100, concurrent_chats: 2, requests_per_minute: 60, ..Site::default() }
    }

    fn now<'a>(site: &'a Site, models: &'a [Model]) -> Circumstances<'a> {
        let holds = OpenHolds::default();
        Circumstances { live_tokens: 1, holds, models, site, is_throttled: true, are_held: true }
    }

    fn reasons(user: &User, now: &Circumstances<'_>) -> Vec<String> {
        if let Ability::No(reasons) = Ability::of(user, now) { reasons } else { Vec::new() }
    }

    #[test]
    fn a_user_with_an_auth_token_and_the_price_of_a_message_can_chat() {
        let (site, mut user) = (site(), ada());
        assert_eq!(Ability::of(&user, &now(&site, &[])), Ability::Yes);
        assert_eq!(
            Ability::of(&user, &Circumstances { live_tokens: 0, ..now(&site, &[]) }),
            Ability::AfterLogin
        );
        user.password = "!x".to_owned();
        assert_eq!(Ability::of(&user, &now(&site, &[])), Ability::Yes);
    }

    #[test]
    fn every_reason_is_named_in_the_order_of_the_checks() {
        let site = site();
        let user = User {
            is_active: false,
            password: "!x".to_owned(),
            tokens: 99,
            requests_per_minute: Some(0),
            concurrent_chats: Some(0),
            ..ada()
        };
        let found = reasons(&user, &Circumstances { live_tokens: 0, ..now(&site, &[]) });
        let expected = [
            "the user is deactivated",
            "there is no live auth token, and no password to log in with",
            "the limit is 0 requests a minute",
            "the balance is 99, and the cheapest message costs 100",
            "the limit is 0 chats at once",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn limits_that_are_not_checked_are_no_reasons() {
        let site = site();
        let user = User { requests_per_minute: Some(0), concurrent_chats: Some(0), ..ada() };
        let unchecked = Circumstances { is_throttled: false, are_held: false, ..now(&site, &[]) };
        assert_eq!(Ability::of(&user, &unchecked), Ability::Yes);
        let holds = OpenHolds { number: 2, ..OpenHolds::default() };
        let busy = Circumstances { holds, ..now(&site, &[]) };
        assert_eq!(reasons(&ada(), &busy), ["2 of 2 chats at once are pending"]);
        assert_eq!(reasons(&User { concurrent_chats: Some(3), ..ada() }, &busy), [""; 0]);
    }

    #[test]
    fn the_cheapest_model_on_offer_decides() {
        let site = Site { models: vec!["large".to_owned(), "small".to_owned()], ..site() };
        let mut small = Model::unpriced("small".to_owned());
        (small.base_price, small.prompt_price, small.completion_price) = (Some(3), Some(10), Some(30));
        let poor = User { tokens: 4, ..ada() };
        assert_eq!(Ability::of(&poor, &now(&site, std::slice::from_ref(&small))), Ability::Yes);
        let poorer = User { tokens: 3, ..ada() };
        let expected = ["the balance is 3, and the cheapest message costs 4"];
        assert_eq!(reasons(&poorer, &now(&site, std::slice::from_ref(&small))), expected);
        small.is_withdrawn = true;
        let large = Model { is_withdrawn: true, ..Model::unpriced("large".to_owned()) };
        assert_eq!(reasons(&poorer, &now(&site, &[large, small])), ["no model is on offer"]);
    }
}
