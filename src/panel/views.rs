//! The columns of a list that an administrator has chosen, and saved views.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use url::form_urlencoded;

use super::kit::administrator::Administrator;
use super::kit::form::Form;
use super::kit::list::is_place;
use super::kit::message::Message;
use super::kit::page::go;
use super::kit::{PageError, id, paths};
use crate::administration::{delete_view, reset_columns, save_view, store_columns};
use crate::auth::Auth;
use crate::clock;
use crate::domain::single_line;
use crate::models::{MOST_VIEWS, NewSavedView};

/// The most characters of a view's name. The menu shows about twenty.
const NAME_LENGTH: usize = 40;
/// The most bytes of a view's query string.
const MOST_QUERY: usize = 2_000;

/// Returns the path of the list that a form belongs to. `None` if no list has it.
fn list_of(administrator: &Administrator, form: &Form) -> Option<&'static str> {
    let mut sections = administrator.navigation.sections.iter().map(|section| section.path);
    sections.find(|path| *path == form.text("list"))
}

/// Says that a form belongs to no list.
async fn no_such_list(administrator: &Administrator, auth: &Auth) -> Result<HttpResponse, PageError> {
    let message = Message::warning("There is no such list, so nothing was changed.");
    administrator.leave_message(auth, message).await?;
    Ok(go(paths::HOME))
}

fn back(list: &str, form: &Form) -> HttpResponse {
    let query = form.text("here");
    go(&if query.is_empty() { list.to_owned() } else { format!("{list}?{query}") })
}

/// Stores the columns of a list (`POST /admin/columns/`).
pub(super) async fn choose_columns(
    administrator: Administrator,
    form: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let Some(list) = list_of(&administrator, &form) else {
        return no_such_list(&administrator, &auth).await;
    };
    if form.has("reset") {
        reset_columns(&auth.db, administrator.user.id, list).await?;
    } else {
        let owned = |name| form.texts(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        store_columns(&auth.db, administrator.user.id, list, owned("before"), owned("column")).await?;
    }
    Ok(back(list, &form))
}

/// Saves a view of a list (`POST /admin/views/`).
pub(super) async fn save(
    administrator: Administrator,
    form: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let Some(list) = list_of(&administrator, &form) else {
        return no_such_list(&administrator, &auth).await;
    };
    let message = match single_line(form.text("name"), NAME_LENGTH) {
        Err(_) => Message::warning(format!(
            "Nothing was saved: give the view a name of at most {NAME_LENGTH} characters."
        )),
        Ok(name) => {
            let text = format!("The view “{name}” was saved. It is in the menu.");
            let view = NewSavedView {
                user_id: administrator.user.id,
                list: list.to_owned(),
                name,
                query: without_place(form.text("here")),
                is_shared: form.has("shared"),
                created_at: clock::now(),
            };
            if view.query.len() > MOST_QUERY {
                Message::warning("Nothing was saved: the filters are too long.")
            } else if save_view(&auth.db, view).await? {
                Message::success(text)
            } else {
                Message::warning(format!("Nothing was saved: you have {MOST_VIEWS} views. Delete one first."))
            }
        }
    };
    administrator.leave_message(&auth, message).await?;
    Ok(back(list, &form))
}

/// Returns a query string without the page that it asks for.
fn without_place(query: &str) -> String {
    let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| !is_place(name));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Deletes one of the administrator's own views, or for a superuser, any shared one
/// (`POST /admin/views/{id}/delete/`).
pub(super) async fn delete(
    administrator: Administrator,
    place: Path<String>,
    form: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let Some(list) = list_of(&administrator, &form) else {
        return no_such_list(&administrator, &auth).await;
    };
    let message =
        if delete_view(&auth.db, administrator.user.id, administrator.may_change(), id(&place)?).await? {
            Message::success("The view was deleted.")
        } else {
            Message::warning("The view was deleted already, or belongs to somebody else.")
        };
    administrator.leave_message(&auth, message).await?;
    Ok(back(list, &form))
}
