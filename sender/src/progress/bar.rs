//! The room as a picture: the session above, a line for every receiver below.

use jiff::Zoned;
use mimeo_console::{Size, human};
use mimeo_image::ByteSize;

use super::{Plan, start, tally, title};
use crate::progress::trend::Trend;
use crate::status::{Phase, ReceiverState, ReceiverStatus, Status};

/// Cells that a host name gets at most.
const LONGEST_NAME: usize = 32;

/// Cells of a receiver's line without its name.
const COLUMNS: usize = 66;

/// The lines, none wider than the terminal and not more than it has rows for.
pub(crate) fn block(
    status: &Status,
    trend: &Trend,
    plan: &Plan,
    now: &Zoned,
    size: Size,
) -> Vec<String> {
    let mut lines = vec![title(status)];
    match status.phase {
        Phase::Waiting => {
            let waiting = start::waiting(tally::present(status), plan, now);
            lines.push(format!("waiting: {waiting}"));
            if plan.keys {
                lines.push("press Enter to start now".to_owned());
            }
        }
        _ => lines.extend(session(status, trend, size)),
    }
    // The last row stays free: the cursor rests there.
    let rows = size.rows.saturating_sub(lines.len() + 1);
    lines.extend(receivers(status, trend, rows, size.columns));
    size.fit(lines)
}

fn session(status: &Status, trend: &Trend, size: Size) -> [String; 2] {
    let mut done = Vec::new();
    match status.image_len {
        Some(len) => {
            done.push(human::bar(status.bytes_passed, len, size.bar_cells()));
            done.push(human::percent(status.bytes_passed, len));
        }
        None => done.push(ByteSize(status.bytes_passed).to_string()),
    }
    done.push(format!("{}, cycle {}", phase(status.phase), status.cycle));
    if let Some(rate) = trend.room(status) {
        done.push(human::rate(rate));
    }
    done.push(human::clock(status.transfer_time));
    if let Some(time) = trend.remaining(status) {
        done.push(format!("{} left", human::clock(time)));
    }
    let mut room = Vec::new();
    if !status.receivers.is_empty() {
        room.push(tally::tally(&status.receivers));
    }
    room.extend(tally::worst_loss(&status.receivers).map(|loss| format!("worst loss {loss}")));
    room.extend(tally::least_proof(status));
    room.push(format!(
        "sent {} of {} allowed",
        human::rate(status.sent_rate),
        human::rate(status.allowed_rate)
    ));
    [done.join("  "), room.join("; ")]
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "waiting",
        Phase::Running => "sending",
        Phase::Lingering => "waiting for late receivers",
        Phase::Closing => "closing",
        Phase::Aborting => "aborting",
        Phase::Over => "over",
    }
}

/// The receivers that there is room for: all of them by number, or those that need a look.
fn receivers(status: &Status, trend: &Trend, rows: usize, columns: usize) -> Vec<String> {
    let all: Vec<&ReceiverStatus> = status.receivers.iter().collect();
    let (shown, hidden) = if all.len() <= rows {
        (all, Vec::new())
    } else {
        choose(all, rows.saturating_sub(1))
    };
    let names = shown.iter().map(|one| human::clean(&one.host_name));
    let longest = names.map(|name| human::width(&name)).max();
    let name = longest
        .unwrap_or(0)
        .min(LONGEST_NAME)
        .min(columns.saturating_sub(COLUMNS).max(8));
    let mut lines: Vec<String> = shown
        .into_iter()
        .map(|one| line(one, status.image_len, trend.rate(one), name))
        .collect();
    if !hidden.is_empty() && rows > 0 {
        let count = hidden.len();
        lines.push(format!("      and {count} more: {}", tally::tally(hidden)));
    }
    lines
}

/// Parts the troubled and the slowest from the rest; both by number.
fn choose(
    mut all: Vec<&ReceiverStatus>,
    count: usize,
) -> (Vec<&ReceiverStatus>, Vec<&ReceiverStatus>) {
    all.sort_by_key(|one| (tally::rank(&one.state), one.bytes_done(), one.number));
    let rest = all.split_off(count.min(all.len()));
    all.sort_by_key(|one| one.number);
    (all, rest)
}

fn line(one: &ReceiverStatus, image_len: Option<u64>, rate: u64, name: usize) -> String {
    let done = match one.state {
        ReceiverState::Verifying => one.bytes_verified,
        _ => one.bytes_done(),
    };
    let done = match image_len {
        Some(len) => human::percent(done, len),
        None => ByteSize(done).to_string(),
    };
    let mut line = format!(
        "{:>4}  {}  {:<9}  {done:>8}",
        one.number,
        human::pad(&human::clean(&one.host_name), name),
        tally::label(&one.state),
    );
    match &one.state {
        ReceiverState::Failed(reason) => line += &format!("  {}", human::clean(reason)),
        ReceiverState::Receiving | ReceiverState::Silent | ReceiverState::Demoted => {
            let (rate, loss) = (human::rate(rate), human::share(one.loss));
            line += &format!("  {rate:>12}  loss {loss:>7}");
            line += &tally::kept(one, image_len).map_or(String::new(), |kept| format!("  {kept}"));
            if let Some(reason) = one.slow.filter(|_| one.state == ReceiverState::Demoted) {
                line += &format!("  served later: {}", reason.name());
            } else if let Some(limit) = one.limit {
                line += &format!("  {}", tally::limit(limit));
            }
        }
        ReceiverState::Confirmed => {
            if let Some(time) = one.finished_after {
                line += &format!("  after {}", human::clock(time));
            }
        }
        ReceiverState::Waiting => line = format!("{}  {}", line.trim_end(), one.address),
        ReceiverState::Flushing | ReceiverState::Verifying | ReceiverState::Lost => {}
    }
    line
}
