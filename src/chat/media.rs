//! What a question needs of a model besides text, and whether the model accepts it.

use serde_json::Value;

use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::models::Model;
use crate::responder::{Medium, Question};

/// The most models that an error names.
const MOST_NAMED: usize = 5;

/// What a question has besides text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct MediaKinds {
    images: bool,
    audio: bool,
    tools: bool,
}

/// Returns what a question has besides text.
fn media_kinds(question: &Question) -> MediaKinds {
    let is_list = |name: &&str| {
        question.options.get(*name).and_then(Value::as_array).is_some_and(|list| !list.is_empty())
    };
    MediaKinds {
        images: question.has(Medium::Image),
        audio: question.has(Medium::Audio),
        tools: ["tools", "functions"].iter().any(is_list),
    }
}

/// Checks that a model accepts what a question has. What is not known of a model is left to the
/// upstream.
///
/// # Errors
/// [`Error::Invalid`], with the models on offer that accept it.
pub(super) fn check(question: &Question, model: &Model, on_offer: &[Model]) -> Result<()> {
    let kinds = media_kinds(question);
    let refuse = |field: &'static str, what: &str, accepts: fn(&Model) -> Option<bool>| {
        if accepts(model) != Some(false) {
            return Ok(());
        }
        let others = on_offer.iter().filter(|other| accepts(other) == Some(true));
        let others: Vec<_> = others.take(MOST_NAMED).map(|other| format!("`{}`", other.name)).collect();
        let instead =
            if others.is_empty() { String::new() } else { format!(", or ask {}", others.join(" or ")) };
        let reason = format!("the model `{}` accepts no {what}: leave them out{instead}", model.name);
        Err(Error::Invalid(Invalid::new(field, reason)))
    };
    if kinds.images {
        refuse("messages", "images", |model| model.accepts_images)?;
    }
    if kinds.audio {
        refuse("messages", "audio parts", |model| model.accepts_audio)?;
    }
    if kinds.tools {
        refuse("tools", "tools", |model| model.accepts_tools)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responder::Message;
    use serde_json::json;

    fn with_part(kind: &str) -> Question {
        let content = json!([{ "type": "text", "text": "look" }, { "type": kind }]);
        let message = Message::parse(json!({ "role": "user", "content": content })).unwrap();
        Question { messages: vec![message], ..Question::of_message("m", "hi", 10) }
    }

    #[test]
    fn images_audio_and_tools_are_found() {
        assert_eq!(media_kinds(&Question::of_message("m", "image_url", 1)), MediaKinds::default());
        assert_eq!(media_kinds(&with_part("text")), MediaKinds::default());
        for kind in ["image_url", "image", "input_image"] {
            assert_eq!(media_kinds(&with_part(kind)), MediaKinds { images: true, ..MediaKinds::default() });
        }
        assert_eq!(
            media_kinds(&with_part("input_audio")),
            MediaKinds { audio: true, ..MediaKinds::default() }
        );
        for (name, list, tools) in
            [("tools", json!([]), false), ("tools", json!([{}]), true), ("functions", json!([{}]), true)]
        {
            let mut question = with_part("text");
            question.options.insert(name.to_owned(), list);
            assert_eq!(media_kinds(&question).tools, tools);
        }
    }

    #[test]
    fn only_a_known_no_is_an_error_and_it_names_models_that_accept_it() {
        let model =
            |name: &str, accepts_images| Model { name: name.into(), accepts_images, ..Model::default() };
        let (blind, seeing) = (model("blind", Some(false)), model("seeing", Some(true)));
        let on_offer = [blind.clone(), seeing.clone(), model("unknown", None)];
        let picture = with_part("image_url");
        for fine in &on_offer[1..] {
            assert!(check(&picture, fine, &on_offer).is_ok());
        }
        let reason = |on_offer: &[Model]| match check(&picture, &blind, on_offer) {
            Err(Error::Invalid(fault)) => format!("{}: {}", fault.field, fault.reason),
            other => panic!("{other:?}"),
        };
        let text = "messages: the model `blind` accepts no images: leave them out";
        assert_eq!(reason(&on_offer), format!("{text}, or ask `seeing`"));
        assert_eq!(reason(&on_offer[..1]), text);
        assert!(check(&with_part("text"), &blind, &on_offer).is_ok());
    }
}
