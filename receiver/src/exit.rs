//! What the program says to the script that called it.

pub use mimeo_console::Exit;

/// The codes as `--help` lists them.
pub(crate) const HELP: &str = "\
Exit codes:
  0    the image was written, flushed and verified
  1    failure
  2    usage: the command line cannot be carried out
  3    the target was refused
  4    no session was joined in time, or too few receivers were
  6    digest mismatch: what arrived, or what the target reads back, is not the image
  7    not admitted
  130  interrupted";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_the_help_lists() {
        let listed: Vec<u8> = HELP
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect();
        let ours = Exit::ALL
            .into_iter()
            .filter(|exit| *exit != Exit::ReceiversFailed);
        assert_eq!(listed, ours.map(Exit::code).collect::<Vec<_>>());
        assert_eq!(listed, [0, 1, 2, 3, 4, 6, 7, 130]);
    }
}
