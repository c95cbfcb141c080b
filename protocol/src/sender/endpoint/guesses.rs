//! How often somebody may try a join code, or hold a place without showing a key.
//!
//! Every welcome lets its receiver try one code, and only its first datagram under the right keys
//! shows that it was the right one. So a welcome counts as a guess until then, and as a failure once
//! its entry is forgotten without.
//!
//! The key of a file has 256 bits: nobody finds it by trying, so failures there do not end anything,
//! or whoever has some addresses could lock a room out that nobody stands in front of. What is open
//! is bounded all the same, as each welcome costs an exchange and a place.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::ids::ReceiverNumber;
use crate::wire::Auth;

/// Failures after which nobody is admitted any more until there is another code. Of the 4 * 10^8
/// codes that leaves one in 400,000 to be found.
const MOST_FAILURES: usize = 1000;

/// Guesses that may be open at a time, of all addresses together.
const MOST_OPEN_OF_ALL: usize = 1000;

/// Addresses whose failures are kept: more than there are where failures end a session. Where they
/// do not, an address beyond these counts as one that has failed often.
const MOST_ADDRESSES: usize = 4096;

/// Guesses that one address may have open at a time, less one for each failure of its own; one it may
/// always have. A machine that shows a thousand wrong codes needs four hours for it, and does not use
/// up the failures of all.
const MOST_OPEN: usize = 10;

/// Why a join is not answered with a welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There were too many failures.
    Exhausted,
    /// Not before one of the open guesses is known to be right or wrong.
    Later,
}

/// The guesses of a session.
#[derive(Debug)]
pub(super) struct Guesses {
    auth: Auth,
    open: HashMap<ReceiverNumber, IpAddr>,
    failures: usize,
    failed: HashMap<IpAddr, usize>,
}

impl Guesses {
    pub(super) fn new(auth: Auth) -> Self {
        Self {
            auth,
            open: HashMap::new(),
            failures: 0,
            failed: HashMap::new(),
        }
    }

    /// Whether this address may try a code now.
    pub(super) fn may_try(&self, from: IpAddr) -> Result<(), Refusal> {
        if self.is_exhausted() {
            return Err(Refusal::Exhausted);
        }
        let open = self.open.values().filter(|&&ip| ip == from).count();
        let fits = open < MOST_OPEN.saturating_sub(self.failed_from(from)).max(1);
        let left = if self.auth == Auth::Code {
            MOST_FAILURES - self.failures
        } else {
            MOST_OPEN_OF_ALL
        };
        match fits && self.open.len() < left {
            true => Ok(()),
            false => Err(Refusal::Later),
        }
    }

    fn failed_from(&self, from: IpAddr) -> usize {
        let is_full = self.failed.len() >= MOST_ADDRESSES;
        let unknown = if is_full { MOST_OPEN } else { 0 };
        self.failed.get(&from).copied().unwrap_or(unknown)
    }

    /// A welcome was sent.
    pub(super) fn on_welcomed(&mut self, number: ReceiverNumber, from: IpAddr) {
        self.open.insert(number, from);
    }

    /// A receiver has shown that it holds the code.
    pub(super) fn on_proven(&mut self, number: ReceiverNumber) {
        self.open.remove(&number);
    }

    /// A receiver was forgotten: a failure, if it never showed that it holds the code.
    pub(super) fn on_forgotten(&mut self, number: ReceiverNumber) {
        if let Some(from) = self.open.remove(&number)
            && self.auth != Auth::Open
        {
            self.failures += 1;
            if self.failed.len() < MOST_ADDRESSES || self.failed.contains_key(&from) {
                *self.failed.entry(from).or_default() += 1;
            }
        }
    }

    /// Whether nobody may try any more.
    pub(super) fn is_exhausted(&self) -> bool {
        self.auth == Auth::Code && self.failures >= MOST_FAILURES
    }

    /// There is another code: what was tried before says nothing about it. Welcomes that are open
    /// were sealed under the former.
    pub(super) fn start_over(&mut self) {
        (self.failures, self.failed) = (0, HashMap::new());
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u16) -> IpAddr {
        let [high, low] = last.to_be_bytes();
        IpAddr::from([10, 0, high, low])
    }

    #[test]
    fn one_address_gets_ten_at_once_and_then_fewer() {
        let mut guesses = Guesses::new(Auth::Code);
        for number in 0..10 {
            assert_eq!(guesses.may_try(ip(1)), Ok(()));
            guesses.on_welcomed(ReceiverNumber(number), ip(1));
        }
        assert_eq!(guesses.may_try(ip(1)), Err(Refusal::Later));
        assert_eq!(
            guesses.may_try(ip(2)),
            Ok(()),
            "others are not kept waiting"
        );
        guesses.on_proven(ReceiverNumber(0));
        assert_eq!(guesses.may_try(ip(1)), Ok(()), "a right one does not count");
        for number in 1..10 {
            guesses.on_forgotten(ReceiverNumber(number));
        }
        guesses.on_forgotten(ReceiverNumber(0));
        assert_eq!(guesses.failures, 9, "one was right");
        assert_eq!(guesses.may_try(ip(1)), Ok(()));
        guesses.on_welcomed(ReceiverNumber(20), ip(1));
        assert_eq!(guesses.may_try(ip(1)), Err(Refusal::Later), "one at a time");
    }

    #[test]
    fn a_thousand_failures_are_the_end_until_there_is_another_code() {
        let mut guesses = Guesses::new(Auth::Code);
        for number in 0..1000 {
            assert_eq!(guesses.may_try(ip(number)), Ok(()), "{number}");
            guesses.on_welcomed(ReceiverNumber(number), ip(number));
        }
        assert_eq!(
            guesses.may_try(ip(5000)),
            Err(Refusal::Later),
            "all are open"
        );
        for number in 0..1000 {
            guesses.on_forgotten(ReceiverNumber(number));
        }
        assert_eq!(guesses.may_try(ip(5000)), Err(Refusal::Exhausted));
        guesses.start_over();
        assert_eq!(guesses.may_try(ip(5000)), Ok(()));
    }

    #[test]
    fn joins_with_a_wrong_key_never_end_the_joins_with_the_right_one() {
        let mut guesses = Guesses::new(Auth::KeyFile);
        for round in 0..7 {
            for number in 0..1000 {
                let from = ip(1000 * round + number);
                assert_eq!(guesses.may_try(from), Ok(()), "{from}");
                guesses.on_welcomed(ReceiverNumber(number), from);
            }
            assert_eq!(guesses.may_try(ip(9000)), Err(Refusal::Later));
            for number in 0..1000 {
                guesses.on_forgotten(ReceiverNumber(number));
            }
            assert!(!guesses.is_exhausted());
        }
        assert_eq!(guesses.failed.len(), MOST_ADDRESSES, "that is bounded");
        guesses.on_welcomed(ReceiverNumber(0), ip(9000));
        assert_eq!(
            guesses.may_try(ip(9000)),
            Err(Refusal::Later),
            "one at a time"
        );
    }
}
