//! The form of requests to a model. Most upstreams accept the usual one. For the others, the form
//! is adapted to what they reject, and remembered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::complaint::Complaint;
use super::fault::OperatorFault;
use super::output_limit::OutputLimit;
use crate::responder::{HINTS, Question};

/// How long a model is taken to have no completions.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// The form of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestForm {
    /// Whether the answer is to be streamed.
    pub(super) streams: bool,
    /// Whether a stream is to end with the usage.
    pub(super) asks_for_usage: bool,
    /// The name of the limit on output.
    pub(super) output_limit: OutputLimit,
    /// Whether completions are asked as conversations, because the upstream only takes those.
    pub(super) completes_by_chat: bool,
    /// Whether vectors are asked for as numbers. An upstream that is not asked may still send them
    /// as such.
    pub(super) asks_for_numbers: bool,
    /// The hints that are left out of questions that may lose them.
    pub(super) lost: LostHints,
}

/// Some of the [`HINTS`]: a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LostHints(u16);

impl LostHints {
    /// Returns the hints of a question that a complaint is about.
    fn named_by(complaint: &Complaint, question: &Question) -> LostHints {
        // A short word such as "user" may be about something else.
        let is_named = |hint: &str| {
            let is_mentioned = || hint.contains('_') && complaint.mentions(hint);
            complaint.field == Some(hint) || (complaint.is_about_an_unknown_field() && is_mentioned())
        };
        let bits = HINTS.iter().enumerate().map(|(bit, hint)| {
            if question.options.contains_key(*hint) && is_named(hint) { 1 << bit } else { 0 }
        });
        LostHints(bits.fold(0, |all, bit: u16| all | bit))
    }

    /// Returns whether an option is one of them.
    pub(super) fn contains(self, option: &str) -> bool {
        HINTS.iter().enumerate().any(|(bit, hint)| *hint == option && self.0 & (1 << bit) != 0)
    }
}

/// What a form is adapted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adaptation {
    WithoutUsage,
    WithoutStream,
    OtherLimit,
    CompletionsByChat,
    WithoutEncoding,
    WithoutHints(LostHints),
}

impl Adaptation {
    /// Returns whether the reason is known, so that the next request need not be rejected again.
    pub(super) fn is_certain(self) -> bool {
        matches!(
            self,
            Adaptation::CompletionsByChat | Adaptation::WithoutEncoding | Adaptation::WithoutHints(_)
        )
    }

    /// Returns what the operator reads in the log.
    pub(super) fn text(self) -> &'static str {
        match self {
            Adaptation::WithoutUsage => "it rejects stream_options, so it may report no usage with streams",
            Adaptation::WithoutStream => "it does not stream, so answers arrive whole",
            Adaptation::OtherLimit => {
                "it needs the other name for the limit on output: set --upstream-limit-field"
            }
            Adaptation::CompletionsByChat => {
                "it takes no completions with this model, so they are asked as conversations"
            }
            Adaptation::WithoutEncoding => "it rejects encoding_format, so it is not asked for any",
            Adaptation::WithoutHints(_) => {
                "it rejects options that only tune the answer, so they are left out where clients send them \
                 by default"
            }
        }
    }
}

impl RequestForm {
    /// The form that most upstreams accept.
    pub(super) fn usual(output_limit: OutputLimit) -> RequestForm {
        RequestForm {
            streams: true,
            asks_for_usage: true,
            output_limit,
            completes_by_chat: false,
            asks_for_numbers: true,
            lost: LostHints::default(),
        }
    }

    /// Returns how to leave out the hints that a complaint is about. `None` if it is about none, or
    /// the client must learn that one is rejected.
    pub(super) fn without_hints(
        self,
        question: &Question,
        complaint: &Complaint,
    ) -> Option<(Adaptation, RequestForm)> {
        let named = LostHints::named_by(complaint, question);
        let lost = LostHints(self.lost.0 | named.0);
        let adaptation = Adaptation::WithoutHints(lost);
        (question.may_lose_hints && lost != self.lost).then(|| (adaptation, self.adapted(adaptation)))
    }

