//! The filter of chats by their endpoint. Embeddings are left out unless it asks for them.

use crate::db::DbConnection;
use crate::domain::Endpoint;
use crate::error::Result;
use crate::models::Chat;
use crate::models::list::Condition;
use crate::panel::kit::list::{Choice, Clause, ListParams};

/// The name of the filter by endpoint.
pub(super) const ENDPOINT: &str = "endpoint";

/// The choice of chats whose endpoint is not recorded.
pub(super) const NOT_RECORDED: &str = "none";

/// The choice of all chats, embeddings too.
pub(super) const ALL: &str = "all";

/// The condition of that choice.
pub(super) const ANY_ENDPOINT: &str = "1 = 1";

/// A choice for each endpoint, one for chats of versions that did not record it, and one for all.
pub(super) const ENDPOINTS: [Choice; Endpoint::ALL.len() + 2] = {
    let none = Clause::tested("chats.endpoint IS NULL");
    let mut choices = [Choice::new(NOT_RECORDED, "Not recorded", none); Endpoint::ALL.len() + 2];
    choices[Endpoint::ALL.len() + 1] = Choice::new(ALL, "All, with embeddings", Clause::tested(ANY_ENDPOINT));
    let mut place = 0;
    while place < Endpoint::ALL.len() {
        let endpoint = Endpoint::ALL[place];
        choices[place] = if endpoint.is_listed() {
            Choice::of(endpoint.code(), endpoint.dialect(), Clause::tested("chats.endpoint = ?"))
        } else {
            Choice::new(endpoint.code(), endpoint.dialect(), Clause::leading("chats.is_listed = FALSE"))
        };
        place += 1;
    }
    choices
};

/// The condition on chats that are shown although no filter asks for their endpoint.
pub(super) const LISTED: &str = "chats.is_listed = TRUE";

/// Leaves out embeddings, unless the filter asks for an endpoint.
pub(super) fn listed(conn: &mut DbConnection, params: &ListParams) -> Result<Vec<Condition>> {
    // Without embeddings nothing has to be tested, and the count is exact for more chats.
    let is_needed = params.value(ENDPOINT).is_none() && Chat::are_any_unlisted(conn)?;
    Ok(is_needed.then(|| Condition::tested(LISTED, Vec::new())).into_iter().collect())
}

/// The clause of the filter by user. The index has a user's embeddings behind the other chats.
pub(super) fn of_user(params: &ListParams) -> Clause {
    let code = params.pairs.get(ENDPOINT).map(String::as_str).unwrap_or_default();
    if code == ALL {
        Clause::tested("chats.user_id = ?")
    } else if Endpoint::from_code(code).is_none_or(Endpoint::is_listed) {
        Clause::leading("chats.user_id = ? AND chats.is_listed = TRUE")
    } else {
        Clause::leading("chats.user_id = ? AND chats.is_listed = FALSE")
    }
}
