//! How the log names a call.

use crate::domain::RequestId;
use crate::logging::About;

/// The model of a call and the request that it is made for, as the log names them.
#[derive(Clone, Debug)]
pub struct Label {
    /// The model's name, as the settings have it.
    pub model: String,
    /// The request. `None` in some tests.
    pub request_id: Option<RequestId>,
}

impl Label {
    /// Logs what went wrong with the call. `what` must not contain anything of the upstream's.
    pub(super) fn warn(&self, what: &str) {
        let (model, request_id) = (self.model.as_str(), self.request_id);
        log::warn!(request_id = request_id, model = model; "model {model}{}: {what}", About(request_id));
    }
}
