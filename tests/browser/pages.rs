//! The list of all pages of the panel, in every state that looks different.

use tollgate::panel::SECTIONS;

use super::chat_pages::{chats, models};
use super::demo::Demo;
use super::page::{FAULTS, Page, Who, page};

/// Returns the pages that exist before there is a superuser. `link` is the first-run link.
pub fn before_the_first(link: &str) -> Vec<Page> {
    let faults =
        page("first-run-errors", link, FAULTS).fill("username", "two words").press("Create and sign in");
    let pages = vec![
        page("first-run", link, "Create the first superuser"),
        faults.fill("password", "short").fill("again", "other").status(400),
    ];
    pages.into_iter().map(|page| page.seen_by(Who::Guest)).collect()
}

/// Returns the pages of an unused server, whose first superuser was created by the link.
pub fn of_a_fresh_server(link: &str) -> Vec<Page> {
    let mut pages = vec![
        page("first-run-used", link, "This link has already been used").status(404),
        page("empty-home", "/admin/", "Verify the ledger now"),
        page("empty-users", "/admin/users/?active=no", "No users match"),
        page("empty-user", "/admin/users/1/?tab=auth-tokens", "There are no live auth tokens"),
        page("empty-chats", "/admin/chats/", "There are no chats yet"),
        page("empty-models", "/admin/models/", "the built-in dummy answers"),
        page("empty-holds", "/admin/holds/", "No chat is waiting for its answer"),
        page("empty-auth-tokens", "/admin/auth-tokens/", "There are no auth tokens yet"),
        page("empty-ledger", "/admin/ledger/?kind=refund", "0 of "),
        page("empty-bulk-operations", "/admin/bulk-operations/", "There are no bulk operations yet"),
        page("empty-backups", "/admin/backups/", "This server makes no backups by itself"),
        page("empty-history", "/admin/history/?date_to=2020-01-01", "0 of "),
    ];
    pages.extend(pages_of_other_sections(&pages, "empty-"));
    pages
}

/// Returns the pages of `tollgate demo` that have most to show.
pub fn of_a_demo() -> Vec<Page> {
    vec![
        page("demo-home", "/admin/?days=90", "Ran out of tokens"),
        page("demo-users", "/admin/users/", "Last login"),
        page("demo-user", "/admin/users/4/", "ada.lovelace"),
        page("demo-chats", "/admin/chats/?state=failed", "State: Failed"),
        page("demo-holds", "/admin/holds/", "Release #"),
        page("demo-models", "/admin/models/", "qwen2.5-32b"),
        page("demo-ledger", "/admin/ledger/?kind=adjustment&sums=1", "Entries summed"),
        page("demo-auth-tokens", "/admin/auth-tokens/", "printed by tollgate demo"),
        page("demo-bulk-operations", "/admin/bulk-operations/", "Trial accounts"),
        page("demo-history", "/admin/history/?action=adjust", "adjusted the balance"),
    ]
}

/// Returns the pages of a server that is in use.
pub fn of_a_busy_server(demo: &Demo) -> Vec<Page> {
    let mut pages = vec![
        page("home", "/admin/", "Recent actions").folded(),
        page("search", "/admin/search/", "Type part of a user's name"),
        page("search-results", "/admin/search/?q=amelia", "Results for"),
        page("search-by-id", "/admin/search/?q=3", "Results for"),
        page("search-nothing", "/admin/search/?q=zzzzzz", "Nothing found"),
        page("settings", "/admin/settings/", "Your sessions"),
        page("settings-errors", "/admin/settings/", FAULTS).fill("theme", "loud").press("Save").status(400),
        page("password", "/admin/password/", "Current password"),
        // The second of the demo's users is a member of the staff.
        page("user-password-confirmed", "/admin/users/2/password/", "Required because this user may sign in"),
        page("password-errors", "/admin/password/", FAULTS)
            .fill("password", "a")
            .press("Change password")
            .status(400),
        page("holds", "/admin/holds/", "Release #"),
        page("ledger", "/admin/ledger/", "Show sums"),
        page("ledger-sums", "/admin/ledger/?kind=adjustment&sums=1", "Entries summed"),
        page("bulk-operations", "/admin/bulk-operations/", "#1 adjust balances"),
        page("bulk-operation", format!("/admin/bulk-operations/{}/", demo.bulk), "11 of 12 done."),
        page("bulk-operation-undo", format!("/admin/bulk-operations/{}/undo/", demo.bulk), "Undo all"),
        page(
            "bulk-operation-history",
            format!("/admin/bulk-operations/{}/history/", demo.bulk),
            "History of",
        ),
        // The tour waits until there is one.
        page("backups", "/admin/backups/", "Download"),
        page("history", "/admin/history/", "Object"),
        page("history-filtered", "/admin/history/?action=adjust&date=7days", "Clear all filters"),
    ];
    pages.extend(users(demo));
    pages.extend(a_user(demo));
    pages.extend(chats(demo));
    pages.extend(auth_tokens(demo));
    pages.extend(models(demo));
    pages.extend(errors(demo));
    pages.extend(pages_of_other_sections(&pages, ""));
    pages
}

