//! `POST /v1/embeddings` of OpenAI: the vectors of texts.

use std::sync::Arc;

use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use serde_json::{Map, Value, json};

use super::dialect::{Dialect, Parsed};
use super::fields::{invalid, model, whole_number};
use super::inputs_body::InputsBody;
use crate::chat::{Event, Receipt, Started};
use crate::domain::{Endpoint, Fingerprint, Invalid};
use crate::error::{Error, Result};
use crate::responder::{Embeddings, MOST_INPUTS, MOST_VECTOR_VALUES, Question, QuestionKind, bytes_of};
use crate::throttle::Cut;

/// The fields that are passed on unchanged. A further field is passed on only if the model's list
/// in the panel has it.
pub(super) const PASSED_ON: [&str; 2] = ["dimensions", "user"];

/// The longest vector that a client may ask for.
pub(super) const MOST_DIMENSIONS: i64 = 65_536;

/// The bytes of a response that are written at once, at least.
const A_PART: usize = 64 << 10;

/// The dialect of embeddings.
pub(in crate::api) struct EmbeddingsOfInputs {
    in_base64: bool,
    /// Closes the connection of a client that reads too slowly when memory runs out.
    cut: Option<Cut>,
}

impl Dialect for EmbeddingsOfInputs {
    const ENDPOINT: Endpoint = Endpoint::Embeddings;

    /// Tokens are parsed in few bytes each.
    const MOST_VALUES: usize = 4_000_000;

    type Body = InputsBody;

    fn parse(body: InputsBody, http: &HttpRequest) -> Result<Parsed<EmbeddingsOfInputs>> {
        let InputsBody { input, mut fields, .. } = body;
        let inputs = input.and_then(|given| given.0).filter(|inputs| !inputs.has_empty());
        let inputs = inputs.ok_or_else(|| {
            invalid("input", "give a text, a list of tokens, or a list of either, none of them empty")
        })?;
        if inputs.count() > MOST_INPUTS {
            let reason = format!("send at most {MOST_INPUTS} inputs in one request");
            return Err(Error::Invalid(Invalid::new("input", reason)));
        }
        let model = model(fields.remove("model"))?;
        let in_base64 = match fields.remove("encoding_format") {
            None | Some(Value::Null) => false,
            Some(Value::String(format)) if format == "float" => false,
            Some(Value::String(format)) if format == "base64" => true,
            Some(_) => return Err(invalid("encoding_format", "give \"float\" or \"base64\"")),
        };
        fields.retain(|_, value| !value.is_null());
        check_dimensions(fields.get("dimensions"), inputs.count())?;
        let (options, extra): (Map<String, Value>, Map<String, Value>) =
            fields.into_iter().partition(|(name, _)| PASSED_ON.contains(&name.as_str()));
        // The numbers are the same in either form.
        let rest = json!({ "model": model, "options": options, "extra": extra });
        let fingerprint = Fingerprint::of_large(Endpoint::Embeddings.path(), &rest, &inputs);
        let message = inputs.excerpt();
        let kind = QuestionKind::Embeddings(inputs);
        let question = Question { model, kind, options, extra, ..Question::default() };
        let dialect = EmbeddingsOfInputs { in_base64, cut: http.conn_data::<Cut>().cloned() };
        Ok(Parsed { dialect, question, message, in_parts: false, fingerprint })
    }

    fn whole(self, mut response: HttpResponseBuilder, receipt: Receipt) -> HttpResponse {
        let Some(embeddings) = receipt.answer.embeddings().cloned() else {
            return HttpResponse::from_error(Error::Internal("an answer has no vectors".to_owned()));
        };
        response.content_type(ContentType::json());
        let mut writer = Writer { embeddings, in_base64: self.in_base64, next: 0, end: end_of(&receipt) };
        let first = writer.part();
        if writer.has_ended() {
            return response.body(first.unwrap_or_default());
        }
        if let Some(memory) = writer.embeddings.memory() {
            memory.cut_by(self.cut);
        }
        let parts = stream::unfold((first, writer), |(first, mut writer)| async move {
            let part = first.or_else(|| writer.part())?;
            if let Some(memory) = writer.embeddings.memory() {
                memory.progress(part.len() as u64);
            }
            Some((Ok::<Bytes, Error>(part), (None, writer)))
        });
        response.streaming(parts)
    }

    fn events(self, _: &Started) -> impl FnMut(Event) -> Bytes + 'static {
        // Vectors are never streamed.
        |_| Bytes::new()
    }
}

fn check_dimensions(dimensions: Option<&Value>, inputs: usize) -> Result<()> {
    let Some(dimensions) = dimensions else { return Ok(()) };
    let wanted = whole_number(dimensions).filter(|wanted| (1..=MOST_DIMENSIONS).contains(wanted));
    let Some(wanted) = wanted.and_then(|wanted| usize::try_from(wanted).ok()) else {
        let reason = format!("give a whole number from 1 to {MOST_DIMENSIONS}");
        return Err(Error::Invalid(Invalid::new("dimensions", reason)));
    };
    if wanted.saturating_mul(inputs) > MOST_VECTOR_VALUES {
        let reason = format!("send fewer inputs at once: all vectors may have {MOST_VECTOR_VALUES} numbers");
        return Err(Error::Invalid(Invalid::new("dimensions", reason)));
    }
    Ok(())
}

/// Returns what follows the vectors.
fn end_of(receipt: &Receipt) -> String {
    let tokens = receipt.usage.prompt_tokens;
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    format!("],\"model\":{},\"usage\":{usage}}}", Value::from(receipt.model.as_str()))
}

