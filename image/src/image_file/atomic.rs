//! A file that is there as a whole or not at all, also after a crash.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, PersistError};

use super::FileError;

/// A file under another name in the same folder, which goes away unless it is finished.
pub(super) struct NewFile {
    path: PathBuf,
    folder: PathBuf,
    file: NamedTempFile,
    force: bool,
}

impl NewFile {
    /// Begins a file that will be at `path`. With `force` it takes the place of one that is there.
    pub(super) fn create(path: &Path, force: bool) -> Result<Self, FileError> {
        let failed = |source| FileError::io(path, "create it", 0, source);
        match fs::symlink_metadata(path) {
            Ok(meta) if !meta.is_file() => {
                return Err(failed(io::Error::other(
                    "there is something that is no regular file; name another path",
                )));
            }
            Ok(_) if !force => {
                return Err(FileError::Exists {
                    path: path.to_owned(),
                });
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // The file's own name may be as long as a name can be.
        let file = tempfile::Builder::new()
            .prefix(".mimeo-")
            .suffix(".part")
            // As the umask leaves it.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            folder: folder.to_owned(),
            file,
            force,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// For writing, from the start.
    pub(super) fn file(&self) -> io::Result<File> {
        self.file.as_file().try_clone()
    }

    /// Puts it, and everything that was written to it, in its place for good.
    pub(super) fn finish(self) -> Result<(), FileError> {
        let Self {
            path,
            folder,
            file,
            force,
        } = self;
        let failed = |action, source| FileError::io(&path, action, 0, source);
        let synced = file.as_file().sync_all();
        synced.map_err(|source| failed("flush it", source))?;
        if force {
            persist(file, &path)
        } else {
            persist_new(file, &path)
        }
        .map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => FileError::Exists { path: path.clone() },
            _ => failed("rename it", source),
        })?;
        sync_folder(&folder).map_err(|source| failed("flush its folder", source))
    }
}

fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.persist(path)
        .map(drop)
        .map_err(|PersistError { error, .. }| error)
}

/// Somebody may have put something there meanwhile.
fn persist_new(file: NamedTempFile, path: &Path) -> io::Result<()> {
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(PersistError { error, .. }) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        // A file system that only knows how to replace, as exFAT.
        Err(PersistError { file, .. }) => match fs::symlink_metadata(path) {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(_) => persist(file, path),
        },
    }
}

/// The new name is safe only when the folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTSUP)) => Ok(()),
        result => result,
    }
}
