//! Pictures, and further fields that a model's list in the panel lets pass.

use serde_json::json;

use super::super::upstream::spawn;
use super::complete;
use crate::support::On;
use crate::support::upstream::answer;

#[actix_web::test]
async fn a_picture_is_held_for_by_its_bound_and_not_by_its_bytes() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &["--upstream-max-output", "50"]).await else {
        return;
    };
    app.sql("UPDATE models SET base_price = 0, prompt_price = 1000, completion_price = 1000");
    let url = format!("data:image/png;base64,{}", "A".repeat(30_000));
    let content = json!([{ "type": "text", "text": "What is it?" }, { "type": "image_url", "image_url": { "url": url } }]);
    let messages = json!([{ "role": "user", "content": content }]);
    upstream.next(answer("A cat", 1120, 2));
    complete(&app, &token, json!({ "messages": messages })).await.assert_status(200);
    let held = app.number("SELECT charge AS value FROM chats");
    assert!((2050..2400).contains(&held), "{held}");
    assert_eq!(app.balance(&token).await, 4000 - 1122);
    assert_eq!(upstream.requests()[0].body["messages"], messages, "the picture is passed on as it is");

    app.sql("UPDATE models SET image_tokens = 50000");
    let refused = complete(&app, &token, json!({ "messages": messages })).await;
    let message = refused.assert_status(402).json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("may cost up to 50"), "{message}");
}

#[actix_web::test]
async fn a_further_field_passes_only_if_the_models_list_has_it() {
    let Some((app, upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let more = json!({ "chat_template_kwargs": { "enable_thinking": false }, "n_predict": -1 });
    complete(&app, &token, more.clone()).await.assert_status(200);
    app.sql("UPDATE models SET extra_fields = 'top_a,chat_template_kwargs'");
    complete(&app, &token, more).await.assert_status(200);
    let bodies: Vec<_> = upstream.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies[0].get("chat_template_kwargs"), None);
    assert_eq!(bodies[1]["chat_template_kwargs"], json!({ "enable_thinking": false }));
    assert!(bodies.iter().all(|body| body.get("n_predict").is_none()));
}
