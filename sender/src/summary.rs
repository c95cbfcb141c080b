//! What the operator is left with: a line for every machine, then the session in figures.

use mimeo_console::{human, report};
use mimeo_image::ByteSize;
use mimeo_protocol::wire::ReadBack;

use crate::progress::tally;
use crate::report::overhead;
use crate::status::Outcome;
use crate::status::{ReceiverState, ReceiverStatus, Status};

/// Cells that a host name gets at most.
const NAME: usize = 32;

/// The lines, without the error.
pub(crate) fn lines(outcome: &Outcome) -> Vec<String> {
    let status = &outcome.status;
    let mut lines: Vec<String> = machines(&status.receivers, status.image_len);
    lines.extend(verified(outcome));
    lines.extend(figures(status));
    if let Some(digest) = &status.digest {
        lines.push(format!("b3sum of the image: {digest}"));
    }
    lines
}

fn machines(receivers: &[ReceiverStatus], image_len: Option<u64>) -> Vec<String> {
    let cells = |text: fn(&ReceiverStatus) -> String| {
        let width = |receiver| human::width(&text(receiver));
        receivers.iter().map(width).max().unwrap_or(0)
    };
    let name = |receiver: &ReceiverStatus| human::clean(&receiver.host_name);
    let mac = |receiver: &ReceiverStatus| human::clean(&receiver.mac);
    let address = |receiver: &ReceiverStatus| receiver.address.to_string();
    let (names, macs, addresses) = (cells(name).min(NAME), cells(mac), cells(address));
    let line = |receiver: &ReceiverStatus| {
        let time = match receiver.finished_after {
            Some(time) => format!("{:.1} s", time.as_secs_f64()),
            None => "-".to_owned(),
        };
        format!(
            "{:>4}  {}  {}  {}  {time:>9}  {}",
            receiver.number,
            human::pad(&name(receiver), names),
            human::pad(&mac(receiver), macs),
            human::pad(&address(receiver), addresses),
            result(receiver, image_len),
        )
    };
    receivers.iter().map(line).collect()
}

fn result(receiver: &ReceiverStatus, image_len: Option<u64>) -> String {
    match receiver.state.failure() {
        Some(reason) => format!("FAILED: {}", human::clean(reason)),
        None => {
            let kept = tally::kept(receiver, image_len);
            let kept = kept.map_or(String::new(), |kept| format!(", {kept}"));
            let slow = receiver.slow;
            let slow = slow.map_or(String::new(), |slow| format!(", was slow: {}", slow.name()));
            let (proof, mended) = (proof(receiver.read_back), mended(receiver.bad_blocks));
            format!("verified{kept}{proof}{slow}{mended}")
        }
    }
}

/// What a receiver has proved beyond what each of them does.
fn proof(read_back: ReadBack) -> &'static str {
    match read_back {
        ReadBack::No => "",
        ReadBack::Direct => ", read back from its disk",
        ReadBack::CacheDropped => ", read back through its page cache",
        ReadBack::Memory => ", read back from its memory",
    }
}

/// Forged data, or a broken memory, had spoiled so many blocks.
fn mended(bad_blocks: u32) -> String {
    match bad_blocks {
        0 => String::new(),
        1 => ", 1 spoiled block mended".to_owned(),
        blocks => format!(", {blocks} spoiled blocks mended"),
    }
}

fn verified(outcome: &Outcome) -> Option<String> {
    let room = &outcome.status.receivers;
    let done = |receiver: &&ReceiverStatus| receiver.state == ReceiverState::Confirmed;
    let verified = room.iter().filter(done).count();
    match room.len() {
        // The error says why.
        0 if outcome.error.is_some() => None,
        0 => Some("no receiver joined".to_owned()),
        all => Some(format!("{verified} of {} verified", receivers(all))),
    }
}

/// Why a session failed in which not all receivers completed.
pub(crate) fn incomplete(count: usize, all: usize) -> String {
    format!("{count} of {} did not complete", receivers(all))
}

/// Why a session failed in which all receivers completed.
pub(crate) fn too_few(confirmed: usize, wanted: usize) -> String {
    format!(
        "{} completed, at least {wanted} were asked for",
        receivers(confirmed)
    )
}

/// So many, for people.
pub(crate) fn receivers(count: usize) -> String {
    format!("{count} receiver{}", if count == 1 { "" } else { "s" })
}

