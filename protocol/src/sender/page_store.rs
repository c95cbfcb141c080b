//! Where the closed pages of a manifest are kept.
//!
//! A manifest has 44 MB of pages for each million blocks. The state machine needs any of them again,
//! to send it to a receiver that lacks it and to know of what a block consists, but hardly ever one
//! that is old: so whoever runs it decides where they are.

use core::fmt;

use crate::units::{PageNumber, Symbol};

/// Pages cannot be kept, or not be read again: why, and what to do, in words for an operator. The
/// session cannot go on without them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PagesLost(pub String);

/// Keeps pages, each as the one symbol that it is, under the numbers from 0 on.
pub trait PageStore: fmt::Debug + Send {
    /// Keeps the next page.
    ///
    /// # Errors
    ///
    /// [`PagesLost`] if it cannot; the store is not asked for anything then.
    fn push(&mut self, page: &Symbol) -> Result<(), PagesLost>;

    /// A page that was kept, the same bytes. It is asked for on the session's thread while that
    /// plans what is sent next, so it should be at hand if it is new or was asked for lately.
    ///
    /// # Errors
    ///
    /// [`PagesLost`] if it cannot be had any more.
    fn page(&mut self, number: PageNumber) -> Result<&Symbol, PagesLost>;
}

/// All pages in memory.
#[derive(Debug, Default)]
pub struct PagesInMemory(Vec<Symbol>);

impl PageStore for PagesInMemory {
    fn push(&mut self, page: &Symbol) -> Result<(), PagesLost> {
        self.0.push(*page);
        Ok(())
    }

    fn page(&mut self, number: PageNumber) -> Result<&Symbol, PagesLost> {
        let page = self.0.get(number.0 as usize);
        page.ok_or_else(|| PagesLost(format!("page {number} of the manifest was never kept")))
    }
}
