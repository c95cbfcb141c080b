//! The controller alone, against simulated links.

use std::collections::VecDeque;

use super::*;
use crate::pacing::Pacer;

/// A receiver behind a port with a queue, on a path that loses bursts of datagrams.
struct Link {
    /// Datagrams per second.
    capacity: f64,
    /// Datagrams that wait at most.
    queue: usize,
    /// Share of the datagrams that is lost whatever the rate, so many in a row.
    loss: f64,
    burst: u64,
    /// Whether what the queue does not hold is dropped by the receiver's own kernel.
    own_drops: bool,
    /// When it joins, in seconds.
    joins: f64,
    waiting: VecDeque<u64>,
    served: f64,
    losing: bool,
    random: u64,
    report: PathReport,
    first: Option<u64>,
}

impl Link {
    fn new(capacity: Rate, loss: f64) -> Self {
        Self {
            capacity: capacity.datagrams(),
            queue: 200,
            loss,
            burst: 1,
            own_drops: false,
            joins: 0.0,
            waiting: VecDeque::new(),
            served: 0.0,
            losing: false,
            random: 0x9e37_79b9_7f4a_7c15 ^ loss.to_bits() ^ capacity.0,
            report: PathReport {
                seq_seen: Seq(0),
                received: 0,
                expected: 0,
                drops: 0,
            },
            first: None,
        }
    }

