//! The form of requests to a model. Most upstreams accept the usual one. For the others, the form
//! is adapted to what they reject, and remembered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::complaint::Complaint;
use super::fault::OperatorFault;
use super::output_limit::OutputLimit;

/// The form of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestForm {
    /// Whether the answer is to be streamed.
    pub(super) streams: bool,
    /// Whether a stream is to end with the usage.
    pub(super) asks_for_usage: bool,
    /// The name of the limit on output.
    pub(super) output_limit: OutputLimit,
}

/// What a form is adapted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adaptation {
    WithoutUsage,
    WithoutStream,
    OtherLimit,
}

impl Adaptation {
    /// Returns what the operator reads in the log.
    pub(super) fn text(self) -> &'static str {
        match self {
            Adaptation::WithoutUsage => "it rejects stream_options, so it may report no usage with streams",
            Adaptation::WithoutStream => "it does not stream, so answers arrive whole",
            Adaptation::OtherLimit => {
                "it needs the other name for the limit on output: set --upstream-limit-field"
            }
        }
    }
}

impl RequestForm {
    /// The form that most upstreams accept.
    pub(super) fn usual(output_limit: OutputLimit) -> RequestForm {
        RequestForm { streams: true, asks_for_usage: true, output_limit }
    }

    fn adapted(self, adaptation: Adaptation) -> RequestForm {
        match adaptation {
            Adaptation::WithoutUsage => RequestForm { asks_for_usage: false, ..self },
            Adaptation::WithoutStream => RequestForm { streams: false, ..self },
            Adaptation::OtherLimit => {
                let output_limit = match self.output_limit {
                    OutputLimit::MaxTokens => OutputLimit::MaxCompletionTokens,
                    OutputLimit::MaxCompletionTokens => OutputLimit::MaxTokens,
                };
                RequestForm { output_limit, ..self }
            }
        }
    }

    /// Returns how to adapt the form to a complaint about it. `is_new`: the model has never
    /// answered, so that even a complaint about an unknown field that it does not name may be about
    /// the form.
    fn adaptation(self, complaint: &Complaint, is_new: bool) -> Option<Adaptation> {
        let without_usage = Some(Adaptation::WithoutUsage).filter(|_| self.streams && self.asks_for_usage);
        let without_stream = Some(Adaptation::WithoutStream).filter(|_| self.streams);
        let (sent, other) = match self.output_limit {
            OutputLimit::MaxTokens => ("max_tokens", "max_completion_tokens"),
            OutputLimit::MaxCompletionTokens => ("max_completion_tokens", "max_tokens"),
        };
        let is_about = |field: &str| complaint.field == Some(field);
        let is_unknown = [
            "unsupported",
            "not supported",
            "unrecognized",
            "unknown",
            "extra",
            "not permitted",
            "unexpected",
        ]
        .iter()
        .any(|word| complaint.mentions(word));
        if complaint.is_too_long() {
            None
        } else if is_about("stream_options")
            || complaint.mentions("stream_options")
            || complaint.mentions("include_usage")
        {
            without_usage
        } else if is_about("stream") || (complaint.mentions("stream") && is_unknown) {
            without_stream
        } else if (is_about(sent) || complaint.mentions(sent)) && (complaint.mentions(other) || is_unknown) {
            Some(Adaptation::OtherLimit)
        } else if is_new && complaint.field.is_none() && is_unknown {
            without_usage.or(without_stream)
        } else {
            None
        }
    }
}

/// The forms of requests to each model.
#[derive(Debug)]
pub(super) struct RequestForms {
    usual: RequestForm,
    models: Mutex<BTreeMap<String, Known>>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    form: RequestForm,
    has_answered: bool,
}

impl RequestForms {
    pub(super) fn new(output_limit: OutputLimit) -> RequestForms {
        RequestForms { usual: RequestForm::usual(output_limit), models: Mutex::default() }
    }

    /// Returns the form for a model.
    pub(super) fn of(&self, model: &str) -> RequestForm {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.get(model).map_or(self.usual, |known| known.form)
    }

    /// Returns what the operator can change so that requests to a model need not be adapted.
    pub(super) fn fault(&self, model: &str) -> Option<OperatorFault> {
        let form = self.of(model);
        if form.output_limit != self.usual.output_limit {
            Some(OperatorFault::LimitFieldRejected(self.usual.output_limit))
        } else if !form.streams {
            Some(OperatorFault::StreamRejected)
        } else if !form.asks_for_usage {
            Some(OperatorFault::StreamOptionsRejected)
        } else {
            None
        }
    }

    /// Returns how to adapt a form that a model rejected.
    pub(super) fn adaptation(
        &self,
        model: &str,
        form: RequestForm,
        complaint: &Complaint,
    ) -> Option<(Adaptation, RequestForm)> {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = models.get(model).is_none_or(|known| !known.has_answered);
        let adaptation = form.adaptation(complaint, is_new)?;
        Some((adaptation, form.adapted(adaptation)))
    }

    /// Notes that a model has accepted a request. Only call it with models on offer. An adapted
    /// form is given if later requests are to have it, too.
    pub(super) fn accepted(&self, model: &str, adapted: Option<RequestForm>) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        match models.get_mut(model) {
            Some(known) => {
                known.has_answered = true;
                known.form = adapted.unwrap_or(known.form);
            }
            None => {
                let form = adapted.unwrap_or(self.usual);
                models.insert(model.to_owned(), Known { form, has_answered: true });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(words: &str) -> Complaint {
        Complaint { words: words.to_owned(), ..Complaint::default() }
    }

    #[test]
    fn a_form_is_adapted_to_what_the_upstream_rejects() {
        let forms = RequestForms::new(OutputLimit::MaxTokens);
        let usual = forms.of("m");
        forms.accepted("m", None);
        let adaptation =
            |words: &str| forms.adaptation("m", usual, &complaint(words)).map(|(adaptation, _)| adaptation);
        for (words, adapted) in [
            ("unrecognized request argument supplied: stream_options", Some(Adaptation::WithoutUsage)),
            ("this model does not support streaming: unsupported value", Some(Adaptation::WithoutStream)),
            ("use 'max_completion_tokens' instead of max_tokens", Some(Adaptation::OtherLimit)),
            ("maximum context length is 10, reduce max_tokens, stream_options", None),
            ("max_tokens must be at most 4096", None),
            ("bad request", None),
        ] {
            assert_eq!(adaptation(words), adapted, "{words}");
        }
    }

    #[test]
    fn a_model_that_never_answered_may_reject_the_form_without_naming_the_field() {
        let forms = RequestForms::new(OutputLimit::MaxTokens);
        let usual = forms.of("m");
        assert_eq!(forms.adaptation("m", usual, &complaint("bad request")), None);
        let extra = complaint("extra fields not permitted");
        let (first, form) = forms.adaptation("m", usual, &extra).unwrap();
        assert_eq!(first, Adaptation::WithoutUsage);
        let (second, form) = forms.adaptation("m", form, &extra).unwrap();
        assert_eq!(second, Adaptation::WithoutStream);
        assert_eq!(forms.adaptation("m", form, &extra), None);
        assert_eq!(forms.fault("m"), None);
        forms.accepted("m", Some(form));
        assert_eq!(forms.fault("m"), Some(OperatorFault::StreamRejected));
        assert_eq!(forms.of("m"), form);
        assert_eq!(forms.of("other"), usual);
    }
}
