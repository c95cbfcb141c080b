//! A borrowing reader and a small writer for fixed layouts in network byte order.

use super::WireError;

/// Reads fields off the front of a datagram; every error names the field that was short.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], WireError> {
        let Some((head, rest)) = self.bytes.split_at_checked(len) else {
            return Err(WireError::Short {
                field,
                needed: len,
                left: self.bytes.len(),
            });
        };
        self.bytes = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(N, field)?);
        Ok(out)
    }

    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        Ok(self.array::<1>(field)?[0])
    }

    /// A 16-bit number.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    /// A 32-bit number.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.array(field)?))
    }

    /// A 48-bit number.
    pub fn u48(&mut self, field: &'static str) -> Result<u64, WireError> {
        let low: [u8; 6] = self.array(field)?;
        let mut wide = [0; 8];
        wide[2..].copy_from_slice(&low);
        Ok(u64::from_be_bytes(wide))
    }

    /// A 64-bit number.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, WireError> {
        Ok(u64::from_be_bytes(self.array(field)?))
    }

    /// A UTF-8 text behind its length in one byte.
    pub fn text(&mut self, field: &'static str) -> Result<String, WireError> {
        let len = usize::from(self.u8(field)?);
        let bytes = self.bytes(len, field)?;
        let text = std::str::from_utf8(bytes).map_err(|_| WireError::Value { field })?;
        if text.chars().any(char::is_control) {
            return Err(WireError::Value { field });
        }
        Ok(text.to_owned())
    }

    /// Bytes behind their length in two bytes.
    pub fn blob(&mut self, field: &'static str) -> Result<&'a [u8], WireError> {
        let len = usize::from(self.u16(field)?);
        self.bytes(len, field)
    }

    /// All bytes that are left.
    #[must_use]
    pub fn rest(self) -> &'a [u8] {
        self.bytes
    }

    /// Ends the reading: left-over bytes are an error.
    pub fn finish(self) -> Result<(), WireError> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(WireError::Trailing { left }),
        }
    }
}

/// Appends fields in network byte order.
pub trait Write {
    /// A 16-bit number.
    fn put_u16(&mut self, value: u16);
    /// A 32-bit number.
    fn put_u32(&mut self, value: u32);
    /// The low 48 bits of a number.
    fn put_u48(&mut self, value: u64);
    /// A 64-bit number.
    fn put_u64(&mut self, value: u64);
    /// A text of at most 255 bytes behind its length; a longer one is cut at a character, and
    /// control characters become spaces.
    fn put_text(&mut self, value: &str);
    /// Bytes behind their length in two bytes.
    fn put_blob(&mut self, value: &[u8]);
}

impl Write for Vec<u8> {
    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u48(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes()[2..]);
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_text(&mut self, value: &str) {
        // A control character may take two bytes; its space takes one, so nothing grows.
        let clean = value.replace(char::is_control, " ");
        let cut = clean.floor_char_boundary(255);
        self.push(u8::try_from(cut).expect("at most 255 by the cut above"));
        self.extend_from_slice(&clean.as_bytes()[..cut]);
    }

    fn put_blob(&mut self, value: &[u8]) {
        self.put_u16(u16::try_from(value.len()).expect("blobs of a datagram are short"));
        self.extend_from_slice(value);
    }
}
