//! Sessions of the panel: signing in, signing out, and checking each request.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpRequest;
use chrono::{NaiveDateTime, TimeDelta};
use serde_json::Value;

use super::Auth;
use super::current_user::kind_of;
use super::password_hash::Verified;
use super::security_log::{LoggedAttempt, Refused};
use crate::audit::{Action, Actor, Event};
use crate::client_address::client_of;
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{LoginName, Password, SessionSecret, TokenDigest};
use crate::error::{Error, Result};
use crate::logging::RequestNotes;
use crate::models::{NewSession, OpenWork, PanelSettings, Payer, SavedView, Session, User};
use crate::throttle::Lane;

/// How often the use of a session is written down.
const TOUCH_EVERY: TimeDelta = TimeDelta::minutes(1);
/// How long a request waits for that write.
const TOUCH_PATIENCE: Duration = Duration::from_secs(1);
/// The most messages that wait for a page of a session.
const MOST_MESSAGES: usize = 20;
/// How long the panel's menu counts a bulk operation that failed for some rows.
const FAILURES_SHOWN: TimeDelta = TimeDelta::days(7);
/// The most characters kept of a browser's name.
const USER_AGENT_LENGTH: usize = 200;

/// A sign-in, as received.
pub struct SignIn<'a> {
    /// The client's address.
    pub from: IpAddr,
    /// What the log knows of the request.
    pub request: RequestNotes,
    /// The browser's name, for the list of sessions.
    pub user_agent: &'a str,
    /// The username, as entered.
    pub username: &'a str,
    /// The password, as entered.
    pub password: &'a str,
    /// The session that the browser had before. It ends.
    pub old: Option<TokenDigest>,
}

/// What makes a request of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedBy {
    /// A person, who opens a page or sends a form.
    Person,
    /// A page's script, in the background. That is no use of the session: an open page that
    /// refreshes itself must not keep it alive.
    Script,
}

/// A signed-in user, with what each page needs.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The user, as stored.
    pub user: User,
    /// The session of the request.
    pub session: Session,
    /// The user's preferences.
    pub settings: PanelSettings,
    /// The saved views of the panel's lists that the user sees.
    pub views: Vec<SavedView>,
    /// The numbers beside the panel's menu. A script's request has none, as it shows no menu.
    pub open_work: OpenWork,
}

impl Auth {
    /// Checks the password of a member of the staff and begins a session, always a new one. A wrong
    /// name, a wrong password, and a user who is deactivated or not staff all take the same time
    /// and get the same error. A failure is in the history.
    pub async fn sign_in(&self, sign_in: SignIn<'_>) -> Result<SessionSecret> {
        let attempt = LoggedAttempt {
            what: "sign-in to the panel",
            from: sign_in.from,
            request: sign_in.request.clone(),
        };
        let (from, name) = (sign_in.from, sign_in.username);
        match self.try_sign_in(sign_in).await {
            Ok((user_id, username, secret)) => {
                attempt.succeeded(user_id, &username);
                Ok(secret)
            }
            Err(refused) => {
                if refused.is_for_credentials() {
                    self.record_failed_sign_in(from, name, refused.user_id()).await;
                }
                Err(attempt.refused(refused))
            }
        }
    }

