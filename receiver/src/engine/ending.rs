//! How an ended session is put to the person in front of the receiver.

use mimeo_image::ByteSize;
use mimeo_protocol::receiver::Failure;
use mimeo_protocol::wire::FailCode;

use crate::exit::Exit;
use crate::status::Status;

/// What was left undone, where anything was done: by this session, or by one before it that left
/// `former_bytes` on the target. Where the target is written `in_order` it is a pipe, which holds
/// nothing: what came went on.
pub(super) fn with_remains(
    error: &str,
    status: &Status,
    former_bytes: u64,
    in_order: bool,
) -> String {
    if status.bytes_written == 0 && former_bytes == 0 {
        return error.to_owned();
    }
    if status.image_len == Some(status.bytes_done()) {
        return format!("{error}; {} is not verified", status.target);
    }
    let target = &status.target;
    let holds = match in_order {
        false => format!("{target} is incomplete: it holds"),
        true => format!("what left by {target} is incomplete:"),
    };
    // The bytes of a former session were those of an image that may have been another.
    if former_bytes > status.bytes_done() {
        let former = ByteSize(former_bytes);
        return format!(
            "{error}; {holds} {former} of what the sender sent before it was started again"
        );
    }
    let of = status
        .image_len
        .map_or(String::new(), |len| format!(" of {}", ByteSize(len)));
    let written = ByteSize(status.bytes_done());
    format!("{error}; {holds} {written}{of}")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(written: u64, kept: u64, former: u64) -> String {
        let status = Status {
            target: "disk".to_owned(),
            image_len: Some(20_000_000),
            bytes_written: written,
            bytes_kept: kept,
            ..Status::default()
        };
        with_remains("gone", &status, former, false)
    }

    #[test]
    fn what_is_on_the_target_is_counted_of_the_image_it_is_of() {
        assert_eq!(said(0, 0, 0), "gone");
        assert_eq!(
            said(5_000_000, 1_000_000, 0),
            "gone; disk is incomplete: it holds 6.0 MB of 20.0 MB"
        );
        assert_eq!(said(0, 20_000_000, 5), "gone; disk is not verified");
        // The image before may have had another length.
        let former = "gone; disk is incomplete: it holds 12.5 MB of what the sender sent before it \
                      was started again";
        assert_eq!(said(0, 0, 12_500_000), former);
        assert_eq!(said(1_000_000, 0, 12_500_000), former);
        assert_eq!(
            said(1_000_000, 12_000_000, 12_500_000),
            "gone; disk is incomplete: it holds 13.0 MB of 20.0 MB"
        );
    }
    #[test]
    fn a_pipe_holds_nothing() {
        let mut status = Status {
            target: "standard output".to_owned(),
            bytes_written: 6_000_000,
            ..Status::default()
        };
        let said = |status: &Status| with_remains("gone", status, 0, true);
        let left = "gone; what left by standard output is incomplete: 6.0 MB";
        assert_eq!(said(&status), left);
        status.image_len = Some(20_000_000);
        assert_eq!(said(&status), format!("{left} of 20.0 MB"));
    }
}
