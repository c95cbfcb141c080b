//! The program `mimeo-sender`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    mimeo_sender::main(std::env::args_os())
}
