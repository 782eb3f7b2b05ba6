//! Where calls go: to the upstream itself, or to the server in front of it.

use std::fs;
use std::net::SocketAddr;

use crate::Result;
use crate::http::{address, post};
use crate::serve::Pace;

pub struct Side {
    pub address: SocketAddr,
    /// One for each user, whole lines; what the upstream gets directly has none.
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

    /// A call of each user, all alike.
    pub fn requests(&self, pace: Pace, streamed: bool) -> Vec<Vec<u8>> {
        let options = if streamed { r#","stream":true,"stream_options":{"include_usage":true}"# } else { "" };
        let body = format!(
            r#"{{"model":"{}","messages":[{{"role":"user","content":"How far is the sun?"}}]{options}}}"#,
            pace.model()
        );
        self.authorizations.iter().map(|line| post("/v1/chat/completions", line, &body)).collect()
    }
}
