//! What a session that has not started waits for, in words.

use jiff::Zoned;
use mimeo_console::duration;

use super::Plan;
use crate::start_at;

/// `3 receivers here; starts with 30, or 10m after the first`.
pub(crate) fn waiting(present: usize, plan: &Plan, now: &Zoned) -> String {
    let here = match present {
        0 => "no receiver yet".to_owned(),
        1 => "1 receiver here".to_owned(),
        many => format!("{many} receivers here"),
    };
    format!("{here}; {}", rule(plan, now))
}

fn rule(plan: &Plan, now: &Zoned) -> String {
    let rules = &plan.start;
    if let Some(at) = rules.start_at {
        return format!("starts at {}", start_at::show(at, now));
    }
    let mut text = match rules.min_receivers {
        1 => "starts with the first".to_owned(),
        wanted => format!("starts with {wanted}"),
    };
    if !rules.min_wait.is_zero() {
        text += &format!(
            ", not before {} after the first",
            duration::show(rules.min_wait)
        );
    }
    match rules.max_wait {
        Some(wait) if rules.min_receivers > 1 => {
            text += &format!(
                ", or with whoever is here {} after the first",
                duration::show(wait)
            );
        }
        _ => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::example::{noon, plan};
    use std::time::Duration;

    #[test]
    fn the_rule_is_told_as_it_was_given() {
        let mut plan = plan();
        plan.start.min_receivers = 1;
        let text = |present, plan: &Plan| waiting(present, plan, &noon());
        assert_eq!(text(0, &plan), "no receiver yet; starts with the first");
        plan.start.min_wait = Duration::from_secs(30);
        assert_eq!(
            text(1, &plan),
            "1 receiver here; starts with the first, not before 30s after the first"
        );
        plan.start.min_wait = Duration::ZERO;
        plan.start.min_receivers = 30;
        plan.start.max_wait = Some(Duration::from_secs(600));
        assert_eq!(
            text(3, &plan),
            "3 receivers here; starts with 30, or with whoever is here 10m after the first"
        );
        let at = noon().timestamp() + Duration::from_secs(1800);
        plan.start.start_at = Some(at.into());
        assert_eq!(text(3, &plan), "3 receivers here; starts at 12:30:00");
    }
}
