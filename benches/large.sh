#!/usr/bin/env bash
# What a disk of 8 TB takes of memory: captured, looked at, verified, and sent to one receiver on lo,
# both as a raw disk and as an image file. First with an ext4 whose map is almost empty, then with the
# same when its map is full.
#
#   cargo build --release && sudo benches/large.sh [FOLDER]
#
# FOLDER (default: a temporary one in /var/tmp) takes 3 GB; its file system must hold sparse files
# of 8 TB, as ext4 and XFS do. Needs the Debian packages e2fsprogs mount time. Prints seconds and the
# peak of resident memory in MiB, and fails where that is above 256.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${MIMEO_BIN:-$here/../target/release}
bin=$(cd "$bin" && pwd)
work=${1:-}
own=
if [ -z "$work" ]; then
    work=$(mktemp -d -p /var/tmp)
    own=$work
fi
cd "$work"
mounted=
clean() {
    if [ -n "$mounted" ]; then umount "$mounted" || true; fi
    if [ -n "$own" ]; then rm -rf "$own"; fi
}
trap clean EXIT
limit=256
failed=0

# measured WHAT COMMAND...
measured() {
    local what=$1 seconds kib mib
    shift
    if ! command time -f '%e %M' -o measured.time "$@" >measured.out 2>&1; then
        tail -n 20 measured.out
        echo "$what FAILED" >&2
        exit 1
    fi
    read -r seconds kib <measured.time
    mib=$((kib / 1024))
    printf '%-34s %8s s %6s MiB\n' "$what" "$seconds" "$mib"
    if [ "$mib" -gt "$limit" ]; then failed=1; fi
}

# sent WHAT IMAGE OPTIONS: to a receiver that writes nowhere.
sent() {
    local what=$1 image=$2 receiver
    shift 2
    "$bin/mimeo-receiver" --open --interface lo --progress plain null >receiver.log 2>&1 &
    receiver=$!
    measured "$what, sender" "$bin/mimeo-sender" --open --interface lo --no-b3sum \
        --progress plain "$@" "$image"
    wait "$receiver" || { tail -n 20 receiver.log; exit 1; }
}

all() {
    local name=$1
    rm -f disk.mimeo
    measured "$name: capture" "$bin/mimeo-image" capture --no-b3sum --progress none disk.raw disk.mimeo
    measured "$name: info" "$bin/mimeo-image" info disk.mimeo
    measured "$name: info of the disk" "$bin/mimeo-image" info disk.raw
    measured "$name: verify" "$bin/mimeo-image" verify --progress none disk.mimeo
    sent "$name: image file" disk.mimeo
    sent "$name: raw disk" disk.raw --used auto
}

truncate -s 8000000000000 disk.raw
mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 disk.raw
mkdir -p mounted
mount -o loop disk.raw mounted
mounted=$work/mounted
head -c 1G /dev/urandom >mounted/noise
umount mounted
mounted=
all "8 TB, sparse"

mount -o loop disk.raw mounted
mounted=$work/mounted
number=0
# The largest file of ext4 has 16 TiB, its extents 128 MiB each.
while fallocate -l $((1 << 40)) "mounted/full$number" 2>/dev/null; do number=$((number + 1)); done
for size in 30 25 20; do
    while fallocate -l $((1 << size)) "mounted/full$number" 2>/dev/null; do number=$((number + 1)); done
done
df -h mounted | tail -n 1
umount mounted
mounted=
all "8 TB, full map"

exit "$failed"
