//! File records and their attributes.

use crate::used::Distrust;
use crate::used::read::Fields;

/// The part of a file reference that is a record's number; the rest counts its uses.
pub(super) const NUMBER: u64 = (1 << 48) - 1;

/// Bytes that one entry of the update sequence protects, whatever the sector size.
const STRIDE: usize = 512;

/// The flags of a record that stands for a file, and for a directory.
const IN_USE: u16 = 1;
const IS_DIRECTORY: u16 = 2;

/// Checks the update sequence of a structure, and puts back the bytes that it replaced: the last
/// two of every 512 are the same number if all were written together.
pub(super) fn mend(bytes: &mut [u8], magic: &[u8; 4]) -> Result<(), Distrust> {
    let torn = Distrust::Damaged {
        what: "a record of it was written in part",
    };
    if bytes.part(0, 4)? != magic {
        return Err(Distrust::Damaged {
            what: "a record of it has the wrong magic number",
        });
    }
    let (at, count) = (usize::from(bytes.le16(4)?), usize::from(bytes.le16(6)?));
    if count != bytes.len() / STRIDE + 1 {
        return Err(torn);
    }
    let sequence = bytes.part(at, count * 2)?.to_vec();
    let (number, replaced) = sequence.split_at(2);
    for (stride, original) in bytes.chunks_exact_mut(STRIDE).zip(replaced.chunks_exact(2)) {
        let end = &mut stride[STRIDE - 2..];
        if end != number {
            return Err(torn);
        }
        end.copy_from_slice(original);
    }
    Ok(())
}

/// A file record whose update sequence is right.
#[derive(Debug)]
pub(crate) struct Record {
    pub(super) number: u64,
    bytes: Vec<u8>,
}

impl Record {
    pub(super) fn parse(mut bytes: Vec<u8>, number: u64) -> Result<Self, Distrust> {
        mend(&mut bytes, b"FILE")?;
        if bytes.le16(0x16)? & IN_USE == 0 {
            return Err(Distrust::Damaged {
                what: "a file record is not in use",
            });
        }
        Ok(Self { number, bytes })
    }

    /// How often the record was used anew.
    pub(super) fn sequence(&self) -> Result<u16, Distrust> {
        self.bytes.le16(0x10)
    }

    /// What names the file in a directory.
    pub(crate) fn reference(&self) -> Result<u64, Distrust> {
        Ok(self.number | u64::from(self.sequence()?) << 48)
    }

    /// Whether it is that of a directory.
    pub(crate) fn is_directory(&self) -> Result<bool, Distrust> {
        Ok(self.bytes.le16(0x16)? & IS_DIRECTORY != 0)
    }

    /// Number of the record that this one goes on from.
    pub(super) fn base(&self) -> Result<u64, Distrust> {
        Ok(self.bytes.le64(0x20)? & NUMBER)
    }

    /// The attribute of a type and a name (UTF-16), if its first cluster is `first`.
    pub(super) fn find(
        &self,
        kind: u32,
        name: &[u8],
        first: Option<u64>,
    ) -> Result<Option<Attribute<'_>>, Distrust> {
        let mut at = usize::from(self.bytes.le16(0x14)?);
        while self.bytes.le32(at)? != u32::MAX {
            let len = self.bytes.le32(at + 4)? as usize;
            // A header has at least 24 bytes: every turn goes on.
            let attribute = Attribute(self.bytes.part(at, len.max(24))?);
            let begins = first.is_none() || first == Some(attribute.first()?);
            if attribute.0.le32(0)? == kind && attribute.name()? == name && begins {
                return Ok(Some(attribute));
            }
            at += attribute.0.len();
        }
        Ok(None)
    }
}

/// One attribute, header and all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a>(pub(super) &'a [u8]);

impl<'a> Attribute<'a> {
    pub(super) fn is_resident(self) -> Result<bool, Distrust> {
        Ok(self.0.byte(8)? == 0)
    }

    /// The first of its clusters, counted in the attribute.
    pub(super) fn first(self) -> Result<u64, Distrust> {
        if self.is_resident()? {
            Ok(0)
        } else {
            self.0.le64(0x10)
        }
    }

    fn name(self) -> Result<&'a [u8], Distrust> {
        self.0
            .part(self.0.le16(10)?.into(), usize::from(self.0.byte(9)?) * 2)
    }

    /// Its content, which is in the record itself.
    pub(super) fn value(self) -> Result<&'a [u8], Distrust> {
        if !self.is_resident()? {
            return Err(Distrust::Damaged {
                what: "an attribute is not where it belongs",
            });
        }
        self.0
            .part(self.0.le16(0x14)?.into(), self.0.le32(0x10)? as usize)
    }
}
