//! The file that a report goes to: looked at before the session, written after it in one step.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A path that a report can be written to, as far as that can be known beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    path: PathBuf,
}

/// Why a path cannot take a report.
#[derive(Debug, thiserror::Error)]
pub enum ReportFileError {
    /// Its directory is not there.
    #[error("there is no directory {}; create it first", .0.display())]
    NoDirectory(PathBuf),
    /// A directory, a device or a pipe has that name.
    #[error("it exists and is not a regular file; name a new file, or one to be replaced")]
    NotRegular,
    /// It names no file.
    #[error("it names no file; give the path of a file to create")]
    NoName,
    /// What the session is about, the image or the target, would be replaced by the report.
    #[error("it is the {0} itself; name another file")]
    Subject(&'static str),
    /// Looking failed.
    #[error("{0}")]
    Look(#[source] io::Error),
}

impl ReportFile {
    /// Checks that a report can be put at `path` and that it is not `subject`, what the session is
    /// about; `called` is the word for that in the message, such as "image".
    ///
    /// # Errors
    ///
    /// When the directory does not exist or the path is anything but a regular file or free.
    pub fn check(
        path: &Path,
        subject: &Path,
        called: &'static str,
    ) -> Result<Self, ReportFileError> {
        let resolved = resolve(path)?;
        // The report replaces what has its name, so a device would lose its name in /dev.
        match fs::metadata(&resolved) {
            Ok(about) if !about.is_file() => return Err(ReportFileError::NotRegular),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ReportFileError::Look(error));
            }
            Ok(_) | Err(_) => {}
        }
        if resolve(subject).is_ok_and(|subject| subject == resolved) {
            return Err(ReportFileError::Subject(called));
        }
        Ok(Self { path: resolved })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the report: whoever reads the path finds the old content or all of the new.
    ///
    /// # Errors
    ///
    /// Whatever the file system says.
    pub fn write(&self, content: &[u8]) -> io::Result<()> {
        let partial = self.partial();
        let result = fill(&partial, content).and_then(|()| fs::rename(&partial, &self.path));
        if result.is_err() {
            let _ = fs::remove_file(&partial);
        }
        result
    }

    /// In the same directory, since a rename does not cross file systems.
    fn partial(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        self.path.with_file_name(name)
    }
}

fn fill(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// The path with its links followed; of a file that does not exist, those of its directory.
fn resolve(path: &Path) -> Result<PathBuf, ReportFileError> {
    if let Ok(resolved) = fs::canonicalize(path) {
        return Ok(resolved);
    }
    let name = path.file_name().ok_or(ReportFileError::NoName)?;
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    match fs::canonicalize(parent) {
        Ok(directory) if directory.is_dir() => Ok(directory.join(name)),
        _ => Err(ReportFileError::NoDirectory(parent.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_replaces_what_was_there_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        let report = ReportFile::check(&path, Path::new("-"), "image").unwrap();
        report.write(b"one, and longer").unwrap();
        report.write(b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_followed_and_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let report = ReportFile::check(&link, Path::new("-"), "image").unwrap();
        report.write(b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(link.is_symlink());
    }

    #[test]
    fn what_cannot_take_a_report_is_refused_early() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |path: &Path| {
            ReportFile::check(path, Path::new("-"), "image")
                .unwrap_err()
                .to_string()
        };
        let missing = dir.path().join("missing/report.json");
        assert!(refused(&missing).contains("create it first"));
        assert!(refused(dir.path()).contains("not a regular file"));
        assert!(refused(Path::new("/dev/null")).contains("not a regular file"));
        let below_a_file = dir.path().join("file");
        fs::write(&below_a_file, "").unwrap();
        assert!(refused(&below_a_file.join("x")).contains("no directory"));
        assert!(refused(&dir.path().join("none/..")).contains("names no file"));
    }

    #[test]
    fn neither_image_nor_target_is_ever_replaced_by_the_report() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        let roundabout = dir.path().join(".").join("image");
        for exists in [false, true] {
            if exists {
                fs::write(&image, "x").unwrap();
            }
            for called in ["image", "target"] {
                let error = ReportFile::check(&roundabout, &image, called).unwrap_err();
                assert!(matches!(error, ReportFileError::Subject(_)));
                let told = format!("it is the {called} itself; name another file");
                assert_eq!(error.to_string(), told);
            }
        }
    }

    #[test]
    fn a_failed_write_says_so_and_cleans_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        let report = ReportFile::check(&path, Path::new("-"), "image").unwrap();
        // Somebody puts a directory in its place while the session runs.
        fs::create_dir(&path).unwrap();
        fs::write(path.join("x"), "").unwrap();
        report.write(b"new").unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