    /// Returns the form in which completions are asked as conversations. `None` if they are
    /// already.
    pub(super) fn by_chat(self) -> Option<(Adaptation, RequestForm)> {
        let adaptation = Adaptation::CompletionsByChat;
        (!self.completes_by_chat).then(|| (adaptation, self.adapted(adaptation)))
    }

    /// Returns how to adapt the form of a request for embeddings to a complaint about it.
    pub(super) fn for_embeddings(self, complaint: &Complaint) -> Option<(Adaptation, RequestForm)> {
        let adaptation = Adaptation::WithoutEncoding;
        let is_about = complaint.field == Some("encoding_format") || complaint.mentions("encoding_format");
        (self.asks_for_numbers && is_about).then(|| (adaptation, self.adapted(adaptation)))
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
            Adaptation::CompletionsByChat => RequestForm { completes_by_chat: true, ..self },
            Adaptation::WithoutEncoding => RequestForm { asks_for_numbers: false, ..self },
            Adaptation::WithoutHints(lost) => RequestForm { lost, ..self },
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
        let is_unknown = complaint.is_about_an_unknown_field();
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
    /// When completions were last found to be missing.
    without_completions_since: Option<Instant>,
}

impl Known {
    /// Returns the form of the next request. Whether completions are missing is asked again now and
    /// then: what answered may have been a gateway in trouble.
    fn form_now(&self) -> RequestForm {
        let is_old = |since: Instant| since.elapsed() > ASK_AGAIN_AFTER;
        let asks_again = self.without_completions_since.is_some_and(is_old);
        RequestForm { completes_by_chat: self.form.completes_by_chat && !asks_again, ..self.form }
    }

    /// Adds what a call has found. What other calls found in the meantime stays.
    fn note(&mut self, acceptance: &Acceptance) {
        let Acceptance { asked, found, has_completed } = *acceptance;
        self.has_answered = true;
        let known = &mut self.form;
        known.streams &= found.streams;
        known.asks_for_usage &= found.asks_for_usage;
        known.asks_for_numbers &= found.asks_for_numbers;
        known.lost = LostHints(known.lost.0 | found.lost.0);
        if found.output_limit != asked.output_limit {
            known.output_limit = found.output_limit;
        }
        if found.completes_by_chat && !asked.completes_by_chat {
            known.completes_by_chat = true;
            self.without_completions_since = Some(Instant::now());
        } else if has_completed {
            known.completes_by_chat = false;
            self.without_completions_since = None;
        }
    }
}

/// What an upstream has accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acceptance {
    /// The form that was known when the call began.
    pub(super) asked: RequestForm,
    /// The form that later requests are to have.
    pub(super) found: RequestForm,
    /// Whether it answered a completion as such.
    pub(super) has_completed: bool,
}

impl RequestForms {
    pub(super) fn new(output_limit: OutputLimit) -> RequestForms {
        RequestForms { usual: RequestForm::usual(output_limit), models: Mutex::default() }
    }

