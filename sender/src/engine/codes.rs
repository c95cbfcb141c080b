//! The join code, as the operator sees it.

use mimeo_console::{JoinCode, Severity};
use mimeo_protocol::keys::Secret;
use mimeo_protocol::sender::About;

use super::Engine;

/// What a machine is told to join with this code.
pub(crate) fn shown(code: &JoinCode) -> String {
    format!("join code {code}; on every machine: mimeo-receiver --code {code} TARGET")
}

impl Engine {
    /// Admits by another code from now on; who is in stays.
    pub(super) fn renew_code(&mut self) {
        if !self.has_code {
            let text = "this session has no join code to be renewed";
            return self.tell(Severity::Info, text.to_owned());
        }
        let mut random = [0; 32];
        if let Err(error) = getrandom::fill(&mut random) {
            let text = format!("no random numbers for another join code: {error}");
            return self.tell(Severity::Warn, text);
        }
        let code = JoinCode::draw(random);
        self.endpoint.renew_secret(Secret::of_code(&code));
        self.tell(Severity::Info, shown(&code));
    }

    pub(super) fn tell_unproven(&self, about: &About) {
        let question = match self.has_code {
            true => "was it given another code?",
            false => "is its --key-file the same?",
        };
        let (name, ip) = (&about.host_name, about.address.ip());
        let text = format!("{name} ({ip}) asked to join and did not go on: {question}");
        self.tell(Severity::Warn, text);
    }

    /// Somebody tries codes.
    pub(super) fn tell_exhausted(&self) {
        let text = match self.has_code {
            true => {
                "1000 joins with a wrong code: nobody is admitted any more, those who are in go on; \
                 type c and Enter for another code"
            }
            false => {
                "1000 joins with a wrong key: nobody is admitted any more, those who are in go on"
            }
        };
        self.tell(Severity::Warn, text.to_owned());
    }
}
