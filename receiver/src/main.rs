//! The program `mimeo-receiver`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    mimeo_receiver::main(std::env::args_os())
}
