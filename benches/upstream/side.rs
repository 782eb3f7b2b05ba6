//! The two destinations of calls: the upstream itself, and the server in front of it.

use std::fs;
use std::net::SocketAddr;

use crate::Result;
use crate::dialect::Dialect;
use crate::http::{address, post};
use crate::serve::Pace;

pub struct Side {
    pub address: SocketAddr,
    /// One header line for each user. For direct calls it is empty.
    authorizations: Vec<String>,
}

impl Side {
    pub fn direct(url: &str) -> Result<Side> {
        Ok(Side { address: address(url)?, authorizations: vec![String::new()] })
    }

    pub fn through(url: &str, file: &str) -> Result<Side> {
        let tokens = fs::read_to_string(file)?;
        let authorizations: Vec<String> =
            tokens.lines().map(|token| format!("Authorization: Bearer {token}\r\n")).collect();
        if authorizations.is_empty() {
            return Err(format!("no auth tokens in {file}").into());
        }
        Ok(Side { address: address(url)?, authorizations })
    }

    /// Returns one request for each user. They differ only in the auth token.
    pub fn requests(&self, dialect: &Dialect, pace: Pace, streamed: bool) -> Vec<Vec<u8>> {
        let body = dialect.body(pace, streamed);
        self.authorizations.iter().map(|line| post(dialect.path, line, &body)).collect()
    }
}
