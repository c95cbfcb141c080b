//! The join code, and who does not get in, as the operator sees it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use mimeo_console::{JoinCode, Severity};
use mimeo_protocol::keys::Secret;
use mimeo_protocol::sender::About;

use super::Engine;

/// What a machine is told to join with this code, and with these options of the receiver.
pub(crate) fn shown(code: &JoinCode, options: &str) -> String {
    format!("join code {code}; on every machine: mimeo-receiver --code {code}{options} TARGET")
}

/// Lines about joins that came to nothing: whoever guesses could fill the screen with them.
#[derive(Debug, Default)]
pub(super) struct Unproven {
    told: u32,
    untold: u32,
    last: Option<Instant>,
}

impl Unproven {
    /// Lines about single machines, before they are only counted ...
    const MOST: u32 = 10;
    /// ... in a line that is this far from the one before it.
    const EVERY: Duration = Duration::from_secs(30);

    /// One more. Returns whether it gets a line of its own.
    fn count(&mut self, now: Instant) -> bool {
        let single = self.told < Self::MOST;
        if single {
            self.told += 1;
            self.last = Some(now);
        } else {
            self.untold += 1;
        }
        single
    }

    /// How many had no line, when it is time to tell.
    fn due(&mut self, now: Instant) -> Option<u32> {
        let waited = self.last.is_none_or(|last| now >= last + Self::EVERY);
        if self.untold == 0 || !waited {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

impl Engine {
    /// Admits by another code from now on; who is in stays.
    pub(super) fn renew_code(&mut self) {
        if !self.has_code {
            let text = "this session has no join code to be renewed";
            return self.tell(Severity::Info, text.to_owned());
        }
        let mut random = [0; 32];
        if let Err(error) = getrandom::fill(&mut random) {
            let text = format!("no random numbers for another join code: {error}");
            return self.tell(Severity::Warn, text);
        }
        let code = JoinCode::draw(random);
        self.endpoint.renew_secret(Secret::of_code(&code));
        self.tell(Severity::Info, shown(&code, &self.join_options));
    }

    pub(super) fn tell_unproven(&mut self, about: &About) {
        if !self.unproven.count(Instant::now()) {
            return;
        }
        let question = match self.has_code {
            true => "was it given another code, or another --sender-key?",
            false => "is its --key-file the same, and its --sender-key that of this sender?",
        };
        let (name, ip) = (&about.host_name, about.address.ip());
        let text = format!("{name} ({ip}) asked to join and did not go on: {question}");
        self.tell(Severity::Warn, text);
    }

    /// What was not told one by one.
    pub(super) fn tell_more_unproven(&mut self) {
        if let Some(more) = self.unproven.due(Instant::now()) {
            let text = format!("{more} more asked to join and did not go on");
            self.tell(Severity::Warn, text);
        }
    }

    /// Somebody tries codes.
    pub(super) fn tell_exhausted(&self) {
        let remedy = match self.has_keys {
            true => "type c and Enter for another code".to_owned(),
            false => format!("for another code run: kill -USR1 {}", std::process::id()),
        };
        let text = format!(
            "1000 joins with a wrong code: nobody is admitted any more, those who are in go on; {remedy}"
        );
        self.tell(Severity::Warn, text);
    }

    /// Who looks for a session and does not join it holds another kind of secret, or does not hear the
    /// answers.
    pub(super) fn tell_of_seekers(&self) -> bool {
        let roster = self.endpoint.session().roster();
        let is_in = |ip: &IpAddr| {
            let mut members = roster.members();
            members.any(|(_, member)| member.about.address.ip() == *ip)
        };
        let seekers: Vec<String> = self
            .endpoint
            .seekers()
            .iter()
            .filter(|ip| !is_in(ip))
            .map(ToString::to_string)
            .collect();
        if let Some(text) = seekers_text(&seekers, self.asks_for) {
            self.tell(Severity::Warn, text);
        }
        !seekers.is_empty()
    }
}

/// Addresses that are named.
const NAMED: usize = 8;

fn seekers_text(seekers: &[String], asks_for: &str) -> Option<String> {
    if seekers.is_empty() {
        return None;
    }
    let named = seekers[..seekers.len().min(NAMED)].join(", ");
    let more = match seekers.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "looking for a session, but not joining this one: {named}{more}. This session asks for \
         {asks_for}: what were they given? Else they do not hear the answers: a firewall, or another \
         VLAN"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to start from"
    )]
    fn a_thousand_wrong_codes_are_a_few_lines() {
        let start = Instant::now();
        let mut unproven = Unproven::default();
        let single = (0..1000).filter(|_| unproven.count(start)).count();
        assert_eq!(single, 10);
        let soon = start + Duration::from_secs(29);
        assert_eq!(unproven.due(soon), None);
        let later = start + Duration::from_secs(30);
        assert_eq!(unproven.due(later), Some(990));
        assert_eq!(unproven.due(later + Duration::from_secs(60)), None);
        assert!(!unproven.count(later));
        assert_eq!(unproven.due(later), None);
        assert_eq!(unproven.due(later + Unproven::EVERY), Some(1));
    }

    #[test]
    fn who_looks_for_a_session_is_named() {
        let ips: Vec<String> = (1..=10).map(|last| format!("10.77.0.{last}")).collect();
        assert_eq!(seekers_text(&[], "nothing"), None);
        let said = seekers_text(&ips[..1], "its join code (--code)").unwrap();
        assert!(said.contains("10.77.0.1. This session asks for its join code (--code)"));
        let said = seekers_text(&ips, "nothing (--open)").unwrap();
        assert!(said.contains("10.77.0.8 and 2 more."), "{said}");
    }
}
