//! The start page: what people can do here, the commands that use the server from a program, and
//! the server's status.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::{Frame, page};
use crate::api::not_ready;
use crate::auth::Guest;
use crate::db::{Db, NotReady};
use crate::error::Result;
use crate::http::{CurrentSite, Readiness};

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage<'a> {
    frame: Frame,
    /// Why the server cannot answer messages now. `None` if it can.
    trouble: Option<&'static str>,
    /// The operator's line (`--site-notice`). Empty if there is none.
    notice: &'a str,
    is_registration_open: bool,
    /// The commands for a shell, then those of OpenAI's SDKs.
    shell: Vec<Line>,
    python: Vec<Line>,
    javascript: Vec<Line>,
    /// The base URL of the OpenAI protocol.
    base_url: String,
    /// The operator's text on how to get more tokens. Empty if there is none.
    top_up: &'a str,
    /// Whether that text is an address, and nothing else.
    is_link: bool,
}

/// A command to copy, and what it does.
struct Line {
    /// The id of its heading.
    id: &'static str,
    label: &'static str,
    text: String,
}

/// Shows the start page (`GET /`).
pub(super) async fn show(
    _: Guest,
    request: HttpRequest,
    site: CurrentSite,
    readiness: Data<Readiness>,
    db: Data<Db>,
) -> Result<HttpResponse> {
    let address = site.address(&request);
    let top_up = site.top_up.as_deref().unwrap_or_default();
    let is_web = ["https://", "http://"].iter().any(|scheme| top_up.starts_with(scheme));
    let start = StartPage {
        frame: Frame::of(&site),
        trouble: not_ready(&readiness, &db).await.map(in_words),
        notice: site.notice.as_deref().unwrap_or_default(),
        is_registration_open: site.is_registration_open,
        shell: shell(&address, site.is_registration_open),
        python: python(&address),
        javascript: javascript(&address),
        base_url: format!("{address}/v1"),
        top_up,
        is_link: is_web && !top_up.contains(char::is_whitespace),
    };
    page(&start, std::convert::identity)
}

fn in_words(trouble: NotReady) -> &'static str {
    match trouble {
        NotReady::Draining => "It is being stopped or restarted. Try again in a moment.",
        NotReady::Database => {
            "It cannot reach its database, or cannot write to it. Messages are not answered now."
        }
        NotReady::Writer => "Its database takes too long to write. Messages may not be answered now.",
        NotReady::File => "Its database file was moved or replaced. Its operator must restart it.",
    }
}

/// Returns a URL as a word of a shell. The brackets of an IPv6 address would be a pattern.
fn word(url: &str) -> String {
    if url.contains('[') { format!("'{url}'") } else { url.to_owned() }
}

/// Returns the commands for any POSIX shell. The password goes from the terminal through a pipe: it
/// is neither shown nor an argument, which others could list, nor in the shell's history.
fn shell(address: &str, is_registration_open: bool) -> Vec<Line> {
    let at = |path: &str| word(&format!("{address}{path}"));
    let fields = "--data-urlencode \"username=$NAME\" --data-urlencode password@-";
    let bearer = "-H \"Authorization: Bearer $TOKEN\"";
    let mut lines = vec![Line {
        id: "line-ask",
        label: "Enter a name and a password",
        text: "printf 'Username: '; read -r NAME; printf 'Password (not shown): '; stty -echo; read -r PASSWORD; \
               stty echo; echo"
            .to_owned(),
    }];
    if is_registration_open {
        lines.push(Line {
            id: "line-register",
            label: "Register, the first time",
            text: format!("printf %s \"$PASSWORD\" | curl -sS {} {fields}; echo", at("/register/")),
        });
    }
    lines.push(Line {
        id: "line-log-in",
        label: "Log in, which puts an auth token into $TOKEN",
        text: format!(
            "export TOKEN=\"$(printf %s \"$PASSWORD\" | curl -sS {} {fields} | \
             sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')\"; case \"$TOKEN\" in tg_*) unset PASSWORD; \
             echo 'Logged in.';; *) printf '%s\\n' \"$TOKEN\";; esac",
            at("/login/")
        ),
    });
    lines.push(Line {
        id: "line-chat",
        label: "Send a message",
        text: format!(
            "curl -sS {} {bearer} -H 'Content-Type: application/json' -d '{{\"message\":\"Hello\"}}'; echo",
            at("/chat/")
        ),
    });
    lines.push(Line {
        id: "line-balance",
        label: "See your balance",
        text: format!("curl -sS {} {bearer}; echo", at("/balance/")),
    });
    lines
}

fn python(address: &str) -> Vec<Line> {
    let program = format!(
        r#"tollgate-python/bin/python - <<'END'
import os
from openai import OpenAI

client = OpenAI(base_url="{address}/v1", api_key=os.environ["TOKEN"])
model = client.models.list().data[0].id
messages = [{{"role": "user", "content": "Hello"}}]
answer = client.chat.completions.create(model=model, messages=messages)
print(answer.choices[0].message.content)
END"#
    );
    vec![
        Line {
            id: "line-python-install",
            label: "Install OpenAI's SDK for Python",
            text: "python3 -m venv tollgate-python && tollgate-python/bin/pip install --quiet openai"
                .to_owned(),
        },
        Line { id: "line-python", label: "Send a message from Python", text: program },
    ]
}

fn javascript(address: &str) -> Vec<Line> {
    let program = format!(
        r#"(cd tollgate-js && node --input-type=module -) <<'END'
import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{address}/v1", apiKey: process.env.TOKEN }});
const model = (await client.models.list()).data[0].id;
const messages = [{{ role: "user", content: "Hello" }}];
const answer = await client.chat.completions.create({{ model, messages }});
console.log(answer.choices[0].message.content);
END"#
    );
    vec![
        Line {
            id: "line-javascript-install",
            label: "Install OpenAI's SDK for JavaScript",
            text: "mkdir -p tollgate-js && npm install --silent --prefix tollgate-js openai".to_owned(),
        },
        Line { id: "line-javascript", label: "Send a message from JavaScript", text: program },
    ]
}
