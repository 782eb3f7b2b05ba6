//! A safe wrapper of the few functions of SQLite's C interface that the benches need.

use std::error::Error;
use std::ffi::{CStr, CString, c_int};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, ptr, slice};

use libsqlite3_sys as ffi;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The first migration that the baselines do not have.
const INDEX_DATABASE: &str = "2026-11-30-000040_index_database";

/// An open connection, used by one thread.
pub struct Database {
    handle: *mut ffi::sqlite3,
}

/// A prepared statement. It cannot outlive its connection.
pub struct Statement<'a> {
    handle: *mut ffi::sqlite3_stmt,
    database: PhantomData<&'a Database>,
}

/// The first row of a statement's result. Dropping it resets the statement.
pub struct Row<'a> {
    statement: &'a Statement<'a>,
}

impl Database {
    pub fn open(file: &Path) -> Result<Database> {
        let name = CString::new(file.as_os_str().as_bytes())?;
        let mut handle = ptr::null_mut();
        // SAFETY: `name` ends with a NUL and outlives the call. The handle is closed on drop, which
        // SQLite requires even if opening failed.
        let code = unsafe { ffi::sqlite3_open(name.as_ptr(), &mut handle) };
        let database = Database { handle };
        database.check(code)?;
        Ok(database)
    }

    /// Runs statements without parameters.
    pub fn execute(&self, sql: &str) -> Result<()> {
        let sql = CString::new(sql)?;
        // SAFETY: the connection is open and `sql` ends with a NUL; there is no callback.
        let code =
            unsafe { ffi::sqlite3_exec(self.handle, sql.as_ptr(), None, ptr::null_mut(), ptr::null_mut()) };
        self.check(code)
    }

    /// Applies the migrations before the one that moved the indexes of each user's rows to a file
    /// of their own. The baselines keep those indexes, so that they stay the same.
    pub fn migrate(&self) -> Result<()> {
        let mut folders: Vec<PathBuf> = fs::read_dir("migrations/sqlite")?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<_>>()?;
        folders.sort();
        for folder in folders.into_iter().take_while(|folder| !folder.ends_with(INDEX_DATABASE)) {
            self.execute(&fs::read_to_string(folder.join("up.sql"))?)?;
        }
        Ok(())
    }

    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>> {
        let sql = CString::new(sql)?;
        let mut handle = ptr::null_mut();
        // SAFETY: the connection is open, and length -1 says that `sql` ends with a NUL, which it
        // does.
        let code =
            unsafe { ffi::sqlite3_prepare_v2(self.handle, sql.as_ptr(), -1, &mut handle, ptr::null_mut()) };
        self.check(code)?;
        Ok(Statement { handle, database: PhantomData })
    }

    /// Returns the first column of each row of a statement, as text.
    pub fn texts(&self, sql: &str) -> Result<Vec<String>> {
        let statement = self.prepare(sql)?;
        let mut texts = Vec::new();
        // SAFETY: the statement is live; the text is copied before the next step.
        unsafe {
            while ffi::sqlite3_step(statement.handle) == ffi::SQLITE_ROW {
                let text = ffi::sqlite3_column_text(statement.handle, 0);
                if !text.is_null() {
                    texts.push(CStr::from_ptr(text.cast()).to_string_lossy().into_owned());
                }
            }
        }
        Ok(texts)
    }

    /// Returns the first column of each row of a statement, as bytes.
    pub fn blobs(&self, sql: &str) -> Result<Vec<Vec<u8>>> {
        let statement = self.prepare(sql)?;
        let mut blobs = Vec::new();
        statement.rows(|row| blobs.push(row.blob(0)))?;
        Ok(blobs)
    }

    fn check(&self, code: c_int) -> Result<()> {
        // SAFETY: the connection is open.
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(unsafe { message(self.handle) }.into()) }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: statements borrow the connection, so none is left.
        unsafe { ffi::sqlite3_close(self.handle) };
    }
}

