//! Damages recordings.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::support::upstream::providers::{End, Recording};

/// What is inserted: tokens of JSON, of event streams and of the protocol.
const TOKENS: [&[u8]; 26] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"\n",
    b"\r",
    b"\n\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x98",
    b"\\ud83d",
    b"null",
    b"1e999",
    b"-1",
    b"data: ",
    b"data: [DONE]\n\n",
    b"\"finish_reason\":\"stop\",",
    b"\"delta\":null,",
    b"\"error\":{},",
    b"\"usage\":{\"prompt_tokens\":99999999,\"completion_tokens\":-1},",
    b"event: error\n",
];

/// Returns a recording with one or two kinds of damage, and the parts in which its body is sent.
pub(super) fn damaged(recordings: &[Recording], random: &mut StdRng) -> (Recording, Vec<Vec<u8>>) {
    let mut recording = recordings[random.random_range(0..recordings.len())].clone();
    for _ in 0..random.random_range(1..=2) {
        damage(&mut recording.body, random);
    }
    if random.random_range(0..4) == 0 {
        recording.end = End::Cut;
    }
    let parts = split(&recording.body, random);
    (recording, parts)
}

fn damage(body: &mut Vec<u8>, random: &mut StdRng) {
    let at = random.random_range(0..=body.len());
    let rest = (body.len() - at).min(40);
    let end = at + random.random_range(0..=rest);
    match random.random_range(0..8) {
        0 => body.truncate(at),
        1 => drop(body.drain(at..end)),
        2 => {
            let range = body[at..end].to_vec();
            body.splice(at..at, range);
        }
        3 => {
            // The same bytes again, somewhere else.
            let range = body[at..end].to_vec();
            let to = random.random_range(0..=body.len());
            body.splice(to..to, range);
        }
        4 => swap_lines(body, random),
        5 => repeat_line(body, random),
        6 => {
            if let Some(byte) = body.get_mut(at) {
                *byte = random.random();
            }
        }
        _ => {
            let token = TOKENS[random.random_range(0..TOKENS.len())];
            body.splice(at..at, token.iter().copied());
        }
    }
}

fn swap_lines(body: &mut Vec<u8>, random: &mut StdRng) {
    let mut lines: Vec<Vec<u8>> = body.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.len() > 1 {
        let (a, b) = (random.random_range(0..lines.len()), random.random_range(0..lines.len()));
        lines.swap(a, b);
    }
    *body = lines.concat();
}

fn repeat_line(body: &mut Vec<u8>, random: &mut StdRng) {
    let mut lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
    if !lines.is_empty() {
        let at = random.random_range(0..lines.len());
        lines.insert(at, lines[at]);
    }
    *body = lines.concat();
}

/// Splits a body anywhere.
fn split(body: &[u8], random: &mut StdRng) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(random.random_range(1..=rest.len()));
        parts.push(part.to_vec());
        rest = behind;
    }
    parts
}
