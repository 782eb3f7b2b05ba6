use std::process::ExitCode;

/// glibc's own allocator keeps the memory that a storm of requests has taken: docs/decisions.md.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tollgate::cli::main()
}
