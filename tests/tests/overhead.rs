//! What loss costs: datagrams sent per datagram needed, against what is possible.

use std::time::Duration;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::StartPolicy;
use mimeo_protocol::units::{BLOCK_SIZE, MAX_SOURCE_SYMBOLS};
use mimeo_tests::sim::{
    Dice, DiskProfile, Filling, Image, LinkProfile, MachineProfile, Room, RoomConfig,
};

/// E[M] - 1 of integrated hybrid ARQ: `k` source symbols, independent loss `p`, `receivers`
/// (Nonnenmacher, Biersack, Towsley, SIGCOMM 1997).
///
/// `F(m)`, the probability that one receiver has `k` symbols after `k + m` were sent, is a sum of
/// negative binomial terms; the extra symbols of a block are `E[L] = sum over m of 1 - F(m)^R`.
fn possible(k: usize, p: f64, receivers: u32) -> f64 {
    // C(k + j - 1, j) p^j (1 - p)^k, from one j to the next.
    let mut term = (1.0 - p).powi(i32::try_from(k).expect("k is small"));
    let (mut f, mut extra) = (0.0, 0.0);
    for j in 0..1000 {
        f += term;
        extra += 1.0 - f64::min(f, 1.0).powi(i32::try_from(receivers).expect("rooms are small"));
        term *= p * (k + j) as f64 / (j + 1) as f64;
    }
    extra / k as f64
}

fn measured(blocks: usize, loss: f64, receivers: u32) -> f64 {
    let image = Image::new(Filling::Random, blocks * BLOCK_SIZE, Dice::new(3));
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(Rate(300_000_000)),
        start: StartPolicy {
            min_receivers: receivers as usize,
            ..StartPolicy::default()
        },
        ..RoomConfig::new(u64::from(receivers), image)
    });
    for _ in 0..receivers {
        room.join(MachineProfile {
            down: LinkProfile {
                loss,
                ..LinkProfile::default()
            },
            disk: DiskProfile {
                discards: true,
                ..DiskProfile::default()
            },
            buffers: 64,
            ..MachineProfile::default()
        });
    }
    assert!(room.run(Duration::from_secs(60)), "no end in time");
    let verdict = room.verdict();
    assert_eq!(verdict.lies, [] as [String; 0]);
    assert_eq!(verdict.confirmed, receivers as usize);
    let counters = room.operator.endpoint.session().counters();
    let sent = counters.pass_symbols + counters.repair_symbols + counters.page_symbols;
    sent as f64 / counters.symbols_needed as f64 - 1.0
}

fn check(blocks: usize, loss: f64, receivers: u32) {
    let possible = possible(MAX_SOURCE_SYMBOLS, loss, receivers);
    let measured = measured(blocks, loss, receivers);
    let goal = 1.1 * possible + 0.005;
    println!(
        "{loss} x {receivers}: measured {measured:.4}, possible {possible:.4}, goal {goal:.4}"
    );
    assert!(
        measured <= goal,
        "{measured:.4} of at most {goal:.4}, possible {possible:.4}"
    );
}

#[test]
fn the_formula_gives_the_published_table() {
    // k, loss, receivers, percent.
    let table = [
        (62, 0.01, 1, 1.01),
        (62, 0.01, 1000, 7.20),
        (128, 0.01, 30, 3.19),
        (187, 0.001, 100, 1.01),
        (187, 0.01, 8, 2.16),
        (187, 0.05, 1, 5.26),
        (187, 0.05, 30, 9.09),
        (187, 0.05, 1000, 11.72),
    ];
    for (k, p, receivers, percent) in table {
        let found = 100.0 * possible(k, p, receivers);
        assert!(
            (found - percent).abs() < 0.011,
            "{k} {p} {receivers}: {found}"
        );
    }
}

#[test]
fn one_percent_of_loss_at_one_receiver() {
    check(128, 0.01, 1);
}

#[test]
fn one_percent_of_loss_at_eight_receivers() {
    check(128, 0.01, 8);
}

#[test]
fn one_percent_of_loss_at_thirty_receivers() {
    check(64, 0.01, 30);
}

#[test]
fn five_percent_of_loss_at_one_receiver() {
    check(128, 0.05, 1);
}

#[test]
fn five_percent_of_loss_at_eight_receivers() {
    check(128, 0.05, 8);
}

#[test]
fn five_percent_of_loss_at_thirty_receivers() {
    check(64, 0.05, 30);
}
