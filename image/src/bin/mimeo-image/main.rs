//! The program `mimeo-image`: what is done to images and their keys without a room.
//!
//! Each subcommand is a file of its own: its arguments, and a function that carries them out.

mod capture;
mod check;
mod cli;
mod disk;
mod export;
mod info;
mod keygen;
mod keys;
mod mount;
mod outcome;
mod progress;
mod restore;
mod sign;
mod signals;
mod verify;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os())
}
