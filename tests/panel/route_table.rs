//! The routes of the panel, as its own table declares them.

use tollgate::panel::{Access, PageMethod, ROUTES};

use super::world::World;

/// Who gets through to a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// There is no such method here.
    Nobody,
    Everybody,
    /// Staff and superusers.
    Staff,
    Superusers,
}

use For::{Everybody, Nobody, Staff, Superusers};

/// Returns each path without its last slash, who may GET it, and who may POST to it.
pub(super) fn routes() -> impl Iterator<Item = (&'static str, For, For)> {
    ROUTES.iter().map(|route| {
        let who = |method| access(route.methods.iter().find(|one| one.route.name == method));
        (route.path.trim_end_matches('/'), who("GET, HEAD"), who("POST"))
    })
}

fn access(method: Option<&PageMethod>) -> For {
    match method.map(|method| method.access) {
        None => Nobody,
        Some(Access::Everybody) => Everybody,
        Some(Access::Staff) => Staff,
        Some(Access::Superusers) => Superusers,
    }
}

/// Returns the route's path with ids of existing rows, and an invalid first-run key.
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

/// Returns the paths of all pages except those that guests may open.
pub(super) fn gets(world: &World) -> Vec<String> {
    let pages = routes().filter(|(_, get, _)| [Staff, Superusers].contains(get));
    pages.map(|(route, _, _)| format!("{}/", path(route, world))).collect()
}

/// Returns the paths that accept forms, ordered so that none removes what a later one needs.
pub(super) fn posts(world: &World) -> Vec<String> {
    let posts = routes().filter(|(_, _, posts)| *posts != Nobody);
    posts.map(|(route, _, _)| format!("{}/", path(route, world))).collect()
}
