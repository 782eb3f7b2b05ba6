//! Every `console` block of the documents is run, and prints what the document shows.
//!
//! The blocks of a document run one after the other in one shell, in an empty folder, as a reader
//! follows them. `$ ` begins a command, and `> ` continues it. In the output, `…` stands for any
//! text within a line, and a line with nothing but `…` for any lines. A comment above a block says
//! what it needs: `<!-- console: server FLAGS -->` starts a server in the folder, whose process is
//! `$TOLLGATE_PID`, and `<!-- console: stop -->` stops it. Each address `127.0.0.1:PORT` gets a
//! free port. `<!-- tests/…rs runs … -->` says that another test runs the block, which must name
//! the document.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::house::source::{root, texts_of_the_repository};
use crate::support::{keeper, temporary, wait};

/// How long the blocks of one document may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a document asks for, in its order.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Start a server with these flags.
    Serve(String),
    /// Stop the server.
    Stop,
    /// Run a command, which prints this.
    Run { line: usize, command: String, shown: String },
}

/// Returns the steps of a document, and the number of its blocks that another test runs.
fn steps(path: &str, document: &str) -> (Vec<Step>, usize) {
    let (mut steps, mut elsewhere) = (Vec::new(), 0);
    let mut lines = document.lines().enumerate();
    let mut comment = "";
    while let Some((_, line)) = lines.next() {
        if let Some(text) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            comment = text;
            match text.strip_prefix("console: ") {
                Some("stop") => steps.push(Step::Stop),
                Some(server) => {
                    let flags = server.strip_prefix("server").unwrap_or_else(|| panic!("{path}: {text}"));
                    steps.push(Step::Serve(flags.trim().to_owned()));
                }
                None => {}
            }
            continue;
        }
        if line == "```console" {
            let block = lines.by_ref().take_while(|(_, line)| *line != "```");
            match comment.split(' ').next().filter(|word| word.ends_with(".rs") && word.contains('/')) {
                Some(test) => {
                    let source = std::fs::read_to_string(root().join(test));
                    let source = source.unwrap_or_else(|error| panic!("{path}: {test}: {error}"));
                    assert!(source.contains(path), "{test} does not read {path}");
                    elsewhere += 1;
                    block.for_each(drop);
                }
                None => commands(block, &mut steps),
            }
        }
        comment = "";
    }
    (steps, elsewhere)
}

fn commands<'a>(block: impl Iterator<Item = (usize, &'a str)>, steps: &mut Vec<Step>) {
    for (number, text) in block {
        if let Some(command) = text.strip_prefix("$ ") {
            steps.push(Step::Run { line: number + 1, command: command.to_owned(), shown: String::new() });
            continue;
        }
        let Some(Step::Run { command, shown, .. }) = steps.last_mut() else {
            panic!("line {}: a block begins with a command", number + 1)
        };
        match text.strip_prefix("> ").filter(|_| shown.is_empty()) {
            Some(more) => *command = format!("{command}\n{more}"),
            None => *shown = format!("{shown}{text}\n"),
        }
    }
}

/// The free ports that stand for those of a document.
#[derive(Default)]
struct Ports(BTreeMap<String, (String, Option<TcpListener>)>);

const HOST: &str = "127.0.0.1:";

impl Ports {
    /// Replaces the ports of a document by free ones.
    fn free(&mut self, text: &str) -> String {
        let mut parts = text.split(HOST);
        let mut replaced = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.chars().take_while(char::is_ascii_digit).count();
            let (port, rest) = part.split_at(digits);
            replaced.push_str(HOST);
            replaced.push_str(&self.port(port));
            replaced.push_str(rest);
        }
        replaced
    }

    fn port(&mut self, shown: &str) -> String {
        if shown.is_empty() || shown == "0" || shown == "1" {
            return shown.to_owned();
        }
        let entry = self.0.entry(shown.to_owned()).or_insert_with(|| {
            // Held until the shell starts, so that no two are the same.
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            (listener.local_addr().unwrap().port().to_string(), Some(listener))
        });
        entry.0.clone()
    }

    fn release(&mut self) {
        self.0.values_mut().for_each(|(_, listener)| *listener = None);
    }

    /// Puts the ports of the document back.
    fn shown(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (shown, (free, _))| {
            text.replace(&format!("{HOST}{free}"), &format!("{HOST}{shown}"))
        })
    }
}

