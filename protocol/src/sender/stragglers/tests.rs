//! The finder alone, with made-up reports every 100 ms.

use super::*;
use crate::ids::{Seq, Slot};
use crate::units::{BlockNumber, PageNumber};
use crate::wire::{Effort, Report, Stage};

const PERIOD: Duration = Duration::from_millis(100);

/// Datagrams of the room per second: 20 blocks in a period.
const PACE: f64 = 37_400.0;

/// A made-up receiver, all rates in datagrams per second.
#[derive(Clone, Copy)]
struct Fake {
    /// What its disk takes, and the part of the pace that it is given to write.
    disk: f64,
    session: f64,
    /// Share of each period in which the sender waits for it, and for what.
    bound: Option<(Brake, f64)>,
    carries: Carries,
    limits_rate: bool,
    loss: f64,
    demoted: bool,
    ahead: bool,
    window: u32,
    piped: bool,
    /// Whether its disk has not ended a write since the beginning.
    hangs: bool,
    /// Whether nothing comes from it any more.
    dead: bool,
}

fn fast() -> Fake {
    Fake {
        disk: 10.0 * PACE,
        session: 10.0 * PACE,
        bound: None,
        carries: Carries {
            at_most: None,
            at_least: 3.0 * PACE,
        },
        limits_rate: false,
        loss: 0.0,
        demoted: false,
        ahead: true,
        window: 8192,
        piped: false,
        hangs: false,
        dead: false,
    }
}

fn slow_disk(disk: f64) -> Fake {
    Fake {
        disk,
        bound: Some((Brake::Credit, 0.9)),
        ..fast()
    }
}

/// A room that goes at the pace of its slowest.
struct Tester {
    stragglers: Stragglers,
    now: Instant,
    periods: u32,
    fakes: Vec<Fake>,
    reports: Vec<Report>,
    heard_at: Vec<Instant>,
    position: Position,
    link: f64,
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to start from"
)]
fn epoch() -> Instant {
    Instant::now()
}

impl Tester {
    fn new(fakes: &[Fake]) -> Self {
        let report = Report {
            stage: Stage::Receiving,
            seq_seen: Seq(0),
            held_us: 0,
            received: 0,
            expected: 0,
            socket_drops: 0,
            window: 0,
            credit: Slot(0),
            blocks_done: 0,
            bytes_written: 0,
            bytes_kept: 0,
            bytes_verified: 0,
            busy_ms: 0,
            effort: Effort::default(),
            buffers: 256,
            turn: 0,
            bad_blocks: 0,
            forged_symbols: 0,
            pages_up_to: PageNumber(0),
            missing_pages: Vec::new(),
            spoiled: Vec::new(),
            complete_up_to: BlockNumber(0),
            covered_up_to: BlockNumber(0),
            deficits: Vec::new(),
        };
        let now = epoch();
        Self {
            stragglers: Stragglers::new(SlowRules::default()),
            now,
            heard_at: vec![now; fakes.len()],
            periods: 0,
            fakes: fakes.to_vec(),
            reports: vec![report; fakes.len()],
            position: Position {
                slots: 0,
                datagrams: 0,
                rate: 2.0 * PACE,
                cap: f64::INFINITY,
                dropped: 0,
                done: 0,
            },
            link: 0.0,
        }
    }

