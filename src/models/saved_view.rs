//! Rows of `saved_views`: filters, words and the order of a list under a name.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::db::{DbConnection, fixed, on_either};
use crate::schema::saved_views::{self, dsl};

/// The most views of one administrator.
pub const MOST_VIEWS: i64 = 100;
/// The most views of others that a page shows.
const MOST_SHARED: i64 = 100;

/// A row of `saved_views`.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = saved_views)]
pub struct SavedView {
    /// Its id.
    pub id: i64,
    /// The administrator who saved it.
    pub user_id: i64,
    /// The path of the list.
    pub list: String,
    /// Its name.
    pub name: String,
    /// The query string of the list.
    pub query: String,
    /// Whether all administrators see it.
    pub is_shared: bool,
}

/// A view to save.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = saved_views)]
pub struct NewSavedView {
    /// See [`SavedView::user_id`].
    pub user_id: i64,
    /// See [`SavedView::list`].
    pub list: String,
    /// See [`SavedView::name`].
    pub name: String,
    /// See [`SavedView::query`].
    pub query: String,
    /// See [`SavedView::is_shared`].
    pub is_shared: bool,
    /// When it was saved.
    pub created_at: NaiveDateTime,
}

impl NewSavedView {
    /// Saves the view in place of the administrator's view of this list with the same name. Returns
    /// `false` if the administrator has [`MOST_VIEWS`] already.
    pub fn store(&self, conn: &mut DbConnection) -> QueryResult<bool> {
        let own = dsl::saved_views.filter(dsl::user_id.eq(self.user_id));
        let same = own.filter(dsl::list.eq(&self.list)).filter(dsl::name.eq(&self.name));
        let changed = diesel::update(same)
            .set((dsl::query.eq(&self.query), dsl::is_shared.eq(self.is_shared)))
            .execute(conn)?;
        if changed > 0 {
            return Ok(true);
        }
        let count: i64 = own.count().get_result(conn)?;
        if count >= MOST_VIEWS {
            return Ok(false);
        }
        diesel::insert_into(dsl::saved_views).values(self).execute(conn)?;
        Ok(true)
    }
}

impl SavedView {
    /// Returns the views that an administrator sees, the oldest first: the own ones, and the latest
    /// that others share.
    pub fn seen_by(conn: &mut DbConnection, user_id: i64) -> QueryResult<Vec<SavedView>> {
        let mut views: Vec<SavedView> = on_either!(conn => {
            let own = dsl::saved_views.filter(dsl::user_id.eq(user_id)).order(dsl::id);
            fixed(own.limit(MOST_VIEWS).select(SavedView::as_select())).load(conn)
        })?;
        let shared: Vec<SavedView> = on_either!(conn => {
            let others = dsl::saved_views.filter(dsl::user_id.ne(user_id)).filter(dsl::is_shared.eq(true));
            fixed(others.order(dsl::id.desc()).limit(MOST_SHARED).select(SavedView::as_select())).load(conn)
        })?;
        views.extend(shared);
        views.sort_unstable_by_key(|view| view.id);
        Ok(views)
    }

    /// Deletes a view: an own one, or if `any_shared`, one that another administrator shares.
    /// Returns `false` if there is no such view.
    pub fn delete(conn: &mut DbConnection, user_id: i64, any_shared: bool, id: i64) -> QueryResult<bool> {
        let may = dsl::user_id.eq(user_id).or(dsl::is_shared.eq(true).and(dsl::is_shared.eq(any_shared)));
        Ok(diesel::delete(dsl::saved_views.find(id).filter(may)).execute(conn)? > 0)
    }

    /// Deletes all views of an administrator.
    pub fn delete_all_of(conn: &mut DbConnection, user_id: i64) -> QueryResult<usize> {
        diesel::delete(dsl::saved_views.filter(dsl::user_id.eq(user_id))).execute(conn)
    }

    /// Returns the id, the name and the query string of every view.
    pub fn texts(conn: &mut DbConnection) -> QueryResult<Vec<(i64, String, String)>> {
        dsl::saved_views.select((dsl::id, dsl::name, dsl::query)).load(conn)
    }

    /// Deletes these views.
    pub fn delete_many(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<usize> {
        diesel::delete(dsl::saved_views.filter(dsl::id.eq_any(ids))).execute(conn)
    }
}
