//! The settings of backups that the server makes.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// The longest period, in seconds: a year.
const LONGEST: u64 = 366 * 24 * 60 * 60;

/// Settings of scheduled backups.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Backups (SQLite)")]
pub struct BackupArgs {
    /// Folder for backups that the server makes; empty: none are made [default: none]
    #[arg(global = true, long, env = "TOLLGATE_BACKUP_DIR", value_name = "FOLDER", value_parser = folder)]
    pub backup_dir: Option<PathBuf>,
    /// Time between two backups, such as 24h, 90m or 7d; 0: only the panel's button makes one
    #[arg(global = true, long, env = "TOLLGATE_BACKUP_EVERY", value_name = "TIME", default_value = "24h",
          value_parser = period)]
    pub backup_every: Duration,
    /// Scheduled backups that are kept, and as many of those that the panel's button made; older
    /// ones are deleted after a good one; 0: all are kept
    #[arg(global = true, long, env = "TOLLGATE_BACKUP_KEEP", value_name = "COUNT", default_value_t = 7,
          value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub backup_keep: u32,
}

/// Parses the path of a folder. The empty text switches backups off.
fn folder(text: &str) -> Result<PathBuf, String> {
    if text.contains('\0') {
        return Err("a path has no NUL character".to_owned());
    }
    Ok(PathBuf::from(text))
}

/// Parses a number with its unit: seconds, minutes, hours or days.
fn period(text: &str) -> Result<Duration, String> {
    let wrong = || "give a number and its unit: 90m, 24h, 7d, at most 366d; 0: no schedule".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (number, seconds) = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))
        .ok_or_else(wrong)?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
    let period = number.checked_mul(seconds).filter(|period| (1..=LONGEST).contains(period));
    period.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_a_unit() {
        let seconds = |text| period(text).map(|period| period.as_secs());
        for (text, expected) in
            [("0", 0), ("1s", 1), ("90m", 5_400), ("24h", 86_400), ("7d", 604_800), ("366d", 31_622_400)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in
            ["", "24", "h", "1w", "+1h", "-1h", "1.5h", " 1h", "1 h", "0h", "367d", "99999999999999999999d"]
        {
            assert!(seconds(text).is_err(), "{text:?}");
        }
    }
}
