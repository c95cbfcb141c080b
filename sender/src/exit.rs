//! What the program says to the script that called it.

pub use mimeo_console::Exit;

/// The codes as `--help` lists them.
pub(crate) const HELP: &str = "\
Exit codes:
  0    every receiver that joined verified the image (and at least --min-receivers)
  1    failure
  2    usage: the command line cannot be carried out
  3    the source was refused
  4    too few receivers came in time
  5    some receivers failed, or fewer than --min-receivers verified
  6    digest mismatch: a receiver holds something else than the image
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
            .filter(|exit| *exit != Exit::NotAdmitted);
        assert_eq!(listed, ours.map(Exit::code).collect::<Vec<_>>());
        assert_eq!(listed, [0, 1, 2, 3, 4, 5, 6, 130]);
    }
}