/// Size, time, rate and overhead, of a session that sent something.
fn figures(status: &Status) -> Option<String> {
    if status.transfer_time.is_zero() {
        return None;
    }
    // What was sent and not what there was to send: the session may have been stopped.
    let mut parts = vec![
        ByteSize(status.bytes_passed).to_string(),
        format!("in {}", human::clock(status.transfer_time)),
    ];
    if let Some(rate) = report::telling_rate(status.bytes_told(), status.transfer_time) {
        parts.push(format!("at {}", human::rate(rate)));
    }
    let mut line = parts.join(" ");
    if let Some(overhead) = overhead(&status.counters) {
        line += &format!(", overhead {}", human::share(overhead));
    }
    if status.bytes_unused > 0 {
        let unused = ByteSize(status.bytes_unused);
        line += &format!(", {unused} of it unused and not sent");
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::progress::example::{receiver, room};

    fn outcome(status: Status, error: Option<&str>) -> Outcome {
        Outcome {
            exit: Exit::ReceiversFailed,
            status,
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn every_machine_has_a_line_with_its_result_and_reason() {
        let lines = lines(&outcome(room(), Some("2 receivers failed")));
        assert_eq!(
            lines,
            [
                "   1  pc-01         52:54:00:00:00:01  10.77.0.1:40000     61.5 s  verified",
                "   2  pc-02         52:54:00:00:00:02  10.77.0.2:40000          -  FAILED: \
                 incomplete when the session ended",
                "   3  教室-3        52:54:00:00:00:03  10.77.0.3:40000      7.0 s  FAILED: disk \
                 full?[2J",
                "   4  pc-04?[31mxx  52:54:00:00:00:04  10.77.0.4:40000          -  FAILED: lost, \
                 nothing was heard from it any more",
                "1 of 4 receivers verified",
                "1.0 GB in 1:40 at 80.0 Mbit/s, overhead 3.0 %",
                &format!("b3sum of the image: {}", "ab".repeat(32)),
            ]
        );
    }

    #[test]
    fn a_session_that_never_started_says_who_was_there() {
        let status = Status {
            receivers: vec![receiver(7, "pc", ReceiverState::Waiting)],
            ..Status::default()
        };
        let lines = lines(&outcome(status, None));
        assert!(
            lines[0].ends_with("FAILED: the session did not start"),
            "{lines:?}"
        );
        assert_eq!(lines[1..], ["0 of 1 receiver verified"]);
        let nobody = super::lines(&outcome(Status::default(), None));
        assert_eq!(nobody, ["no receiver joined"]);
        let refused = super::lines(&outcome(Status::default(), Some("no such file")));
        assert!(refused.is_empty(), "the error says it all: {refused:?}");
    }

    #[test]
    fn one_receiver_is_one_and_others_are_many() {
        assert_eq!(incomplete(1, 1), "1 of 1 receiver did not complete");
        assert_eq!(incomplete(1, 3), "1 of 3 receivers did not complete");
        let text = too_few(1, 2);
        assert_eq!(text, "1 receiver completed, at least 2 were asked for");
        let text = too_few(0, 2);
        assert_eq!(text, "0 receivers completed, at least 2 were asked for");
    }

    #[test]
    fn a_session_of_a_moment_has_no_rate() {
        let mut status = room();
        status.transfer_time = std::time::Duration::from_millis(30);
        assert_eq!(figures(&status).unwrap(), "1.0 GB in 0:00, overhead 3.0 %");
    }

    #[test]
    fn a_room_that_lacked_nothing_has_no_overhead() {
        let mut status = room();
        status.counters.pass_symbols = 0;
        status.counters.repair_symbols = 0;
        status.counters.own_symbols = 0;
        status.counters.page_symbols = 5;
        status.counters.symbols_needed = 1;
        let line = figures(&status).unwrap();
        assert!(!line.contains("overhead"), "{line}");
    }

    #[test]
    fn what_was_not_sent_is_no_part_of_the_rate() {
        let mut status = room();
        status.bytes_unused = 600_000_000;
        let line = figures(&status).unwrap();
        assert_eq!(
            line,
            "1.0 GB in 1:40 at 32.0 Mbit/s, overhead 3.0 %, 600.0 MB of it unused and not sent"
        );
    }

    #[test]
    fn a_machine_that_read_its_disk_back_says_so() {
        let mut one = receiver(1, "pc", ReceiverState::Confirmed);
        for (read_back, end) in [
            (ReadBack::No, "  verified"),
            (ReadBack::Direct, "  verified, read back from its disk"),
            (
                ReadBack::CacheDropped,
                "  verified, read back through its page cache",
            ),
            (ReadBack::Memory, "  verified, read back from its memory"),
        ] {
            one.read_back = read_back;
            let lines = machines(std::slice::from_ref(&one), None);
            assert!(lines[0].ends_with(end), "{}", lines[0]);
        }
    }

    #[test]
    fn a_machine_that_got_forged_data_says_so() {
        let mut one = receiver(1, "pc", ReceiverState::Confirmed);
        for (bad_blocks, end) in [
            (0, "  verified"),
            (1, "  verified, 1 spoiled block mended"),
            (64, "  verified, 64 spoiled blocks mended"),
        ] {
            one.bad_blocks = bad_blocks;
            let lines = machines(std::slice::from_ref(&one), None);
            assert!(lines[0].ends_with(end), "{}", lines[0]);
        }
    }

    #[test]
    fn a_long_name_leaves_room_for_the_result() {
        let name = "n".repeat(250);
        let lines = machines(&[receiver(1, &name, ReceiverState::Confirmed)], None);
        assert!(lines[0].len() < 120, "{}", lines[0]);
    }
}
