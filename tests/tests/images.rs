//! Images of all lengths, from files and from pipes.

mod common;

use mimeo_protocol::units::BLOCK_SIZE;

use mimeo_tests::sim::{DiskProfile, Ending, Filling, MachineProfile, Room, RoomConfig, Sight};

use common::{config, image, ms, truth};

#[test]
fn images_of_odd_lengths_arrive() {
    let block = BLOCK_SIZE;
    for len in [
        1,
        2,
        1408,
        block - 1,
        block,
        block + 1,
        2 * block,
        16 * block,
        64 * block + 1,
    ] {
        for filling in [Filling::Text, Filling::Zeros] {
            let file = config(image(filling, len), 2);
            let pipe_of_known_length = RoomConfig {
                seekable: false,
                ..file.clone()
            };
            for config in [file.clone(), pipe_of_known_length, file.stream()] {
                let mut room = Room::new(config);
                room.join(MachineProfile::default());
                room.join(MachineProfile::default());
                truth(&mut room);
                assert_eq!(room.verdict().confirmed, 2, "{len} bytes of {filling:?}");
            }
        }
    }
}

#[test]
fn the_end_record_holds_the_hash_that_b3sum_prints() {
    // The hash of one byte "a", from the public tool.
    let mut room = Room::new(config(b"a".as_slice().into(), 1));
    room.join(MachineProfile::default());
    truth(&mut room);
    let end = room.machines[0]
        .last()
        .endpoint
        .as_ref()
        .unwrap()
        .session()
        .end()
        .copied()
        .unwrap();
    let digest = end.image_digest.unwrap().0;
    assert_eq!(digest[..4], [0x17, 0x76, 0x2f, 0xdd]);
    assert_eq!((end.image_len, end.blocks.0, end.pages.0), (1, 1, 1));
}

#[test]
fn an_image_of_zeros_needs_no_symbols() {
    let mut room = Room::new(config(image(Filling::Zeros, 4000 * BLOCK_SIZE), 2));
    let forgetful = MachineProfile {
        disk: DiskProfile {
            discards: true,
            ..DiskProfile::default()
        },
        ..MachineProfile::default()
    };
    room.join(forgetful.clone());
    room.join(forgetful);
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
    assert_eq!(room.operator.endpoint.session().counters().pass_symbols, 0);
}

/// A stream of 12 blocks, then silence of machine 1 for as long as a stream is patient.
#[test]
fn a_stream_serves_who_comes_back_while_it_has_the_blocks() {
    let mut room = Room::new(config(image(Filling::Text, 12 * BLOCK_SIZE), 2).stream());
    room.join(MachineProfile::default());
    let back = room.join(MachineProfile::default());
    room.at(ms(255), move |room| room.pause(back));
    room.at(ms(5000), move |room| room.resume(back));
    truth(&mut room);
    assert_eq!(room.verdict().confirmed, 2);
}

/// Of a long stream nothing is left for it, and it is told so even if the first word is lost.
#[test]
fn a_stream_sends_away_who_comes_back_too_late() {
    let mut room = Room::new(config(image(Filling::Text, 600 * BLOCK_SIZE), 2).stream());
    room.join(MachineProfile::default());
    let back = room.join(MachineProfile::default());
    let mut left = 2;
    room.lose(move |crossing| {
        let lost = crossing.sight == Sight::Abort && left > 0;
        left -= u32::from(lost);
        lost
    });
    room.at(ms(270), move |room| room.pause(back));
    // It still has some seconds in which the sender, done with the other, waits for it.
    room.at(ms(6000), move |room| room.resume(back));
    truth(&mut room);
    let ending = room.machines[back].last().ending.clone();
    let Some(Ending::Failed(failure)) = ending else {
        panic!("{ending:?}");
    };
    assert_eq!(
        failure.text,
        "the stream went on without it and cannot be sent again"
    );
    assert_eq!(room.verdict().confirmed, 1);
}
