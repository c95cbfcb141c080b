//! Image files are sent as the disks that they hold.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mimeo_benches::session::Process;
use mimeo_image::image_file::{
    Capture, Content, Credentials, Description, Encryption, ImageFile, ImageWriter, Level,
};
use mimeo_image::source::{DiskSource, SourceOptions, UsedMode};
use mimeo_tests::host::{Place, assert_code, assert_same, assert_says, finish, until};

use super::common::{can_loop, run};
use super::disk::{ALL, Disk, TOOLS, begins_with};
use super::fixture::MIB;
use super::{BLOCK, assert_success, place};

/// How a test captures.
struct How {
    used: UsedMode,
    level: &'static str,
    passphrase: bool,
    hash: bool,
}

const HOW: How = How {
    used: UsedMode::Auto,
    level: "fast",
    passphrase: false,
    hash: true,
};

/// Captures a raw image into `image.mimeo`; the passphrase is in a file.
fn capture(place: &Place, raw: &Path, how: &How) -> PathBuf {
    let path = place.path("image.mimeo");
    let options = SourceOptions {
        used: how.used,
        ..SourceOptions::EXACT
    };
    let disk = DiskSource::open_with(raw, &options).unwrap();
    let encryption = if how.passphrase {
        Encryption::passphrase_file(&place.file("passphrase", "a room of machines\n")).unwrap()
    } else {
        Encryption::None
    };
    let mut writer = ImageWriter::create(&path, true, encryption, disk.len()).unwrap();
    let capture = Capture {
        level: how.level.parse::<Level>().unwrap(),
        hash_disk: how.hash,
    };
    let digest = capture.run(&disk, &mut writer, |_| true).unwrap();
    let description = Description {
        tool: "a test".to_owned(),
        created: "2001-02-03T04:05:06Z".to_owned(),
        source: "a disk of a test".to_owned(),
        used: disk.used_bytes(),
        blake3: digest.map(|digest| digest.to_string()),
        ..Description::default()
    };
    writer.finish(&description, None).unwrap();
    path
}

#[test]
fn every_filesystem_arrives_whole_from_an_image_file() {
    let tools = [&TOOLS[..], &["zstd", "b3sum", "sfdisk", "qemu-img"]].concat();
    let Some(_alone) = can_loop("every filesystem, captured", &tools) else {
        return;
    };
    let disk = Disk::new(&ALL);
    let place = place();
    let reference = disk.reference(&place);
    let image = capture(&place, &disk.image.path, &HOW);
    let (device, zeroed) = (disk.device(&place, "device"), disk.device(&place, "zeroed"));
    let (file, piped) = (place.path("file"), place.path("piped"));
    let mut pipe = place.receiver("-", &[]);
    pipe.stdout(File::create(&piped).unwrap());
    let receivers = [
        place.receiver(device.path(), &["--yes", "--verify"]),
        place.receiver(zeroed.path(), &["--yes", "--verify", "--unused", "zero"]),
        place.receiver(&file, &["--verify"]),
        pipe,
    ];
    let sender = place.sender(&image, &["--min-receivers", "4"]);
    let outcome = place.run(sender, receivers);
    assert_success(&outcome, &reference);
    disk.assert_arrived(device.path());
    disk.assert_arrived(zeroed.path());
    assert!(begins_with(zeroed.path(), &reference));
    assert_same(&reference, &file);
    assert_same(&reference, &piped);
    others_agree(&reference, &image, &file);
    let report = outcome.sender.report.as_ref().unwrap();
    assert_eq!(report.bytes_unused, disk.unused_blocks() * BLOCK);
    assert_says(
        &outcome.sender,
        "captured 2001-02-03T04:05:06Z from a disk of a test",
    );
    assert_says(&outcome.sender, "what is unused was not captured");
    assert_says(&outcome.receivers[0], "its own b3sum differs");
}

/// What tools that know nothing of us say of an image file, and of a file that it was written to.
fn others_agree(reference: &Path, image: &Path, written: &Path) {
    let [reference, image, written] = [reference, image, written].map(AsRef::as_ref);
    run("zstd", &["-q".as_ref(), "-t".as_ref(), image]);
    let unpacked = run(
        "sh",
        &[
            "-c".as_ref(),
            "zstd -q -d -c \"$1\" | b3sum".as_ref(),
            "sh".as_ref(),
            image,
        ],
    );
    let summed = run("b3sum", &["--no-names".as_ref(), reference]);
    assert_eq!(unpacked.split(' ').next(), Some(&*summed));
    run("sgdisk", &["-v".as_ref(), written]);
    run("sfdisk", &["--verify".as_ref(), written]);
    let raw = ["compare", "-f", "raw", "-F", "raw"].map(AsRef::as_ref);
    run("qemu-img", &[&raw[..], &[reference, written]].concat());
}

