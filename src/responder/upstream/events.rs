//! Parses server-sent events as their bytes arrive.

/// The error of a line or an event that is longer than the limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Parses the events of one stream. It works on bytes, because a chunk may end anywhere, even
/// inside a UTF-8 character.
#[derive(Debug)]
pub(super) struct Events {
    /// The longest line, and the longest event, in bytes.
    most: usize,
    /// The bytes that have arrived. The lines before `start` are processed. There is no end of a
    /// line between `start` and `looked`.
    buffer: Vec<u8>,
    start: usize,
    looked: usize,
    /// Whether the last line ended with `\r`. A `\n` that follows belongs to it.
    after_return: bool,
    /// Whether the first line, which may begin with a byte order mark, has been read.
    begun: bool,
    /// The name and the data of the event that is being read, or was just returned.
    name: Vec<u8>,
    data: Vec<u8>,
    given: bool,
}

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// The name. Empty if the event has none.
    pub(super) name: &'a [u8],
    /// The data.
    pub(super) data: &'a [u8],
}

/// The number of bytes in which the end of a line is looked for at once.
const BLOCK: usize = 32;
/// The longest name of an event, in bytes. A longer one counts as no name.
const MOST_OF_A_NAME: usize = 64;

impl Events {
    /// Parses with a limit of `most` bytes for each line and each event.
    pub(super) fn new(most: usize) -> Events {
        Events {
            most,
            buffer: Vec::new(),
            start: 0,
            looked: 0,
            after_return: false,
            begun: false,
            name: Vec::new(),
            data: Vec::new(),
            given: false,
        }
    }

