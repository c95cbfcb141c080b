//! The thread that compares what the target holds with the image, for a receiver that resumes.

use std::sync::mpsc;
use std::thread;

use mimeo_image::target::{TargetError, TargetReader};
use mimeo_net::Waker;
use mimeo_protocol::manifest::StoredBlock;
use mimeo_protocol::receiver::Finding;
use mimeo_protocol::units::{BLOCK_SIZE, BlockNumber};

/// What the target holds at the place of a block.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) block: BlockNumber,
    pub(super) finding: Finding,
    /// Bytes that were looked at.
    pub(super) bytes: u64,
    /// The disk did not give it, so nothing is known of it.
    pub(super) unreadable: bool,
}

/// The way to the checker and back.
#[derive(Debug)]
pub(super) struct Checker {
    work: mpsc::Sender<(u32, BlockNumber, StoredBlock)>,
    done: mpsc::Receiver<(u32, Checked)>,
    /// Counts the sessions: block numbers are of one session.
    session: u32,
}

impl Checker {
    /// Starts the thread. The image's length is known unless it comes from a stream, and the
    /// target's if it is a device.
    pub(super) fn start(
        mut reader: TargetReader,
        (image_len, target_len): (Option<u64>, Option<u64>),
        waker: Waker,
    ) -> std::io::Result<Self> {
        let (work, to_do) = mpsc::channel::<(u32, BlockNumber, StoredBlock)>();
        let (finished, done) = mpsc::channel();
        let run = move || {
            let mut room = vec![0; BLOCK_SIZE];
            for (session, block, entry) in to_do {
                let checked = if target_len.is_some_and(|len| entry.place.offset() >= len) {
                    beyond(block, &entry, image_len)
                } else {
                    check(&mut reader, block, &entry, image_len, &mut room)
                };
                if finished.send((session, checked)).is_err() {
                    break;
                }
                waker.wake();
            }
        };
        thread::Builder::new().name("check".into()).spawn(run)?;
        Ok(Self {
            work,
            done,
            session: 0,
        })
    }

    /// Hands a block over.
    pub(super) fn push(&self, block: BlockNumber, entry: StoredBlock) {
        // It ends with the engine, not before.
        let _ = self.work.send((self.session, block, entry));
    }

    /// What is found of blocks that were handed over so far is not told.
    pub(super) fn forget(&mut self) {
        self.session += 1;
    }

    /// What was found, if anything.
    pub(super) fn poll(&self) -> Option<Checked> {
        let mut found = self.done.try_iter();
        found.find_map(|(session, checked)| (session == self.session).then_some(checked))
    }
}

/// The target ends before the block.
fn beyond(block: BlockNumber, entry: &StoredBlock, image_len: Option<u64>) -> Checked {
    Checked {
        block,
        finding: Finding::Beyond,
        bytes: Finding::len_of(entry, image_len) as u64,
        unreadable: false,
    }
}

fn check(
    reader: &mut TargetReader,
    block: BlockNumber,
    entry: &StoredBlock,
    image_len: Option<u64>,
    room: &mut [u8],
) -> Checked {
    let wanted = &mut room[..Finding::len_of(entry, image_len)];
    let (finding, bytes, unreadable) = match reader.read_at(entry.place.offset(), wanted) {
        Ok(read) => {
            let finding = Finding::of(entry, &wanted[..read], image_len);
            (finding, read as u64, false)
        }
        // Writing may mend it; if it does not, that is the target's failure.
        Err(error) => {
            tracing::warn!("{}", unreadable_text(block, &error));
            (Finding::Different, 0, true)
        }
    };
    Checked {
        block,
        finding,
        bytes,
        unreadable,
    }
}

/// The error's own text is of a target that was written already: it would say not to use it.
fn unreadable_text(block: BlockNumber, error: &TargetError) -> String {
    let what = match error {
        TargetError::ReadBack { offset, source, .. } => format!("at offset {offset}: {source}"),
        other => other.to_string(),
    };
    format!("block {block} cannot be compared and is written again: unreadable {what}")
}