    /// One period at a pace; what each is given it writes as fast as it can.
    fn step(&mut self, pace: f64) -> Vec<Finding> {
        self.now += PERIOD;
        self.periods += 1;
        let seconds = PERIOD.as_secs_f64();
        let datagrams = pace * seconds;
        self.position.datagrams += datagrams as u64;
        self.position.slots += (datagrams / FULL_BLOCK) as u32;
        let mut looks = Vec::new();
        let reports = self.reports.iter_mut().zip(&mut self.heard_at);
        for ((number, fake), (report, heard_at)) in (1..).zip(&self.fakes).zip(reports) {
            let number = ReceiverNumber(number);
            let (written, busy) = match fake.hangs {
                true => (0.0, 1000.0 * seconds),
                false => {
                    let written = datagrams.min(fake.disk * seconds) / FULL_BLOCK;
                    (written, 1000.0 * written * FULL_BLOCK / fake.disk)
                }
            };
            let busy = busy as u32;
            if !fake.dead {
                *heard_at = self.now;
                report.blocks_done += written as u32;
                report.busy_ms += busy;
                report.effort.disk_bytes += (written * BLOCK_SIZE as f64) as u64;
                report.effort.disk_ms += busy;
                report.effort.session_ms += (1000.0 * datagrams / fake.session) as u32;
                report.expected += datagrams as u64;
                report.received += (datagrams * (1.0 - fake.loss)) as u64;
            }
            if let Some((brake, share)) = fake.bound {
                let time = PERIOD.mul_f64(share);
                self.stragglers
                    .on_blocked(brake, time, std::iter::once(number));
            }
            looks.push(Look {
                number,
                demoted: fake.demoted,
                totals: Totals::of(report),
                piped: fake.piped,
                window: fake.window,
                carries: fake.carries,
                limits_rate: fake.limits_rate,
                link: self.link,
                ahead: fake.ahead,
                heard_at: *heard_at,
            });
        }
        assert!(self.stragglers.is_due(self.now));
        self.stragglers.look(self.now, self.position, &looks)
    }

    /// What is found within some seconds, and after how many periods.
    fn run(&mut self, seconds: u32, pace: f64) -> Option<(u32, Vec<Finding>)> {
        for _ in 0..10 * seconds {
            let findings = self.step(pace);
            if !findings.is_empty() {
                return Some((self.periods, findings));
            }
        }
        None
    }
}

fn slow_ones(findings: &[Finding]) -> Vec<(u16, SlowReason)> {
    let slow = |finding: &Finding| match finding {
        Finding::Slow(number, slow) => Some((number.0, slow.reason)),
        _ => None,
    };
    findings.iter().filter_map(slow).collect()
}

fn found(fakes: &[Fake], pace: f64) -> Vec<(u16, SlowReason)> {
    let found = Tester::new(fakes).run(5, pace);
    found.map_or(Vec::new(), |(_, findings)| slow_ones(&findings))
}

#[test]
fn a_slow_disk_is_found_after_half_a_second_and_named_with_its_pace() {
    let mut room = Tester::new(&[fast(), fast(), slow_disk(PACE / 10.0)]);
    let (periods, findings) = room.run(5, PACE / 10.0).unwrap();
    assert_eq!(periods, 6, "the first look has nothing to compare with");
    let [Finding::Slow(ReceiverNumber(3), slow)] = findings[..] else {
        panic!("{findings:?}")
    };
    assert_eq!(slow.reason, SlowReason::Disk);
    // 20 blocks a second; whole blocks are counted.
    let own = 5_242_880.0;
    assert!((slow.own as f64 / own - 1.0).abs() < 0.25, "{slow:?}");
    assert!(slow.room > 10 * slow.own, "{slow:?}");
}

#[test]
fn all_below_the_gap_are_found_at_once_though_only_the_slowest_brakes() {
    let medium = Fake {
        disk: PACE / 4.0,
        ..fast()
    };
    let fakes = [medium, fast(), fast(), slow_disk(PACE / 10.0)];
    let disk = SlowReason::Disk;
    assert_eq!(found(&fakes, PACE / 10.0), [(4, disk), (1, disk)]);
}

#[test]
fn never_more_than_half_and_never_a_room_of_equals() {
    let slow = slow_disk(PACE / 10.0);
    assert_eq!(found(&[fast(), slow, slow], PACE / 10.0), []);
    let held_up = Tester::new(&[fast(), slow, slow]).run(5, PACE / 10.0);
    let (6, [Finding::HoldUp(by)]) = held_up.as_ref().map(|(at, all)| (*at, &all[..])).unwrap()
    else {
        panic!("{held_up:?}")
    };
    let by: Vec<_> = by
        .iter()
        .map(|(number, slow)| (number.0, slow.reason))
        .collect();
    assert_eq!(by, [(2, SlowReason::Disk), (3, SlowReason::Disk)]);
    assert_eq!(found(&[slow; 8], PACE / 10.0), []);
    let nearly = slow_disk(PACE / 6.0);
    assert_eq!(found(&[nearly, nearly, slow, nearly], PACE / 10.0), []);
    let mut room = Tester::new(&[fast(), fast(), fast(), slow]);
    // Four of eight were sent away before.
    room.position.dropped = 4;
    let (_, findings) = room.run(5, PACE / 10.0).unwrap();
    assert!(matches!(&findings[..], [Finding::HoldUp(by)] if by.len() == 1));
}