    /// Adds bytes that have arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.looked -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next complete event, if there is one. Events without data are skipped.
    pub(super) fn next(&mut self) -> Result<Option<Event<'_>>, TooLong> {
        self.forget_given();
        while let Some((from, to)) = self.next_line()? {
            if self.take_line(from, to)? {
                self.given = true;
                return Ok(Some(Event { name: &self.name, data: &self.data }));
            }
        }
        Ok(None)
    }

    /// Returns the last event of a stream that ended without the empty line after it.
    pub(super) fn rest(&mut self) -> Result<Option<Event<'_>>, TooLong> {
        self.forget_given();
        let (from, to) = (self.start, self.buffer.len());
        self.start = to;
        self.looked = to;
        if from < to {
            self.take_line(from, to)?;
        }
        self.given = true;
        let event = Event { name: &self.name, data: &self.data };
        Ok(Some(event).filter(|event| !event.data.is_empty()))
    }

    fn forget_given(&mut self) {
        if std::mem::take(&mut self.given) {
            self.name.clear();
            self.data.clear();
        }
    }

    /// Returns the position of the next complete line in the buffer, without its end.
    fn next_line(&mut self) -> Result<Option<(usize, usize)>, TooLong> {
        if self.after_return && self.start < self.buffer.len() {
            self.after_return = false;
            if self.buffer[self.start] == b'\n' {
                self.start += 1;
            }
        }
        self.looked = self.looked.max(self.start);
        let end = end_of_line(&self.buffer[self.looked..]);
        let to = end.map_or(self.buffer.len(), |end| self.looked + end);
        if to - self.start > self.most {
            return Err(TooLong);
        }
        self.looked = to;
        if end.is_none() {
            return Ok(None);
        }
        let from = self.start;
        // It may not be known yet whether a `\n` follows. Waiting for it would delay the event.
        self.after_return = self.buffer[to] == b'\r';
        self.start = to + 1;
        Ok(Some((from, to)))
    }

    /// Processes a line. Returns whether it completes an event.
    fn take_line(&mut self, from: usize, to: usize) -> Result<bool, TooLong> {
        let mut line = &self.buffer[from..to];
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            if self.data.is_empty() {
                self.name.clear();
            }
            return Ok(!self.data.is_empty());
        }
        // A comment is a line that begins with a colon, so its field name is empty.
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = colon.map_or((line, &b""[..]), |colon| (&line[..colon], &line[colon + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        if name == b"event" {
            self.name.clear();
            self.name.extend_from_slice(
                Some(value).filter(|value| value.len() <= MOST_OF_A_NAME).unwrap_or_default(),
            );
        }
        if name != b"data" {
            return Ok(false);
        }
        if !self.data.is_empty() {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        if self.data.len() > self.most { Err(TooLong) } else { Ok(false) }
    }
}

/// Returns the position of the first end of a line.
fn end_of_line(bytes: &[u8]) -> Option<usize> {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    // Without a branch for each byte, the compiler looks at all bytes of a block at once.
    let has_end = |block: &[u8]| block.iter().fold(false, |any, byte| any | is_end(byte));
    let clear = bytes.chunks_exact(BLOCK).take_while(|block| !has_end(block)).count() * BLOCK;
    bytes[clear..].iter().position(is_end).map(|end| clear + end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOST: usize = 1 << 20;

    fn drain(events: &mut Events, found: &mut Vec<String>) -> Result<(), TooLong> {
        while let Some(event) = events.next()? {
            found.push(String::from_utf8_lossy(event.data).into_owned());
        }
        Ok(())
    }

    fn all(chunks: &[&[u8]]) -> Result<Vec<String>, TooLong> {
        let (mut events, mut found) = (Events::new(MOST), Vec::new());
        for chunk in chunks {
            events.push(chunk);
            drain(&mut events, &mut found)?;
        }
        Ok(found)
    }

    const ALL_SORTS: &str = "\u{feff}data: a\n\n: comment\r\nevent: x\r\nid: 7\r\ndata:b\r\ndata:  c\r\n\r\nretry: 1\rdata: \
                             d\u{e9}\u{1f600}\r\rdata\n\ndata:\n\ndatum: no\n\ndata: e\n\ndata: unfinished\n";

    #[test]
    fn lines_may_end_in_any_way_and_events_have_several_data_lines() {
        let wanted = ["a", "b\n c", "d\u{e9}\u{1f600}", "e"];
        assert_eq!(all(&[ALL_SORTS.as_bytes()]).unwrap(), wanted);
    }

    #[test]
    fn every_split_into_two_chunks_and_into_single_bytes_gives_the_same() {
        let bytes = ALL_SORTS.as_bytes();
        let whole = all(&[bytes]);
        for at in 0..=bytes.len() {
            assert_eq!(all(&[&bytes[..at], &bytes[at..]]), whole, "split at {at}");
        }
        assert_eq!(all(&bytes.chunks(1).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn the_first_end_of_a_line_is_found_wherever_it_is() {
        for length in 0..4 * BLOCK {
            let mut bytes = vec![b'x'; length];
            assert_eq!(end_of_line(&bytes), None, "of {length}");
            for end in (0..length).rev() {
                bytes[end] = if end % 2 == 0 { b'\n' } else { b'\r' };
                assert_eq!(end_of_line(&bytes), Some(end), "of {length}");
            }
        }
    }

    #[test]
    fn an_event_is_given_as_soon_as_its_last_line_has_ended() {
        assert_eq!(all(&[b"data: x\r\n\r"]).unwrap(), ["x"], "without waiting for what follows the \\r");
        assert_eq!(all(&[b"data: x\r\n\r", b"\ndata: y\n\n"]).unwrap(), ["x", "y"]);
    }

    #[test]
    fn a_byte_order_mark_is_skipped_only_at_the_very_beginning() {
        assert_eq!(all(&["\u{feff}data: x\n\n\u{feff}data: y\n\n".as_bytes()]).unwrap(), ["x"]);
    }

    #[test]
    fn a_line_has_at_most_a_mebibyte_whether_it_ends_or_not() {
        let line = |length: usize| [b"data: ".to_vec(), vec![b'x'; length - 6]].concat();
        assert_eq!(all(&[&line(MOST), b"\n\n"]).unwrap()[0].len(), MOST - 6);
        assert_eq!(all(&[&line(MOST + 1)]), Err(TooLong));
        assert_eq!(all(&[&line(MOST + 1), b"\n\n"]), Err(TooLong));
        let whole = [line(MOST + 1), b"\n\n".to_vec()].concat();
        assert_eq!(all(&[&whole]), Err(TooLong));
        assert_eq!(
            all(&[&line(MOST / 2), b"\n", &line(MOST / 2 + 30), b"\n\n"]),
            Err(TooLong),
            "in two lines"
        );
    }

    #[test]
    fn the_last_event_may_lack_its_end() {
        for text in ["data: x\n\ndata: last", "data: x\n\ndata: last\n", "data: x\n\ndata: last\r"] {
            let mut events = Events::new(MOST);
            events.push(text.as_bytes());
            let mut found = Vec::new();
            drain(&mut events, &mut found).unwrap();
            assert_eq!(found, ["x"]);
            assert_eq!(events.rest().unwrap().map(|event| event.data), Some(&b"last"[..]));
            assert_eq!(events.rest().unwrap(), None);
        }
        assert_eq!(Events::new(MOST).rest().unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_chunks_give_the_same_events(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just(b"data: ".to_vec()), Just(b"\n".to_vec()), Just(b"\r".to_vec()), Just(b"\r\n".to_vec()),
                    Just(b":".to_vec()), Just(b"data".to_vec()), Just(b"\xEF\xBB\xBF".to_vec()), any::<[u8; 3]>().prop_map(|bytes| bytes.to_vec()),
                ], 0..40),
        ) {
            let chunks: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(all(&chunks), all(&[&pieces.concat()]));
        }
    }
}
