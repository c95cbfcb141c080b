//! The source while it is read and after: its end, its digest, and whether it is still what was opened.

use mimeo_image::source::SourceError;
use mimeo_protocol::wire::FailCode;

use super::Engine;
use super::origin::Origin;
use crate::status::Severity;

impl Engine {
    /// The source was read to its end: it must still be the one that was opened.
    pub(super) fn end_source(&mut self, image_len: u64) {
        if let Some(Err(error)) = self.origin.as_ref().map(Origin::check_unchanged) {
            self.abort(FailCode::SourceFailed, &error.to_string());
            return;
        }
        self.read = Some(image_len);
    }

    /// All was read; once all digests are there, too, the image has one.
    pub(super) fn end_digest(&mut self) {
        if let Some(image_len) = self.read
            && let Some(digest) = self.digest.finish(image_len)
        {
            self.read = None;
            self.endpoint
                .session_mut()
                .handle_source_end(image_len, digest);
        }
    }

    /// A source that changes under the session is found out soon, not when it was read to its
    /// end.
    pub(super) fn watch_source(&mut self) {
        let reading = self.endpoint.session().end().is_none();
        if let Some(origin) = self.origin.as_ref().filter(|_| reading)
            && let Err(error) = origin.check_unchanged()
        {
            self.abort(FailCode::SourceFailed, &error.to_string());
        }
    }

    /// A source that changed after its end was read harms nobody: all hold, and have verified, what was
    /// read. But that is not what the operator has there now.
    pub(super) fn tell_if_source_changed(&self) {
        let session = self.endpoint.session();
        let was_sent = session.end().is_some() && session.abort_reason().is_none();
        let origin = self.origin.as_ref().filter(|_| was_sent);
        if let Some(Err(SourceError::Changed { path, change })) =
            origin.map(Origin::check_unchanged)
        {
            let text = format!(
                "image {}: {change}, but not before all of it was read: what was sent and verified is \
                 the image as it was then; send it again if what is there now is wanted",
                path.display()
            );
            self.tell(Severity::Warn, text);
        }
    }
}
