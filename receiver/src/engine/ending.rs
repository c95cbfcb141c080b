//! How an ended session is put to the person in front of the receiver.

use mimeo_image::ByteSize;
use mimeo_protocol::receiver::Failure;
use mimeo_protocol::wire::FailCode;

use crate::exit::Exit;
use crate::status::Status;

/// What was left undone, where anything was done.
pub(super) fn with_remains(error: &str, status: &Status, former_bytes: u64) -> String {
    if status.bytes_written == 0 && former_bytes == 0 {
        return error.to_owned();
    }
    if status.image_len == Some(status.bytes_done()) {
        return format!("{error}; {} is not verified", status.target);
    }
    let of = status
        .image_len
        .map_or(String::new(), |len| format!(" of {}", ByteSize(len)));
    let written = ByteSize(status.bytes_done().max(former_bytes));
    format!(
        "{error}; {} is incomplete: it holds {written}{of}",
        status.target
    )
}

pub(super) fn exit_of(failure: &Failure) -> Exit {
    match failure.code {
        FailCode::IdentityMismatch | FailCode::DigestMismatch | FailCode::ReadBackDiffers => {
            Exit::DigestMismatch
        }
        FailCode::TargetRefused => Exit::Refused,
        FailCode::NotStarted => Exit::NobodyInTime,
        _ => Exit::Failure,
    }
}

pub(super) fn failure_text(failure: &Failure) -> String {
    match failure.code {
        FailCode::Interrupted
        | FailCode::SourceFailed
        | FailCode::Internal
        | FailCode::NotStarted => {
            format!("the sender gave up: {}", failure.text)
        }
        FailCode::Silence => {
            format!(
                "{}; is the sender still running, and its cable plugged in?",
                failure.text
            )
        }
        _ => failure.text.clone(),
    }
}