impl Statement<'_> {
    pub fn bind_i64(&self, index: c_int, value: i64) -> Result<&Self> {
        // SAFETY: the statement is live; SQLite checks the index.
        self.check(unsafe { ffi::sqlite3_bind_int64(self.handle, index, value) })
    }

    pub fn bind_null(&self, index: c_int) -> Result<&Self> {
        // SAFETY: the statement is live; SQLite checks the index.
        self.check(unsafe { ffi::sqlite3_bind_null(self.handle, index) })
    }

    pub fn bind_text(&self, index: c_int, value: &str) -> Result<&Self> {
        let length = c_int::try_from(value.len())?;
        // SAFETY: SQLITE_TRANSIENT makes SQLite copy the text before the call returns.
        self.check(unsafe {
            ffi::sqlite3_bind_text(self.handle, index, value.as_ptr().cast(), length, ffi::SQLITE_TRANSIENT())
        })
    }

    pub fn bind_blob(&self, index: c_int, value: &[u8]) -> Result<&Self> {
        let length = c_int::try_from(value.len())?;
        // SAFETY: SQLITE_TRANSIENT makes SQLite copy the bytes before the call returns.
        self.check(unsafe {
            ffi::sqlite3_bind_blob(self.handle, index, value.as_ptr().cast(), length, ffi::SQLITE_TRANSIENT())
        })
    }

    /// Runs a statement that returns no row.
    pub fn run(&self) -> Result<()> {
        // SAFETY: the statement is live.
        let code = unsafe { ffi::sqlite3_step(self.handle) };
        // SAFETY: as above. The reset returns the error of the step again.
        let reset = unsafe { ffi::sqlite3_reset(self.handle) };
        self.check(reset)?;
        if code == ffi::SQLITE_DONE { Ok(()) } else { Err("a row where none was expected".into()) }
    }

    /// Runs a statement that returns one row.
    pub fn row(&self) -> Result<Row<'_>> {
        let row = Row { statement: self };
        // SAFETY: the statement is live.
        match unsafe { ffi::sqlite3_step(self.handle) } {
            ffi::SQLITE_ROW => Ok(row),
            ffi::SQLITE_DONE => Err("no row where one was expected".into()),
            code => self.check(code).and(Err("the statement failed".into())),
        }
    }

    /// Runs a statement, and passes on each of its rows.
    pub fn rows(&self, mut each: impl FnMut(&Row<'_>)) -> Result<()> {
        let row = Row { statement: self };
        loop {
            // SAFETY: the statement is live.
            match unsafe { ffi::sqlite3_step(self.handle) } {
                ffi::SQLITE_ROW => each(&row),
                ffi::SQLITE_DONE => return Ok(()),
                code => return self.check(code).and(Err("the statement failed".into())),
            }
        }
    }

    fn check(&self, code: c_int) -> Result<&Self> {
        if code == ffi::SQLITE_OK {
            return Ok(self);
        }
        // SAFETY: the statement is live, hence so is its connection.
        Err(unsafe { message(ffi::sqlite3_db_handle(self.handle)) }.into())
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: the statement is live and not used again.
        unsafe { ffi::sqlite3_finalize(self.handle) };
    }
}

impl Row<'_> {
    pub fn i64(&self, column: c_int) -> i64 {
        // SAFETY: the statement stands on a row until it is reset on drop.
        unsafe { ffi::sqlite3_column_int64(self.statement.handle, column) }
    }

    pub fn blob(&self, column: c_int) -> Vec<u8> {
        // SAFETY: as above. The bytes are copied before the next step. SQLite returns NULL for no
        // bytes.
        unsafe {
            let bytes = ffi::sqlite3_column_blob(self.statement.handle, column);
            let length = ffi::sqlite3_column_bytes(self.statement.handle, column);
            match usize::try_from(length) {
                Ok(length) if !bytes.is_null() => slice::from_raw_parts(bytes.cast(), length).to_vec(),
                _ => Vec::new(),
            }
        }
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        // SAFETY: the statement is live. An UPDATE or INSERT with RETURNING has changed all rows at
        // the first step.
        unsafe { ffi::sqlite3_reset(self.statement.handle) };
    }
}

/// Returns the message of the last error.
///
/// # Safety
/// `handle` must be a connection that sqlite3_open returned.
unsafe fn message(handle: *mut ffi::sqlite3) -> String {
    // SAFETY: by the contract; the text is copied before the next call could change it.
    unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(handle)) }.to_string_lossy().into_owned()
}
