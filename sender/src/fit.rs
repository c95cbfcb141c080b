//! What the image needs of the receivers' targets.

use mimeo_image::fit::{Division, Geometry};
use mimeo_image::source::Source;
use mimeo_protocol::wire::{LastPartition, TargetNeeds};
use tokio::sync::mpsc::UnboundedSender;

use crate::status::{Severity, Update};

/// Reads the image's partition table. `None` of a stream, which cannot be looked at.
pub(crate) fn look_at(source: &Source, updates: &UnboundedSender<Update>) -> Option<TargetNeeds> {
    let geometry = match source {
        Source::Disk(disk) => Geometry::of(disk, disk.sector()),
        Source::Captured(captured) => {
            let image = captured.image();
            Geometry::of(&**image, image.description().sector_size)
        }
        Source::Stream(_) => return None,
    };
    if let Some(text) = warning(&geometry) {
        // Nobody listening is no reason to stop.
        let _ = updates.send(Update::Line(Severity::Warn, text.to_owned()));
    }
    Some(told(&geometry))
}

fn told(geometry: &Geometry) -> TargetNeeds {
    let needs = geometry.needs();
    TargetNeeds {
        least: needs.least,
        // Others than these would make no welcome: such a device is as good as unknown.
        sector: needs
            .sector
            .filter(|sector| sector.is_power_of_two() && (512..=65_536).contains(sector)),
        last: needs.last.map(|last| LastPartition {
            number: last.number,
            end: last.end,
        }),
    }
}

/// What becomes of a damaged table.
fn warning(geometry: &Geometry) -> Option<&'static str> {
    match geometry.division {
        Division::Gpt { primary: false, .. } => Some(
            "the GPT at the start of the image is damaged: smaller disks are refused, and larger \
             ones get its backup at their end; repair it on the reference machine (gdisk)",
        ),
        Division::Gpt { backup: false, .. } => Some(
            "the backup of the image's GPT is missing or damaged: disks of another length get a \
             new one, made of the table at the start",
        ),
        Division::Gpt { .. } | Division::Mbr | Division::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use mimeo_image::fit::Last;

    use super::*;

    #[test]
    fn what_is_known_is_told() {
        let geometry = Geometry {
            len: 100 << 20,
            sector: Some(512),
            division: Division::Mbr,
            last: Some(Last {
                number: 2,
                end: 50 << 20,
            }),
            least: 60 << 20,
        };
        let last = LastPartition {
            number: 2,
            end: 50 << 20,
        };
        let needs = TargetNeeds {
            least: 60 << 20,
            sector: Some(512),
            last: Some(last),
        };
        assert_eq!(told(&geometry), needs);
        assert_eq!(warning(&geometry), None);
        let (primary, backup) = (false, true);
        let damaged = Geometry {
            division: Division::Gpt { primary, backup },
            sector: Some(520),
            ..geometry
        };
        assert!(
            warning(&damaged)
                .unwrap()
                .contains("smaller disks are refused")
        );
        assert_eq!(told(&damaged).sector, None);
    }
}
