use std::cell::RefCell;
use std::rc::Rc;

use actix_web::App;
use actix_web::dev::{ResourceDef, Service};
use actix_web::http::{Method, StatusCode, header};
use actix_web::test::{TestRequest, init_service};

use super::paths;
use crate::{api, pages, panel};

/// A row of the tables of routes: its path without a slash at its end, and its methods.
type Row = (String, Vec<&'static str>);

/// Returns all rows, in the order of the tables, and the pattern that matches both spellings of
/// each.
fn rows() -> Vec<(Row, ResourceDef)> {
    let of_api = api::ROUTES.iter().chain(pages::ROUTES);
    let of_api = of_api.map(|(path, methods)| (*path, methods.iter().map(|m| m.name).collect::<Vec<_>>()));
    let of_panel = panel::ROUTES.iter().map(|page| {
        (page.path.trim_end_matches('/'), page.methods.iter().map(|m| m.route.name).collect::<Vec<_>>())
    });
    let rows = of_api.chain(of_panel).map(|(path, names)| (path.to_owned(), names));
    rows.map(|row| {
        let pattern = ResourceDef::new([format!("{}/", row.0), row.0.clone()]);
        (row, pattern)
    })
    .collect()
}

/// Returns the path of a row with `value` for each of its parameters.
fn with_parameters(path: &str, value: &str) -> String {
    let pieces = path.split('/').map(|piece| if piece.starts_with('{') { value } else { piece });
    pieces.collect::<Vec<_>>().join("/")
}

/// Returns paths that clients may ask for: those of all rows, and similar ones.
fn asked() -> Vec<String> {
    let mut asked =
        vec!["/".to_owned(), "//".to_owned(), "/admin/nothing/".to_owned(), "/v1/models//".to_owned()];
    for ((path, _), _) in rows() {
        for value in ["17", "a-word", "add", "selected", "a/b", "a%2Fb", "%41", "ä", "%C3%A4", "{id}", ""] {
            let path = with_parameters(&path, value);
            let last = path.chars().last().unwrap_or('/');
            let encoded =
                format!("{}%{:02X}", &path[..path.len().saturating_sub(last.len_utf8())], u32::from(last));
            for spelling in [
                path.clone(),
                format!("{path}/"),
                format!("{path}//"),
                format!("/{path}"),
                format!("{path}x"),
                format!("{path}%2F"),
                path.to_uppercase(),
                encoded,
            ] {
                if spelling.starts_with('/') && spelling.is_ascii() {
                    asked.push(spelling);
                }
            }
        }
    }
    asked.sort_unstable();
    asked.dedup();
    asked
}

/// A fixed path is compared and one with parameters is matched by a regular expression. Here, each
/// is matched by a regular expression, in the order of the tables.
#[actix_web::test]
async fn a_path_leads_where_patterns_in_the_order_of_the_tables_lead() {
    let seen = Rc::new(RefCell::new((String::new(), None)));
    let noted = seen.clone();
    let app = App::new().configure(paths).wrap_fn(move |request, app| {
        let matched_as = request.match_info().as_str().to_owned();
        let (answer, noted) = (app.call(request), noted.clone());
        async move {
            let answer = answer.await;
            let label = answer.as_ref().ok().and_then(|answer| answer.request().match_pattern());
            *noted.borrow_mut() = (matched_as, label);
            answer
        }
    });
    let app = init_service(app).await;
    let rows = rows();
    let (mut found, mut missing) = (0, 0);
    let all = ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"];
    let in_tables: Vec<String> = rows.iter().map(|((path, _), _)| with_parameters(path, "17")).collect();
    for path in asked() {
        // Similar paths are asked for with a method that no row has.
        let is_in_tables = in_tables.iter().any(|known| *known == path || format!("{known}/") == path);
        for method in if is_in_tables { &all[..] } else { &["PUT"][..] } {
            let request = TestRequest::with_uri(&path).method(Method::from_bytes(method.as_bytes()).unwrap());
            let answer = app.call(request.to_request()).await.unwrap();
            let (matched_as, label) = seen.borrow().clone();
            let row = rows.iter().find(|(_, pattern)| pattern.is_match(&matched_as)).map(|(row, _)| row);
            let allow = answer.headers().get(header::ALLOW).map(|allow| allow.to_str().unwrap().to_owned());
            match row {
                Some((wanted, methods)) => {
                    let label = label.unwrap();
                    assert_eq!(label.trim_end_matches('/'), wanted, "{method} {path}");
                    let methods = methods.join(", ");
                    let is_allowed = methods.split(", ").any(|allowed| allowed == *method);
                    assert_eq!(
                        answer.status() == StatusCode::METHOD_NOT_ALLOWED,
                        !is_allowed,
                        "{method} {path}"
                    );
                    assert_eq!(allow, (!is_allowed).then_some(methods), "{method} {path}");
                    found += 1;
                }
                None => {
                    assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{method} {path}");
                    let is_of_panel = matched_as.starts_with("/admin/");
                    assert_eq!(
                        label.as_deref(),
                        is_of_panel.then_some("/admin/{rest:.*}"),
                        "{method} {path}"
                    );
                    missing += 1;
                }
            }
        }
    }
    assert!(found > 1000 && missing > 1000, "{found} found, {missing} missing");
}
