//! An administrator's own settings, sessions and password.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::kit::administrator::{Administrator, THEMES};
use super::kit::common_fields::{PASSWORDS_DIFFER, password_fields};
use super::kit::cookie::CookieKind;
use super::kit::fields::{Field, FieldChoice, FormView, Kind};
use super::kit::form::Form;
use super::kit::format;
use super::kit::list::Cell;
use super::kit::message::Message;
use super::kit::page::{Crumb, Frame, go, page_with};
use super::kit::paths;
use super::kit::sessions::sessions_table;
use super::kit::table::Table;
use super::kit::verb::VerbPage;
use super::kit::zone::Zone;
use super::kit::{PageError, Shortcut, shortcuts};
use super::sign_in::safe_next;
use crate::administration::{store_settings, store_theme};
use crate::auth::{Auth, PasswordChange, parse_new_password};
use crate::domain::{Invalid, is_same_password};
use crate::error::Error;
use crate::models::{PanelSettings, User};

/// The numbers of rows per page that are on offer.
const PAGE_SIZES: [&str; 5] = ["10", "25", "50", "100", "200"];

#[derive(Template)]
#[template(path = "admin/settings.html")]
struct SettingsPage {
    frame: Frame,
    form: FormView,
    shortcuts: Vec<Shortcut>,
    sessions: Table,
    others: usize,
}

fn form(settings: &PanelSettings) -> FormView {
    let plain = |value: &str| FieldChoice::new(value, value);
    let mut sizes: Vec<FieldChoice> = PAGE_SIZES.iter().map(|size| plain(size)).collect();
    let size = settings.page_size.to_string();
    if !PAGE_SIZES.contains(&size.as_str()) {
        sizes.push(plain(&size));
    }
    let themes = [("auto", "Same as the system"), ("light", "Light"), ("dark", "Dark")];
    let themes = themes.map(|(value, label)| FieldChoice::new(value, label)).to_vec();
    FormView::default()
        .group(
            "Display",
            "",
            vec![
                Field::new("time_zone", "Time zone", Kind::Choice(Zone::names().map(plain).collect()))
                    .value(&settings.time_zone)
                    .help("Times are shown in this zone, and days begin and end by it."),
                Field::new("page_size", "Rows per page", Kind::Choice(sizes)).value(size),
                Field::new("theme", "Theme", Kind::Choice(themes)).value(&settings.theme),
            ],
        )
        .group(
            "Keyboard",
            "",
            vec![
                Field::new("shortcuts", "Single-key shortcuts", Kind::Tick).ticked(settings.shortcuts).help(
                    "See the list below. Turn them off if you use speech input or press keys by accident.",
                ),
            ],
        )
        .send_to(paths::SETTINGS)
        .button("", "Save")
}

async fn answer(
    administrator: &Administrator,
    auth: &Auth,
    form: FormView,
    status: StatusCode,
) -> Result<HttpResponse, PageError> {
    let sessions = auth.sessions_of(administrator.user.id).await?;
    let shown = SettingsPage {
        frame: Frame::new(administrator, &[Crumb::new("Settings and sessions", paths::SETTINGS)]),
        form,
        shortcuts: shortcuts(administrator.navigation.sections),
        others: sessions.len().saturating_sub(1),
        sessions: sessions_table(&sessions, administrator.session.id),
    };
    page_with(status, &shown).map_err(PageError::from)
}

/// Shows the form and the sessions (`GET /admin/settings/`).
pub(super) async fn show(administrator: Administrator, auth: Data<Auth>) -> Result<HttpResponse, PageError> {
    let form = form(&administrator.settings);
    answer(&administrator, &auth, form, StatusCode::OK).await
}

fn parse(sent: &Form, user_id: i64) -> Result<PanelSettings, Vec<Invalid>> {
    let mut faults = Vec::new();
    let zone = Zone::parse(sent.text("time_zone"));
    if zone.is_none() {
        faults.push(Invalid::new("time_zone", "choose one from the list"));
    }
    let page_size = sent.text("page_size").parse().ok().filter(|size| (1..=200).contains(size));
    if page_size.is_none() {
        faults.push(Invalid::new("page_size", "choose a number from 1 to 200"));
    }
    let theme = THEMES.into_iter().find(|theme| *theme == sent.text("theme"));
    if theme.is_none() {
        faults.push(Invalid::new("theme", "choose one from the list"));
    }
    match (zone, page_size, theme) {
        (Some(zone), Some(page_size), Some(theme)) => Ok(PanelSettings {
            user_id,
            time_zone: zone.name().to_owned(),
            page_size,
            theme: theme.to_owned(),
            shortcuts: sent.has("shortcuts"),
        }),
        _ => Err(faults),
    }
}

