//! Files of NTFS.

use super::{Content, Entry, Kind, Node, Piece, Pieces};
use crate::used::Distrust;
use crate::used::ntfs::{self, Ntfs, REPARSE_POINT, Record, Run};
use crate::used::read::Reader;

/// The files of one filesystem.
#[derive(Debug)]
pub(super) struct Tree(Ntfs);

impl Tree {
    pub(super) fn open(volume: Reader) -> Result<Self, Distrust> {
        Ntfs::open(volume).map(Self)
    }

    fn load(&self, record: &Record, reference: u64) -> Result<Node, Distrust> {
        let reparse = self.0.attribute(record, REPARSE_POINT, &[])?;
        let kind = if record.is_directory()? {
            Kind::Directory
        } else {
            Kind::File
        };
        let (len, content) = if reparse.is_some() {
            // A junction, a link, or a file whose content CompactOS keeps elsewhere.
            (0, Content::Opaque("a file that is a reparse point"))
        } else if kind == Kind::Directory {
            (0, Content::Index(reference))
        } else {
            self.content(record)?
        };
        Ok(Node { kind, len, content })
    }

    fn content(&self, record: &Record) -> Result<(u64, Content), Distrust> {
        let stream = match self.0.attribute(record, ntfs::DATA, &[])? {
            None => return Ok((0, Content::Inline(Vec::new()))),
            Some(ntfs::Content::Resident(bytes)) => {
                return Ok((bytes.len() as u64, Content::Inline(bytes)));
            }
            Some(ntfs::Content::Runs(stream)) => stream,
        };
        if stream.flags & ntfs::COMPRESSED != 0 {
            return Ok((stream.size, Content::Opaque("a file that is compressed")));
        }
        if stream.flags & ntfs::ENCRYPTED != 0 {
            return Ok((stream.size, Content::Opaque("a file that is encrypted")));
        }
        let cluster = self.0.cluster;
        if stream.runs().last().map_or(0, |run| run.index.end) * cluster < stream.size {
            return Err(Distrust::Damaged {
                what: "a part of a file is missing",
            });
        }
        let mut pieces = Pieces::new(self.0.clusters() * cluster);
        for run in stream.runs() {
            push(&mut pieces, run, cluster, stream.initialized)?;
        }
        Ok((stream.size, pieces.done()))
    }
}

/// Adds a run; what lies behind the `written` bytes of the file reads as zeros.
fn push(pieces: &mut Pieces, run: &Run, cluster: u64, written: u64) -> Result<(), Distrust> {
    let Some(start) = run.start else {
        return Ok(());
    };
    let (from, end) = (run.index.start * cluster, run.index.end * cluster);
    let split = written.clamp(from, end);
    for (part, is_written) in [(from..split, true), (split..end, false)] {
        if !part.is_empty() {
            pieces.push(Piece {
                from: part.start,
                len: part.end - part.start,
                place: start * cluster + (part.start - from),
                is_written,
            })?;
        }
    }
    Ok(())
}

impl super::Tree for Tree {
    fn root(&self) -> Result<Node, Distrust> {
        let record = self.0.base(ntfs::ROOT)?;
        let reference = record.reference()?;
        self.load(&record, reference)
    }

    fn node(&self, entry: &Entry) -> Result<Node, Distrust> {
        let record = self.0.follow(entry.id)?.ok_or(Distrust::Damaged {
            what: "a directory names a file that was deleted",
        })?;
        self.load(&record, entry.id)
    }

    fn names(&self, directory: &Node, each: &mut dyn FnMut(Entry) -> bool) -> Result<(), Distrust> {
        let reference = match &directory.content {
            Content::Index(reference) => *reference,
            Content::Opaque(why) => return Err(Distrust::Arrangement(why)),
            Content::Inline(_) | Content::Pieces(_) => return Ok(()),
        };
        let record = self.0.follow(reference)?.ok_or(Distrust::Damaged {
            what: "a directory that was deleted",
        })?;
        self.0.names(&record, &mut |name| {
            // The root directory has a name in itself.
            name.name == "."
                || each(Entry {
                    name: name.name,
                    id: name.reference,
                    about: None,
                })
        })
    }

    /// What is looked for has names of ASCII only.
    fn is_same(&self, one: &str, other: &str) -> bool {
        one.eq_ignore_ascii_case(other)
    }

    fn check_clean(&self) -> Result<(), Distrust> {
        self.0.check_clean().map(|_| ())
    }

    fn unit(&self) -> u64 {
        self.0.cluster
    }
}
