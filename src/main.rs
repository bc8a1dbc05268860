//! The thin binary: everything is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

fn main() -> ExitCode {
    bursar::cli::main()
}

/// The system's leaves holes between tokens that nothing fits into: twice as much as the tokens themselves.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;
