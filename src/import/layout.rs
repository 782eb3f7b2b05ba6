//! Finds the tables and columns of a Django service by their shape.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ImportError;
use super::role::{Field, Role};
use super::table::{Column, Table};

/// The tables and columns that the operator named.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Tables by role. `None`: there is no table of this role. Only auth tokens have several.
    pub tables: Vec<(Role, Option<String>)>,
    /// Columns by role and field.
    pub columns: Vec<(Role, &'static str, String)>,
}

/// A table with the columns that are read.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Fit {
    pub role: Role,
    #[serde(serialize_with = "name_of")]
    pub table: Table,
    /// The column of each field that was found.
    pub columns: BTreeMap<&'static str, String>,
    /// The table that the field `user` refers to, if the database says so.
    #[serde(skip)]
    pub owners: Option<String>,
}

fn name_of<S: serde::Serializer>(table: &Table, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&table.name)
}

impl Fit {
    /// Returns the column of a field, if it was found.
    pub(super) fn column(&self, field: &str) -> Option<&str> {
        self.columns.get(field).map(String::as_str)
    }

    /// Returns the column of a field that every table of this role has.
    pub(super) fn required<'a>(&'a self, field: &'a str) -> &'a str {
        self.column(field).unwrap_or(field)
    }

    /// Returns the table and its columns in one line.
    pub(super) fn line(&self) -> String {
        let columns = self.columns.iter().map(|(field, column)| match *field == column {
            true => column.clone(),
            false => format!("{field} = {column}"),
        });
        format!("{} ({})", self.table.name, columns.collect::<Vec<_>>().join(", "))
    }
}

/// The tables that are imported.
#[derive(Debug)]
pub(super) struct Layout {
    pub users: Fit,
    pub administrators: Option<Fit>,
    pub auth_tokens: Vec<Fit>,
    pub chats: Option<Fit>,
}

impl Layout {
    /// Returns all tables that are imported.
    pub(super) fn fits(&self) -> impl Iterator<Item = &Fit> {
        let users = std::iter::once(&self.users);
        users.chain(&self.administrators).chain(&self.auth_tokens).chain(&self.chats)
    }

    /// Checks that each column that the operator named is read.
    fn check_columns(&self, named: &Named) -> Result<(), ImportError> {
        for (role, field, column) in &named.columns {
            let mut fits = self.fits().filter(|fit| fit.role == *role);
            if !fits.any(|fit| fit.column(field).is_some_and(|found| found.eq_ignore_ascii_case(column))) {
                return Err(ImportError::Layout(format!(
                    "--column {role}.{field}={column}: the table of the {role} has no such column"
                )));
            }
        }
        Ok(())
    }

    /// Finds the tables.
    pub(super) fn find(tables: &[Table], named: &Named) -> Result<Layout, ImportError> {
        if ["ledger_entries", "compatibility"].iter().all(|own| tables.iter().any(|table| table.name == *own))
        {
            return Err(ImportError::Layout(
                "--from is a database of Tollgate, not of a Django service: to move it, see docs/data.md"
                    .to_owned(),
            ));
        }
        let mut finder = Finder { tables, named, owners: Vec::new() };
        let users = finder.one(Role::Users, &|_| true)?.ok_or_else(|| finder.none(Role::Users))?;
        let name = users.table.name.clone();
        let administrators = finder.one(Role::Administrators, &|fit| fit.table.name != name)?;
        finder.owners = [Some(&users), administrators.as_ref()]
            .into_iter()
            .flatten()
            .map(|fit| fit.table.name.clone())
            .collect();
        let owners = finder.owners.clone();
        let is_owned = |fit: &Fit| fit.owners.as_ref().is_none_or(|owner| owners.contains(owner));
        let auth_tokens = finder.several(Role::AuthTokens, &is_owned)?;
        let is_sent = |fit: &Fit| fit.owners.as_deref().is_none_or(|owner| owner == name);
        let chats = finder.one(Role::Chats, &is_sent)?;
        if chats.is_none() && !finder.is_absent(Role::Chats) {
            return Err(finder.none(Role::Chats));
        }
        let layout = Layout { users, administrators, auth_tokens, chats };
        layout.check_columns(named)?;
        Ok(layout)
    }
}

struct Finder<'a> {
    tables: &'a [Table],
    named: &'a Named,
    /// The tables that may own rows.
    owners: Vec<String>,
}

