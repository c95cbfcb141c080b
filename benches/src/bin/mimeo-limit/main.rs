//! `mimeo-limit`: multicasts a file without any protocol, to see what the network and
//! the kernel allow.

use std::process::ExitCode;

fn main() -> ExitCode {
    mimeo_benches::limit::main(std::env::args_os())
}
