//! Finds the end of each request in the bytes of a connection.
//!
//! actix-http parses the requests. This module only finds their ends, so that a connection passes
//! on one request at a time. It passes on everything that it cannot parse, and actix-http rejects
//! it.

/// The length of the body that follows a head (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyLength {
    None,
    /// A body of this number of bytes.
    Known(u64),
    Chunked,
    /// Everything until the connection ends.
    Endless,
}

/// How much of the current request has been passed on.
#[derive(Debug)]
pub(super) enum Framing {
    Head(Head),
    /// The head was passed on. What follows it depends on the head.
    Handed,
    Length(u64),
    Chunks(Chunks),
    Endless,
    Whole,
}

impl Default for Framing {
    fn default() -> Framing {
        Framing::Head(Head::default())
    }
}

impl Framing {
    /// Sets the body that follows the head that was passed on.
    pub(super) fn follow(&mut self, body: BodyLength) {
        *self = match body {
            BodyLength::None | BodyLength::Known(0) => Framing::Whole,
            BodyLength::Known(length) => Framing::Length(length),
            BodyLength::Chunked => Framing::Chunks(Chunks::Size { size: 0, has_digits: false }),
            BodyLength::Endless => Framing::Endless,
        };
    }

    /// Returns whether more bytes belong to the current request.
    pub(super) fn wants_more(&self) -> bool {
        !matches!(self, Framing::Handed | Framing::Whole)
    }

    /// Returns whether the whole request was passed on.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Framing::Whole)
    }

    /// Returns whether the connection is between two requests.
    pub(super) fn is_between(&self) -> bool {
        matches!(self, Framing::Head(head) if !head.has_begun)
    }

    pub(super) fn is_head(&self) -> bool {
        matches!(self, Framing::Head(_))
    }

    /// Returns the number of bytes that belong to the current request, and counts them as passed
    /// on.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> usize {
        match self {
            Framing::Head(head) => {
                let (passed, ended) = head.pass(bytes);
                if ended {
                    *self = Framing::Handed;
                }
                passed
            }
            Framing::Length(left) => {
                let passed = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= passed as u64;
                if *left == 0 {
                    *self = Framing::Whole;
                }
                passed
            }
            Framing::Chunks(chunks) => {
                let passed = chunks.pass(bytes);
                if matches!(chunks, Chunks::End) {
                    *self = Framing::Whole;
                }
                passed
            }
            Framing::Endless => bytes.len(),
            Framing::Handed | Framing::Whole => 0,
        }
    }
}

/// A head: lines up to an empty one. Empty lines before the first are skipped, as by actix-http.
#[derive(Debug, Default)]
pub(super) struct Head {
    has_begun: bool,
    /// Whether the current line is not empty.
    in_line: bool,
}

impl Head {
    /// Returns the number of bytes of this head, and whether they complete it.
    fn pass(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut passed = 0;
        while let Some(line) = bytes.get(passed..).filter(|rest| !rest.is_empty()) {
            let end = line.iter().position(|byte| *byte == b'\n');
            let content = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
            self.in_line |= content.iter().any(|byte| *byte != b'\r');
            self.has_begun |= self.in_line;
            passed += content.len();
            if end.is_some() {
                passed += 1;
                if self.has_begun && !self.in_line {
                    return (passed, true);
                }
                self.in_line = false;
            }
        }
        (passed, false)
    }
}

/// A chunked body, parsed as actix-http parses it.
#[derive(Debug)]
pub(super) enum Chunks {
    Size {
        size: u64,
        has_digits: bool,
    },
    /// The rest of a line with a chunk's size.
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Data(u64),
    DataCr,
    DataLf,
    /// The start of a line after the last chunk.
    LastLine,
    Trailer,
    TrailerLf,
    EndLf,
    End,
    /// The encoding is invalid. actix-http will reject it.
    Broken,
}

