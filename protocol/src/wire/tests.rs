use super::*;
use crate::ids::{Cycle, Mac, Nonce, ReceiverNumber, Seq, SessionId, Slot};
use crate::keys::SigningKey;
use crate::manifest::Identity;
use crate::units::{BlockNumber, Esi, PageNumber};
use proptest::prelude::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn report() -> Report {
    Report {
        stage: Stage::Receiving,
        seq_seen: Seq(0x0102_0304_0506),
        held_us: 7,
        received: 8,
        expected: 9,
        socket_drops: 10,
        window: 11,
        credit: Slot(12),
        blocks_done: 13,
        bytes_written: 14,
        bytes_kept: 5,
        busy_ms: 15,
        bytes_verified: 0x1a,
        effort: Effort {
            decode_ms: 20,
            session_ms: 21,
            disk_bytes: 22,
            disk_ms: 23,
        },
        buffers: 24,
        turn: 25,
        bad_blocks: 26,
        forged_symbols: 27,
        pages_up_to: PageNumber(16),
        missing_pages: vec![PageRun {
            first: PageNumber(17),
            count: 2,
        }],
        spoiled: vec![
            Spoiled {
                block: BlockNumber(0x0102_0304),
                remedy: Remedy::Digests(Parts(0b0101)),
            },
            Spoiled {
                block: BlockNumber(0x0102_0305),
                remedy: Remedy::OwnSymbols(187),
            },
        ],
        complete_up_to: BlockNumber(100),
        covered_up_to: BlockNumber(1000),
        deficits: vec![
            Deficit {
                first: BlockNumber(100),
                count: 1,
                symbols: 3,
            },
            Deficit {
                first: BlockNumber(300),
                count: 200,
                symbols: ALL_SYMBOLS,
            },
        ],
    }
}

#[test]
fn golden_symbol_header() {
    let header = SymbolHeader {
        kind: SymbolKind::Block,
        session_tag: 0xabcd,
        seq: Seq(0x0102_0304_0506),
        slot: Slot(0x1112_1314),
        horizon: BlockNumber(0x2122_2324),
        number: 0x3132_3334,
        esi: Esi(0x41),
        k: 0x51,
    };
    let mut bytes = [0; SYMBOL_HEADER];
    header.encode(&mut bytes);
    assert_eq!(
        hex(&bytes),
        "0110abcd010203040506111213142122232431323334".to_owned() + "4151"
    );
    let mut datagram = vec![0; SYMBOL_DATAGRAM];
    datagram[..SYMBOL_HEADER].copy_from_slice(&bytes);
    assert_eq!(SymbolHeader::decode(&datagram), Ok(header));
    assert_eq!(SYMBOL_DATAGRAM, 1448);
    assert!(SymbolHeader::decode(&datagram[1..]).is_err());
    datagram[23] = 0;
    assert_eq!(
        SymbolHeader::decode(&datagram),
        Err(WireError::Value { field: "k" })
    );
    datagram[23] = 188;
    assert_eq!(
        SymbolHeader::decode(&datagram),
        Err(WireError::Value { field: "k" })
    );
    datagram[23] = 187;
    datagram[22] = 255;
    assert_eq!(
        SymbolHeader::decode(&datagram),
        Err(WireError::Value { field: "esi" })
    );
}

#[test]
fn golden_report() {
    let mut bytes = Vec::new();
    ToSender::Report(report()).encode(&mut bytes);
    assert_eq!(
        hex(&bytes),
        concat!(
            "01",
            "01",
            "010203040506",
            "00000007",
            "0000000000000008",
            "0000000000000009",
            "0000000a",
            "0000000b",
            "0000000c",
            "0000000d",
            "000000000000000e",
            "0000000000000005",
            "0000000f",
            "000000000000001a",
            "0000001400000015000000000000001600000017",
            "000000180019",
            "0000001a0000001b",
            "00000010",
            "01",
            "00000011",
            "00000002",
            "02",
            "010203040500",
            "0102030500bb",
            "00000064",
            "000003e8",
            "000103",
            "c701c801ff"
        )
    );
    assert_eq!(ToSender::decode(&bytes), Ok(ToSender::Report(report())));
}

