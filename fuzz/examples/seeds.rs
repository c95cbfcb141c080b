//! Writes messages that are valid into the corpora of the targets that read bytes: a fuzzer would
//! take long to come by their layouts.
//!
//!     cargo run --manifest-path fuzz/Cargo.toml --no-default-features --example seeds

use std::fs;
use std::io;
use std::path::Path;

use mimeo_fuzz::setup;
use mimeo_protocol::block::{BlockDigest, Coding, Encoder, ImageDigest, Level};
use mimeo_protocol::ids::{Cycle, Mac, Nonce, ReceiverNumber, Seq, Slot};
use mimeo_protocol::manifest::{Entry, Identity, Page, Run, StoredBlock};
use mimeo_protocol::units::{BlockNumber, Esi, PageNumber, Place, SYMBOL_SIZE};
use mimeo_protocol::wire::{
    Announce, Auth, COOKIE_LEN, Cookie, DIGESTS_PER_PART, EndRecord, FailCode, GroupControl, Join,
    Kind, OwnSymbol, Position, Probe, ReadBack, Reject, RejectReason, SYMBOL_DATAGRAM,
    SYMBOL_DIGEST, SYMBOL_HEADER, SymbolHeader, SymbolKind, ToReceiver, ToSender, group_header,
    unicast_header,
};

fn main() -> io::Result<()> {
    for (number, (which, message)) in messages().into_iter().enumerate() {
        let seed = [&[which][..], &message].concat();
        write("wire", &format!("seed-{number:02}"), &seed)?;
    }
    // The variant of an input is chosen by its first four bytes as a part of all that there are.
    let input = |variant: u32, of: u32, rest: &[u8]| {
        let choice = (u64::from(variant) << 32).div_ceil(of.into()) as u32;
        [&choice.to_le_bytes()[..], rest].concat()
    };
    let mut page = Vec::new();
    made_page().encode(&mut page);
    write("page", "seed-page", &input(0, 4, &page))?;
    page.resize(1408, 0);
    write("page", "seed-symbols", &input(1, 4, &page))?;
    let pages = [&[0, 0, 0, 9, 1][..], &[0, 0, 0, 12, 0, 0, 0, 1]].concat();
    let spoiled = [&[2, 0, 0, 0, 101, 3, 0][..], &[0, 0, 0, 102, 0, 5]].concat();
    let report = [pages, spoiled].concat();
    let runs = [0, 0, 0, 100, 0, 0, 3, 232, 0, 1, 3, 199, 1, 200, 1, 255];
    write(
        "report",
        "seed-runs",
        &input(2, 8, &[report, runs.to_vec()].concat()),
    )?;
    write("receiver_session", "seed-spoiled", &spoiled_twice())?;
    let (raw, mut body) = (b"mimeograph ".repeat(90), Vec::new());
    assert!(Encoder::new(Level::FAST).compress(&raw, &mut body));
    let len = (raw.len() as u32).to_le_bytes();
    write(
        "body",
        "seed-zstd",
        &input(1, 5, &[&len[..], &body].concat()),
    )?;
    write(
        "body",
        "seed-frame",
        &input(2, 5, &[&len[..], &body[4..]].concat()),
    )?;
    disks()
}

/// Disks as they are, and files of configuration.
fn disks() -> io::Result<()> {
    let all = [
        ("ext", 6),
        ("ntfs", 2),
        ("fat", 6),
        ("xfs", 3),
        ("btrfs", 2),
        ("lvm", 1),
        ("image_file", 3),
        ("qcow2", 3),
    ];
    for (target, count) in all {
        for disk in 0..count {
            write(target, &format!("seed-{disk}"), &[disk, 0, 0])?;
        }
    }
    // The same length, and one sector more.
    for disk in 0..4 {
        write("partition", &format!("seed-{disk}"), &[0, disk, 0, 0])?;
        write(
            "partition",
            &format!("seed-{disk}-longer"),
            &[153, disk, 0, 0],
        )?;
    }
    for flags in 0..4 {
        let seed = [flags & 1, flags >> 1, 0, 0];
        write("vmdk", &format!("seed-{flags}"), &seed)?;
    }
    for (number, (disk, file, text)) in TEXTS.into_iter().enumerate() {
        let seed = [&[disk, 0, file][..], text.as_bytes()].concat();
        write("golden", &format!("seed-{number:02}"), &seed)?;
    }
    Ok(())
}

