//! Who may mount, and who may read what is mounted.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::common::noise;
use crate::fixture::Image;
use crate::mounting::{Captured, can_mount};

/// In a mount namespace of its own, where everybody may open the device, as is usual.
const SCRIPT: &str = r#"
    set -eu
    cd "$1"
    mount --make-rprivate /
    mount -t tmpfs none system
    mknod -m 666 system/fuse c 10 229
    mount --bind system/fuse /dev/fuse
    user="setpriv --reuid 65534 --regid 65534 --clear-groups"
    other="setpriv --reuid 65533 --regid 65533 --clear-groups"

    : >system/fuse.conf
    mount --bind system/fuse.conf /etc/fuse.conf
    $user ./mimeo-image mount --background disk.mimeo mounted
    $user cmp mounted/disk.img disk.raw
    if cat mounted/disk.img; then echo "root reads it"; exit 1; fi
    if $other cat mounted/disk.img; then echo "others read it"; exit 1; fi
    $user fusermount3 -u mounted
    if $user ./mimeo-image mount --allow root disk.mimeo mounted; then exit 1; fi

    echo user_allow_other >system/fuse.conf
    $user ./mimeo-image mount --background --allow root disk.mimeo mounted
    cmp mounted/disk.img disk.raw
    if $other cat mounted/disk.img; then echo "others read it"; exit 1; fi
    $user fusermount3 -u mounted

    ./mimeo-image mount --background --allow all disk.mimeo mounted
    $other cmp mounted/disk.img disk.raw
    umount mounted
"#;

#[test]
fn nobody_reads_it_but_who_mounts_and_who_is_allowed_to() {
    let tools = ["unshare", "setpriv", "fusermount3", "cmp"];
    let Some(_alone) = can_mount("who reads what is mounted", &tools) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let disk = Image::new(1 << 20);
    disk.write(0, &noise(1 << 20, 6));
    fs::copy(&disk.path, path("disk.raw")).unwrap();
    fs::copy(&Captured::plain(&disk.path, &[]).path, path("disk.mimeo")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_mimeo-image"), path("mimeo-image")).unwrap();
    for name in ["system", "mounted"] {
        fs::create_dir(path(name)).unwrap();
    }
    std::os::unix::fs::chown(path("mounted"), Some(65534), Some(65534)).unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", SCRIPT, "sh"])
        .arg(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains("/etc/fuse.conf has a line user_allow_other"),
        "{said}"
    );
}