const START: &str = "\
TOLLGATE_BCRYPT_COST=4 tollgate serve FLAGS >server.log 2>&1 &
TOLLGATE_PID=$!
for _ in $(seq 300); do curl -sf http://127.0.0.1:8000/readyz >/dev/null && break; sleep 0.1; done
";
const STOP: &str = "kill $TOLLGATE_PID; wait $TOLLGATE_PID\n";

/// Returns the shell's program. A mark follows the output of each command.
fn script(steps: &[Step], ports: &mut Ports) -> String {
    let mut script = String::from("exec 2>&1\n");
    for (number, step) in steps.iter().enumerate() {
        let text = match step {
            // A settings file has an address of its own.
            Step::Serve(flags) if flags.contains("--config") => START.replace("FLAGS", flags),
            Step::Serve(flags) => START.replace("FLAGS", &format!("--bind 127.0.0.1:8000 {flags}")),
            Step::Stop => STOP.to_owned(),
            Step::Run { command, .. } => format!("{command}\n"),
        };
        script.push_str(&ports.free(&text));
        script.push_str(&format!("printf '\\n--{number}--\\n'\n"));
    }
    script
}

/// The shell with all that it started, which ends with it.
struct Group(Child);

impl Group {
    fn of(shell: Child) -> Group {
        keeper::watch(shell.id(), "KILL");
        Group(shell)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.0.id() as i32).expect("a process id is positive");
        // None of them may be left.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.0.wait();
        keeper::forget(self.0.id());
    }
}

/// Runs the steps in a folder. Returns what each printed.
fn run(steps: &[Step], folder: &Path) -> Vec<String> {
    let binary = Path::new(env!("CARGO_BIN_EXE_tollgate")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    let mut ports = Ports::default();
    let script = script(steps, &mut ports);
    let output = folder.join(".output");
    ports.release();
    let shell = Command::new("bash")
        .args(["-c", &script])
        .env_clear()
        .envs([("PATH", path.as_str()), ("HOME", folder.to_str().unwrap()), ("LC_ALL", "C.UTF-8")])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&output).unwrap())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut group = Group::of(shell);
    wait::until("the blocks of a document", PATIENCE, || group.0.try_wait().unwrap());
    drop(group);
    let mut rest = ports.shown(&String::from_utf8_lossy(&std::fs::read(&output).unwrap()));
    let mut printed = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let mark = format!("\n--{number}--\n");
        let (part, after) = rest.split_once(&mark).unwrap_or_else(|| panic!("{step:?}: {rest}"));
        printed.push(part.trim_end_matches('\n').to_owned());
        rest = after.to_owned();
    }
    printed
}

/// Returns whether a text has the form that a document shows.
fn fits(printed: &str, shown: &str) -> bool {
    let (printed, shown): (Vec<&str>, Vec<&str>) = (printed.lines().collect(), shown.lines().collect());
    lines_fit(&printed, &shown)
}

fn lines_fit(printed: &[&str], shown: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((&"…", rest)) => (0..=printed.len()).any(|from| lines_fit(&printed[from..], rest)),
        Some((first, rest)) => {
            let Some((line, others)) = printed.split_first() else { return false };
            line_fits(line.trim_end(), first.trim_end()) && lines_fit(others, rest)
        }
    }
}