/// Linux or Windows, which file of it, and what is in it.
const TEXTS: [(u8, u8, &str); 13] = [
    (0, 0, "0123456789abcdef0123456789abcdef"),
    (
        0,
        1,
        "/var/swap none swap sw 0 0\n/my\\040swap none swap sw\n",
    ),
    (
        0,
        2,
        "send host-name = gethostname();\nsend fqdn.fqdn \"lab\"; # x\n",
    ),
    (0, 3, "interface \"eth0\" {\n send host-name \"lab\";\n}\n"),
    (0, 4, "#hostname\nhostname lab\n"),
    (
        0,
        5,
        "eth0: {dhcp4: yes, dhcp4-overrides: {send-hostname: false}}\n",
    ),
    (
        0,
        6,
        "[Network]\nDHCP=ipv4\n[DHCPv4]\nSendHostname=no\nHostname=lab\n",
    ),
    (0, 7, "[connection]\nipv4.dhcp-send-hostname=false\n"),
    (
        0,
        8,
        "[ipv4]\nmethod=auto\ndhcp-hostname=lab\ndhcp-send-hostname=true\n",
    ),
    (0, 9, "dhcp4: true\nhostname: 'lab'\n"),
    (0, 10, "# x\nlab-07\n"),
    (1, 0, "[State]\r\nImageState=IMAGE_STATE_COMPLETE\r\n"),
    (1, 0, "ImageState = IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE\n"),
];

fn write(target: &str, name: &str, seed: &[u8]) -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&corpus)?;
    fs::write(corpus.join(name), seed)
}

/// A receiver is sent forged symbols, digests, and forged symbols again, of a block of one symbol.
fn spoiled_twice() -> Vec<u8> {
    // Variants of `Action`, of 24, and their fields.
    let (page, spoil) = ((2u32, &[0][..]), (12, &[0, 0, 0][..]));
    let (digests, done) = (
        (13, &[0, 255, 0, 0, 0, 0][..]),
        (16, &[255, 0, 0, 0, 0][..]),
    );
    let mut bytes = vec![0, 0, 0, 0, 0, 1];
    for (variant, fields) in [page, spoil, done, digests, spoil, done] {
        bytes.push(1);
        bytes.extend(((u64::from(variant) << 32).div_ceil(24) as u32).to_le_bytes());
        bytes.extend(fields);
    }
    bytes
}

/// One of each, behind the number by which the target `wire` chooses its decoder.
fn messages() -> Vec<(u8, Vec<u8>)> {
    let mut all = clear();
    all.extend(sealed());
    all
}

fn made(which: u8, encode: impl Fn(&mut Vec<u8>)) -> (u8, Vec<u8>) {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    (which, bytes)
}

fn clear() -> Vec<(u8, Vec<u8>)> {
    let (session, nonce) = (setup::session_id(0), Nonce([2; 16]));
    let session_name = "room".to_owned();
    let probe = Probe { session_name };
    let announce = Announce {
        session_id: session,
        auth: Auth::KeyFile,
        joinable: true,
        session_name: "room".to_owned(),
    };
    let join = Join {
        session_id: session,
        nonce,
        auth: Auth::Open,
        mac: Mac([3; 6]),
        target_id: 4,
        link_speed: 1000,
        capacity: u64::MAX,
        resumes: true,
        piped: false,
        cookie: [6; COOKIE_LEN],
        host_name: "pc".to_owned(),
        exchange: vec![5; 3],
    };
    let cookie = Cookie {
        nonce,
        cookie: [6; COOKIE_LEN],
    };
    let reject = Reject {
        version: 1,
        nonce,
        reason: RejectReason::Closed,
    };
    let body = setup::welcome_body(session, Some(1 << 30));
    let welcome = setup::welcome(&setup::secret(), session, nonce, 1, None, &body);
    vec![
        made(0, |out| probe.encode(out)),
        made(1, |out| announce.encode(out)),
        made(2, |out| join.encode(out)),
        (3, welcome),
        made(4, |out| body.encode(out)),
        made(5, |out| reject.encode(out)),
        made(11, |out| cookie.encode(out)),
    ]
}

