//! Which numbers of a key were seen already (the window of RFC 4303 section 3.4.3).

/// A sliding window over the last 64 numbers.
#[derive(Debug, Clone, Default)]
pub struct ReplayWindow {
    /// Numbers below this one minus 64 are too old.
    next: u64,
    /// Bit `i` stands for the number `next - 1 - i`.
    seen: u64,
}

impl ReplayWindow {
    /// Notes an authenticated number; false if it was seen before or is too old to tell.
    pub fn accept(&mut self, seq: u64) -> bool {
        if seq >= self.next {
            let shift = seq - self.next + 1;
            self.seen = if shift >= 64 { 0 } else { self.seen << shift };
            self.seen |= 1;
            self.next = seq + 1;
            return true;
        }
        let age = self.next - 1 - seq;
        if age >= 64 || self.seen >> age & 1 == 1 {
            return false;
        }
        self.seen |= 1 << age;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_counts_once() {
        let mut window = ReplayWindow::default();
        assert!(window.accept(5));
        assert!(!window.accept(5));
        assert!(window.accept(3) && !window.accept(3));
        assert!(window.accept(200) && !window.accept(200));
        assert!(!window.accept(136), "64 behind is too old to tell");
        assert!(window.accept(137));
        assert!(!window.accept(5));
    }
}