fn line_fits(line: &str, shown: &str) -> bool {
    let Some((before, after)) = shown.split_once('…') else { return line == shown };
    // Between two columns there may be one blank only.
    if before.ends_with(' ') && after.starts_with(' ') && line_fits(line, &format!("{before}{}", &after[1..]))
    {
        return true;
    }
    let Some(rest) = line.strip_prefix(before) else { return false };
    (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| line_fits(&rest[at..], after))
}

fn documents() -> Vec<(String, String)> {
    let mut texts = texts_of_the_repository();
    texts.retain(|(path, _)| {
        let is_in_docs = path.strip_prefix("docs/").is_some_and(|name| !name.contains('/'));
        path.ends_with(".md") && (is_in_docs || !path.contains('/'))
    });
    texts
}

#[test]
fn every_console_block_prints_what_its_document_shows() {
    let (mut count, mut wrong) = (0, String::new());
    for (path, text) in documents() {
        let (steps, _) = steps(&path, &text);
        if !steps.iter().any(|step| matches!(step, Step::Run { .. })) {
            continue;
        }
        let folder = temporary::directory();
        for (step, printed) in steps.iter().zip(run(&steps, folder.path())) {
            let Step::Run { line, command, shown } = step else { continue };
            count += 1;
            if !fits(&printed, shown) {
                wrong.push_str(&format!(
                    "{path}:{line}: $ {command}\n--- shown\n{shown}--- printed\n{printed}\n\n"
                ));
            }
        }
        let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
        if !wrong.is_empty() && !log.is_empty() {
            wrong.push_str(&format!("the server's log:\n{log}\n"));
        }
    }
    assert!(wrong.is_empty(), "documents show what is not so:\n{wrong}");
    assert!(count >= 20, "only {count} commands were run");
}

#[test]
fn blocks_commands_and_what_they_need_are_found() {
    let document = "\
text
<!-- console: server --chat-price 7 -->
```console
$ cat >a <<'END'
> b
> END
$ cat a
b
```
<!-- console: stop -->

<!-- tests/readme.rs runs this session. -->
```console
$ no such command
```
```sh
$ not run
```
";
    let (steps, elsewhere) = steps("README.md", document);
    let run = |line, command: &str, shown: &str| Step::Run {
        line,
        command: command.to_owned(),
        shown: shown.to_owned(),
    };
    assert_eq!(
        steps,
        [
            Step::Serve("--chat-price 7".to_owned()),
            run(4, "cat >a <<'END'\nb\nEND", ""),
            run(7, "cat a", "b\n"),
            Step::Stop,
        ]
    );
    assert_eq!(elsewhere, 1);
}

#[test]
fn placeholders_stand_for_text_and_for_lines() {
    for (printed, shown) in [
        ("", ""),
        ("a\nb", "a\nb"),
        ("took 3 s\n", "took … s"),
        ("a\nb\nc\nd", "a\n…\nd"),
        ("a\nd", "a\n…\nd"),
        ("x=1, y=é2", "x=…, y=…2"),
        ("a  ", "a"),
        ("a # b", "a … # b"),
        ("a    # b", "a … # b"),
    ] {
        assert!(fits(printed, shown), "{printed:?} {shown:?}");
    }
    for (printed, shown) in
        [("a", ""), ("", "a"), ("a\nb", "a"), ("took 3 m", "took … s"), ("a\nb", "a\n…\nc")]
    {
        assert!(!fits(printed, shown), "{printed:?} {shown:?}");
    }
}

#[test]
fn each_address_gets_a_free_port_and_is_shown_as_in_the_document() {
    let mut ports = Ports::default();
    let text = "curl http://127.0.0.1:8000/ 127.0.0.1:9000 127.0.0.1:8000 127.0.0.1:1 --bind 127.0.0.1:0";
    let free = ports.free(text);
    assert!(!free.contains(":8000") && free.contains("127.0.0.1:1 ") && free.ends_with("127.0.0.1:0"));
    assert_eq!(ports.shown(&free), text);
}
