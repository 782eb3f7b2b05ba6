//! Creates the users for the load, through the server's own API. The server should run with
//! `--throttle off`, `--bcrypt-cost 4` and a large `--opening-tokens`.

use std::fs;

use crate::Result;
use crate::http::{Connection, address, post};

const PASSWORD: &str = "seven brown otters at noon";

pub fn run(url: &str, count: usize, file: &str) -> Result<()> {
    let mut connection = Connection::open(address(url)?)?;
    let mut tokens = String::new();
    for number in 0..count {
        let credentials = format!(r#"{{"username":"bench{number}","password":"{PASSWORD}"}}"#);
        expect(&mut connection, "/register/", &credentials, 201)?;
        let answer = expect(&mut connection, "/login/", &credentials, 200)?;
        let token = answer["token"].as_str().ok_or("the login returned no token")?;
        tokens.push_str(token);
        tokens.push('\n');
    }
    fs::write(file, tokens)?;
    Ok(())
}

fn expect(connection: &mut Connection, path: &str, body: &str, status: u16) -> Result<serde_json::Value> {
    let answer = connection.send(&post(path, "", body))?;
    if answer.status != status {
        return Err(
            format!("{path} returned {}: {}", answer.status, String::from_utf8_lossy(answer.body)).into()
        );
    }
    Ok(serde_json::from_slice(answer.body)?)
}
