//! Bodies of sealed unicast, the report's runs above all.

use arbitrary::Arbitrary;
use mimeo_protocol::ids::{Cycle, Seq, Slot};
use mimeo_protocol::manifest::Identity;
use mimeo_protocol::units::{BlockNumber, PageNumber};
use mimeo_protocol::wire::{
    Deficit, Effort, FailCode, MAX_REPORT, MAX_SPOILED, PageRun, Parts, ReadBack, Remedy, Report,
    SlowReason, Spoiled, Stage, Standing, ToReceiver, ToSender,
};

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    /// Bytes as they may come.
    ToSender(&'a [u8]),
    ToReceiver(&'a [u8]),
    /// The bytes of a report behind its fixed fields: runs of pages and of deficits.
    Runs(&'a [u8]),
    /// A report as a receiver makes it.
    Report(Box<Made>),
    Confirm([u8; 32], u64, u8),
    Fail(u8, &'a str),
    Abort(u8, &'a str),
    Standing(u16, u8, u32, u32),
}

/// What a report is made of.
#[derive(Debug, Arbitrary)]
pub struct Made {
    stage: u8,
    numbers: [u32; 12],
    bytes: [u64; 6],
    turn: u16,
    pages_up_to: u32,
    pages: Vec<(u16, u32)>,
    complete_up_to: u32,
    beyond: u16,
    runs: Vec<(u32, u32, u8)>,
}

/// See the module's page.
pub fn run(data: &[u8]) {
    let Some(input) = crate::input::<Input<'_>>(data) else {
        return;
    };
    match input {
        Input::ToSender(bytes) => to_sender(bytes),
        Input::ToReceiver(bytes) => to_receiver(bytes),
        Input::Runs(runs) => to_sender(&behind_fixed_fields(runs)),
        Input::Report(made) => made_report(&made),
        Input::Confirm(identity, image_len, read_back) => round_trip(&ToSender::Confirm {
            identity: Identity(identity),
            image_len,
            read_back: read_back_of(read_back),
        }),
        Input::Fail(code, text) => {
            let (code, text) = (fail_code(code), text.to_owned());
            let mut bytes = Vec::new();
            ToSender::Fail { code, text }.encode(&mut bytes);
            to_sender(&bytes);
            assert!(ToSender::decode(&bytes).is_ok(), "{bytes:?}");
        }
        Input::Abort(code, text) => {
            let (code, text) = (fail_code(code), text.to_owned());
            let mut bytes = Vec::new();
            ToReceiver::Abort { code, text }.encode(&mut bytes);
            to_receiver(&bytes);
            assert!(ToReceiver::decode(&bytes).is_ok(), "{bytes:?}");
        }
        Input::Standing(turn, how, cycle, from) => {
            let message = ToReceiver::Standing {
                turn,
                standing: standing(how, cycle, from),
            };
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            assert_eq!(ToReceiver::decode(&bytes), Ok(message));
        }
    }
}

fn to_sender(bytes: &[u8]) {
    match ToSender::decode(bytes) {
        Ok(ToSender::Report(report)) => check(&report),
        Ok(message) => round_trip(&message),
        Err(_) => {}
    }
}

fn to_receiver(bytes: &[u8]) {
    if let Ok(message) = ToReceiver::decode(bytes) {
        let mut again = Vec::new();
        message.encode(&mut again);
        assert_eq!(again, bytes, "{message:?}");
    }
}

fn round_trip(message: &ToSender) {
    let mut bytes = crate::setup::buffer();
    message.encode(&mut bytes);
    assert_eq!(ToSender::decode(&bytes).as_ref(), Ok(message));
}

/// What holds of every report that was decoded: its runs ascend, and it is encoded to something
/// that fits a datagram and says the same, or less where that does not fit.
///
/// # Panics
///
/// Where it does not hold.
pub fn check(report: &Report) {
    check_runs(report);
    let mut bytes = crate::setup::buffer();
    report.encode(&mut bytes);
    assert!(bytes.len() <= MAX_REPORT, "{}", bytes.len());
    let again = Report::decode(&bytes).expect("what was encoded decodes");
    check_runs(&again);
    let kept = again.deficits.len();
    assert_eq!(again.deficits, report.deficits[..kept]);
    let covered = match report.deficits.get(kept) {
        Some(left_out) => left_out.first,
        None => report.covered_up_to,
    };
    let whole = Report {
        covered_up_to: covered,
        deficits: again.deficits.clone(),
        ..report.clone()
    };
    assert_eq!(again, whole);
    let mut third = Vec::new();
    again.encode(&mut third);
    assert_eq!(third, bytes);
}

fn check_runs(report: &Report) {
    let mut next = u64::from(report.complete_up_to.0);
    for run in &report.deficits {
        assert!(u64::from(run.first.0) >= next && run.count > 0 && run.symbols > 0);
        next = u64::from(run.first.0) + u64::from(run.count);
    }
    let any = !report.deficits.is_empty();
    assert!(!any || next <= u64::from(report.covered_up_to.0));
    let mut next = u64::from(report.pages_up_to.0);
    for run in &report.missing_pages {
        assert!(u64::from(run.first.0) >= next && run.count > 0);
        next = u64::from(run.first.0) + u64::from(run.count);
        assert!(next <= u64::from(u32::MAX));
    }
    assert!(report.missing_pages.len() <= 16);
}

fn behind_fixed_fields(runs: &[u8]) -> Vec<u8> {
    // Type, stage and the numbers up to those of what was spoiled: 106 bytes of any content.
    let mut bytes = vec![0; 106];
    bytes[0] = 1;
    bytes.extend_from_slice(runs);
    bytes
}

fn made_report(made: &Made) {
    let report = made.report();
    let mut bytes = Vec::new();
    ToSender::Report(report.clone()).encode(&mut bytes);
    assert!(bytes.len() <= MAX_REPORT + 1);
    check(&report);
}

impl Made {
    fn report(&self) -> Report {
        let [
            held_us,
            socket_drops,
            window,
            credit,
            blocks_done,
            busy_ms,
            ..,
        ] = self.numbers;
        let [.., decode_ms, session_ms, disk_ms, buffers, _, _] = self.numbers;
        let [
            seq,
            received,
            expected,
            bytes_written,
            bytes_kept,
            bytes_verified,
        ] = self.bytes;
        let (deficits, end) = self.deficits();
        Report {
            stage: stage(self.stage),
            seq_seen: Seq(seq >> 16),
            held_us,
            received,
            expected,
            socket_drops,
            window,
            credit: Slot(credit),
            blocks_done,
            bytes_written,
            bytes_kept,
            busy_ms,
            bytes_verified,
            effort: Effort {
                decode_ms,
                session_ms,
                disk_bytes: received,
                disk_ms,
            },
            buffers,
            turn: self.turn,
            bad_blocks: blocks_done,
            forged_symbols: socket_drops,
            pages_up_to: PageNumber(self.pages_up_to),
            missing_pages: self.missing_pages(),
            spoiled: self.spoiled(),
            complete_up_to: BlockNumber(self.complete_up_to),
            covered_up_to: BlockNumber(end.saturating_add(self.beyond.into())),
            deficits,
        }
    }

    /// Drawn from the runs: some blocks that need digests, some that need symbols.
    fn spoiled(&self) -> Vec<Spoiled> {
        let spoiled = self.runs.iter().map(|&(gap, count, symbols)| Spoiled {
            block: BlockNumber(self.complete_up_to.saturating_add(count ^ gap)),
            remedy: match symbols {
                0..16 => Remedy::Digests(Parts(symbols % 15 + 1)),
                _ => Remedy::OwnSymbols(symbols),
            },
        });
        spoiled.take(MAX_SPOILED).collect()
    }

    fn missing_pages(&self) -> Vec<PageRun> {
        let mut next = self.pages_up_to;
        let runs = self.pages.iter().take(16).map_while(|&(gap, count)| {
            let first = next.checked_add(gap.into())?;
            let count = count.max(1);
            next = first.checked_add(count)?;
            Some(PageRun {
                first: PageNumber(first),
                count,
            })
        });
        runs.collect()
    }

    fn deficits(&self) -> (Vec<Deficit>, u32) {
        let mut end = self.complete_up_to;
        let mut deficits = Vec::new();
        for &(gap, count, symbols) in &self.runs {
            let count = count.max(1);
            let first = end.checked_add(gap);
            let Some((first, next)) = first.and_then(|at| Some((at, at.checked_add(count)?)))
            else {
                break;
            };
            end = next;
            deficits.push(Deficit {
                first: BlockNumber(first),
                count,
                symbols: symbols.max(1),
            });
        }
        (deficits, end)
    }
}

/// A stage by any number.
#[must_use]
pub fn stage(number: u8) -> Stage {
    match number % 5 {
        0 => Stage::Waiting,
        1 => Stage::Receiving,
        2 => Stage::Flushing,
        3 => Stage::Complete,
        _ => Stage::Verifying,
    }
}

/// A way of reading back by any number.
#[must_use]
pub fn read_back_of(number: u8) -> ReadBack {
    match number % 4 {
        0 => ReadBack::No,
        1 => ReadBack::Direct,
        2 => ReadBack::CacheDropped,
        _ => ReadBack::Memory,
    }
}

/// A code by any number.
#[must_use]
pub fn fail_code(number: u8) -> FailCode {
    match number % 11 {
        0 => FailCode::Interrupted,
        1 => FailCode::TargetRefused,
        2 => FailCode::TargetFailed,
        3 => FailCode::IdentityMismatch,
        4 => FailCode::DigestMismatch,
        5 => FailCode::SourceFailed,
        6 => FailCode::Silence,
        7 => FailCode::Internal,
        8 => FailCode::NotStarted,
        9 => FailCode::ReadBackDiffers,
        _ => FailCode::TooSlow,
    }
}

/// A standing by any numbers.
#[must_use]
pub fn standing(how: u8, cycle: u32, from: u32) -> Standing {
    match how % 6 {
        0 | 1 => Standing::Member {
            cycle: Cycle(cycle),
            from: BlockNumber(from),
        },
        2 => Standing::Demoted(SlowReason::Disk),
        3 => Standing::Demoted(SlowReason::Processor),
        4 => Standing::Demoted(SlowReason::Memory),
        _ => Standing::Demoted(SlowReason::Network),
    }
}