#[test]
fn an_encrypted_image_is_sent_to_late_receivers_too_and_need_not_be_hashed() {
    let place = place();
    // More than the sender keeps of what it sent: it is read again for the late one.
    let len = 100 * MIB + 5000;
    let raw = place.random("raw", len);
    let how = How {
        used: UsedMode::Off,
        level: "none",
        passphrase: true,
        ..HOW
    };
    let image = capture(&place, &raw, &how);
    let passphrase = place.path("passphrase");
    let options = [
        "--passphrase-file",
        passphrase.to_str().unwrap(),
        "--rate",
        "400M",
        "--no-b3sum",
    ];
    let (first, late) = (place.path("first"), place.path("late"));
    let sender = place.sender(&image, &options);
    let mut session = place.start(sender, [place.receiver(&first, &["--verify"])]);
    until("the first half was written", || {
        fs::metadata(&first).is_ok_and(|meta| {
            use std::os::unix::fs::MetadataExt;
            meta.blocks() * 512 > len / 2
        })
    });
    let command = place.receiver(&late, &["--verify"]);
    let process = Process::start(command, place.directory(), "late").unwrap();
    session.receivers.push(process);
    let outcome = finish(session);
    for end in &outcome.receivers {
        assert_code(end, 0);
        assert_eq!(end.report.as_ref().unwrap().digest, None);
        assert!(!end.log.contains("b3sum of the image"));
    }
    assert_code(&outcome.sender, 0);
    assert_eq!(outcome.sender.report.as_ref().unwrap().digest, None);
    assert_same(&raw, &first);
    assert_same(&raw, &late);
}

#[test]
fn a_disk_that_was_not_hashed_is_hashed_when_it_is_sent() {
    let place = place();
    let raw = place.path("raw");
    let file = File::create(&raw).unwrap();
    file.set_len(700 * BLOCK + 17).unwrap();
    file.write_all_at(b"the start", 0).unwrap();
    file.write_all_at(b"the middle", 300 * BLOCK).unwrap();
    let how = How {
        hash: false,
        used: UsedMode::Off,
        ..HOW
    };
    let image = capture(&place, &raw, &how);
    let target = place.path("target");
    let outcome = place.run(place.sender(&image, &[]), [place.receiver(&target, &[])]);
    assert_success(&outcome, &raw);
    assert_same(&raw, &target);
}

/// Sends something to nobody.
fn refused(place: &Place, image: &Path, options: &[&str], code: i32, words: &str) {
    let outcome = place.run(place.sender(image, options), []);
    assert_code(&outcome.sender, code);
    assert_says(&outcome.sender, words);
}

#[test]
fn what_cannot_be_opened_or_is_asked_for_in_vain_is_refused() {
    let place = place();
    let raw = place.random("raw", 3 * MIB);
    let how = How {
        used: UsedMode::Off,
        ..HOW
    };
    let image = capture(&place, &raw, &how);
    let passphrase = place.file("passphrase", "a room of machines\n");
    let passphrase = ["--passphrase-file", passphrase.to_str().unwrap()];
    for (options, words) in [
        (&["--used", "off"][..], "leave out --used off"),
        (&["--scrub"], "use --scrub of mimeo-image capture"),
        (&["--compress", "max"], "leave out --compress"),
        (&["--force"], "leave out --force"),
        (&passphrase, "not encrypted"),
    ] {
        refused(&place, &image, options, 2, words);
    }
    refused(&place, &raw, &passphrase, 2, "not encrypted");
    // Its end is missing: it is not sent as if it were a disk.
    let cut = place.file("cut", &fs::read(&image).unwrap()[..2 << 20]);
    refused(&place, &cut, &[], 3, "its end is missing");
    let how = How {
        passphrase: true,
        ..how
    };
    let image = capture(&place, &raw, &how);
    refused(&place, &image, &[], 3, "--passphrase-file");
    let wrong = place.file("wrong", "another room\n");
    let wrong = ["--passphrase-file", wrong.to_str().unwrap()];
    refused(&place, &image, &wrong, 3, "not for this passphrase");
    refused(
        &place,
        &image,
        &["--passphrase-file", "/nonexistent"],
        2,
        "/nonexistent",
    );
}

#[test]
fn a_block_that_is_damaged_is_not_sent() {
    let place = place();
    // Further in than what is read before anybody is there.
    let raw = place.random("raw", 80 * MIB);
    let how = How {
        used: UsedMode::Off,
        ..HOW
    };
    let image = capture(&place, &raw, &how);
    let opened = ImageFile::open(&image, &Credentials::default()).unwrap();
    let located = opened.entries().nth(300).unwrap().unwrap();
    assert!(matches!(located.entry.content, Content::Block(..)));
    drop(opened);
    let at = located.at + 1000;
    let file = File::options().read(true).write(true).open(&image).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    let outcome = place.run(
        place.sender(&image, &[]),
        [place.receiver(place.path("target"), &[])],
    );
    assert_code(&outcome.sender, 1);
    assert_says(&outcome.sender, "block 300 of the disk");
    assert_code(&outcome.receivers[0], 1);
    assert_says(&outcome.receivers[0], "block 300 of the disk");
}

#[test]
fn a_file_in_which_a_disk_is_packed_is_sent_with_a_warning() {
    let place = place();
    let packed = place.file("disk.img.gz", [&b"\x1f\x8b\x08"[..], &[7; 5000]].concat());
    let target = place.path("target");
    let outcome = place.run(place.sender(&packed, &[]), [place.receiver(&target, &[])]);
    assert_success(&outcome, &packed);
    assert_says(&outcome.sender, "a gzip file, and is taken as it is");
}
