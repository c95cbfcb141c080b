//! The checksums that filesystems and partition tables keep.
//!
//! All are reflected CRCs over a table that is computed at compile time; what
//! they run over is small beside what is read.

const fn table(polynomial: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ polynomial
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// IEEE 802.3: GPT, LVM.
static CRC32: [u32; 256] = table(0xedb8_8320);
/// Castagnoli, RFC 3720 appendix B.4: ext4, XFS, btrfs.
static CRC32C: [u32; 256] = table(0x82f6_3b78);
/// The ANSI polynomial x^16 + x^15 + x^2 + 1: ext4's group descriptors.
static CRC16: [u32; 256] = table(0xa001);

fn update(table: &[u32; 256], crc: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(crc, |crc, byte| {
        (crc >> 8) ^ table[usize::from(crc as u8 ^ byte)]
    })
}

/// CRC-32 of IEEE 802.3, as it goes on from `crc`; neither inverted before nor after.
pub(crate) fn crc32_raw(crc: u32, bytes: &[u8]) -> u32 {
    update(&CRC32, crc, bytes)
}

/// CRC-32 of IEEE 802.3, as zlib has it.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !crc32_raw(!0, bytes)
}

/// CRC-32C as it goes on from `crc`; neither inverted before nor after.
pub(crate) fn crc32c_raw(crc: u32, bytes: &[u8]) -> u32 {
    update(&CRC32C, crc, bytes)
}

/// CRC-16 as it goes on from `crc`.
pub(crate) fn crc16(crc: u16, bytes: &[u8]) -> u16 {
    // The table of a 16-bit polynomial keeps to 16 bits.
    update(&CRC16, u32::from(crc), bytes) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_published_check_values_come_out() {
        let bytes = b"123456789";
        assert_eq!(crc32(bytes), 0xcbf4_3926);
        assert_eq!(!crc32c_raw(!0, bytes), 0xe306_9283);
        assert_eq!(crc16(0, bytes), 0xbb3d);
        assert_eq!(crc16(0xffff, bytes), 0x4b37);
    }
}
