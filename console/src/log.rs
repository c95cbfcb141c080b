//! The log for whoever looks for a fault: off the progress display's way, `MIMEO_LOG` says how
//! much of it.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::{Screen, json};

/// The environment variable that chooses what is logged, as `tracing`'s filters are written.
const VARIABLE: &str = "MIMEO_LOG";

/// Starts logging to the screen, each event as it is or as a line of JSON.
///
/// # Errors
///
/// When the variable holds no filter.
pub fn start(screen: Screen, as_json: bool) -> Result<(), String> {
    let chosen = std::env::var(VARIABLE).unwrap_or_default();
    let chosen = if chosen.is_empty() { "warn" } else { &chosen };
    let filter = EnvFilter::try_new(chosen).map_err(|error| {
        format!("{VARIABLE}={chosen}: {error}; use error, warn, info, debug or trace")
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(LogWriter { screen, as_json })
        .finish();
    // Only fails where the program that calls this library logs already; then it keeps its way.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

struct LogWriter {
    screen: Screen,
    as_json: bool,
}

/// One event; it goes to the screen in one piece, so that the display can stay below it.
struct Event<'a> {
    writer: &'a LogWriter,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Event<'a>;

    fn make_writer(&'a self) -> Event<'a> {
        Event {
            writer: self,
            text: Vec::new(),
        }
    }
}

impl Write for Event<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        let text = text.trim_end();
        if self.writer.as_json {
            self.writer.screen.print(&json::log_line(text));
        } else {
            self.writer.screen.print(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(as_json: bool) -> String {
        let (screen, shown) = Screen::captured();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_writer(LogWriter { screen, as_json })
            .finish();
        tracing::subscriber::with_default(subscriber, || tracing::warn!("a \"fault\""));
        shown.take()
    }

    #[test]
    fn an_event_is_one_line_and_valid_json_among_json() {
        let plain = written(false);
        assert!(
            plain.ends_with("a \"fault\"\n") && plain.contains("WARN"),
            "{plain}"
        );
        let value: serde_json::Value = serde_json::from_str(&written(true)).unwrap();
        assert_eq!(value["type"], "log");
        assert!(value["message"].as_str().unwrap().ends_with("a \"fault\""));
    }
}
