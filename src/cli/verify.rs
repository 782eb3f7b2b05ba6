//! `tollgate verify`.

use super::{Refusal, explain, open_migrated};
use crate::config::Config;
use crate::metering::verify;

pub(super) fn run(config: &Config) -> Result<(), Refusal> {
    let db = open_migrated(config)?;
    let findings = verify::verify(&db).map_err(explain)?;
    let mut wrong = 0;
    for finding in findings {
        println!("{}  {}", if finding.faults.is_empty() { "ok   " } else { "WRONG" }, finding.claim);
        for fault in &finding.faults {
            println!("         {} {}", fault.subject, fault.fault);
        }
        if finding.more {
            println!("         and more");
        }
        wrong += usize::from(!finding.faults.is_empty());
    }
    match wrong {
        0 => Ok(()),
        count => Err(format!("{count} of the claims above do not hold for {}", db.url())),
    }
}
