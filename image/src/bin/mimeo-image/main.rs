//! The program `mimeo-image`: what is done to images and their keys without a room.
//!
//! Each subcommand is a file of its own: its arguments, and a function that carries them out.

mod check;
mod cli;
mod info;
mod keygen;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os())
}