fn sealed() -> Vec<(u8, Vec<u8>)> {
    let fail = ToSender::Fail {
        code: FailCode::TargetFailed,
        text: "disk".to_owned(),
    };
    let confirm = ToSender::Confirm {
        identity: Identity([1; 32]),
        image_len: 9,
        read_back: ReadBack::Direct,
    };
    let abort = ToReceiver::Abort {
        code: FailCode::SourceFailed,
        text: "source".to_owned(),
    };
    let standing = ToReceiver::Standing {
        turn: 2,
        standing: mimeo_fuzz::report::standing(0, 1, 2),
    };
    let told = ToReceiver::Position {
        seq: Seq(3),
        position: control(None).position,
    };
    let own = OwnSymbol {
        block: BlockNumber(5),
        esi: Esi(6),
        k: 7,
        symbol: Box::new([8; SYMBOL_SIZE]),
    };
    let unicast = |kind| {
        let mut header = Vec::new();
        unicast_header(kind, 7, 8, ReceiverNumber(9), &mut header);
        (8, header)
    };
    vec![
        (6, symbol()),
        made(7, |out| control(None).encode(out)),
        made(7, |out| control(Some(end())).encode(out)),
        made(8, |out| group_header(7, Seq(8), out)),
        unicast(Kind::ToSender),
        unicast(Kind::ToReceiver),
        made(9, |out| fail.encode(out)),
        made(9, |out| confirm.encode(out)),
        made(9, |out| ToSender::AbortSeen.encode(out)),
        made(10, |out| abort.encode(out)),
        made(10, |out| standing.encode(out)),
        made(10, |out| ToReceiver::Ask.encode(out)),
        made(10, |out| ToReceiver::Symbol(own.clone()).encode(out)),
        (13, digests()),
        made(10, |out| told.encode(out)),
    ]
}

/// As the target `wire` reads them: what is changed, and what is signed.
fn digests() -> Vec<u8> {
    let mut bytes = vec![0, 9, 0, 0, 0, 5, 1];
    bytes.extend((0..=255).cycle().take(DIGESTS_PER_PART * SYMBOL_DIGEST));
    bytes
}

fn symbol() -> Vec<u8> {
    let header = SymbolHeader {
        kind: SymbolKind::Block,
        session_tag: 1,
        seq: Seq(2),
        slot: Slot(3),
        horizon: BlockNumber(4),
        number: 5,
        esi: Esi(6),
        k: 7,
    };
    let mut head = [0; SYMBOL_HEADER];
    header.encode(&mut head);
    let mut datagram = head.to_vec();
    datagram.resize(SYMBOL_DATAGRAM, 0);
    datagram
}

fn control(end: Option<EndRecord>) -> GroupControl {
    GroupControl {
        position: Position {
            cycle: Cycle(1),
            slot: Slot(2),
            horizon: BlockNumber(3),
            pages: PageNumber(4),
            receivers: 5,
        },
        end,
    }
}

fn end() -> EndRecord {
    EndRecord {
        image_len: 6,
        blocks: BlockNumber(7),
        pages: PageNumber(8),
        identity: Identity([9; 32]),
        image_digest: Some(ImageDigest([10; 32])),
        signature: [11; 64],
    }
}

fn made_page() -> Page {
    let run = |place, count| Run {
        place: Place(place),
        count,
    };
    let block = StoredBlock {
        place: Place(0),
        stored_len: 1000,
        coding: Coding::Zstd,
        digest: BlockDigest([1; 32]),
    };
    let entries = vec![
        Entry::Block(block.clone()),
        Entry::Zero(run(1, 2)),
        Entry::Unused(run(3, 4)),
        Entry::Block(StoredBlock {
            place: Place(7),
            coding: Coding::Raw,
            ..block
        }),
    ];
    Page::new(PageNumber(0), BlockNumber(0), entries).expect("entries are in order")
}