#[test]
fn who_says_nothing_any_more_is_not_slow() {
    for brake in [Brake::Window, Brake::Credit] {
        let mut room = Tester::new(&[fast(), fast(), fast()]);
        assert_eq!(room.run(2, PACE), None);
        room.fakes[2] = Fake {
            dead: true,
            bound: Some((brake, 0.9)),
            ..fast()
        };
        assert_eq!(room.run(3, 0.0), None);
        // It was slow, and not dead.
        room.fakes[2].dead = false;
        let (_, findings) = room.run(1, PACE / 10.0).unwrap();
        assert_eq!(slow_ones(&findings).len(), 1, "{findings:?}");
    }
}

#[test]
fn where_nothing_was_sent_nothing_is_lost() {
    let mut room = Tester::new(&[fast(), fast(), slow_disk(PACE / 10.0)]);
    room.fakes[2].hangs = true;
    let (_, findings) = room.run(5, 0.0).unwrap();
    let [Finding::Slow(ReceiverNumber(3), slow)] = findings[..] else {
        panic!("{findings:?}")
    };
    assert_eq!(slow.reason, SlowReason::Disk);
    assert!(slow.room > 0, "{slow:?}");
}

#[test]
fn who_is_slow_and_holds_nobody_up_is_left_alone() {
    let slow = Fake {
        bound: Some((Brake::Credit, 0.3)),
        ..slow_disk(PACE / 10.0)
    };
    assert_eq!(found(&[fast(), fast(), slow], PACE / 10.0), []);
}

#[test]
fn reasons_come_from_what_is_busy() {
    let window = Some((Brake::Window, 0.8));
    let processor = Fake {
        session: PACE / 10.0,
        bound: window,
        ..fast()
    };
    let little_memory = Fake {
        bound: Some((Brake::Credit, 0.8)),
        ..fast()
    };
    let little_socket = Fake {
        window: 64,
        bound: window,
        ..fast()
    };
    let late = Fake {
        bound: window,
        ..fast()
    };
    for (fake, reason) in [
        (processor, SlowReason::Processor),
        (little_memory, SlowReason::Memory),
        (little_socket, SlowReason::Memory),
        (late, SlowReason::Network),
    ] {
        assert_eq!(found(&[fast(), fast(), fake], PACE / 10.0), [(3, reason)]);
    }
}

#[test]
fn a_slow_path_is_found_only_if_the_others_are_known_to_carry_more() {
    let slow = Fake {
        carries: Carries {
            at_most: Some(PACE),
            at_least: 0.0,
        },
        limits_rate: true,
        ..fast()
    };
    assert_eq!(
        found(&[fast(), fast(), slow], PACE),
        [(3, SlowReason::Network)]
    );
    let untried = Fake {
        carries: Carries {
            at_most: None,
            at_least: 1.2 * PACE,
        },
        ..fast()
    };
    let mut room = Tester::new(&[untried, fast(), slow]);
    let first = room.run(1, PACE);
    assert_eq!(first, Some((6, vec![Finding::Challenge])));
    let again = room.run(1, PACE);
    assert_eq!(again, Some((7, vec![Finding::Challenge])), "none began");
    room.stragglers.on_challenged(room.now);
    let again = room.run(5, PACE);
    assert_eq!(again, Some((27, vec![Finding::Challenge])), "2 s later");
    room.fakes[0] = fast();
    let (_, findings) = room.run(1, PACE).unwrap();
    assert_eq!(slow_ones(&findings), [(3, SlowReason::Network)]);
}

