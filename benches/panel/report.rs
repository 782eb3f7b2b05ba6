//! Prints the tables of all pages. Times above the limit are bold.

use std::collections::BTreeMap;
use std::fs;

use crate::Result;

/// The most that a page should take at the server, in ms.
const LIMIT: f64 = 50.0;

struct Line {
    group: String,
    what: String,
    path: String,
    best: f64,
    median: f64,
    worst: f64,
    part: bool,
}

fn read(file: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for line in fs::read_to_string(file)?.lines() {
        let [group, what, path, best, median, worst, part] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("{file}: {line}").into());
        };
        lines.push(Line {
            group: group.to_owned(),
            what: what.to_owned(),
            path: path.to_owned(),
            best: best.parse()?,
            median: median.parse()?,
            worst: worst.parse()?,
            part: part == "part",
        });
    }
    Ok(lines)
}

pub fn print(sqlite: &str, postgres: &str) -> Result<()> {
    let (mut sqlite, mut postgres) = (read(sqlite)?, read(postgres)?);
    println!("| | SQLite | PostgreSQL |\n| --- | --- | --- |");
    let both = |of: &dyn Fn(&[Line]) -> String| (of(&sqlite), of(&postgres));
    let memory = |lines: &[Line]| {
        let line = lines.iter().find(|line| line.group == "memory");
        line.map_or(String::new(), |line| format!("{} → {} → {} MB", line.best, line.median, line.worst))
    };
    let row = |label: &str, (a, b): (String, String)| println!("| {label} | {a} | {b} |");
    row("the server's memory before, after the pages, after selecting all", both(&memory));
    sqlite.retain(|line| line.group != "memory");
    postgres.retain(|line| line.group != "memory");
    let both = |of: &dyn Fn(&[Line]) -> String| (of(&sqlite), of(&postgres));
    row("pages", both(&|lines| lines.len().to_string()));
    row("pages above 50 ms (median)", both(&|lines| above(lines)));
    row("slowest page (median)", both(&|lines| slowest(lines, |line| line.median)));
    row("slowest page (best of 7)", both(&|lines| slowest(lines, |line| line.best)));
    row("slowest single response", both(&|lines| slowest(lines, |line| line.worst)));
    row("median of all pages", both(&|lines| middle(lines)));
    let mut groups: Vec<&str> = Vec::new();
    for line in &sqlite {
        if !groups.contains(&line.group.as_str()) {
            groups.push(&line.group);
        }
    }
    let other: BTreeMap<(&str, &str), &Line> =
        postgres.iter().map(|line| ((line.group.as_str(), line.what.as_str()), line)).collect();
    for group in groups {
        println!(
            "\n## {group}\n\n| page | SQLite | worst | PostgreSQL | worst | part |\n| --- | --- | --- | --- | --- | --- |"
        );
        for line in sqlite.iter().filter(|line| line.group == group) {
            let postgres = other.get(&(group, line.what.as_str()));
            let time = |time: f64| if time > LIMIT { format!("**{time:.1}**") } else { format!("{time:.1}") };
            let part = match (line.part, postgres.is_some_and(|line| line.part)) {
                (true, true) => "both",
                (true, false) => "SQLite",
                (false, true) => "PostgreSQL",
                (false, false) => "",
            };
            let (median, worst) = postgres.map_or((String::new(), String::new()), |line| {
                (time(line.median), format!("{:.1}", line.worst))
            });
            println!(
                "| {} | {} | {:.1} | {median} | {worst} | {part} |",
                line.what,
                time(line.median),
                line.worst
            );
        }
    }
    Ok(())
}

fn above(lines: &[Line]) -> String {
    lines.iter().filter(|line| line.median > LIMIT).count().to_string()
}

fn slowest(lines: &[Line], of: fn(&Line) -> f64) -> String {
    let slowest = lines.iter().max_by(|a, b| of(a).total_cmp(&of(b)));
    slowest.map_or(String::new(), |line| format!("{:.1} ms: `{}`", of(line), line.path))
}

fn middle(lines: &[Line]) -> String {
    let mut times: Vec<f64> = lines.iter().map(|line| line.median).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).map_or(String::new(), |time| format!("{time:.1} ms"))
}
