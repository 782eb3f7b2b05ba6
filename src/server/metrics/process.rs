//! What the system says of this process, under the names that Prometheus' own clients use.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// What is known of the process. `None` if the system does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Process {
    /// CPU time of all threads, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Memory that is really used, in bytes.
    pub resident_bytes: Option<u64>,
    /// Memory that is addressed, in bytes.
    pub virtual_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// When it was started, in seconds since 1970.
    pub started: Option<f64>,
    /// Open files and sockets.
    pub open_files: Option<u64>,
    /// The most open files and sockets.
    pub most_files: Option<u64>,
}

impl Process {
    /// Asks the system.
    pub(super) fn now() -> Process {
        let process = Process {
            open_files: open_files(),
            most_files: getrlimit(Resource::Nofile).current,
            ..Process::default()
        };
        match fs::read_to_string("/proc/self/stat") {
            Ok(stat) => process.with(&stat, boot_time()),
            Err(_) => process,
        }
    }

    /// Adds what `/proc/self/stat` has (proc(5)).
    fn with(self, stat: &str, boot_time: Option<u64>) -> Process {
        // The program's name may contain anything.
        let Some((_, fields)) = stat.rsplit_once(") ") else { return self };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // The first of these is the third field of the line.
        let number = |place: usize| fields.get(place - 3)?.parse::<u64>().ok();
        let ticks = clock_ticks_per_second().max(1) as f64;
        let seconds = |ticks_passed: u64| ticks_passed as f64 / ticks;
        let page_size = u64::try_from(page_size()).unwrap_or(0);
        Process {
            cpu_seconds: number(14).zip(number(15)).map(|(user, system)| seconds(user + system)),
            threads: number(20),
            started: boot_time.zip(number(22)).map(|(boot, started)| boot as f64 + seconds(started)),
            virtual_bytes: number(23),
            resident_bytes: number(24).map(|pages| pages * page_size),
            ..self
        }
    }
}

fn open_files() -> Option<u64> {
    let files = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the folder.
    Some(u64::try_from(files).ok()?.saturating_sub(1))
}

/// Returns when the machine was started, in seconds since 1970.
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_fields_are_found_whatever_the_program_is_called() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1200 4096000 30 0";
        let process = Process::default().with(stat, Some(1_000));
        let ticks = clock_ticks_per_second() as f64;
        assert_eq!(process.cpu_seconds, Some(300.0 / ticks));
        assert_eq!((process.threads, process.virtual_bytes), (Some(9), Some(4_096_000)));
        assert_eq!(process.started, Some(1_000.0 + 1_200.0 / ticks));
        assert_eq!(process.resident_bytes, Some(30 * page_size() as u64));
        assert_eq!(Process::default().with("nothing", None).threads, None);
    }

    #[test]
    fn this_process_has_plausible_numbers() {
        let process = Process::now();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(process.started.is_some_and(|started| started <= now + 1.0 && started > now - 86_400.0));
        assert!(process.threads.is_some_and(|threads| threads >= 1));
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(process.open_files.is_some_and(|files| files >= 3), "{process:?}");
        assert!(process.cpu_seconds.is_some_and(|seconds| seconds >= 0.0));
    }
}