#[test]
fn a_write_that_does_not_end_is_the_disks_or_its_readers() {
    // Its memory fills while nothing is written, and only then is it the brake.
    let hung = |piped| Fake {
        hangs: true,
        piped,
        bound: Some((Brake::Credit, 0.9)),
        ..fast()
    };
    for (piped, reason) in [(false, SlowReason::Disk), (true, SlowReason::Output)] {
        let mut room = Tester::new(&[fast(), fast(), hung(piped)]);
        let (_, findings) = room.run(5, PACE / 10.0).unwrap();
        let [Finding::Slow(ReceiverNumber(3), slow)] = findings[..] else {
            panic!("{findings:?}")
        };
        assert_eq!((slow.reason, slow.own), (reason, 0));
    }
}

#[test]
fn buffers_that_wait_for_what_is_lost_are_the_networks() {
    let lossy = Fake {
        loss: 0.4,
        bound: Some((Brake::Credit, 0.9)),
        ..fast()
    };
    let found = found(&[fast(), fast(), lossy], PACE / 10.0);
    assert_eq!(found, [(3, SlowReason::Network)]);
}

#[test]
fn who_has_everything_counts_with_the_fast() {
    let fakes = [fast(), slow_disk(PACE / 10.0), slow_disk(PACE / 20.0)];
    assert_eq!(found(&fakes, PACE / 20.0), [], "they are too many");
    let mut room = Tester::new(&fakes);
    room.position.done = 1;
    let (_, findings) = room.run(5, PACE / 20.0).unwrap();
    assert_eq!(slow_ones(&findings).len(), 2);
}

#[test]
fn what_loses_most_takes_what_arrives_whatever_its_link() {
    let mut room = Tester::new(&[
        fast(),
        fast(),
        Fake {
            loss: 0.7,
            ..fast()
        },
    ]);
    // A gigabit for all, of which the operator allows a tenth.
    (room.link, room.position.cap) = (10.0 * PACE, PACE);
    let (_, findings) = room.run(5, PACE).unwrap();
    let [Finding::Slow(ReceiverNumber(3), slow)] = findings[..] else {
        panic!("{findings:?}")
    };
    assert!(
        (slow.datagrams / (0.3 * PACE) - 1.0).abs() < 0.05,
        "{slow:?}"
    );
}

#[test]
fn loss_alone_is_slow_only_where_most_is_lost() {
    let lossy = |loss| Fake { loss, ..fast() };
    assert_eq!(found(&[fast(), fast(), lossy(0.4)], PACE), []);
    let found = found(&[fast(), fast(), lossy(0.7)], PACE);
    assert_eq!(found, [(3, SlowReason::Network)]);
}

#[test]
fn who_keeps_up_returns_and_waits_twice_as_long_the_next_time() {
    let mut room = Tester::new(&[fast(), fast(), slow_disk(PACE / 10.0)]);
    let mut expected = 50;
    for _ in 0..3 {
        room.fakes[2] = slow_disk(PACE / 10.0);
        room.run(5, PACE / 10.0).unwrap();
        room.fakes[2] = Fake {
            demoted: true,
            ..fast()
        };
        room.stragglers.on_standing(ReceiverNumber(3));
        let at = room.periods;
        let (periods, findings) = room.run(60, PACE).unwrap();
        assert_eq!(findings, [Finding::KeepsUp(ReceiverNumber(3))]);
        let waited = periods - at;
        assert!((expected..=expected + 2).contains(&waited), "{waited}");
        expected *= 2;
        room.stragglers.on_standing(ReceiverNumber(3));
    }
}

#[test]
fn who_loses_or_is_behind_does_not_keep_up() {
    for fake in [
        Fake {
            loss: 0.05,
            ..fast()
        },
        Fake {
            ahead: false,
            ..fast()
        },
    ] {
        let demoted = Fake {
            demoted: true,
            ..fake
        };
        assert_eq!(Tester::new(&[fast(), fast(), demoted]).run(20, PACE), None);
    }
    // Loss that the others have too is no reason to stay away.
    let lossy = Fake {
        loss: 0.05,
        ..fast()
    };
    let demoted = Fake {
        demoted: true,
        ..lossy
    };
    let mut room = Tester::new(&[fast(), lossy, demoted]);
    assert!(room.run(20, PACE).is_some());
}
