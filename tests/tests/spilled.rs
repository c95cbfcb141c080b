//! A sender that keeps hardly any of its manifest in memory, and one that loses it.

mod common;

use mimeo_protocol::pacing::Rate;
use mimeo_protocol::sender::{PageStore, PagesInMemory, PagesLost, Phase};
use mimeo_protocol::units::{BLOCK_SIZE, PageNumber, Symbol};
use mimeo_protocol::wire::FailCode;
use mimeo_sender::SpilledPages;
use mimeo_tests::sim::{Ending, Filling, LinkProfile, MachineProfile, Room, RoomConfig};

use common::{LIMIT, config, image, run_until_begun, truth};

/// About twenty pages, of which the store has two in memory.
const BLOCKS: usize = 640;

fn room(pages: fn() -> Box<dyn PageStore>) -> Room {
    let mut room = Room::new(RoomConfig {
        rate_cap: Some(Rate(100_000_000)),
        pages,
        ..config(image(Filling::Mixed, BLOCKS * BLOCK_SIZE), 2)
    });
    for _ in 0..2 {
        room.join(MachineProfile {
            down: LinkProfile {
                loss: 0.05,
                ..LinkProfile::default()
            },
            ..MachineProfile::default()
        });
    }
    room
}

/// With one that comes when half of the image was sent, and needs the other half in a second cycle.
fn room_with_late(pages: fn() -> Box<dyn PageStore>) -> Room {
    let mut room = room(pages);
    run_until_begun(&mut room, 240);
    room.join(MachineProfile::default());
    room
}

#[test]
fn a_manifest_in_a_file_is_the_same_manifest() {
    let mut rooms = [
        room_with_late(|| Box::<PagesInMemory>::default()),
        room_with_late(|| Box::new(SpilledPages::keeping(2))),
        room_with_late(|| Box::new(SpilledPages::keeping(0))),
    ];
    for room in &mut rooms {
        truth(room);
        assert_eq!(room.verdict().confirmed, 3);
        let session = room.operator.endpoint.session();
        assert!(session.position().cycle.0 > 1 && session.manifest().pages().0 >= 15);
    }
    let [memory, file, all_in_file] = rooms.map(|room| (room.trace(), room.elapsed()));
    assert_eq!(memory, file);
    assert_eq!(memory, all_in_file);
}

/// What its name says, in memory.
#[derive(Debug, Default)]
struct Failing {
    pages: PagesInMemory,
    kept: u32,
    /// Takes so many pages only.
    most: u32,
    /// Has so many of the newest only.
    newest: u32,
}

impl PageStore for Failing {
    fn push(&mut self, page: &Symbol) -> Result<(), PagesLost> {
        if self.kept == self.most {
            return Err(PagesLost("the disk is full".to_owned()));
        }
        self.kept += 1;
        self.pages.push(page)
    }

    fn page(&mut self, number: PageNumber) -> Result<&Symbol, PagesLost> {
        if number.0 + self.newest < self.kept {
            return Err(PagesLost("the disk is broken".to_owned()));
        }
        self.pages.page(number)
    }
}

/// Every receiver is told, nobody confirms, and nothing false is believed.
fn assert_ends_with(mut room: Room, text: &str) {
    assert!(room.run(LIMIT), "no end in time: {:?}", room.verdict());
    let session = room.operator.endpoint.session();
    assert_eq!(*session.phase(), Phase::Over);
    let reason = (FailCode::Internal, text.to_owned());
    assert_eq!(session.abort_reason(), Some(&reason));
    let verdict = room.verdict();
    assert_eq!(verdict.lies, [] as [String; 0]);
    assert_eq!((verdict.confirmed, verdict.finished), (0, 0));
    for machine in &room.machines {
        let ending = machine.last().ending.as_ref();
        assert!(matches!(ending, Some(Ending::Failed(_))), "{ending:?}");
    }
}

#[test]
fn a_sender_whose_disk_is_full_tells_the_room() {
    let room = room(|| {
        Box::new(Failing {
            most: 8,
            newest: 100,
            ..Failing::default()
        })
    });
    assert_ends_with(room, "the disk is full");
}

#[test]
fn a_sender_that_cannot_read_old_pages_tells_the_room() {
    let mut room = room(|| {
        Box::new(Failing {
            most: 100,
            newest: 12,
            ..Failing::default()
        })
    });
    run_until_begun(&mut room, 320);
    // It asks for the first page.
    room.join(MachineProfile::default());
    assert_ends_with(room, "the disk is broken");
}