    fn draw(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Datagrams `seqs` are sent within `seconds`, at most so many in a burst.
    fn pass(&mut self, seqs: std::ops::Range<u64>, most: u64, seconds: f64) {
        for seq in seqs {
            if seq % self.burst.min(most) == 0 {
                self.losing = self.draw() < self.loss;
            }
            if self.losing {
            } else if self.waiting.len() < self.queue {
                self.waiting.push_back(seq);
            } else if self.own_drops {
                self.report.drops += 1;
            }
        }
        self.served = (self.served + self.capacity * seconds).min(self.waiting.len() as f64 + 1.0);
        while self.served >= 1.0 {
            let Some(seq) = self.waiting.pop_front() else {
                break;
            };
            self.served -= 1.0;
            let first = *self.first.get_or_insert(seq);
            self.report.seq_seen = Seq(seq);
            self.report.received += 1;
            self.report.expected = seq + 1 - first;
        }
    }
}

/// What a run came to.
struct Run {
    /// Mean rate over the last half, in bits per second.
    rate: f64,
    /// Seconds until the rate was first held.
    settled: f64,
    /// Share of the last half that was lost at each link.
    loss: Vec<f64>,
}

/// Runs for some seconds in steps of 1 ms, with a report from every receiver each 5 ms.
fn run(links: &mut [Link], cap: Option<Rate>, app_limit: f64, seconds: f64) -> Run {
    run_with(links, cap, app_limit, seconds, |_, _| ())
}

fn run_with(
    links: &mut [Link],
    cap: Option<Rate>,
    app_limit: f64,
    seconds: f64,
    mut change: impl FnMut(f64, &mut [Link]),
) -> Run {
    let start = epoch();
    let mut controller = Controller::new(start, Rate::START, cap);
    let (mut sent, mut seq, mut settled) = (0.0, 1, seconds);
    let (mut rates, mut halfway) = (Vec::new(), Vec::new());
    let steps = (seconds * 1000.0) as usize;
    for i in 0..steps {
        let time = i as f64 / 1000.0;
        change(time, links);
        sent += controller.rate().datagrams().min(app_limit) / 1000.0;
        let mut seqs = seq..seq;
        // Bursts as the pacer makes them.
        let burst = Pacer::burst(controller.rate()) as u64;
        while (seqs.end + burst) as f64 <= sent + 1.0 {
            seqs.end += burst;
        }
        seq = seqs.end;
        controller.on_sent(seqs.end - seqs.start);
        let now = start + Duration::from_secs_f64(time + 0.001);
        let here = |link: &&mut Link| link.joins <= time;
        let gating = links.iter().filter(|link| link.joins <= time).count();
        for (number, link) in (1..).map(ReceiverNumber).zip(links.iter_mut().filter(here)) {
            link.pass(
                seqs.clone(),
                if link.burst > 44 { link.burst } else { burst },
                0.001,
            );
            if i % 5 == 4 {
                controller.on_report(now, number, link.report, gating, Seq(seq - 1));
            }
        }
        if controller.phase == Phase::Holding && settled >= seconds {
            settled = time;
        }
        if i == steps / 2 {
            halfway = links.iter().map(|link| link.report).collect();
        }
        if i >= steps / 2 {
            rates.push(controller.rate().as_f64());
        }
    }
    let loss = |(link, half): (&Link, &PathReport)| {
        let received = link.report.received - half.received;
        1.0 - received as f64 / (link.report.expected - half.expected) as f64
    };
    Run {
        rate: rates.iter().sum::<f64>() / rates.len() as f64,
        settled,
        loss: links.iter().zip(&halfway).map(loss).collect(),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to start from"
)]
fn epoch() -> Instant {
    Instant::now()
}

const UNLIMITED: f64 = 1e9;
const GIGABIT: Rate = Rate(1_000_000_000);
const FAST: Rate = Rate(4_000_000_000);

#[test]
fn a_slow_port_is_found_within_a_second_and_held() {
    for queue in [20, 200, 2000] {
        let mut links = [Link::new(FAST, 0.0), Link::new(Rate(100_000_000), 0.0)];
        links[1].queue = queue;
        let run = run(&mut links, None, UNLIMITED, 20.0);
        assert!(run.settled < 1.0, "start-up took {} s", run.settled);
        assert!(
            (85e6..110e6).contains(&run.rate),
            "queue {queue}: {}",
            run.rate
        );
        assert!(run.loss[1] <= 0.02, "queue {queue}: lost {}", run.loss[1]);
    }
}

#[test]
fn a_gigabit_port_is_filled_whatever_the_loss() {
    for burst in [1, 44] {
        for loss in [0.0, 0.01, 0.05, 0.2] {
            let mut links: Vec<_> = (0..8).map(|_| Link::new(GIGABIT, loss)).collect();
            for (n, link) in links.iter_mut().enumerate() {
                (link.burst, link.random) = (burst, link.random + 77 * n as u64);
            }
            let run = run(&mut links, None, UNLIMITED, 10.0);
            assert!(
                run.settled < 1.0,
                "loss {loss}: start-up took {} s",
                run.settled
            );
            assert!(
                (0.8e9..1.3e9).contains(&run.rate),
                "loss {loss} in bursts of {burst}: {}",
                run.rate
            );
        }
    }
}

#[test]
fn long_bursts_are_not_taken_for_a_limit() {
    // 200 in a row, 1 % in all.
    let mut links: Vec<_> = (0..8).map(|_| Link::new(FAST, 0.01)).collect();
    for (n, link) in links.iter_mut().enumerate() {
        (link.burst, link.random) = (200, link.random + 77 * n as u64);
    }
    let run = run(&mut links, Some(GIGABIT), UNLIMITED, 10.0);
    assert!(run.rate > 0.9e9, "{}", run.rate);
}

#[test]
fn a_slow_port_that_joins_late_is_found() {
    let mut links = [Link::new(FAST, 0.0), Link::new(Rate(100_000_000), 0.0)];
    links[1].joins = 5.0;
    let run = run_with(&mut links, Some(GIGABIT), UNLIMITED, 12.0, |_, _| ());
    assert!((80e6..105e6).contains(&run.rate), "{}", run.rate);
    assert!(run.loss[1] <= 0.02, "lost {}", run.loss[1]);
}

#[test]
fn a_port_that_gets_slower_and_faster_again_is_followed() {
    let fast = || [Link::new(GIGABIT, 0.01)];
    let slow = |time: f64, links: &mut [Link]| {
        links[0].capacity = if time > 4.0 {
            Rate(500_000_000)
        } else {
            GIGABIT
        }
        .datagrams();
    };
    let slowed = run_with(&mut fast(), None, UNLIMITED, 20.0, slow);
    assert!((0.42e9..0.55e9).contains(&slowed.rate), "{}", slowed.rate);
    let back = |time: f64, links: &mut [Link]| {
        let slow = (4.0..8.0).contains(&time);
        links[0].capacity = if slow { Rate(500_000_000) } else { GIGABIT }.datagrams();
    };
    let back = run_with(&mut fast(), None, UNLIMITED, 24.0, back);
    assert!((0.85e9..1.1e9).contains(&back.rate), "{}", back.rate);
}

#[test]
fn loss_that_comes_with_time_and_not_with_the_rate_does_not_slow_the_stream() {
    let mut links = [Link::new(FAST, 0.0)];
    let change = |time: f64, links: &mut [Link]| {
        links[0].loss = if time > 3.0 { 0.15 } else { 0.0 };
    };
    let run = run_with(&mut links, Some(GIGABIT), UNLIMITED, 10.0, change);
    assert!(run.rate > 0.95e9, "{}", run.rate);
}

#[test]
fn a_port_that_is_slower_than_the_start_is_found() {
    let mut links = [Link::new(Rate(10_000_000), 0.0)];
    let run = run(&mut links, None, UNLIMITED, 10.0);
    assert!((7e6..12e6).contains(&run.rate), "{}", run.rate);
}

/// What is sent waits for up to 1.2 s before anybody can tell of it.
#[test]
fn a_slow_port_behind_a_long_queue_is_found() {
    for (mbit, queue) in [(5, 200), (10, 200), (20, 2000), (40, 2000)] {
        let slow = Rate(mbit * 1_000_000);
        let mut links = [Link::new(slow, 0.0)];
        links[0].queue = queue;
        let run = run(&mut links, Some(Rate(200_000_000)), UNLIMITED, 20.0);
        let (share, lost) = (run.rate / slow.as_f64(), run.loss[0]);
        let room = format!("{mbit} Mbit/s, queue {queue}: {share}, lost {lost}");
        assert!((0.9..1.2).contains(&share) && lost <= 0.05, "{room}");
    }
}

#[test]
fn own_drops_are_heeded() {
    let mut link = Link::new(Rate(400_000_000), 0.0);
    link.own_drops = true;
    let run = run(&mut [link], None, UNLIMITED, 10.0);
    assert!((300e6..420e6).contains(&run.rate), "{}", run.rate);
}

#[test]
fn the_cap_holds_and_a_low_cap_goes_below_the_start() {
    for cap in [500_000, 50_000_000, 2_000_000_000] {
        let mut links = [Link::new(FAST, 0.01)];
        let run = run(&mut links, Some(Rate(cap)), UNLIMITED, 5.0);
        assert_eq!(run.rate, cap as f64);
    }
}

#[test]
fn a_rate_that_was_not_used_proves_nothing() {
    let mut links = [Link::new(FAST, 0.0)];
    let run = run(&mut links, None, Rate(300_000_000).datagrams(), 5.0);
    assert!(
        run.rate <= 800e6,
        "{}: grew without ever being filled",
        run.rate
    );
}

/// A probe that a port just follows must not end at a rate that it does not carry.
#[test]
fn a_slow_port_is_held_wherever_it_falls_between_the_steps() {
    for percent in (60..=140).step_by(4) {
        for (cap, queue) in [(300, 180), (1000, 180), (1000, 60)] {
            let slow = Rate(percent * 1_000_000);
            let mut links = [Link::new(FAST, 0.0), Link::new(slow, 0.0)];
            links[1].queue = queue;
            let run = run(&mut links, Some(Rate(cap * 1_000_000)), UNLIMITED, 30.0);
            let (share, lost) = (run.rate / slow.as_f64(), run.loss[1]);
            let room = format!("{percent} Mbit/s below {cap}, queue {queue}: {share}, lost {lost}");
            assert!((0.9..1.0).contains(&share) && lost <= 0.01, "{room}");
        }
    }
}

/// A machine that is busy now and then delivers late what its port carried, so that some rounds show
/// less than the port carries and some more.
#[test]
fn a_slow_port_is_held_where_delivery_stutters() {
    for millis in [3, 5, 10] {
        for every in [190, 330, 470, 1010, 1730] {
            let slow = Rate(100_000_000);
            let mut links = [Link::new(FAST, 0.0), Link::new(slow, 0.0)];
            links[1].queue = 180;
            let stutter = |time: f64, links: &mut [Link]| {
                let at = (time * 1000.0) as u64 % every;
                let share = match at {
                    _ if at < millis => 0.0,
                    _ if at < 2 * millis => 2.0,
                    _ => 1.0,
                };
                links[1].capacity = share * slow.datagrams();
            };
            let cap = Rate(300_000_000);
            let run = run_with(&mut links, Some(cap), UNLIMITED, 30.0, stutter);
            let (share, lost) = (run.rate / slow.as_f64(), run.loss[1]);
            let room = format!("{millis} ms every {every} ms: {share}, lost {lost}");
            assert!((0.9..1.0).contains(&share) && lost <= 0.01, "{room}");
        }
    }
}

#[test]
fn a_challenge_is_judged_by_what_is_sent_after_it_begins() {
    const HELD: f64 = 1200.0;
    const LONE: ReceiverNumber = ReceiverNumber(1);
    let start = epoch();
    let mut controller = Controller::new(start, Rate::of_datagrams(HELD), Some(GIGABIT));
    controller.hold(start, HELD);
    let (mut sent, mut seq) = (0.0, 0);
    for step in 1..=60 {
        let now = start + 5 * step * Duration::from_millis(1);
        sent += controller.rate().datagrams() * 0.005;
        controller.on_sent(sent as u64 - seq);
        seq = sent as u64;
        if step == 30 {
            assert!(controller.challenge(now, Seq(seq)));
            assert!(!controller.challenge(now, Seq(seq)), "one is under way");
        }
        // Nobody reports before, so the round lasts.
        if step > 30 {
            let report = PathReport {
                seq_seen: Seq(seq),
                received: seq,
                expected: seq,
                drops: 0,
            };
            controller.on_report(now, LONE, report, 1, Seq(seq));
        }
    }
    let carries = controller.carries(LONE);
    assert!(carries.at_least > 2.0 * HELD, "{carries:?}");
}

#[test]
fn what_arrives_at_a_rate_that_is_held_is_carried() {
    const LATE: ReceiverNumber = ReceiverNumber(1);
    let start = epoch();
    let mut controller = Controller::new(start, GIGABIT, Some(GIGABIT));
    controller.hold(start, GIGABIT.datagrams());
    for step in 0..20 {
        let seq = (f64::from(step) * 0.005 * GIGABIT.datagrams()) as u64;
        controller.on_sent((0.005 * GIGABIT.datagrams()) as u64);
        let report = PathReport {
            seq_seen: Seq(seq),
            received: seq,
            expected: seq,
            drops: 0,
        };
        let now = start + step * Duration::from_millis(5);
        controller.on_report(now, LATE, report, 1, Seq(seq));
    }
    let at_least = controller.carries(LATE).at_least / GIGABIT.datagrams();
    assert!((0.9..1.1).contains(&at_least), "{at_least}");
}