#[test]
fn a_report_that_overflows_draws_its_horizon_in() {
    let mut long = report();
    long.covered_up_to = BlockNumber(1_000_000);
    long.deficits = (0..2000)
        .map(|i| Deficit {
            first: BlockNumber(100 + 300 * i),
            count: 1,
            symbols: 1,
        })
        .collect();
    let mut bytes = Vec::new();
    long.encode(&mut bytes);
    assert!(bytes.len() <= MAX_REPORT && bytes.len() > MAX_REPORT - 16);
    let read = Report::decode(&bytes).unwrap();
    let kept = read.deficits.len();
    assert!(kept > 250);
    assert_eq!(read.deficits[..], long.deficits[..kept]);
    assert_eq!(read.covered_up_to, long.deficits[kept].first);
    // What no datagram holds is no report.
    bytes.resize(MAX_REPORT - MAX_REPORT % 3 + 3, 1);
    assert_eq!(
        Report::decode(&bytes),
        Err(WireError::Value { field: "length" })
    );
}

#[test]
fn golden_join_and_reject() {
    let join = Join {
        session_id: SessionId([1; 16]),
        nonce: Nonce([2; 16]),
        auth: Auth::KeyFile,
        mac: Mac([3; 6]),
        target_id: 4,
        link_speed: 1000,
        capacity: 1 << 40,
        resumes: true,
        piped: true,
        cookie: [7; 32],
        host_name: "pc-01".into(),
        exchange: vec![],
    };
    let mut bytes = Vec::new();
    join.encode(&mut bytes);
    assert_eq!(
        hex(&bytes),
        format!(
            "01036d696d656f00{}{}01{}0000000000000004000003e8000001000000000003{}{}0000",
            "01".repeat(16),
            "02".repeat(16),
            "03".repeat(6),
            "07".repeat(32),
            "0570632d3031"
        )
    );
    assert_eq!(Join::decode(&bytes), Ok(join));
    bytes[67] = 4;
    assert_eq!(
        Join::decode(&bytes),
        Err(WireError::Value { field: "flags" })
    );
    bytes[0] = 2;
    assert_eq!(Join::decode(&bytes), Err(WireError::Version { found: 2 }));

    let cookie = Cookie {
        nonce: Nonce([2; 16]),
        cookie: [7; 32],
    };
    let mut cookie_bytes = Vec::new();
    cookie.encode(&mut cookie_bytes);
    assert_eq!(
        hex(&cookie_bytes),
        format!("01066d696d656f00{}{}", "02".repeat(16), "07".repeat(32))
    );
    assert_eq!(Cookie::decode(&cookie_bytes).as_ref(), Ok(&cookie));
    assert!(cookie_bytes.len() < bytes.len(), "it amplifies nothing");

    let reject = Reject {
        version: 9,
        nonce: Nonce([2; 16]),
        reason: RejectReason::Version,
    };
    let mut bytes = Vec::new();
    reject.encode(&mut bytes);
    assert_eq!(
        hex(&bytes),
        format!("09056d696d656f00{}01", "02".repeat(16))
    );
    assert_eq!(Reject::decode(&bytes), Ok(reject));
}

#[test]
fn welcome_and_announce_round_trip() {
    for group in ["239.255.3.4:50000", "[ff12::4d69:1]:50001"] {
        let body = WelcomeBody {
            group: group.parse().unwrap(),
            group_key: crate::keys::Secret::new([5; 32]),
            sender_key: SigningKey::from_seed(&[6; 32]).verifying_key(),
            image_len: Some(1 << 40),
            cycle: Cycle(1),
            slot: Slot(2),
            begun: BlockNumber(3),
            receivers: 4,
            needs: Some(TargetNeeds {
                least: 1 << 39,
                sector: Some(512),
                last: None,
            }),
        };
        let mut bytes = Vec::new();
        body.encode(&mut bytes);
        assert_eq!(bytes.len(), 1 + 16 + 2 + 64 + 8 + 12 + 2 + TargetNeeds::LEN);
        assert_eq!(WelcomeBody::decode(&bytes), Ok(body));
    }
    let announce = Announce {
        session_id: SessionId([1; 16]),
        auth: Auth::Open,
        joinable: true,
        session_name: "room 12".into(),
    };
    let mut bytes = Vec::new();
    announce.encode(&mut bytes);
    assert_eq!(Announce::decode(&bytes), Ok(announce));
    bytes.push(0);
    assert_eq!(
        Announce::decode(&bytes),
        Err(WireError::Trailing { left: 1 })
    );
    let welcome = Welcome {
        session_id: SessionId([1; 16]),
        receiver_nonce: Nonce([2; 16]),
        sender_nonce: Nonce([3; 16]),
        number: ReceiverNumber(4),
        secret: vec![5; 32],
        exchange: vec![],
        sealed: vec![6; 40],
    };
    let mut bytes = Vec::new();
    welcome.encode(&mut bytes);
    assert_eq!(Welcome::decode(&bytes), Ok(welcome));
}

