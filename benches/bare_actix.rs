//! The baseline of `GET /tokens/`: a bare Actix handler that returns the same body, without
//! middleware and without a database. The ratio shows the cost of what the server does on top of
//! that.
//!
//! `bare_actix PORT` runs until it is killed; port 0 picks a free one.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a measurement that cannot continue panics"
)]

use std::process::ExitCode;

use actix_web::{App, HttpResponse, HttpServer, web};

const USAGE: &str = "usage: bare_actix PORT (0 picks a free one); it runs until it is killed";

async fn tokens() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(r#"{"tokens":4000}"#)
}

#[actix_web::main]
async fn main() -> ExitCode {
    // `cargo bench` without a port passes only `--bench`, and must not start a server that never
    // ends.
    let Some(port) = std::env::args().skip(1).find(|argument| argument != "--bench") else {
        eprintln!("{USAGE}");
        return ExitCode::SUCCESS;
    };
    let Ok(port) = port.parse::<u16>() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match serve(port).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare_actix: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(port: u16) -> std::io::Result<()> {
    let server =
        HttpServer::new(|| App::new().route("/tokens/", web::get().to(tokens))).bind(("127.0.0.1", port))?;
    for address in server.addrs() {
        eprintln!("listening on http://{address}");
    }
    server.run().await
}
