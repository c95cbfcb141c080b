use super::*;

const ONE: ReceiverNumber = ReceiverNumber(1);
const TWO: ReceiverNumber = ReceiverNumber(2);

fn block(number: u32) -> (BlockNumber, u8) {
    (BlockNumber(number), 187)
}

/// Makes all that is wanted and sends it. Returns blocks and parts in the order of sending.
fn send_all(digests: &mut Digests, seq: &mut u64) -> Vec<(u32, u8)> {
    let mut sent = Vec::new();
    loop {
        while let Some((share, _)) = digests.next_job() {
            digests.on_prepared(&share);
        }
        *seq += 1;
        match digests.next_part(Seq(*seq)) {
            Some(ready) => sent.push((ready.block.0, ready.part)),
            None => return sent,
        }
    }
}

#[test]
fn digests_that_several_ask_for_are_sent_once_and_again_where_they_were_lost() {
    let (mut digests, mut seq) = (Digests::default(), 100);
    for by in [ONE, TWO] {
        digests.on_wanted(by, block(7), Parts(0b0111), Seq(90));
    }
    assert_eq!(send_all(&mut digests, &mut seq), [(7, 0), (7, 1), (7, 2)]);
    // Reports from before they came by, from between them, and from behind them.
    digests.on_wanted(TWO, block(7), Parts(0b0111), Seq(100));
    assert_eq!(send_all(&mut digests, &mut seq), []);
    digests.on_wanted(TWO, block(7), Parts(0b0110), Seq(102));
    assert_eq!(send_all(&mut digests, &mut seq), [(7, 1)]);
    let last = Seq(seq);
    digests.on_wanted(TWO, block(7), Parts(0b1000), last);
    assert_eq!(send_all(&mut digests, &mut seq), [(7, 3)]);
    digests.forget_before(Seq(seq));
    assert!(digests.sent.is_empty() && digests.wanted.is_empty() && digests.blocks == 0);
}

#[test]
fn the_symbols_of_parts_are_a_run_that_ends_with_the_last_symbol() {
    let share = share_of(BlockNumber(1), 187, Parts(0b1100));
    assert_eq!((share.first, share.count), (Esi(128), 127));
    assert_eq!(parts_of(&share), Parts(0b1100));
    let all = share_of(BlockNumber(1), 187, Parts(0b1001));
    assert_eq!((all.first, all.count), (Esi(0), 255));
    assert_eq!(parts_of(&all), Parts(0b1111));
}

#[test]
fn a_flood_of_requests_takes_bounded_memory() {
    let mut digests = Digests::default();
    for number in 0..100_000 {
        digests.on_wanted(ONE, block(number), Parts(0b1111), Seq(0));
    }
    assert_eq!(digests.wanted.len(), MAX_WANTED);
    let jobs = std::iter::from_fn(|| digests.next_job()).count();
    assert_eq!(jobs, MAX_BLOCKS);
}

#[test]
fn nothing_is_made_of_blocks_that_are_not_kept() {
    let (mut digests, mut seq) = (Digests::default(), 0);
    for number in [1, 2, 3] {
        digests.on_wanted(ONE, block(number), Parts(1), Seq(0));
    }
    let (share, by) = digests.next_job().unwrap();
    assert_eq!((share.block, by), (BlockNumber(1), ONE));
    digests.on_wanted(ONE, block(1), Parts(0b10), Seq(0));
    digests.discard_below(BlockNumber(3));
    digests.on_prepared(&share);
    assert_eq!(send_all(&mut digests, &mut seq), [(1, 0), (3, 0)]);
    assert!(digests.wanted.is_empty() && digests.blocks == 0);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to start from"
)]
fn epoch() -> Instant {
    Instant::now()
}

#[test]
fn a_receiver_gets_one_block_alone_at_a_time_with_fresh_symbols_and_pauses() {
    let (mut alone, now) = (Alone::default(), epoch());
    let share = alone.on_wanted(now, ONE, block(5), 187).unwrap();
    assert_eq!((share.first, share.count), (Esi(0), 187));
    assert_eq!(alone.on_wanted(now, ONE, block(6), 187), None);
    let other = alone.on_wanted(now, TWO, block(5), 2).unwrap();
    alone.on_prepared(ONE, share);
    alone.on_prepared(TWO, other);
    let sent: Vec<_> = std::iter::from_fn(|| alone.next_symbol(now)).collect();
    assert_eq!(sent.len(), 189);
    let turns: Vec<_> = sent.iter().take(4).map(|sent| (sent.0, sent.2)).collect();
    let turn = |to, esi| (to, Esi(esi));
    assert_eq!(
        turns,
        [turn(ONE, 0), turn(TWO, 0), turn(ONE, 1), turn(TWO, 1)]
    );
    // The report does not know yet what arrived.
    assert_eq!(alone.on_wanted(now, ONE, block(5), 9), None);
    let later = now + PAUSE;
    let share = alone.on_wanted(later, ONE, block(5), 70).unwrap();
    assert_eq!((share.first, share.esi(69)), (Esi(187), Esi(1)));
}