impl Chunks {
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while let Some(byte) = bytes.get(passed) {
            match self {
                Chunks::End => return passed,
                Chunks::Broken => return bytes.len(),
                Chunks::Data(left) => {
                    let rest = bytes.len() - passed;
                    let now = rest.min(usize::try_from(*left).unwrap_or(usize::MAX));
                    passed += now;
                    *left -= now as u64;
                    if *left == 0 {
                        *self = Chunks::DataCr;
                    }
                }
                _ => {
                    self.step(*byte);
                    passed += 1;
                }
            }
        }
        passed
    }

    fn step(&mut self, byte: u8) {
        *self = match (&*self, byte) {
            (Chunks::Size { size, .. }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                match size.checked_mul(16) {
                    Some(size) => Chunks::Size { size: size + digit, has_digits: true },
                    None => Chunks::Broken,
                }
            }
            (Chunks::Size { size, has_digits: true }, b' ' | b'\t' | b';') => {
                Chunks::Extension { size: *size }
            }
            (Chunks::Size { size, has_digits: true } | Chunks::Extension { size }, b'\r') => {
                Chunks::SizeLf { size: *size }
            }
            (Chunks::Extension { size }, _) => Chunks::Extension { size: *size },
            (Chunks::SizeLf { size: 0 }, b'\n') => Chunks::LastLine,
            (Chunks::SizeLf { size }, b'\n') => Chunks::Data(*size),
            (Chunks::DataCr, b'\r') => Chunks::DataLf,
            (Chunks::DataLf, b'\n') => Chunks::Size { size: 0, has_digits: false },
            (Chunks::LastLine, b'\r') => Chunks::EndLf,
            (Chunks::LastLine, _) => Chunks::Trailer,
            (Chunks::Trailer, b'\r') => Chunks::TrailerLf,
            (Chunks::Trailer, _) => Chunks::Trailer,
            (Chunks::TrailerLf, b'\n') => Chunks::LastLine,
            (Chunks::EndLf, b'\n') => Chunks::End,
            _ => Chunks::Broken,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes bytes in parts of this size. Returns what was passed, and whether the request is
    /// whole.
    fn passed(framing: &mut Framing, bytes: &[u8], part: usize) -> usize {
        let mut sum = 0;
        for part in bytes.chunks(part) {
            let now = framing.pass(part);
            sum += now;
            if now < part.len() {
                break;
            }
        }
        sum
    }

    #[test]
    fn a_head_ends_at_its_first_empty_line_however_it_comes() {
        for head in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\n\r\nGET / HTTP/1.1\nHost: a\n\n", "G\r\n\n"]
        {
            for part in [1, 2, 3, 7, 100] {
                let mut framing = Framing::default();
                let bytes = format!("{head}\r\nmore");
                assert_eq!(passed(&mut framing, bytes.as_bytes(), part), head.len(), "{head:?} by {part}");
                assert!(!framing.wants_more() && !framing.is_whole());
            }
        }
        let mut framing = Framing::default();
        assert_eq!(framing.pass(b"\r\n\r\n\r\n"), 6);
        assert!(framing.is_between(), "empty lines begin nothing");
        framing.pass(b"G");
        assert!(framing.is_head() && !framing.is_between());
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let chunks =
            "5;name=\"value\"\r\nhello\r\n1F \r\n0123456789012345678901234567890\r\n0\r\nA: b\r\n\r\n";
        for (body, bytes) in [
            (BodyLength::Known(5), "hello"),
            (BodyLength::Chunked, "0\r\n\r\n"),
            (BodyLength::Chunked, "3\r\nabc\r\n00;x\r\n\r\n"),
            (BodyLength::Chunked, chunks),
            (BodyLength::None, ""),
            (BodyLength::Known(0), ""),
        ] {
            for part in [1, 2, 5, 100] {
                let mut framing = Framing::Handed;
                framing.follow(body);
                let more = format!("{bytes}GET / HTTP/1.1");
                assert_eq!(passed(&mut framing, more.as_bytes(), part), bytes.len(), "{bytes:?} by {part}");
                assert!(framing.is_whole());
            }
        }
    }

    #[test]
    fn a_broken_body_is_passed_on_whole() {
        for bytes in
            ["x\r\n", "\r\n", "11111111111111111\r\n", "1\r\nab\r\n", "1\rx", "0\r\n\rx", "0\r\na\rb"]
        {
            let mut framing = Framing::Handed;
            framing.follow(BodyLength::Chunked);
            assert_eq!(passed(&mut framing, bytes.as_bytes(), 1), bytes.len(), "{bytes:?}");
            assert!(!framing.is_whole() && framing.wants_more());
        }
    }
}
