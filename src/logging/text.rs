//! Lines for people: time, level and a sentence.

use std::fmt::{self, Write};

use log::{Level, Record};

/// What a further line of the same message begins with. A line of the log begins with a bracket, so
/// a message cannot imitate one.
const NEXT_LINE: &str = "\n    ";

/// Adds a record as a line. `time` is in RFC 3339, with microseconds.
pub(super) fn add(line: &mut String, record: &Record<'_>, time: &str, has_colors: bool) {
    let millis = time.get(..23).unwrap_or_default();
    let (dim, color, plain) =
        if has_colors { ("\u{1b}[90m", color_of(record.level()), "\u{1b}[0m") } else { ("", "", "") };
    // Writing to a text cannot fail.
    let _ = write!(line, "{dim}[{plain}{millis}Z {color}{:<5}{plain}{dim}]{plain} ", record.level());
    let _ = write!(Escaped(line), "{}", record.args());
    line.push('\n');
}

fn color_of(level: Level) -> &'static str {
    match level {
        Level::Error => "\u{1b}[1;31m",
        Level::Warn => "\u{1b}[33m",
        Level::Info => "\u{1b}[32m",
        Level::Debug => "\u{1b}[34m",
        Level::Trace => "\u{1b}[36m",
    }
}

/// Adds texts, and shows as escapes what would control a terminal, or change the order of a line.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Nearly all lines are of these characters alone.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            self.0.push_str(text);
            return Ok(());
        }
        for character in text.chars() {
            match character {
                '\n' => self.0.push_str(NEXT_LINE),
                character if is_hidden(character) => self.0.extend(character.escape_default()),
                character => self.0.push(character),
            }
        }
        Ok(())
    }
}

/// Returns whether a character controls the terminal, ends a line, or reverses the text.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, has_colors: bool) -> String {
        let mut line = String::new();
        let time = "2026-12-02T10:00:00.123456Z";
        add(
            &mut line,
            &Record::builder().level(Level::Info).args(format_args!("{message}")).build(),
            time,
            has_colors,
        );
        line
    }

    #[test]
    fn a_line_has_time_level_and_message() {
        assert_eq!(line("ready, naïvely", false), "[2026-12-02T10:00:00.123Z INFO ] ready, naïvely\n");
        assert!(line("x", true).contains("\u{1b}[32mINFO \u{1b}[0m"));
    }

    #[test]
    fn a_message_can_neither_imitate_a_line_nor_control_a_terminal() {
        let forged =
            line("a\n[2026-12-02T10:00:00.123Z INFO ] b\r\u{1b}[2J\u{202e}\u{2028}\u{85}\u{7f}\t", false);
        assert_eq!(
            forged,
            "[2026-12-02T10:00:00.123Z INFO ] a\n    [2026-12-02T10:00:00.123Z INFO ] \
             b\\r\\u{1b}[2J\\u{202e}\\u{2028}\\u{85}\\u{7f}\\t\n"
        );
    }
}
