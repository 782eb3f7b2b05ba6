//! The upstream. It speaks the streamed part of the OpenAI protocol (chat completions, completions,
//! and embeddings), and sends fixed answers without any computation. It has one thread per
//! connection, and they share nothing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The pace of an answer. The request selects it by the name of its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The whole answer in one piece, at once.
    AtOnce,
    /// A hundred chunks, one every 20 ms.
    Paced,
    /// Forty chunks, one every 250 ms. This takes long enough to have very many streams open at
    /// once.
    Slow,
}

const PACES: [Pace; 3] = [Pace::AtOnce, Pace::Paced, Pace::Slow];
const WORDS_AT_ONCE: usize = 16;
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
/// Precedes the time at which a chunk was sent.
const SENT: &str = "sent=";

impl Pace {
    pub fn model(self) -> &'static str {
        match self {
            Pace::AtOnce => "at-once",
            Pace::Paced => "paced",
            Pace::Slow => "slow",
        }
    }

    /// Returns the number of timed chunks, and the time between two of them.
    pub fn chunks(self) -> (u32, Duration) {
        match self {
            Pace::AtOnce => (0, Duration::ZERO),
            Pace::Paced => (100, Duration::from_millis(20)),
            Pace::Slow => (40, Duration::from_millis(250)),
        }
    }
}

/// Returns the time in nanoseconds, by a clock that client and upstream share.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Finds the times at which the chunks in `text`, a part of a stream, were sent. Also returns how
/// many bytes were searched: the next call must continue there.
pub fn sent_times(text: &[u8]) -> (Vec<u64>, usize) {
    let (mut times, mut done) = (Vec::new(), 0);
    while let Some(at) = text[done..].windows(SENT.len()).position(|window| window == SENT.as_bytes()) {
        let from = done + at + SENT.len();
        let Some(length) = text[from..].iter().position(|byte| !byte.is_ascii_digit()) else { break };
        times
            .extend(std::str::from_utf8(&text[from..from + length]).ok().and_then(|n| n.parse::<u64>().ok()));
        done = from + length;
    }
    (times, done)
}

/// Serves until it is killed.
pub fn run() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let at_once = Asked::ALL.map(whole_answer);
    for stream in listener.incoming() {
        let (stream, at_once) = (stream?, at_once.clone());
        thread::Builder::new().stack_size(256 << 10).spawn(move || {
            // A client that disconnects ends only its own connection.
            let _ = serve(stream, &at_once);
        })?;
    }
    Ok(())
}

fn serve(mut stream: TcpStream, at_once: &[Vec<u8>]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    while let Some(request) = read_request(&mut stream, &mut buffer)? {
        let asked = Asked::of(&request);
        match pace_of(&request) {
            Some(Pace::AtOnce) => stream.write_all(&at_once[asked as usize])?,
            Some(pace) => answer(&mut stream, asked, pace)?,
            None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?,
        }
    }
    Ok(())
}

/// Reads the next request, head and body. Returns `None` if the client has closed the connection.
fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<String>> {
    let mut piece = [0; 16384];
    loop {
        if let Some(end) = end_of_request(buffer)? {
            let request = buffer.drain(..end).collect();
            return String::from_utf8(request).map(Some).map_err(io::Error::other);
        }
        match stream.read(&mut piece)? {
            0 => return Ok(None),
            count => buffer.extend_from_slice(&piece[..count]),
        }
    }
}

fn end_of_request(buffer: &[u8]) -> io::Result<Option<usize>> {
    let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&buffer[..head]).map_err(io::Error::other)?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|length| length.trim().parse().ok()).ok_or(ErrorKind::InvalidData)?;
    Ok(Some(head + 4 + length).filter(|end| *end <= buffer.len()))
}

fn pace_of(request: &str) -> Option<Pace> {
    PACES.into_iter().find(|pace| request.contains(&format!(r#""model":"{}""#, pace.model())))
}

/// What a request asks for.
#[derive(Clone, Copy)]
enum Asked {
    Chat,
    Completion,
    Embeddings,
}

impl Asked {
    const ALL: [Asked; 3] = [Asked::Chat, Asked::Completion, Asked::Embeddings];

    fn of(request: &str) -> Asked {
        let is = |path: &str| request.starts_with(&format!("POST /v1/{path} "));
        match () {
            () if is("completions") => Asked::Completion,
            () if is("embeddings") => Asked::Embeddings,
            () => Asked::Chat,
        }
    }
}

/// The length of a vector.
const DIMENSIONS: usize = 256;

fn whole_answer(asked: Asked) -> Vec<u8> {
    if let Asked::Embeddings = asked {
        return embeddings();
    }
    let mut answer = HEAD.to_owned() + &first(asked, Pace::AtOnce);
    for number in 0..WORDS_AT_ONCE {
        answer += &text(asked, Pace::AtOnce, &format!("word {number} "));
    }
    (answer + &last(asked, Pace::AtOnce, WORDS_AT_ONCE)).into_bytes()
}

fn embeddings() -> Vec<u8> {
    let vector = vec!["0.0123456"; DIMENSIONS].join(",");
    let body = format!(
        r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{vector}]}}],"model":"{}","usage":{{"prompt_tokens":6,"total_tokens":6}}}}"#,
        Pace::AtOnce.model()
    );
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
    format!("{head}: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn answer(stream: &mut TcpStream, asked: Asked, pace: Pace) -> io::Result<()> {
    let begun = Instant::now();
    let (count, interval) = pace.chunks();
    stream.write_all((HEAD.to_owned() + &first(asked, pace)).as_bytes())?;
    for number in 1..=count {
        thread::sleep((begun + interval * number).saturating_duration_since(Instant::now()));
        stream.write_all(text(asked, pace, &format!("{SENT}{} ", now())).as_bytes())?;
    }
    stream.write_all(last(asked, pace, usize::try_from(count).unwrap_or_default()).as_bytes())
}

/// Returns the event with the role. Completions have none.
fn first(asked: Asked, pace: Pace) -> String {
    match asked {
        Asked::Completion => String::new(),
        _ => choice(pace, r#""delta":{"role":"assistant","content":""}"#, "null"),
    }
}

fn text(asked: Asked, pace: Pace, text: &str) -> String {
    match asked {
        Asked::Completion => choice(pace, &format!(r#""text":"{text}""#), "null"),
        _ => choice(pace, &format!(r#""delta":{{"content":"{text}"}}"#), "null"),
    }
}

/// Returns everything after the text, including the end of the response.
fn last(asked: Asked, pace: Pace, count: usize) -> String {
    let nothing = if let Asked::Completion = asked { r#""text":"""# } else { r#""delta":{}"# };
    let reason = choice(pace, nothing, r#""stop""#);
    let total = count + 13;
    let numbers = format!(r#"{{"prompt_tokens":13,"completion_tokens":{count},"total_tokens":{total}}}"#);
    reason + &event(&chunk(pace, "[]", &numbers)) + &event("[DONE]") + "0\r\n\r\n"
}

/// Returns an event with one choice.
fn choice(pace: Pace, content: &str, reason: &str) -> String {
    event(&chunk(pace, &format!(r#"[{{"index":0,{content},"finish_reason":{reason}}}]"#), "null"))
}

fn chunk(pace: Pace, choices: &str, usage: &str) -> String {
    let model = pace.model();
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1800000000,"model":"{model}","choices":{choices},"usage":{usage}}}"#
    )
}

/// Returns an event as one chunk.
fn event(data: &str) -> String {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}
