//! What the arguments of a handler say about its route. A handler that takes a [`CurrentUser`]
//! rejects requests without an auth token, so its description says so, whoever writes it.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{Data, Path, Payload};

use super::super::client::ClientAddress;
use super::super::site::CurrentSite;
use super::{Access, Operation};
use crate::auth::{Credentials, CurrentUser, Guest};
use crate::error::Error;
use crate::logging::RequestNotes;
use crate::models::Payer;
use crate::throttle::RetryAfter;

/// An argument of a handler.
pub trait Describe {
    /// Adds what the argument means for requests.
    fn describe(operation: &mut Operation);
}

/// Returns the error of a rate limit.
fn too_many(bound: &'static str) -> Error {
    Error::TooManyRequests(RetryAfter::new(Duration::from_secs(7), bound))
}

/// Returns the error of an outcome that is not known.
fn not_confirmed() -> Error {
    Error::Unavailable(String::new())
}

impl Describe for Guest {
    fn describe(operation: &mut Operation) {
        operation.errors.push(too_many("requests from one address"));
    }
}

impl Describe for Credentials {
    fn describe(operation: &mut Operation) {
        operation.access = Access::Token;
        let errors = [Error::Unauthorized, too_many("requests of one user"), not_confirmed()];
        operation.errors.extend(errors);
    }
}

impl Describe for CurrentUser {
    fn describe(operation: &mut Operation) {
        Credentials::describe(operation);
    }
}

impl Describe for Payer {
    fn describe(operation: &mut Operation) {
        Credentials::describe(operation);
    }
}

/// The handler decides which error comes first.
impl<T: Describe> Describe for Result<T, Error> {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }
}

impl<T> Describe for Data<T> {
    fn describe(_: &mut Operation) {}
}

impl<T> Describe for Path<T> {
    fn describe(_: &mut Operation) {}
}

impl Describe for HttpRequest {
    fn describe(_: &mut Operation) {}
}

/// The handler reads the body itself.
impl Describe for Payload {
    fn describe(_: &mut Operation) {}
}

impl Describe for ClientAddress {
    fn describe(_: &mut Operation) {}
}

impl Describe for RequestNotes {
    fn describe(_: &mut Operation) {}
}

impl Describe for CurrentSite {
    fn describe(_: &mut Operation) {}
}

/// Implements [`Describe`] for the arguments of handlers with so many.
macro_rules! describe_arguments {
    ($($argument:ident)+) => {
        impl<$($argument: Describe),+> Describe for ($($argument,)+) {
            fn describe(operation: &mut Operation) {
                $($argument::describe(operation);)+
            }
        }
    };
}

describe_arguments! { A }
describe_arguments! { A B }
describe_arguments! { A B C }
describe_arguments! { A B C D }
describe_arguments! { A B C D E }
describe_arguments! { A B C D E F }
describe_arguments! { A B C D E F G }

#[cfg(test)]
mod tests {
    use super::*;

    async fn of_a_user(_: CurrentUser, _: HttpRequest) -> &'static str {
        ""
    }

    async fn of_anybody(_: Guest) -> &'static str {
        ""
    }

    fn slugs(operation: &Operation) -> Vec<&'static str> {
        operation.errors.iter().map(Error::slug).collect()
    }

    #[test]
    fn the_arguments_of_a_handler_say_who_may_ask() {
        let operation = Operation::of(of_a_user);
        assert_eq!(operation.access, Access::Token);
        assert!(slugs(&operation).contains(&"unauthorized"), "{operation:?}");
        let operation = Operation::of(of_anybody);
        assert_eq!(operation.access, Access::Open);
        assert!(slugs(&operation).contains(&"too-many-requests"), "{operation:?}");
        assert!(!slugs(&operation).contains(&"unauthorized"), "{operation:?}");
    }
}
