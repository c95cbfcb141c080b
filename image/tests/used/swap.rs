//! Linux swap.

use crate::common::can_loop;
use crate::fixture::{Image, MIB, poison};

const TOOLS: [&str; 2] = ["mkswap", "swaplabel"];

#[test]
fn only_the_header_is_kept() {
    let Some(_alone) = can_loop("swap", &TOOLS) else {
        return;
    };
    for page in [4096, 65_536] {
        let image = Image::new(16 * MIB);
        image.tool(
            "mkswap",
            &["--pagesize", &page.to_string(), "--label", "rest"],
        );
        image.write(4 * MIB, b"what was in memory once");
        assert_eq!(poison(&image), page);
        if page == 4096 {
            assert!(image.tool("swaplabel", &[]).contains("rest"));
        }
        // What lies behind the last page no header speaks for.
        image.file().set_len(16 * MIB + 5000).unwrap();
        assert_eq!(image.layout().used(), page + 5000);
        image.file().set_len(15 * MIB).unwrap();
        assert!(image.distrust().contains("its partition only"));
    }
}

#[test]
fn a_hibernated_system_is_to_be_refused() {
    let Some(_alone) = can_loop("hibernated swap", &TOOLS) else {
        return;
    };
    let image = Image::new(16 * MIB);
    image.tool("mkswap", &[]);
    for magic in [
        &b"S1SUSPEND\0"[..],
        b"ULSUSPEND\0",
        b"LINHIB0001",
        b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c",
    ] {
        image.write(4096 - 10, magic);
        assert!(image.distrust().contains("hibernated"));
        let layout = image.layout();
        let mimeo_image::used::Verdict::Whole(why) = &layout.areas[0].volume.verdict else {
            panic!("trusted");
        };
        assert!(why.is_refusal());
    }
    image.write(4096 - 10, b"SWAP-SPACE");
    assert!(image.distrust().contains("version"));
}