/// Returns a page for each section of the panel that has none in `pages` yet.
fn pages_of_other_sections(pages: &[Page], prefix: &str) -> Vec<Page> {
    let is_missing = |path: &str| pages.iter().all(|page| page.path.split('?').next() != Some(path));
    let missing = SECTIONS.iter().filter(|section| is_missing(section.path));
    let name = |label: &str| format!("{prefix}{}", label.to_lowercase().replace(' ', "-"));
    missing.map(|section| page(name(section.label), section.path, section.label)).collect()
}

fn users(demo: &Demo) -> Vec<Page> {
    vec![
        page("users", "/admin/users/", "Last login").folded(),
        page("users-filtered", "/admin/users/?q=ma&balance=low&facets=1", "Clear all filters"),
        page("users-nothing", "/admin/users/?q=zzzzzz", "No users match"),
        page("users-none-chosen", "/admin/users/", "No user was selected").press("Go"),
        page("users-last", "/admin/users/?last=1", "‹ Previous"),
        page("user-add", "/admin/users/add/", "Repeat password").folded(),
        page("user-add-errors", "/admin/users/add/", FAULTS)
            .fill("username", demo.name)
            .fill("password", "password1")
            .fill("again", "another")
            .fill("tokens", "many")
            .press("Save")
            .status(400),
        page("users-bulk-adjust", "/admin/users/?balance=low", "and will be skipped")
            .fill("all", "1")
            .fill("amount", "-900")
            .press("Go"),
    ]
}

fn a_user(demo: &Demo) -> Vec<Page> {
    let at = |rest: &str| format!("/admin/users/{}/{rest}", demo.user);
    vec![
        page("user", at(""), "Can chat: yes").folded(),
        page("user-statement", at("?tab=statement"), "The whole statement"),
        page("user-chats", at("?tab=chats"), "All chats"),
        page("user-auth-tokens", at("?tab=auth-tokens"), "including ended ones"),
        page("user-security", "/admin/users/1/?tab=security", "Panel sessions"),
        page("user-inactive", format!("/admin/users/{}/", demo.inactive), "inactive"),
        page("user-edit", at("edit/"), "Only a hash is stored"),
        page("user-edit-errors", at("edit/"), FAULTS).fill("username", "two words").press("Save").status(400),
        page("user-edit-conflict", at("edit/"), "Somebody else changed this")
            .fill("version", "-1")
            .fill("username", "amelia.hart-lund")
            .press("Save")
            .status(409),
        page("user-adjust", at("adjust/"), "Show before and after"),
        page("user-adjust-preview", at("adjust/"), "Balance after")
            .fill("amount", "-250")
            .fill("reason", "Credited twice")
            .press("Show before and after"),
        page("user-adjust-errors", at("adjust/"), FAULTS)
            .fill("amount", "a lot")
            .press("Adjust balance")
            .status(400),
        page("user-adjust-too-much", at("adjust/"), "it can go neither below 0")
            .fill("amount", "-9000000")
            .fill("reason", "Too much")
            .press("Adjust balance")
            .status(400),
        page("user-adjust-large", at("adjust/"), "Type the amount again")
            .fill("amount", "9,000,000,000,000,000")
            .fill("reason", "A slip of the finger")
            .press("Adjust balance")
            .status(400),
        page("user-limits", at("limits/"), "default"),
        page("user-limits-errors", at("limits/"), FAULTS)
            .fill("concurrent_chats", "many")
            .press("Save")
            .status(400),
        page("user-limits-conflict", at("limits/"), "Somebody else changed this")
            .fill("version", "-1")
            .fill("requests_per_minute", "5")
            .press("Save")
            .status(409),
        page("user-password", at("password/"), "Give the new password"),
        page("user-password-errors", at("password/"), FAULTS)
            .fill("password", "a")
            .press("Set password")
            .status(400),
        page("user-log-out", at("log-out/"), "Ends all auth tokens and sessions"),
        page("user-deactivate", at("deactivate/"), "Blocks login and chats"),
        page("user-deactivate-oneself", "/admin/users/1/deactivate/", FAULTS).press("Deactivate").status(409),
        page("user-reactivate", format!("/admin/users/{}/reactivate/", demo.inactive), "can log in again"),
        page("user-anonymise", at("anonymise/"), "This cannot be undone"),
        page("user-anonymise-errors", at("anonymise/"), FAULTS)
            .fill("name", "x")
            .press("Anonymise permanently")
            .status(400),
        page("user-history", at("history/"), "History of"),
    ]
}

