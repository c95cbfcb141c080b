//! Slow receivers: on the command line, and in words.

use std::time::Duration;

use mimeo_console::human;
use mimeo_image::ByteSize;
use mimeo_protocol::sender::{About, Member, MemberState, Slow, SlowPolicy, SlowRules};
use mimeo_protocol::wire::SlowReason;

use crate::status::Severity;

/// Receivers that hold up a room and are told by name; beyond these they are counted.
const NAMED: usize = 8;

/// What becomes of slow receivers, as it is said on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Policy {
    /// The others go on; it keeps what it catches and gets the rest in a later cycle
    Demote,
    /// The room waits for it
    Wait,
    /// It is sent away
    Drop,
}

/// Reads a share of 1 % to 90 %.
///
/// # Errors
///
/// Says what is expected, for everything else.
pub(crate) fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    match number.parse() {
        Ok(percent @ 1..=90) => Ok(percent),
        _ => Err(format!("expected 1% to 90%, found {text:?}")),
    }
}

/// The rules; `None` if a stream, which is sent once, is to serve somebody later. Without a policy
/// a stream waits, and anything else demotes.
pub(crate) fn rules(
    policy: Option<Policy>,
    after: Duration,
    below: u8,
    stream: bool,
) -> Option<SlowRules> {
    let policy = match policy {
        Some(Policy::Demote) if stream => return None,
        Some(Policy::Demote) => SlowPolicy::Demote,
        Some(Policy::Wait) => SlowPolicy::Wait,
        Some(Policy::Drop) => SlowPolicy::Drop,
        None if stream => SlowPolicy::Wait,
        None => SlowPolicy::Demote,
    };
    Some(SlowRules {
        policy,
        after,
        below: f64::from(below) / 100.0,
    })
}

/// How slow a receiver is: `disk: writes 18.0 MB/s, the room 240.0 MB/s`.
fn pace(slow: &Slow) -> String {
    let verb = match slow.reason {
        SlowReason::Disk => "writes",
        SlowReason::Processor | SlowReason::Memory | SlowReason::Network | SlowReason::Output => {
            "takes"
        }
    };
    let rate = |rate: u64| match slow.reason {
        SlowReason::Network => human::rate(rate),
        _ if rate == 0 => "nothing".to_owned(),
        _ => format!("{}/s", ByteSize(rate)),
    };
    let (reason, own, room) = (slow.reason.name(), rate(slow.own), rate(slow.room));
    format!("{reason}: {verb} {own}, the room {room}")
}

/// What the operator is told when most of a room was found to be slow, the slowest first.
pub(crate) fn held_up<'a>(
    by: impl Iterator<Item = (&'a About, &'a Slow)>,
    policy: SlowPolicy,
) -> String {
    let named = by.map(|(about, slow)| {
        let (name, ip) = (&about.host_name, about.address.ip());
        format!("{name} ({ip}; {})", pace(slow))
    });
    let mut named: Vec<String> = named.collect();
    let more = named.len().saturating_sub(NAMED);
    if more > 0 {
        named.truncate(NAMED);
        named.push(format!("and {more} more"));
    }
    let others = match policy {
        SlowPolicy::Wait => "",
        SlowPolicy::Demote => ": no more than half of a room is served later",
        SlowPolicy::Drop => ": no more than half of a room is sent away",
    };
    let named = named.join(", ");
    format!("most of the room is slow, and it waits for them{others}. Slow: {named}")
}

/// What the operator is told when a receiver was found to be slow.
pub(crate) fn found(member: &Member) -> Option<(Severity, String)> {
    let slow = member.slow.as_ref()?;
    let follows = match member.state {
        MemberState::Demoted { .. } => "it is served after the others",
        _ => "the room waits for it",
    };
    let about = &member.about;
    let (name, ip, pace) = (&about.host_name, about.address.ip(), pace(slow));
    let text = format!("{name} ({ip}) is slow ({pace}): {follows}");
    Some((Severity::Warn, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimeo_protocol::ids::Mac;

    #[test]
    fn a_share_has_a_sign_or_not() {
        assert_eq!(percent("50%"), Ok(50));
        assert_eq!(percent("25"), Ok(25));
        for text in ["0%", "91%", "", "%", "half", "50 %", "-5%"] {
            assert!(percent(text).unwrap_err().contains("1% to 90%"), "{text}");
        }
    }

    #[test]
    fn those_who_hold_up_a_room_are_named_with_what_makes_them_slow() {
        let about = |number: u8| About {
            host_name: format!("pc{number}"),
            mac: Mac::default(),
            target_id: 1,
            link_speed: 1000,
            capacity: 1,
            resumes: false,
            piped: false,
            address: ([10, 77, 0, number], 5000).into(),
        };
        let slow = |reason, own, room| Slow {
            reason,
            own,
            room,
            datagrams: 1.0,
        };
        let port = slow(SlowReason::Network, 20_000_000, 100_000_000);
        let disk = slow(SlowReason::Disk, 3_000_000, 12_500_000);
        let (one, two) = (about(1), about(2));
        let by = [(&one, &port), (&two, &disk)];
        let named = "Slow: pc1 (10.77.0.1; network: takes 20.0 Mbit/s, the room 100.0 Mbit/s), \
                     pc2 (10.77.0.2; disk: writes 3.0 MB/s, the room 12.5 MB/s)";
        let waits = "most of the room is slow, and it waits for them";
        for (policy, why) in [
            (SlowPolicy::Wait, ""),
            (
                SlowPolicy::Demote,
                ": no more than half of a room is served later",
            ),
            (
                SlowPolicy::Drop,
                ": no more than half of a room is sent away",
            ),
        ] {
            let text = held_up(by.into_iter(), policy);
            assert_eq!(text, format!("{waits}{why}. {named}"));
        }
        let crowd: Vec<About> = (1..=30).map(about).collect();
        let text = held_up(crowd.iter().map(|one| (one, &port)), SlowPolicy::Wait);
        assert_eq!(text.matches("10.77.0.").count(), NAMED);
        assert!(text.ends_with(", and 22 more"), "{text}");
    }

    #[test]
    fn a_stream_waits_unless_it_is_told_to_drop() {
        let policy = |policy, stream| {
            let rules = rules(policy, Duration::from_secs(1), 25, stream)?;
            assert_eq!((rules.after, rules.below), (Duration::from_secs(1), 0.25));
            Some(rules.policy)
        };
        assert_eq!(policy(None, false), Some(SlowPolicy::Demote));
        assert_eq!(policy(None, true), Some(SlowPolicy::Wait));
        assert_eq!(policy(Some(Policy::Drop), true), Some(SlowPolicy::Drop));
        assert_eq!(policy(Some(Policy::Wait), false), Some(SlowPolicy::Wait));
        assert_eq!(policy(Some(Policy::Demote), true), None);
    }
}
