//! Prometheus' text format (version 0.0.4).

use std::fmt::{Display, Write};

use super::histogram::Histogram;

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the server restarts.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts observations by their size.
    Histogram,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// Labels with their values.
type Labels<'a> = &'a [(&'static str, &'a str)];

/// The text of a scrape.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// A metric of a scrape, whose values follow.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    /// Begins a metric. `help` is one sentence.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let text = &mut self.0;
        text.push_str("# HELP ");
        text.push_str(name);
        text.push(' ');
        push_escaped(text, help, false);
        text.push_str("\n# TYPE ");
        text.push_str(name);
        text.push(' ');
        text.push_str(kind.name());
        text.push('\n');
        Family { text, name }
    }

    /// Begins a metric without labels, and gives its value.
    pub fn value(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).value(&[], value);
    }

    /// Returns the text.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// Adds a value.
    pub fn value(&mut self, labels: Labels<'_>, value: impl Display) {
        self.line("", labels, None, value);
    }

    /// Adds a histogram.
    pub fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram) {
        let buckets = histogram.buckets();
        for (bound, count) in buckets.cumulative {
            self.line("_bucket", labels, Some(&bound.to_string()), count);
        }
        self.line("_bucket", labels, Some("+Inf"), buckets.count);
        self.line("_sum", labels, None, buckets.sum);
        self.line("_count", labels, None, buckets.count);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut before = '{';
        let bound = bound.map(|bound| ("le", bound));
        for (name, value) in labels.iter().copied().chain(bound) {
            self.text.push(before);
            self.text.push_str(name);
            self.text.push_str("=\"");
            push_escaped(self.text, value, true);
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, " {value}");
    }
}

/// Adds a text in which neither the end of the line nor, with `quoted`, a quote stands for itself.
fn push_escaped(text: &mut String, plain: &str, quoted: bool) {
    for character in plain.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quoted => text.push_str("\\\""),
            character => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn values_and_histograms_are_written_as_prometheus_reads_them() {
        let histogram = Histogram::of_durations(&[500, 250_000]);
        histogram.observe(Duration::from_micros(400));
        histogram.observe(Duration::from_secs(1));
        let mut text = Exposition::default();
        text.value("a_total", Kind::Counter, "Counts a \"b\" \\ c.", 7);
        let mut family = text.family("b", Kind::Gauge, "Shows b.");
        family.value(&[("x", "1"), ("y", "a\"b\\c\nd")], 0.5);
        text.family("c_seconds", Kind::Histogram, "Measures c.").histogram(&[("x", "1")], &histogram);
        text.family("d_seconds", Kind::Histogram, "Measures d.").histogram(&[], &Histogram::of_things(&[]));
        let expected = r#"# HELP a_total Counts a "b" \\ c.
# TYPE a_total counter
a_total 7
# HELP b Shows b.
# TYPE b gauge
b{x="1",y="a\"b\\c\nd"} 0.5
# HELP c_seconds Measures c.
# TYPE c_seconds histogram
c_seconds_bucket{x="1",le="0.0005"} 1
c_seconds_bucket{x="1",le="0.25"} 1
c_seconds_bucket{x="1",le="+Inf"} 2
c_seconds_sum{x="1"} 1.0004
c_seconds_count{x="1"} 2
# HELP d_seconds Measures d.
# TYPE d_seconds histogram
d_seconds_bucket{le="+Inf"} 0
d_seconds_sum 0
d_seconds_count 0
"#;
        assert_eq!(text.into_text(), expected);
    }
}
