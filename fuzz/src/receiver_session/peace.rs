//! Nobody forges anything any more, and the sender sends everything: the receiver gets its image.

use mimeo_protocol::wire::ToReceiver;

use super::Outcome;
use super::room::Room;

/// A forged symbol may cost a block or a page a pass, and one more if it held the only buffer.
const PASSES: u32 = 4;

impl Room {
    /// See the module's page.
    pub(super) fn end_in_peace(&mut self) {
        if self.other_image {
            return;
        }
        self.hear_truth();
        for _ in 0..PASSES {
            if !self.finished && !self.failing {
                self.pass_over_all();
            }
        }
        assert!(self.finished || self.failing, "it does not end");
    }

    fn pass_over_all(&mut self) {
        for page in 0..self.image.pages() {
            self.hear_page(page as u8);
            self.drain();
            self.done(u8::MAX, Outcome::Well);
        }
        if self.endpoint.session().progress().bad_blocks > 0 {
            self.mend_all();
            self.drain();
            self.done(u8::MAX, Outcome::Well);
        }
        for block in 0..self.image.blocks() {
            self.hear_block(block as u8, 0, u8::MAX);
            self.drain();
            self.done(u8::MAX, Outcome::Well);
        }
        self.hear_end();
        self.drain();
        self.done(u8::MAX, Outcome::Well);
        self.hear_message(&ToReceiver::ConfirmSeen);
        self.drain();
    }
}