#[test]
fn control_round_trips_with_and_without_an_end() {
    let position = Position {
        cycle: Cycle(1),
        slot: Slot(2),
        horizon: BlockNumber(3),
        pages: PageNumber(4),
        receivers: 5,
    };
    let end = EndRecord {
        image_len: 6,
        blocks: BlockNumber(7),
        pages: PageNumber(8),
        identity: Identity([9; 32]),
        image_digest: Some(crate::block::ImageDigest([10; 32])),
        signature: [0; 64],
    };
    for end in [None, Some(end)] {
        let control = GroupControl { position, end };
        let mut bytes = Vec::new();
        control.encode(&mut bytes);
        assert_eq!(GroupControl::decode(&bytes), Ok(control));
        assert!(GroupControl::decode(&bytes[..bytes.len() - 1]).is_err());
    }
}

#[test]
fn golden_position_for_one_receiver() {
    let message = ToReceiver::Position {
        seq: Seq(0x0102_0304_0506),
        position: Position {
            cycle: Cycle(1),
            slot: Slot(2),
            horizon: BlockNumber(3),
            pages: PageNumber(4),
            receivers: 5,
        },
    };
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    assert_eq!(
        hex(&bytes),
        "06010203040506000000010000000200000003000000040005"
    );
    assert_eq!(ToReceiver::decode(&bytes), Ok(message));
}

#[test]
fn a_spoiled_block_needs_one_thing() {
    let mut bytes = Vec::new();
    report().encode(&mut bytes);
    // Behind the run of pages: two blocks, of six bytes each.
    assert_eq!(bytes[118], 2);
    for (at, remedy) in [(123, [0, 0]), (123, [1, 1]), (123, [16, 0])] {
        let mut wrong = bytes.clone();
        wrong[at..at + 2].copy_from_slice(&remedy);
        let field = "remedy";
        assert_eq!(Report::decode(&wrong), Err(WireError::Value { field }));
    }
    let mut many = bytes.clone();
    many[118] = 65;
    let field = "spoiled blocks";
    assert_eq!(Report::decode(&many), Err(WireError::Value { field }));
}

#[test]
fn a_report_names_as_many_spoiled_blocks_as_may_be_and_fits_a_datagram() {
    let spoiled = |number| Spoiled {
        block: BlockNumber(number),
        remedy: Remedy::Digests(Parts(7)),
    };
    let mut long = report();
    long.spoiled = (0..100).map(spoiled).collect();
    long.missing_pages = (0..40)
        .map(|i| PageRun {
            first: PageNumber(2 * i + 17),
            count: 1,
        })
        .collect();
    long.covered_up_to = BlockNumber(u32::MAX);
    long.deficits = (0..2000)
        .map(|i| Deficit {
            first: BlockNumber(100 + 300 * i),
            count: 1,
            symbols: 1,
        })
        .collect();
    let mut bytes = Vec::new();
    long.encode(&mut bytes);
    assert!(bytes.len() <= MAX_REPORT);
    let read = Report::decode(&bytes).unwrap();
    assert_eq!(read.spoiled, long.spoiled[..MAX_SPOILED]);
    assert!(read.deficits.len() > 100);
    long.cut_off(BlockNumber(50));
    assert_eq!(long.spoiled.len(), 50);
}

