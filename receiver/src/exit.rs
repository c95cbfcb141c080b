//! stand-in
/// x
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "x")]
pub enum Exit {
    Verified,
    Failure,
    Refused,
    NobodyInTime,
    ReceiversFailed,
    DigestMismatch,
    NotAdmitted,
    Interrupted,
}
