#!/usr/bin/env bash
# mimeo-image capture against partclone and zstd, of the same disk in the same run: 20 GB with one ext4
# of which a part is filled. Prints the size, and the median time of RUNS runs in turn.
#
#   cargo build --release && sudo benches/capture.sh [RUNS [FOLDER_TO_FILL_IT_WITH [GB]]]
#
# The folder is /usr (a system tree; /usr/share/doc is text), of which at most GB are taken: 2.
# Needs the Debian packages partclone zstd e2fsprogs gdisk mount.
set -euo pipefail
runs=${1:-3}
from=${2:-/usr}
most=${3:-2}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${MIMEO_BIN:-$here/../target/release}
bin=$(cd "$bin" && pwd)
work=$(mktemp -d)
loops=()
clean() {
    local loop
    for loop in "${loops[@]}"; do losetup -d "$loop" || true; done
    rm -rf "$work"
}
trap clean EXIT
cd "$work"

# What is taken: whole files in the order of their names, until there is enough.
mkdir root
(cd "$from" && find . -xdev -type f -size +0 -printf '%s %p\n' | sort -k 2) |
    awk -v most="$most" '{ sum += $1; if (sum > most * 1e9) next; sub(/^[0-9]+ /, ""); printf "%s%c", $0, 0 }' |
    tar -C "$from" --null -T - -cf - | tar -C root -xf -

truncate -s 20000000000 disk.raw
sgdisk --clear --new 1:2048:0 --typecode 1:8300 disk.raw >/dev/null
last=$(sgdisk --info 1 disk.raw | awk '/Last sector/ { print $3 }')
truncate -s $(((last - 2047) * 512)) part.raw
mkfs.ext4 -q -d root part.raw
rm -rf root
dd if=part.raw of=disk.raw bs=1M seek=1 conv=notrunc,sparse status=none
rm part.raw
loops+=("$(losetup --find --show --read-only disk.raw)")
disk=${loops[0]}
loops+=("$(losetup --find --show --read-only --offset 1048576 --sizelimit $(((last - 2047) * 512)) disk.raw)")
part=${loops[1]}

seconds() { # of what is run, output to a file
    local before after
    before=$(date +%s.%N)
    "$@"
    after=$(date +%s.%N)
    awk -v a="$after" -v b="$before" 'BEGIN { printf "%.2f\n", a - b }'
}
sectors_read() { awk '{ print $3 }' "/sys/block/$(basename "$disk")/stat"; }
mimeo() { "$bin/mimeo-image" capture --level fast --overwrite --progress none "$disk" disk.mimeo >/dev/null 2>&1; }
partclone() {
    partclone.ext4 -c -q -L partclone.log -s "$part" -o - 2>/dev/null | zstd -q -T0 -1 -f -o disk.zst
}
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

before=$(sectors_read)
seconds mimeo >/dev/null
read_gb=$(awk -v n="$(($(sectors_read) - before))" 'BEGIN { printf "%.2f", n * 512 / 1e9 }')
seconds partclone >/dev/null
for _ in $(seq "$runs"); do
    seconds mimeo >>mimeo.times
    seconds partclone >>partclone.times
done
a=$(stat -c %s disk.mimeo) b=$(stat -c %s disk.zst)
used=$("$bin/mimeo-image" info --json disk.mimeo | grep -o '"used": *[0-9]*' | head -n 1 | grep -o '[0-9]*')
printf 'used, by the map of the filesystem   %12d bytes\n' "$used"
printf 'mimeo-image capture --level fast   %12d bytes  %6s s   read %s GB of the disk\n' "$a" "$(median <mimeo.times)" "$read_gb"
printf 'partclone | zstd -T0 -1            %12d bytes  %6s s\n' "$b" "$(median <partclone.times)"
awk -v a="$a" -v b="$b" -v s="$(median <mimeo.times)" -v t="$(median <partclone.times)" \
    'BEGIN { printf "mimeo of partclone: size %.3f, time %.2f\n", a / b, s / t }'
