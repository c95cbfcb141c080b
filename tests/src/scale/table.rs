//! The committed table: which rooms stand in it, and how it is written and read again.

use mimeo_protocol::sender::SlowPolicy;

use super::figures::Figures;
use super::setting::{Setting, Starts};
use crate::host::allowed_overhead;

/// A room of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// What it is called, and what chooses it on the command line.
    pub name: String,
    /// What it is like.
    pub setting: Setting,
}

/// The parts of the page, by the first word of their rows' names.
const PARTS: [(&str, &str); 6] = [
    ("1g", "1 GB, Gigabit, disks of 130 to 500 MB/s"),
    ("50g", "50 GB, Gigabit, disks of 130 to 500 MB/s"),
    (
        "disks",
        "1 GB, Gigabit, disks of 60 to 500 MB/s, all wait for the slowest",
    ),
    (
        "slow",
        "1 GB, Gigabit, disks of 130 to 500 MB/s, but for 3 of 30 MB/s",
    ),
    ("100m", "180 MB, 100 Mbit/s, disks of 130 to 500 MB/s"),
    (
        "spread",
        "1 GB, Gigabit, receivers join while the image is sent once",
    ),
];

const GB: u64 = 1_000_000_000;

/// All rooms of the table.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |part: &str, setting: Setting| {
        let percent = setting.loss * 100.0;
        let name = format!("{part}-{}-{percent}", setting.receivers);
        rows.push(Row { name, setting });
    };
    for receivers in [1, 8, 32, 80, 100, 300, 1000] {
        for loss in [0.0, 0.001, 0.01, 0.05] {
            add("1g", Setting::gigabit(receivers, loss, GB));
        }
    }
    for (receivers, loss) in [(1, 0.0), (8, 0.01), (32, 0.0), (32, 0.001), (32, 0.01)] {
        add("50g", Setting::gigabit(receivers, loss, 50 * GB));
    }
    for (receivers, loss) in [(1, 0.0), (8, 0.0), (32, 0.0), (32, 0.01), (100, 0.001)] {
        let gigabit = Setting::gigabit(receivers, loss, GB);
        let disks = (60_000_000, 500_000_000);
        let policy = SlowPolicy::Wait;
        let setting = Setting {
            disks,
            policy,
            ..gigabit
        };
        add("disks", setting);
    }
    for (receivers, loss) in [(8, 0.0), (8, 0.01), (32, 0.0), (100, 0.0), (100, 0.001)] {
        let gigabit = Setting::gigabit(receivers, loss, GB);
        let slow = 3;
        add("slow", Setting { slow, ..gigabit });
    }
    for (receivers, loss) in [(1, 0.0), (80, 0.0), (80, 0.001)] {
        let gigabit = Setting::gigabit(receivers, loss, 180_000_000);
        let cable = 100_000_000;
        add("100m", Setting { cable, ..gigabit });
    }
    for (receivers, loss) in [(8, 0.0), (32, 0.0), (32, 0.001), (100, 0.0), (100, 0.01)] {
        let gigabit = Setting::gigabit(receivers, loss, GB);
        let starts = Starts::Spread;
        add("spread", Setting { starts, ..gigabit });
    }
    rows
}

const HEAD: &str = "\
| room | time | others | of the cable | overhead | allowed | needless | feedback/s | peak | cycles | bytes |
|---|---|---|---|---|---|---|---|---|---|---|
";

impl Row {
    /// Whether everybody can have the image when it was sent once.
    #[must_use]
    pub fn is_one_cycle(&self) -> bool {
        self.setting.starts == Starts::Together && self.setting.slow == 0
    }

    /// The line of the table.
    #[must_use]
    pub fn line(&self, figures: &Figures) -> String {
        let (time, wire) = (
            figures.time.as_secs_f64(),
            self.setting.wire_time().as_secs_f64(),
        );
        let allowed = match self.is_one_cycle() {
            true => {
                let allowed = allowed_overhead(self.setting.receivers, self.setting.loss);
                format!("{:.2} %", 100.0 * allowed)
            }
            false => "-".to_owned(),
        };
        format!(
            "| {} | {time:.2} s | {:.2} s | {:.3} | {:.2} % | {allowed} | {} | {:.0} | {} | {} | {} |",
            self.name,
            figures.others.as_secs_f64(),
            time / wire,
            100.0 * figures.overhead(),
            figures.needless_symbols,
            figures.feedback_rate(),
            figures.feedback_peak,
            figures.cycles,
            figures.state_bytes,
        )
    }
}

/// The tables of all parts, from their lines in the order of the rows.
#[must_use]
pub fn tables(lines: &[String]) -> String {
    let mut out = String::new();
    for (part, title) in PARTS {
        out += &format!("## {title}\n\n{HEAD}");
        let start = format!("| {part}-");
        for line in lines.iter().filter(|line| line.starts_with(&start)) {
            out += &format!("{line}\n");
        }
        out.push('\n');
    }
    out
}

/// Where the tables begin on the page, and where they end.
const BEGIN: &str = "<!-- tables -->\n";
const END: &str = "<!-- end of tables -->\n";

/// The page with other tables; `None` where the marks are missing.
#[must_use]
pub fn replaced(page: &str, tables: &str) -> Option<String> {
    let (head, rest) = page.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some(format!("{head}{BEGIN}\n{tables}{END}{tail}"))
}

/// The line that the page has for a room.
#[must_use]
pub fn committed<'a>(page: &'a str, row: &Row) -> Option<&'a str> {
    let start = format!("| {} |", row.name);
    page.lines().find(|line| line.starts_with(&start))
}
