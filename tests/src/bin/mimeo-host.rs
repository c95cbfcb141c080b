//! Is the sender or the receiver, as its first argument says: for tests that need them
//! as processes.

use std::process::ExitCode;

fn main() -> ExitCode {
    mimeo_benches::programs::play_role().unwrap_or_else(|| {
        eprintln!("mimeo-host is started by tests, with as-sender or as-receiver");
        ExitCode::from(2)
    })
}