/// Stores the form (`POST /admin/settings/`).
pub(super) async fn store(
    administrator: Administrator,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    match parse(&sent, administrator.user.id) {
        Ok(settings) => {
            store_settings(&auth.db, settings).await?;
            administrator.leave_message(&auth, Message::success("Settings saved.")).await?;
            Ok(go(paths::SETTINGS))
        }
        Err(faults) => {
            let form = form(&administrator.settings).refill(&sent).blame(&faults);
            answer(&administrator, &auth, form, StatusCode::BAD_REQUEST).await
        }
    }
}

/// Switches the theme from the menu of any page, and leads back to that page
/// (`POST /admin/settings/theme/`).
pub(super) async fn set_theme(
    administrator: Administrator,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let theme = THEMES.into_iter().find(|theme| *theme == sent.text("theme")).unwrap_or("auto");
    store_theme(&auth.db, administrator.user.id, theme.to_owned()).await?;
    Ok(go(safe_next(sent.text("here"))))
}

/// Ends all other sessions of the administrator (`POST /admin/settings/sign-out-others/`).
pub(super) async fn sign_out_others(
    administrator: Administrator,
    _sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let (user_id, keep) = (administrator.user.id, administrator.session.id);
    let ended = auth.sign_out_others(user_id, keep, administrator.actor()).await?;
    let text =
        format!("{} ended.", format::counted(ended as i64, "other session was", "other sessions were"));
    administrator.leave_message(&auth, Message::success(text)).await?;
    Ok(go(paths::SETTINGS))
}

fn password_page(administrator: &Administrator, form: FormView) -> VerbPage {
    let frame = Frame::new(administrator, &[Crumb::new("Change password", paths::PASSWORD)]);
    VerbPage::new(frame, form.account(&administrator.user.username))
        .note("Ends your other sessions and all your auth tokens. You stay signed in here.")
}

fn password_form() -> FormView {
    let mut fields = vec![Field::new("old_password", "Current password", Kind::OldPassword).required()];
    fields.extend(password_fields(true));
    FormView::default().group("", "", fields).button("", "Change password").cancel(paths::SETTINGS)
}

/// Shows the form for one's own password (`GET /admin/password/`).
pub(super) async fn show_password(administrator: Administrator) -> Result<HttpResponse, PageError> {
    password_page(&administrator, password_form()).show()
}

const NOT_CURRENT: &str = "that is not your current password";

/// Returns what is wrong with the new password.
fn faults_of(sent: &Form, user: &User) -> Vec<Invalid> {
    let mut faults = Vec::new();
    if let Err(fault) = parse_new_password(sent.raw("password"), user) {
        faults.push(Invalid::new("password", fault.reason));
    }
    if !is_same_password(sent.raw("password"), sent.raw("again")) {
        faults.push(Invalid::new("again", PASSWORDS_DIFFER));
    }
    faults
}

/// Returns the fault of the old password, if it is wrong.
async fn check_old(
    administrator: &Administrator,
    sent: &Form,
    auth: &Auth,
) -> Result<Option<Invalid>, PageError> {
    let Administrator { user, from, request, .. } = administrator;
    match auth.confirm_password(user, *from, request.clone(), sent.raw("old_password")).await {
        Ok(()) => Ok(None),
        Err(Error::Invalid(_)) => Ok(Some(Invalid::new("old_password", NOT_CURRENT))),
        Err(error) => Err(error.into()),
    }
}

/// Changes one's own password, if the old one is right (`POST /admin/password/`).
pub(super) async fn change_password(
    request: HttpRequest,
    administrator: Administrator,
    sent: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let again = |faults: &[Invalid]| password_page(&administrator, password_form().blame(faults)).show();
    let mut faults = faults_of(&sent, &administrator.user);
    if !faults.is_empty() {
        // The old password is checked here only to report all faults at once.
        if let Some(wrong) = check_old(&administrator, &sent, &auth).await? {
            faults.insert(0, wrong);
        }
        return again(&faults);
    }
    let change = PasswordChange {
        from: administrator.from,
        request: administrator.request.clone(),
        old: Some(sent.raw("old_password")),
        new: Some(sent.raw("password")),
    };
    match auth.change_own_password(administrator.user.clone(), administrator.session.id, change).await {
        Ok(secret) => {
            let text = "Password changed. Your other sessions and auth tokens ended.";
            administrator.leave_message(&auth, Message::success(text)).await?;
            let mut response = go(paths::SETTINGS);
            let cookie = response.add_cookie(&CookieKind::Session.with(&request, &secret));
            cookie.map_err(|error| Error::Internal(error.to_string()))?;
            Ok(response)
        }
        Err(Error::Invalid(fault)) => again(&[if fault.field == "new_password" {
            Invalid::new("password", fault.reason)
        } else {
            Invalid::new("old_password", NOT_CURRENT)
        }]),
        Err(error) => Err(error.into()),
    }
}
