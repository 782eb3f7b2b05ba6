//! `tollgate verify`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::{print_json, print_line};
use super::{Refusal, explain, open_migrated};
use crate::config::Database;
use crate::metering::verify::{self, Fault, Finding};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Write the findings to standard output as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    database: Database,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Refusal> {
    let db = open_migrated(&args.database)?;
    let findings = verify::verify(&db).map_err(explain)?;
    let wrong = findings.iter().filter(|finding| !finding.faults.is_empty()).count();
    if args.json {
        let claims: Vec<Value> = findings.iter().map(claim).collect();
        print_json(&json!({ "ok": wrong == 0, "database": db.url().to_string(), "claims": claims }))?;
    } else {
        findings.iter().try_for_each(print)?;
    }
    if wrong == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("tollgate: {wrong} of the claims above do not hold for {}", db.url());
    Ok(ExitCode::FAILURE)
}

fn print(finding: &Finding) -> Result<(), Refusal> {
    let outcome = if finding.faults.is_empty() { "ok   " } else { "WRONG" };
    print_line(format_args!("{outcome}  {}", finding.claim))?;
    for fault in &finding.faults {
        print_line(format_args!("         {} {}", fault.subject, fault.fault))?;
    }
    if finding.more {
        print_line(format_args!("         and more"))?;
    }
    Ok(())
}

fn claim(finding: &Finding) -> Value {
    let fault = |fault: &Fault| json!({ "subject": fault.subject, "fault": fault.fault });
    json!({
        "claim": finding.claim,
        "ok": finding.faults.is_empty(),
        "faults": finding.faults.iter().map(fault).collect::<Vec<_>>(),
        "more": finding.more,
    })
}