    async fn try_sign_in(&self, sign_in: SignIn<'_>) -> Result<(i64, String, SessionSecret), Refused> {
        let name = LoginName::parse(sign_in.username).ok();
        let account = name.as_ref().map_or("", LoginName::canonical);
        let account = account.to_owned();
        let attempt = self.throttle.begin_panel_sign_in(sign_in.from, &account).await;
        let attempt = attempt.map_err(Error::TooManyRequests)?;
        let requester = self.requester(Lane::Panel, sign_in.from, &account);
        let found = match name {
            Some(name) => self.db.read_few(move |conn| Ok(User::find_by_login_name(conn, &name)?)).await?,
            None => None,
        };
        let password = Password::parse(sign_in.password).ok();
        let password_given = password.clone();
        let verified = self.verify(requester, password, found.as_ref()).await?;
        let refused = |why: String| Refused::new(why, Error::InvalidCredentials);
        let Some(user) = found else { return Err(refused("no such user".to_owned())) };
        let why = match user.id {
            id if verified == Verified::No => Some(format!("wrong password of user {id}")),
            id if !user.is_active => Some(format!("user {id} is deactivated")),
            id if !(user.is_staff || user.is_superuser) => Some(format!("user {id} is not staff")),
            _ => None,
        };
        if let Some(why) = why {
            return Err(refused(why).of_user(user.id));
        }
        attempt.succeeded();
        self.throttle.note_sign_in(sign_in.from, &account);
        let new_hash = match (verified, password_given) {
            (Verified::YesUpgrade, Some(password)) => Some(self.hasher.hash(requester, password).await?),
            _ => None,
        };
        let (id, username) = (user.id, user.username.clone());
        let begun = self.begin_session(user, new_hash, sign_in.from, sign_in.user_agent, sign_in.old).await;
        match begun {
            Ok(secret) => Ok((id, username, secret)),
            Err(Error::InvalidCredentials) => {
                Err(refused(format!("user {id} was changed meanwhile")).of_user(id))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Begins a session of a user whose password was just checked or set. `new_hash` replaces a
    /// hash that is out of date.
    pub(super) async fn begin_session(
        &self,
        user: User,
        new_hash: Option<String>,
        from: IpAddr,
        user_agent: &str,
        old: Option<TokenDigest>,
    ) -> Result<SessionSecret> {
        let now = clock::now();
        let secret = SessionSecret::generate()?;
        let digest =
            secret.digest().ok_or_else(|| Error::Internal("a secret without a digest".to_owned()))?;
        let new = NewSession {
            user_id: user.id,
            digest: digest.as_bytes().to_vec(),
            created_at: now,
            last_used_at: now,
            expires_at: now + self.rules().session_lifetime,
            address: from.to_string(),
            user_agent: user_agent.chars().filter(|c| !c.is_control()).take(USER_AGENT_LENGTH).collect(),
        };
        let actor = Actor { user_id: Some(user.id), address: from.to_string() };
        let job = move |conn: &mut DbConnection| {
            if Session::exists(conn, &new.digest)? {
                return Ok(true);
            }
            // The password was checked outside this transaction and may have been changed since.
            let fresh = User::find(conn, user.id)?;
            if !fresh.is_some_and(|fresh| fresh.is_active && fresh.password == user.password) {
                return Ok(false);
            }
            if let Some(new_hash) = &new_hash {
                User::upgrade_password(conn, user.id, &user.password, new_hash)?;
            }
            if let Some(old) = old {
                Session::delete(conn, old)?;
            }
            new.insert(conn)?;
            User::set_last_login(conn, user.id, now)?;
            actor.record(conn, &Event::about_user(Action::SignIn, user.id), now)?;
            Ok(true)
        };
        let begun = self.db.write(Scope::user(user.id), job).await?;
        if begun { Ok(secret) } else { Err(Error::InvalidCredentials) }
    }

    /// Returns the signed-in user, unless the user or the address has reached a limit. `Ok(None)`
    /// if nobody is signed in.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub async fn admit_session(
        &self,
        digest: TokenDigest,
        request: &HttpRequest,
        by: RequestedBy,
    ) -> Result<Option<SignedIn>> {
        let (kind, from) = (kind_of(request), client_of(request));
        let notes = RequestNotes::of(request);
        let counted = self.check_before(digest, kind, from, &notes)?;
        let found = self.signed_in(digest, by).await?;
        match &found {
            Some(signed_in) => {
                notes.set_user(signed_in.user.id);
                self.check_after(counted, digest, Payer::of(&signed_in.user), kind)?;
            }
            None => match self.refuse(Some(digest), from) {
                Error::Unauthorized => {}
                error => return Err(error),
            },
        }
        Ok(found)
    }

    /// Returns the user of a session's secret. It is read from the database each time, so that a
    /// session that just ended, on any node, is rejected. `None` if there is no such session.
    pub async fn signed_in(&self, digest: TokenDigest, by: RequestedBy) -> Result<Option<SignedIn>> {
        let now = clock::now();
        let idle_since = now - self.rules().session_idle;
        let read = move |conn: &mut DbConnection| {
            let Some((session, user)) = Session::find_live(conn, digest, idle_since, now)? else {
                return Ok(None);
            };
            let settings = PanelSettings::of(conn, user.id)?;
            let views = SavedView::seen_by(conn, user.id)?;
            let open_work = match by {
                RequestedBy::Person => OpenWork::count(conn, now, now - FAILURES_SHOWN)?,
                RequestedBy::Script => OpenWork::default(),
            };
            Ok(Some(SignedIn { user, session, settings, views, open_work }))
        };
        let found = self.db.read_few(read).await?;
        if let Some(signed_in) = &found
            && by == RequestedBy::Person
            && now - signed_in.session.last_used_at > TOUCH_EVERY
        {
            let id = signed_in.session.id;
            let touched = self.db.write(Scope::none(), move |conn| Ok(Session::touch(conn, id, now)?));
            // Requests must still be served while nothing can be written. The next request tries
            // again.
            if !matches!(tokio::time::timeout(TOUCH_PATIENCE, touched).await, Ok(Ok(_))) {
                log::warn!("the use of a session could not be noted");
            }
        }
        Ok(found)
    }

    /// Ends a session on the server.
    pub async fn sign_out(&self, user_id: i64, secret: TokenDigest, actor: Actor) -> Result<()> {
        let now = clock::now();
        let job = move |conn: &mut DbConnection| {
            if Session::delete(conn, secret)? > 0 {
                actor.record(conn, &Event::about_user(Action::SignOut, user_id), now)?;
            }
            Ok(())
        };
        self.db.write(Scope::user(user_id), job).await
    }

    /// Returns a user's live sessions, the latest first.
    pub async fn sessions_of(&self, user_id: i64) -> Result<Vec<Session>> {
        let now = clock::now();
        let idle_since = now - self.rules().session_idle;
        self.db.read(move |conn| Ok(Session::live_of(conn, user_id, idle_since, now)?)).await
    }

    /// Ends all sessions of a user except `keep`. Returns their number.
    pub async fn sign_out_others(&self, user_id: i64, keep: i64, actor: Actor) -> Result<usize> {
        let now = clock::now();
        let job = move |conn: &mut DbConnection| {
            let ended = Session::delete_all_of(conn, user_id, Some(keep))?;
            if ended > 0 {
                let event =
                    Event { note: "the other sessions", ..Event::about_user(Action::SignOut, user_id) };
                actor.record(conn, &event, now)?;
            }
            Ok(ended)
        };
        self.db.write(Scope::user(user_id), job).await
    }

    /// Returns the user of a session for a page that tells of an error, perhaps of a limit that was
    /// reached. So it does not count, but an address that has sent too many bad secrets gets no
    /// look-up.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub async fn look_up_session(&self, digest: TokenDigest, from: IpAddr) -> Result<Option<SignedIn>> {
        self.check_stranger(digest, from)?;
        self.signed_in(digest, RequestedBy::Script).await
    }

    /// Returns whether the server has a superuser.
    pub async fn has_superuser(&self) -> Result<bool> {
        self.db.read_few(|conn| Ok(User::any_superuser(conn)?)).await
    }

    /// Adds messages for the session's next page to those that no page has shown yet. Of too many,
    /// the oldest are dropped.
    pub async fn leave_messages(&self, user_id: i64, session_id: i64, new: Vec<Value>) -> Result<()> {
        let change = move |messages: &mut Vec<Value>| {
            messages.extend(new.iter().cloned());
            messages.drain(..messages.len().saturating_sub(MOST_MESSAGES));
        };
        self.change_messages(user_id, session_id, change).await
    }

    /// Removes messages that a page shows, and leaves those that were added in the meantime.
    pub async fn take_messages(&self, user_id: i64, session_id: i64, shown: Vec<Value>) -> Result<()> {
        let change = move |messages: &mut Vec<Value>| {
            for message in &shown {
                if let Some(place) = messages.iter().position(|left| left == message) {
                    messages.remove(place);
                }
            }
        };
        self.change_messages(user_id, session_id, change).await
    }

    /// Changes the messages of a session. The row of the user is locked, so that two tabs do not
    /// overwrite each other's messages.
    async fn change_messages(
        &self,
        user_id: i64,
        session_id: i64,
        change: impl Fn(&mut Vec<Value>) + Send + Sync + 'static,
    ) -> Result<()> {
        let job = move |conn: &mut DbConnection| {
            let Some(stored) = Session::messages_of(conn, session_id)? else { return Ok(()) };
            let mut messages: Vec<Value> = serde_json::from_str(&stored).unwrap_or_default();
            change(&mut messages);
            Session::set_messages(conn, session_id, &Value::from(messages).to_string())?;
            Ok(())
        };
        self.db.write(Scope::user(user_id), job).await
    }
}

/// Deletes the sessions that are past their end. Returns their number.
pub async fn forget_sessions(db: &Db) -> Result<usize> {
    let now: NaiveDateTime = clock::now();
    db.write_in_parts(move |conn, most| Ok(Session::forget(conn, now, most)?)).await
}