fn auth_tokens(demo: &Demo) -> Vec<Page> {
    let at = |rest: &str| format!("/admin/auth-tokens/{}/{rest}", demo.token);
    vec![
        page("auth-tokens", "/admin/auth-tokens/", "Begins with"),
        page("auth-tokens-nothing", "/admin/auth-tokens/?q=zzzzzz", "No auth tokens match"),
        page("auth-token", at(""), "Leave empty for never"),
        page("auth-token-errors", at(""), FAULTS).fill("name", "x".repeat(101)).press("Save").status(400),
        page("auth-token-conflict", at(""), "Somebody else changed this")
            .fill("was_name", "Something else")
            .fill("name", "Kitchen")
            .press("Save")
            .status(409),
        page("auth-token-revoked", format!("/admin/auth-tokens/{}/", demo.revoked), "revoked"),
        page("auth-token-revoke", at("revoke/"), "are rejected"),
        page("auth-token-history", format!("/admin/auth-tokens/{}/history/", demo.revoked), "History of"),
        page("auth-token-add", "/admin/auth-tokens/add/", "Name of the auth token"),
        page("auth-token-add-errors", "/admin/auth-tokens/add/", FAULTS)
            .fill("user", "nobody at all")
            .press("Make the auth token")
            .status(400),
        page("auth-token-made", "/admin/auth-tokens/add/", "cannot be shown again")
            .fill("user", demo.name)
            .fill("name", "Reading list")
            .press("Make the auth token"),
        page("auth-tokens-bulk-revoke", "/admin/auth-tokens/?state=live", "Revoke all")
            .fill("all", "1")
            .press("Go"),
    ]
}

fn errors(demo: &Demo) -> Vec<Page> {
    let forged = page("error-forged-form", "/admin/settings/", "does not belong to your session");
    let mut pages = vec![
        page("error-no-such-page", "/admin/nowhere/", "There is nothing at this address").status(404),
        page("error-no-such-user", "/admin/users/987654/", "There is no such user").status(404),
        forged.fill("csrf", "forged").press("Save").status(403),
        page("form-returned", format!("/admin/users/{}/adjust/", demo.user), "Send the form again")
            .fill("csrf", "of-an-earlier-session.1")
            .fill("amount", "500")
            .fill("reason", "March top-up")
            .press("Adjust balance")
            .status(403),
    ];
    let staff = [
        page("staff-users", "/admin/users/", "Last login"),
        page("staff-backups", "/admin/backups/", "checked"),
        page("staff-user", format!("/admin/users/{}/", demo.user), "Can chat: yes"),
        page("staff-model", format!("/admin/models/{}/", demo.model), "For example"),
        page("staff-auth-token", format!("/admin/auth-tokens/{}/", demo.token), "Begins with"),
        page("error-not-allowed", "/admin/users/add/", "Only superusers may change things").status(403),
    ];
    pages.extend(staff.into_iter().map(|page| page.seen_by(Who::Staff)));
    let guest = [
        page("start", "/", "Read the API's documentation").folded(),
        page("documentation", "/docs/api/", "Every path works with and without").folded(),
        page("reference", "/docs/", "Programs read the same from"),
        page("documentation-clients", "/docs/clients/", "What a message costs"),
        page("documentation-charges", "/docs/charges/", "Hold, settle, refund"),
        page("sign-in", "/admin/sign-in/", "For administrators"),
        page("sign-in-errors", "/admin/sign-in/", "The name or the password is wrong")
            .fill("username", demo.name)
            .fill("password", "wrong")
            .press("Sign in")
            .status(403),
    ];
    pages.extend(guest.into_iter().map(|page| page.seen_by(Who::Guest)));
    pages
}
