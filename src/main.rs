//! The `tollgate` binary: starts the command line of the library.

use std::process::ExitCode;

/// glibc's own allocator does not return the memory that many simultaneous requests took
/// (`docs/decisions.md`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tollgate::cli::main()
}
