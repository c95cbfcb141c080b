//! The controller alone, against simulated links.

use super::*;

/// A receiver behind a link of some capacity with some random loss, all in expectation.
struct Link {
    capacity: f64,
    loss: f64,
    received: f64,
    expected: f64,
    drops: f64,
    /// Whether what exceeds the capacity is dropped by the receiver's own kernel.
    own_drops: bool,
}

impl Link {
    fn new(capacity: Rate, loss: f64) -> Self {
        let capacity = capacity.datagrams();
        Self {
            capacity,
            loss,
            received: 0.0,
            expected: 0.0,
            drops: 0.0,
            own_drops: false,
        }
    }

    fn pass(&mut self, datagrams: f64, seconds: f64) {
        let carried = (datagrams * (1.0 - self.loss)).min(self.capacity * seconds);
        self.expected += datagrams;
        self.received += carried;
        if self.own_drops {
            self.drops += datagrams * (1.0 - self.loss) - carried;
        }
    }

    fn report(&self, seq: f64) -> PathReport {
        PathReport {
            seq_seen: Seq(seq as u64),
            received: self.received as u64,
            expected: self.expected as u64,
            drops: self.drops as u32,
        }
    }
}

/// Runs for some seconds in steps of 5 ms, each ended by a report from every receiver.
/// Returns the mean rate over the last half and the time at which start-up ended.
fn run(links: &mut [Link], cap: Option<Rate>, app_limit: f64, seconds: f64) -> (f64, f64) {
    let start = epoch();
    let mut controller = Controller::new(start, cap);
    let (mut seq, mut sum, mut count, mut settled) = (0.0, 0.0, 0.0, seconds);
    let step = 0.005;
    let steps = (seconds / step) as usize;
    for i in 0..steps {
        let sent = (controller.rate().datagrams() * step).min(app_limit * step);
        seq += sent;
        controller.on_sent(sent as u64);
        let now = start + Duration::from_secs_f64((i + 1) as f64 * step);
        let gating = links.len();
        for (n, link) in links.iter_mut().enumerate() {
            link.pass(sent, step);
            let number = ReceiverNumber(n as u16 + 1);
            controller.on_report(now, number, link.report(seq), gating, Seq(seq as u64));
        }
        if controller.phase == Phase::Steady && settled >= seconds {
            settled = i as f64 * step;
        }
        if i >= steps / 2 {
            sum += controller.rate().as_f64();
            count += 1.0;
        }
    }
    (sum / count, settled)
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to start from"
)]
fn epoch() -> Instant {
    Instant::now()
}

const UNLIMITED: f64 = 1e9;

#[test]
fn a_slow_port_is_found_within_a_second_and_held() {
    let mut links = [
        Link::new(Rate(10_000_000_000), 0.0),
        Link::new(Rate(100_000_000), 0.0),
    ];
    let (rate, settled) = run(&mut links, None, UNLIMITED, 10.0);
    assert!(settled < 1.0, "start-up took {settled} s");
    assert!((80e6..115e6).contains(&rate), "{rate}");
}

#[test]
fn a_gigabit_port_is_filled_whatever_the_random_loss() {
    for loss in [0.0, 0.01, 0.05, 0.2] {
        let mut links = [Link::new(Rate(1_000_000_000), loss)];
        let (rate, settled) = run(&mut links, None, UNLIMITED, 10.0);
        assert!(settled < 1.0, "loss {loss}: start-up took {settled} s");
        assert!((0.85e9..1.5e9).contains(&rate), "loss {loss}: {rate}");
    }
}

#[test]
fn own_drops_are_heeded() {
    let mut link = Link::new(Rate(400_000_000), 0.0);
    link.own_drops = true;
    let (rate, _) = run(&mut [link], None, UNLIMITED, 10.0);
    assert!((300e6..450e6).contains(&rate), "{rate}");
}

#[test]
fn the_cap_holds_and_a_low_cap_goes_below_the_start() {
    for cap in [500_000, 50_000_000, 2_000_000_000] {
        let mut links = [Link::new(Rate(10_000_000_000), 0.01)];
        let (rate, _) = run(&mut links, Some(Rate(cap)), UNLIMITED, 5.0);
        assert_eq!(rate, cap as f64);
    }
}

#[test]
fn a_rate_that_was_not_used_proves_nothing() {
    let mut links = [Link::new(Rate(10_000_000_000), 0.0)];
    let (rate, _) = run(&mut links, None, Rate(300_000_000).datagrams(), 5.0);
    assert!(rate <= 800e6, "{rate}: grew without ever being filled");
}
