//! What the session has to say: to the writer, and to whoever looks on.

use std::time::Instant;

use mimeo_image::fit::Note;
use mimeo_protocol::receiver::{Assembled, Event};
use mimeo_protocol::wire::{FailCode, SlowReason};

use super::Engine;
use super::ending::{exit_of, failure_text};
use super::writer::Work;
use crate::exit::Exit;
use crate::status::Severity;

/// Told once, at the first symbol that turns out not to be the sender's.
const FORGED: &str = "data came that the sender has not sent, and is left out: somebody in the room \
                      forges it, or the memory of this machine is broken";

impl Engine {
    pub(super) fn handle_events(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Started => self.pictures.on_started(Instant::now()),
                Event::Block {
                    block,
                    buffer,
                    esis,
                    entry,
                } => {
                    let symbols = self.endpoint.take(buffer);
                    let symbols = symbols.expect("a complete block has its buffer");
                    self.write(Work::Block(Assembled {
                        block,
                        entry,
                        esis,
                        symbols,
                        buffer,
                    }));
                }
                Event::Check { block, entry } => {
                    if let Some(checker) = &self.checker {
                        checker.push(block, entry);
                    }
                }
                Event::NotThisImage { different } => {
                    let text = format!(
                        "target {}: it does not hold (a part of) this image: 0 of {different} \
                         blocks match; give --yes to overwrite it, or leave --resume out",
                        self.pictures.target()
                    );
                    self.give_up(Exit::Refused, FailCode::TargetRefused, &text);
                }
                Event::Zero(run) => self.write(Work::Zero(run)),
                Event::Discard(run) => self.write(Work::Discard(run)),
                Event::Flush { image_len } => self.write(Work::Flush { image_len }),
                Event::Verify(plan) => self.write(Work::Verify(plan)),
                Event::Standing(slow) => self.tell_standing(slow),
                Event::ForgedSymbols => self.tell(Severity::Warn, FORGED.to_owned()),
                Event::BadBlocks { blocks } => {
                    let text = format!(
                        "{blocks} blocks did not have their digest and are mended: somebody in the \
                         room forges data, or the memory of this machine is broken"
                    );
                    self.tell(Severity::Warn, text);
                }
                Event::NoGroupData => self.tell(Severity::Warn, self.room.no_data()),
                Event::Finished { acknowledged } => {
                    if !acknowledged {
                        let text = "the image is complete and verified, but the sender has not acknowledged it";
                        self.tell(Severity::Warn, text.to_owned());
                    }
                    self.ended.get_or_insert((Exit::Verified, None));
                }
                Event::Failed(failure) => {
                    self.ended
                        .get_or_insert_with(|| (exit_of(&failure), Some(failure_text(&failure))));
                }
                Event::Left => {}
            }
        }
    }

    /// What became of the partition table.
    pub(super) fn tell_fitted(&self, notes: &[Note]) {
        for note in notes {
            let severity = match note.is_warning() {
                true => Severity::Warn,
                false => Severity::Info,
            };
            self.tell(severity, note.to_string());
        }
    }

    fn tell_standing(&self, slow: Option<SlowReason>) {
        match slow {
            Some(reason) => {
                let reason = reason.name();
                let text = format!("this machine is too slow ({reason}): it is served later");
                self.tell(Severity::Warn, text);
            }
            None => self.tell(Severity::Info, "this machine counts again".to_owned()),
        }
    }
}