    /// Returns the form for a model.
    pub(super) fn of(&self, model: &str) -> RequestForm {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.get(model).map_or(self.usual, Known::form_now)
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

    /// Notes that a model has accepted a request. Only call it with models on offer.
    pub(super) fn accepted(&self, model: &str, acceptance: &Acceptance) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        match models.get_mut(model) {
            Some(known) => known.note(acceptance),
            None => {
                let known = Known { form: self.usual, has_answered: true, without_completions_since: None };
                models.entry(model.to_owned()).or_insert(known).note(acceptance);
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

    fn found(asked: RequestForm, found: RequestForm) -> Acceptance {
        Acceptance { asked, found, has_completed: false }
    }

    #[test]
    fn what_calls_find_at_the_same_time_is_all_remembered() {
        let forms = RequestForms::new(OutputLimit::MaxTokens);
        let usual = forms.of("m");
        let all = [
            Adaptation::WithoutUsage,
            Adaptation::OtherLimit,
            // Two calls find the same.
            Adaptation::OtherLimit,
            Adaptation::CompletionsByChat,
            Adaptation::WithoutEncoding,
            Adaptation::WithoutHints(LostHints(1)),
            Adaptation::WithoutHints(LostHints(2)),
            Adaptation::WithoutStream,
        ];
        for adaptation in all {
            forms.accepted("m", &found(usual, usual.adapted(adaptation)));
        }
        // A call that began before all of this finds nothing.
        forms.accepted("m", &found(usual, usual));
        let wanted = RequestForm {
            streams: false,
            asks_for_usage: false,
            output_limit: OutputLimit::MaxCompletionTokens,
            completes_by_chat: true,
            asks_for_numbers: false,
            lost: LostHints(3),
        };
        assert_eq!(forms.of("m"), wanted);
        // The other limit is needed no longer.
        forms.accepted("m", &found(wanted, wanted.adapted(Adaptation::OtherLimit)));
        assert_eq!(forms.of("m").output_limit, OutputLimit::MaxTokens);
    }

    #[test]
    fn a_completion_that_is_answered_ends_the_memory_that_there_are_none() {
        let forms = RequestForms::new(OutputLimit::MaxTokens);
        let usual = forms.of("m");
        forms.accepted("m", &found(usual, usual.adapted(Adaptation::CompletionsByChat)));
        forms.accepted("m", &found(usual, usual));
        assert!(forms.of("m").completes_by_chat, "a conversation says nothing of completions");
        forms.accepted("m", &Acceptance { has_completed: true, ..found(usual, usual) });
        assert!(!forms.of("m").completes_by_chat);
    }

    #[test]
    fn a_form_is_adapted_to_what_the_upstream_rejects() {
        let forms = RequestForms::new(OutputLimit::MaxTokens);
        let usual = forms.of("m");
        forms.accepted("m", &found(usual, usual));
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
        forms.accepted("m", &found(usual, form));
        assert_eq!(forms.fault("m"), Some(OperatorFault::StreamRejected));
        assert_eq!(forms.of("m"), form);
        assert_eq!(forms.of("other"), usual);
    }

    #[test]
    fn a_question_loses_the_hints_that_are_rejected_if_it_may() {
        let usual = RequestForm::usual(OutputLimit::MaxTokens);
        let mut question = Question::of_message("m", "hi", 10);
        for option in ["reasoning_effort", "user", "parallel_tool_calls", "temperature"] {
            question.options.insert(option.to_owned(), 1.into());
        }
        let value = complaint("reasoning_effort must be 'low' or 'high'");
        assert_eq!(usual.without_hints(&question, &value), None);
        let named = complaint("extra inputs: reasoning_effort, parallel_tool_calls, verbosity, user");
        assert_eq!(usual.without_hints(&question, &named), None);
        question.may_lose_hints = true;
        let (_, form) = usual.without_hints(&question, &named).unwrap();
        for (option, is_lost) in [
            ("reasoning_effort", true),
            ("parallel_tool_calls", true),
            ("verbosity", false),
            ("user", false),
            ("temperature", false),
        ] {
            assert_eq!(form.lost.contains(option), is_lost, "{option}");
        }
        assert_eq!(form.without_hints(&question, &named), None);
        let field = Complaint { field: Some("user"), ..Complaint::default() };
        assert!(form.without_hints(&question, &field).unwrap().1.lost.contains("user"));
        assert_eq!(usual.without_hints(&question, &complaint("temperature is too high")), None);
    }

    #[test]
    fn completions_are_asked_as_conversations_once_that_is_known() {
        let usual = RequestForm::usual(OutputLimit::MaxTokens);
        let (_, form) = usual.by_chat().unwrap();
        assert!(form.completes_by_chat && form.streams);
        assert_eq!(form.by_chat(), None);
        let (_, form) = usual.for_embeddings(&complaint("extra inputs: encoding_format")).unwrap();
        assert!(!form.asks_for_numbers);
        assert_eq!(form.for_embeddings(&complaint("extra inputs: encoding_format")), None);
        assert_eq!(usual.for_embeddings(&complaint("extra inputs: dimensions")), None);
    }
}
