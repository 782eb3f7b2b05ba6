//! The order in which the parts of a choice arrived. Most models think, then write, then call
//! tools; some do so several times.

use super::message::Delta;

/// What a model does at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Reasoning,
    Text,
    Refusal,
    Call,
}

impl Kind {
    const ALL: [(Kind, char); 4] =
        [(Kind::Reasoning, 'r'), (Kind::Text, 't'), (Kind::Refusal, 'f'), (Kind::Call, 'c')];

    fn letter(self) -> char {
        Kind::ALL.into_iter().find(|(kind, _)| *kind == self).map_or('t', |(_, letter)| letter)
    }
}

/// The approximate memory of a span, in bytes.
const A_SPAN: usize = 16;

/// The order of a choice: what came after what, and how many bytes of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Order {
    spans: Vec<(Kind, usize)>,
    calls: u64,
}

/// The lengths of the texts of a choice, in bytes, and the number of its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub reasoning: usize,
    pub text: usize,
    pub refusal: usize,
    pub calls: usize,
}

impl Order {
    /// The order of a choice whose thoughts come first and whose calls come last.
    pub(super) fn usual(extent: Extent) -> Order {
        let Extent { reasoning, text, refusal, calls } = extent;
        let texts = [(Kind::Reasoning, reasoning), (Kind::Text, text), (Kind::Refusal, refusal)];
        let mut spans: Vec<_> = texts.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
        spans.extend(std::iter::repeat_n((Kind::Call, 0), calls));
        Order { spans, calls: u64::try_from(calls).unwrap_or(u64::MAX) }
    }

    /// Notes what clients get of a part. Returns how much the weight has grown.
    pub(super) fn note(&mut self, news: &Delta) -> usize {
        let before = self.spans.len();
        self.add(Kind::Reasoning, news.reasoning.text.len());
        self.add(Kind::Text, news.text.len());
        self.add(Kind::Refusal, news.refusal.len());
        for call in &news.tool_calls {
            // A later part of a call has the same index.
            if call.index.is_some_and(|index| index >= self.calls) {
                self.calls += 1;
                self.spans.push((Kind::Call, 0));
            }
        }
        (self.spans.len() - before) * A_SPAN
    }

    fn add(&mut self, kind: Kind, bytes: usize) {
        match self.spans.last_mut() {
            _ if bytes == 0 => {}
            Some((last, length)) if *last == kind => *length += bytes,
            _ => self.spans.push((kind, bytes)),
        }
    }

    /// Returns what is stored. `None` for the usual order.
    pub(super) fn stored(&self, extent: Extent) -> Option<String> {
        if *self == Order::usual(extent) {
            return None;
        }
        let span = |(kind, bytes): &(Kind, usize)| match kind {
            Kind::Call => kind.letter().to_string(),
            _ => format!("{}{bytes}", kind.letter()),
        };
        Some(self.spans.iter().map(span).collect::<Vec<_>>().join(" "))
    }

    /// Reads what was stored. `None` if no version of this server has stored it.
    pub(super) fn parse(text: &str) -> Option<Order> {
        let span = |word: &str| {
            let letter = word.chars().next()?;
            let (kind, _) = Kind::ALL.into_iter().find(|(_, own)| *own == letter)?;
            let bytes = if kind == Kind::Call { 0 } else { word[1..].parse().ok()? };
            Some((kind, bytes))
        };
        let spans: Vec<_> = text.split(' ').map(span).collect::<Option<_>>()?;
        let calls = spans.iter().filter(|(kind, _)| *kind == Kind::Call).count();
        Some(Order { spans, calls: u64::try_from(calls).ok()? })
    }

    /// Returns the spans, in order, if they cover exactly what the choice has.
    pub(super) fn spans(&self, extent: Extent) -> Option<&[(Kind, usize)]> {
        let mut covered = Extent::default();
        for (kind, bytes) in &self.spans {
            match kind {
                Kind::Reasoning => covered.reasoning += bytes,
                Kind::Text => covered.text += bytes,
                Kind::Refusal => covered.refusal += bytes,
                Kind::Call => covered.calls += 1,
            }
        }
        (covered == extent).then_some(&self.spans)
    }
}
