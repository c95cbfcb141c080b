//! Manifest pages that wait to be sent.

use std::collections::VecDeque;

use crate::sender::manifest_log::PAGE_PARITY;
use crate::units::{Esi, PageNumber};

/// A page and the next of its symbols.
#[derive(Debug, Clone, Copy)]
struct PageSend {
    page: PageNumber,
    next: u8,
}

/// A symbol of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageSymbol {
    pub(super) page: PageNumber,
    pub(super) esi: Esi,
    /// Whether it is the last that is sent of its page now.
    pub(super) last: bool,
}

/// Pages that nobody has yet go first: their blocks wait for them. Pages that somebody asks for
/// again take turns with blocks: a receiver that comes late to a large image asks for thousands,
/// and the room does not stand still for it.
#[derive(Debug, Default)]
pub(super) struct PageQueue {
    fresh: VecDeque<PageSend>,
    again: VecDeque<PageSend>,
}

impl PageQueue {
    pub(super) fn push_fresh(&mut self, page: PageNumber) {
        self.fresh.push_back(PageSend { page, next: 0 });
    }

    pub(super) fn push_again(&mut self, page: PageNumber) {
        self.again.push_back(PageSend { page, next: 0 });
    }

    /// New pages that wait.
    pub(super) fn fresh(&self) -> usize {
        self.fresh.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.again.is_empty()
    }

    pub(super) fn next_fresh(&mut self) -> Option<PageSymbol> {
        next(&mut self.fresh)
    }

    pub(super) fn next_again(&mut self) -> Option<PageSymbol> {
        next(&mut self.again)
    }
}

fn next(queue: &mut VecDeque<PageSend>) -> Option<PageSymbol> {
    let send = queue.front_mut()?;
    let symbol = PageSymbol {
        page: send.page,
        esi: Esi(send.next),
        last: send.next == PAGE_PARITY,
    };
    send.next += 1;
    if symbol.last {
        queue.pop_front();
    }
    Some(symbol)
}