#[test]
fn a_report_is_cut_off_where_there_are_no_more_blocks() {
    let run = |first, count| Deficit {
        first: BlockNumber(first),
        count,
        symbols: 1,
    };
    let mut long = report();
    long.complete_up_to = BlockNumber(3);
    long.covered_up_to = BlockNumber(u32::MAX);
    long.deficits = vec![run(5, 2), run(9, u32::MAX - 9), run(u32::MAX, 0)];
    long.cut_off(BlockNumber(12));
    assert_eq!(long.deficits, [run(5, 2), run(9, 3)]);
    assert_eq!(long.covered_up_to, BlockNumber(12));
    long.cut_off(BlockNumber(2));
    assert!(long.deficits.is_empty());
    assert_eq!(long.complete_up_to, BlockNumber(2));
}

#[test]
fn last_words_round_trip() {
    let ways = [
        ReadBack::No,
        ReadBack::Direct,
        ReadBack::CacheDropped,
        ReadBack::Memory,
    ];
    for (value, read_back) in (0..).zip(ways) {
        let confirm = ToSender::Confirm {
            identity: Identity([9; 32]),
            image_len: 0x0102,
            read_back,
        };
        let mut bytes = Vec::new();
        confirm.encode(&mut bytes);
        assert_eq!(
            hex(&bytes),
            format!("02{}0000000000000102{value:02x}", "09".repeat(32))
        );
        assert_eq!(ToSender::decode(&bytes), Ok(confirm));
        *bytes.last_mut().unwrap() = 4;
        assert!(ToSender::decode(&bytes).is_err());
    }
    let fail = ToSender::Fail {
        code: FailCode::ReadBackDiffers,
        text: "x".into(),
    };
    let mut bytes = Vec::new();
    fail.encode(&mut bytes);
    assert_eq!(bytes, [3, 10, 1, b'x']);
    assert_eq!(ToSender::decode(&bytes), Ok(fail));
    bytes[1] = 13;
    assert!(ToSender::decode(&bytes).is_err());
}

#[test]
fn every_stage_has_its_number() {
    let stages = [
        Stage::Waiting,
        Stage::Receiving,
        Stage::Flushing,
        Stage::Complete,
        Stage::Verifying,
    ];
    for (number, stage) in (0..).zip(stages) {
        let mut bytes = Vec::new();
        Report { stage, ..report() }.encode(&mut bytes);
        assert_eq!(bytes[0], number);
        assert_eq!(Report::decode(&bytes).unwrap().stage, stage);
    }
}

#[test]
fn a_text_is_cut_at_a_character() {
    let mut out = Vec::new();
    out.put_text(&"é".repeat(200));
    assert_eq!(out[0], 254);
    assert_eq!(Reader::new(&out).text("text").unwrap(), "é".repeat(127));
}

#[test]
fn control_characters_of_a_name_do_not_make_it_unreadable() {
    let mut out = Vec::new();
    out.put_text("pc\u{85}\n\u{7f}7é");
    assert_eq!(Reader::new(&out).text("text").unwrap(), "pc   7é");
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        let _ = Kind::of(&bytes);
        let _ = Probe::decode(&bytes);
        let _ = Announce::decode(&bytes);
        let _ = Join::decode(&bytes);
        let _ = Reject::decode(&bytes);
        let _ = Welcome::decode(&bytes);
        let _ = WelcomeBody::decode(&bytes);
        let _ = GroupControl::decode(&bytes);
        let _ = SymbolHeader::decode(&bytes);
        let _ = Envelope::group(&bytes);
        let _ = Envelope::unicast(&bytes, Kind::ToSender);
        let _ = ToSender::decode(&bytes);
        let _ = ToReceiver::decode(&bytes);
    }

    #[test]
    fn a_report_that_decodes_encodes_to_the_same(bytes in prop::collection::vec(any::<u8>(), 130..200)) {
        let mut bytes = bytes;
        bytes[0] %= 5;
        // No runs of pages; a block that needs digests, one that needs symbols, or none.
        bytes[109] = 0;
        bytes[110] %= 3;
        (bytes[115], bytes[116]) = (bytes[115] % 15 + 1, 0);
        (bytes[121], bytes[122]) = (0, bytes[122] | 1);
        if let Ok(read) = Report::decode(&bytes) {
            let mut again = Vec::new();
            read.encode(&mut again);
            prop_assert_eq!(Report::decode(&again), Ok(read));
        }
    }
}