impl Finder<'_> {
    /// Returns whether the operator said that there is no table of this role.
    fn is_absent(&self, role: Role) -> bool {
        self.named.tables.iter().any(|(of, table)| *of == role && table.is_none())
    }

    /// Returns the one table of a role, if there is one.
    fn one(&self, role: Role, is_wanted: &dyn Fn(&Fit) -> bool) -> Result<Option<Fit>, ImportError> {
        let mut found = self.several(role, is_wanted)?;
        if found.len() > 1 {
            let names: Vec<&str> = found.iter().map(|fit| fit.table.name.as_str()).collect();
            return Err(ImportError::Layout(format!(
                "several tables may be the {role}: {}. Name the right one: --table {role}=TABLE",
                names.join(", ")
            )));
        }
        Ok(found.pop())
    }

    /// Returns the tables of a role: those that the operator named, or those that fit.
    fn several(&self, role: Role, is_wanted: &dyn Fn(&Fit) -> bool) -> Result<Vec<Fit>, ImportError> {
        if self.is_absent(role) {
            return Ok(Vec::new());
        }
        let named = self.named.tables.iter().filter(|(of, _)| *of == role);
        let named: Vec<&str> = named.filter_map(|(_, table)| table.as_deref()).collect();
        if !named.is_empty() {
            return named.into_iter().map(|name| self.named_fit(role, name)).collect();
        }
        let tables = self.tables.iter().filter(|table| role.may_be_called(&table.name));
        let fits: Vec<Fit> = tables.filter_map(|table| self.fit(role, table).ok()).collect();
        Ok(fits.into_iter().filter(|fit| is_wanted(fit)).collect())
    }

    /// Returns the table that the operator named, which must have the required columns.
    fn named_fit(&self, role: Role, name: &str) -> Result<Fit, ImportError> {
        let table = self.tables.iter().find(|table| table.name == name).ok_or_else(|| {
            ImportError::Layout(format!("--table {role}={name}: there is no such table. {}", self.list()))
        })?;
        self.fit(role, table).map_err(|missing| {
            let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            ImportError::Layout(format!(
                "--table {role}={name}: no column is recognised as {}. Name it: --column {role}.{}=COLUMN. \
                 The table has: {}",
                missing.join(", "),
                missing.first().copied().unwrap_or_default(),
                columns.join(", ")
            ))
        })
    }

    /// Finds the columns of a role in a table. The error has the required fields that are missing.
    fn fit(&self, role: Role, table: &Table) -> Result<Fit, Vec<&'static str>> {
        let (mut columns, mut missing) = (BTreeMap::new(), Vec::new());
        for field in role.fields() {
            match self.column(role, field, table) {
                Some(column) => {
                    columns.insert(field.name, column);
                }
                None if field.is_required => missing.push(field.name),
                None => {}
            }
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        let user = columns.get("user").and_then(|column| table.column(column));
        let owners = user.and_then(|column| column.refers_to.clone());
        Ok(Fit { role, table: table.clone(), columns, owners })
    }

    fn column(&self, role: Role, field: &Field, table: &Table) -> Option<String> {
        let named = self.named.columns.iter().find(|(of, name, _)| *of == role && *name == field.name);
        if let Some((_, _, column)) = named {
            return table.column(column).map(|column| column.name.clone());
        }
        let key = (field.name == "id").then(|| table.columns.iter().find(|column| column.is_key)).flatten();
        let by_name = || field.columns.iter().find_map(|name| table.column(name));
        let refers =
            |column: &&Column| column.refers_to.as_ref().is_some_and(|table| self.owners.contains(table));
        let by_reference = || table.columns.iter().find(refers).filter(|_| field.name == "user");
        key.or_else(by_name).or_else(by_reference).map(|column| column.name.clone())
    }

    fn none(&self, role: Role) -> ImportError {
        let required = role.fields().iter().filter(|field| field.is_required);
        let fields: Vec<&str> = required.map(|field| field.name).collect();
        let way_out = match role {
            Role::Chats => " If there are none, say so: --table chats=none.",
            _ => "",
        };
        ImportError::Layout(format!(
            "no table is recognised as the {role}, which have {}. Name the table (--table {role}=TABLE), and the \
             columns that have other names (--column {role}.{}=COLUMN).{way_out} {}",
            fields.join(", "),
            fields.last().copied().unwrap_or_default(),
            self.list()
        ))
    }

    fn list(&self) -> String {
        let tables = self.tables.iter().map(|table| {
            let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            format!("\n  {} ({})", table.name, columns.join(", "))
        });
        match self.tables {
            [] => "The database has no tables.".to_owned(),
            _ => format!("The database has these tables:{}", tables.collect::<String>()),
        }
    }
}

#[cfg(test)]
mod tests;