/// Writes the answer part by part. Its text may be several times as large as the numbers.
struct Writer {
    embeddings: Arc<Embeddings>,
    in_base64: bool,
    /// The vector that is written next. One more than there are: the end is written.
    next: usize,
    end: String,
}

impl Writer {
    fn has_ended(&self) -> bool {
        self.next > self.embeddings.count()
    }

    /// Returns the next part; `None` after the end.
    fn part(&mut self) -> Option<Bytes> {
        if self.has_ended() {
            return None;
        }
        let mut text = Vec::new();
        if self.next == 0 {
            text.extend_from_slice(b"{\"object\":\"list\",\"data\":[");
        }
        while text.len() < A_PART {
            let Some(vector) = self.embeddings.vector(self.next) else {
                text.extend_from_slice(self.end.as_bytes());
                self.next += 1;
                break;
            };
            if self.next > 0 {
                text.push(b',');
            }
            let index = self.next;
            text.extend_from_slice(
                format!("{{\"object\":\"embedding\",\"index\":{index},\"embedding\":").as_bytes(),
            );
            if self.in_base64 {
                text.push(b'"');
                text.extend_from_slice(STANDARD.encode(bytes_of(vector)).as_bytes());
                text.push(b'"');
            } else {
                text.extend(serde_json::to_vec(vector).unwrap_or_default());
            }
            text.push(b'}');
            self.next += 1;
        }
        Some(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &Value) -> Result<Parsed<EmbeddingsOfInputs>> {
        let http = actix_web::test::TestRequest::default().to_http_request();
        EmbeddingsOfInputs::parse(serde_json::from_str(&body.to_string()).unwrap(), &http)
    }

    fn with(name: &str, value: Value) -> Value {
        let mut body = json!({ "model": "m", "input": "hi" });
        body[name] = value;
        body
    }

    #[test]
    fn a_request_has_inputs_and_few_options() {
        let mut body = with("dimensions", json!(256));
        for (name, value) in [
            ("input", json!(["hi", "you"])),
            ("encoding_format", json!("base64")),
            ("user", json!("ada")),
            ("input_type", json!("query")),
            ("truncate", json!(null)),
        ] {
            body[name] = value;
        }
        let parsed = parse(&body).unwrap();
        assert_eq!((parsed.message.as_str(), parsed.in_parts, parsed.dialect.in_base64), ("hi", false, true));
        assert!(parsed.question.is_for_embeddings());
        let Question { options, extra, .. } = parsed.question;
        assert_eq!(Value::from(options), json!({ "dimensions": 256, "user": "ada" }));
        assert_eq!(Value::from(extra), json!({ "input_type": "query" }));
    }

    #[test]
    fn a_wrong_field_is_named() {
        for (name, value) in [
            ("model", json!(5)),
            ("input", json!(null)),
            ("input", json!("")),
            ("input", json!([])),
            ("input", json!(["a", ""])),
            ("input", json!([[]])),
            ("input", json!({ "a": 1 })),
            ("input", json!([1, "a"])),
            ("input", json!(vec!["a"; MOST_INPUTS + 1])),
            ("encoding_format", json!("int8")),
            ("dimensions", json!(0)),
            ("dimensions", json!("256")),
            ("dimensions", json!(1.5)),
            ("dimensions", json!(65_537)),
        ] {
            match parse(&with(name, value.clone())) {
                Err(Error::Invalid(field)) => assert_eq!(field.field, name, "{value}"),
                Err(error) => panic!("{error:?}"),
                Ok(_) => panic!("{name} was taken"),
            }
        }
        let mut body = with("dimensions", json!(5000));
        body["input"] = json!(vec!["a"; 2000]);
        assert!(parse(&body).is_err(), "so many numbers exceed the limit");
    }

    #[test]
    fn the_form_of_the_numbers_does_not_make_another_request() {
        let of = |body: &Value| parse(body).unwrap().fingerprint;
        assert_eq!(
            of(&with("encoding_format", json!("base64"))),
            of(&with("encoding_format", json!("float")))
        );
        assert_ne!(of(&with("dimensions", json!(2))), of(&with("dimensions", json!(3))));
        assert_ne!(of(&with("input", json!("a"))), of(&with("input", json!(["a"]))));
    }

    #[test]
    fn the_parts_of_an_answer_make_one_json_text() {
        let values: Vec<f32> = (0..3 * 20_000_u16).map(|number| f32::from(number) / 7.0).collect();
        for in_base64 in [false, true] {
            let embeddings = Arc::new(Embeddings::new(20_000, values.clone(), None).unwrap());
            let end = "],\"model\":\"m\"}".to_owned();
            let mut writer = Writer { embeddings, in_base64, next: 0, end };
            let parts: Vec<Bytes> = std::iter::from_fn(|| writer.part()).collect();
            assert!(parts.len() > 1, "a large answer must be written in parts");
            let whole: Value = serde_json::from_slice(&parts.concat()).unwrap();
            assert_eq!((&whole["object"], &whole["model"]), (&json!("list"), &json!("m")));
            for (index, vector) in values.chunks(20_000).enumerate() {
                let element = &whole["data"][index];
                assert_eq!((&element["object"], &element["index"]), (&json!("embedding"), &json!(index)));
                let read: Vec<f32> = match &element["embedding"] {
                    Value::String(text) => {
                        let bytes = STANDARD.decode(text).unwrap();
                        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
                    }
                    list => serde_json::from_value(list.clone()).unwrap(),
                };
                assert_eq!(read, vector);
            }
        }
    }
}
