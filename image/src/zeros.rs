//! Whether bytes are zeros.

/// Whether all bytes are zero. Stops within 128 bytes of the first that is not.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<128>();
    let zero = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all | byte) == 0;
    chunks.iter().all(|chunk| zero(chunk)) && zero(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_anywhere_is_found() {
        let mut bytes = vec![0; 300];
        assert!(is_zero(&bytes));
        for at in 0..300 {
            bytes[at] = 1 << (at % 8);
            assert!(!is_zero(&bytes), "{at}");
            bytes[at] = 0;
        }
    }
}
