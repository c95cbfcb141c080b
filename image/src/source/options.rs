//! What of a source is to be read.

/// Which bytes of a source are its image; on command lines `auto` and `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum UsedMode {
    /// [`Self::Auto`] of a block device, [`Self::Off`] of everything else.
    #[default]
    #[value(skip)]
    ByKind,
    /// What its filesystems use; partitions whose map of used blocks is not trusted whole
    Auto,
    /// Every byte
    Off,
}

impl UsedMode {
    pub(super) fn leaves_out(self, is_device: bool) -> bool {
        match self {
            Self::ByKind => is_device,
            Self::Auto => true,
            Self::Off => false,
        }
    }
}

/// How a source is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceOptions {
    /// Which of its bytes are the image.
    pub used: UsedMode,
    /// Whether hibernated partitions are copied whole, and a source that is copied exactly may
    /// change while it is read.
    pub force: bool,
    /// Whether a qcow2 or vmdk file is taken for the disk that it holds.
    pub virtual_disks: bool,
}

impl SourceOptions {
    /// All bytes of a source that nobody writes to.
    pub const EXACT: Self = Self {
        used: UsedMode::Off,
        force: false,
        virtual_disks: false,
    };

    /// Whether a source may be in use: a map that goes on changing is of no use, so only where
    /// everything is copied.
    pub(super) fn even_in_use(&self, is_device: bool) -> bool {
        self.force && !self.used.leaves_out(is_device)
    }
}
