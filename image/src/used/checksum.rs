//! The checksums that filesystems and partition tables keep: reflected CRCs, neither whose state at
//! the start nor whose end is the same everywhere.

use crc::{Algorithm, CRC_16_ARC, CRC_32_ISCSI, CRC_32_ISO_HDLC, Crc, Table};

/// Sixteen bytes at a time: the bitmaps of a large disk are hundreds of megabytes.
type Wide = Crc<u32, Table<16>>;

/// IEEE 802.3: GPT, LVM.
static CRC32: Wide = Wide::new(&Algorithm {
    xorout: 0,
    ..CRC_32_ISO_HDLC
});
/// Castagnoli, RFC 3720 appendix B.4: ext4, XFS, btrfs.
static CRC32C: Wide = Wide::new(&Algorithm {
    xorout: 0,
    ..CRC_32_ISCSI
});
/// The ANSI polynomial x^16 + x^15 + x^2 + 1: ext4's group descriptors.
static CRC16: Crc<u16> = Crc::<u16>::new(&CRC_16_ARC);

/// Goes on from a state, which the library takes as it was before it is reflected.
fn update(crc: &Wide, state: u32, bytes: &[u8]) -> u32 {
    let mut digest = crc.digest_with_initial(state.reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

/// CRC-32 of IEEE 802.3, as it goes on from `crc`; neither inverted before nor after.
#[must_use]
pub fn crc32_raw(crc: u32, bytes: &[u8]) -> u32 {
    update(&CRC32, crc, bytes)
}

/// CRC-32 of IEEE 802.3, as zlib has it.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    !crc32_raw(!0, bytes)
}

/// CRC-32C as it goes on from `crc`; neither inverted before nor after.
#[must_use]
pub fn crc32c_raw(crc: u32, bytes: &[u8]) -> u32 {
    update(&CRC32C, crc, bytes)
}

/// CRC-16 as it goes on from `crc`.
#[must_use]
pub fn crc16(crc: u16, bytes: &[u8]) -> u16 {
    let mut digest = CRC16.digest_with_initial(crc.reverse_bits());
    digest.update(bytes);
    digest.finalize()
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

    #[test]
    fn parts_one_after_the_other_are_the_whole() {
        let bytes: Vec<u8> = (0..100_u8).map(|n| n.wrapping_mul(37)).collect();
        for at in 0..bytes.len() {
            let (one, other) = bytes.split_at(at);
            let all = crc32_raw(!0, &bytes);
            assert_eq!(crc32_raw(crc32_raw(!0, one), other), all);
            let all = crc32c_raw(5, &bytes);
            assert_eq!(crc32c_raw(crc32c_raw(5, one), other), all);
            let all = crc16(0xffff, &bytes);
            assert_eq!(crc16(crc16(0xffff, one), other), all);
        }
    }
}
