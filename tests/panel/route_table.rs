//! A table of all routes of the panel, and the paths that they stand for.

use super::world::World;

/// Who may send a request of this method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// The route does not have this method.
    Nobody,
    Everybody,
    /// All who are signed in: staff and superusers.
    Staff,
    Superusers,
}

use For::{Everybody, Nobody, Staff, Superusers};

/// All routes: the path, who may GET it, who may POST to it.
const ROUTES: [(&str, For, For); 46] = [
    ("/admin", Staff, Nobody),
    ("/admin/verify", Nobody, Superusers),
    ("/admin/search", Staff, Nobody),
    ("/admin/sign-in", Everybody, Everybody),
    ("/admin/sign-out", Nobody, Staff),
    ("/admin/first-run/{key}", Everybody, Everybody),
    ("/admin/settings", Staff, Staff),
    ("/admin/settings/sign-out-others", Nobody, Staff),
    ("/admin/password", Staff, Staff),
    ("/admin/users", Staff, Nobody),
    ("/admin/users/add", Superusers, Superusers),
    ("/admin/users/selected", Nobody, Superusers),
    ("/admin/users/bulk-adjust", Nobody, Superusers),
    ("/admin/users/{id}", Staff, Nobody),
    ("/admin/users/{id}/edit", Superusers, Superusers),
    ("/admin/users/{id}/adjust", Superusers, Superusers),
    ("/admin/users/{id}/password", Superusers, Superusers),
    ("/admin/users/{id}/deactivate", Superusers, Superusers),
    ("/admin/users/{id}/reactivate", Superusers, Superusers),
    ("/admin/users/{id}/log-out", Superusers, Superusers),
    ("/admin/users/{id}/anonymise", Superusers, Superusers),
    ("/admin/users/{id}/history", Staff, Nobody),
    ("/admin/auth-tokens", Staff, Nobody),
    ("/admin/auth-tokens/add", Superusers, Superusers),
    ("/admin/auth-tokens/selected", Nobody, Superusers),
    ("/admin/auth-tokens/bulk-revoke", Nobody, Superusers),
    ("/admin/auth-tokens/{id}", Staff, Superusers),
    ("/admin/auth-tokens/{id}/revoke", Superusers, Superusers),
    ("/admin/auth-tokens/{id}/history", Staff, Nobody),
    ("/admin/chats", Staff, Nobody),
    ("/admin/chats/{id}", Staff, Nobody),
    ("/admin/chats/{id}/refund", Superusers, Superusers),
    ("/admin/chats/{id}/release", Superusers, Superusers),
    ("/admin/chats/{id}/history", Staff, Nobody),
    ("/admin/holds", Staff, Nobody),
    ("/admin/ledger", Staff, Nobody),
    ("/admin/bulk-operations", Staff, Nobody),
    ("/admin/users/{id}/limits", Superusers, Superusers),
    ("/admin/models", Staff, Nobody),
    ("/admin/models/{id}", Staff, Superusers),
    ("/admin/models/{id}/history", Staff, Nobody),
    ("/admin/settings/theme", Nobody, Staff),
    ("/admin/users/suggest", Staff, Nobody),
    ("/admin/bulk-operations/{id}", Staff, Nobody),
    ("/admin/bulk-operations/{id}/history", Staff, Nobody),
    ("/admin/history", Staff, Nobody),
];

pub(super) fn routes() -> impl Iterator<Item = (&'static str, For, For)> {
    ROUTES.into_iter()
}

/// Fills a route in with ids that exist, and a key that does not.
pub(super) fn path(route: &str, world: &World) -> String {
    let id = match route.split('/').nth(2) {
        Some("users") => world.user,
        Some("auth-tokens") => world.auth_token,
        Some("chats") if route.ends_with("release") => world.hold,
        Some("chats") => world.chat,
        Some("models") => world.model,
        _ => world.bulk,
    };
    route.replace("{id}", &id.to_string()).replace("{key}", "k")
}

/// Returns the paths of all pages, except those for guests.
pub(super) fn gets(world: &World) -> Vec<String> {
    let pages = routes().filter(|(_, get, _)| [Staff, Superusers].contains(get));
    pages.map(|(route, _, _)| format!("{}/", path(route, world))).collect()
}

/// Returns the paths that forms are sent to. No form removes what a later one needs.
pub(super) fn posts(world: &World) -> Vec<String> {
    let posts = routes().filter(|(_, _, posts)| *posts != Nobody);
    posts.map(|(route, _, _)| format!("{}/", path(route, world))).collect()
}
