//! Opens what is to be sent, and refuses what was said of it in vain.

use mimeo_image::image_file::FileError;
use mimeo_image::source::{Source, SourceError, UsedMode};

use crate::config::Config;
use crate::exit::Exit;

/// Opens the source.
///
/// # Errors
///
/// If it cannot be opened, was given what opens another, or is an image file and options would change
/// what is in it.
pub(crate) fn open(config: &Config) -> Result<Source, (Exit, String)> {
    let options = &config.source_options;
    let source =
        Source::open_image(&config.source, options, &config.credentials).map_err(|error| {
            let exit = match &error {
                SourceError::Captured(FileError::NotEncrypted { .. }) => Exit::Usage,
                error if error.is_refusal() => Exit::Refused,
                _ => Exit::Failure,
            };
            (exit, error.to_string())
        })?;
    match in_vain(config, &source) {
        None => Ok(source),
        Some(text) => {
            let name = config.source.display();
            Err((Exit::Usage, format!("image {name}: {text}")))
        }
    }
}

/// An option that would do nothing, and why.
fn in_vain(config: &Config, source: &Source) -> Option<&'static str> {
    if !matches!(source, Source::Captured(_)) {
        return None;
    }
    let options = &config.source_options;
    if config.scrub {
        Some("it was captured with what it holds; use --scrub of mimeo-image capture")
    } else if options.used == UsedMode::Off {
        Some(
            "what was unused is not in it; leave out --used off, which mimeo-image capture knows, \
             too, or send the image file itself through standard input",
        )
    } else if config.level.is_some() {
        Some("it is sent as it was compressed; leave out --compress")
    } else if options.force {
        Some("nothing of it is refused that could be forced; leave out --force")
    } else {
        None
    }
}
