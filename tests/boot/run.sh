#!/usr/bin/env bash
# From a reference machine to machines that boot: a disk with an EFI system partition and a root
# filesystem is captured, multicast over a virtual network to two larger disks, and each of them is
# booted by a guest of QEMU (software emulation), which checks every file and its partition table.
#
#   cargo build --release && sudo tests/boot/run.sh [FOLDER]
#
# FOLDER (default: a temporary one) takes 8 GiB, most of it holes. Needs the Debian packages
# qemu-system-x86 ovmf grub-efi-amd64-bin grub-common busybox-static cpio kmod dosfstools mtools
# e2fsprogs gdisk iproute2, and apt-get to download a kernel. Takes about two minutes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${MIMEO_BIN:-$here/../../target/release}
bin=$(cd "$bin" && pwd)
work=${1:-}
own=
if [ -z "$work" ]; then
    work=$(mktemp -d)
    own=$work
fi
cd "$work"

loops=()
hosts=()
clean() {
    local host loop
    for host in "${hosts[@]}"; do ip netns delete "$host" || true; done
    for loop in "${loops[@]}"; do losetup -d "$loop" || true; done
    if [ -n "$own" ]; then rm -rf "$own"; fi
}
trap clean EXIT

say() { printf '=== %s\n' "$1"; }
die() {
    echo "$1" >&2
    exit 1
}

kernel() {
    say "a kernel of Debian"
    local package
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2; exit }')
    [ -n "$package" ] || die "apt-get update first: no linux-image-cloud-amd64"
    ls "$package"_*.deb >/dev/null 2>&1 || apt-get -qq download "$package"
    dpkg-deb -x "$package"_*.deb kernel
    version=$(basename kernel/boot/vmlinuz-*)
    version=${version#vmlinuz-}
    depmod -b kernel "$version"
}

# The guest's first program: it mounts the root, compares every file, looks what the kernel thinks of
# the partition table, and says how it went.
initrd() {
    say "the guest's initrd"
    rm -rf initrd && mkdir -p initrd/{bin,dev,proc,sys,root}
    cp "$(command -v busybox)" initrd/bin/busybox
    local name module
    for name in virtio_pci virtio_blk; do
        modprobe -d "$work/kernel" -S "$version" --show-depends "$name" | awk '/^insmod/ { print $2 }'
    done | awk '!seen[$0]++' >initrd/modules
    while read -r module; do
        mkdir -p "initrd/$(dirname "${module#"$work/kernel/"}")"
        cp "$module" "initrd/${module#"$work/kernel/"}"
    done <initrd/modules
    sed -i "s,^$work/kernel,," initrd/modules
    cat >initrd/init <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "$module"; done </modules
sleep 1
disk=$(findfs LABEL=guest-root) && mount -o ro "$disk" /root && cd /root &&
    sha256sum -s -c SUMS && files=$(wc -l <SUMS) && echo "guest: $files files are right on $disk"
if [ -z "$files" ]; then echo "guest: FAILED"; fi
if dmesg | grep -q 'GPT:'; then dmesg | grep 'GPT:'; echo "guest: FAILED"; else echo "guest: table is right"; fi
poweroff -f
INIT
    chmod +x initrd/init
    (cd initrd && find . | cpio --quiet -o -H newc | gzip -1) >initrd.gz
}

# 2 GiB: EFI system partition, root with this machine's executables, nothing behind.
disk() {
    say "the reference disk"
    rm -rf root disk.raw esp.raw root.raw && mkdir -p root/boot
    cp "kernel/boot/vmlinuz-$version" root/boot/vmlinuz
    cp initrd.gz root/boot/initrd.gz
    cp -r /usr/bin root/bin
    (cd root && find . -type f ! -name SUMS -print0 | xargs -0 sha256sum >SUMS)
    cat >grub.cfg <<'CFG'
search --label guest-root --set=root
linux /boot/vmlinuz console=ttyS0 quiet
initrd /boot/initrd.gz
boot
CFG
    grub-mkstandalone -O x86_64-efi -o BOOTX64.EFI --modules="part_gpt ext2 search linux" \
        "boot/grub/grub.cfg=grub.cfg"
    truncate -s 2G disk.raw
    sgdisk --clear --new 1:2048:+64M --typecode 1:ef00 --new 2:0:0 --typecode 2:8300 disk.raw >/dev/null
    truncate -s 64M esp.raw
    mkfs.fat -F 32 esp.raw >/dev/null
    mmd -i esp.raw ::EFI ::EFI/BOOT
    mcopy -i esp.raw BOOTX64.EFI ::EFI/BOOT/BOOTX64.EFI
    local first last
    first=$(sgdisk --info 2 disk.raw | awk '/First sector/ { print $3 }')
    last=$(sgdisk --info 2 disk.raw | awk '/Last sector/ { print $3 }')
    truncate -s $(((last - first + 1) * 512)) root.raw
    mkfs.ext4 -q -L guest-root -d root root.raw
    dd if=esp.raw of=disk.raw bs=1M seek=1 conv=notrunc,sparse status=none
    dd if=root.raw of=disk.raw bs=512 seek="$first" conv=notrunc,sparse status=none
    rm -rf esp.raw root.raw root
}

# host NAME ADDRESS: a namespace on the bridge.
host() {
    ip netns add "$1"
    hosts+=("$1")
    ip -n "$1" link set lo up
    [ "$1" = mimeo-boot-switch ] && return
    ip link add "$1" netns mimeo-boot-switch type veth peer name eth0 netns "$1"
    ip -n mimeo-boot-switch link set "$1" master switch up
    ip -n "$1" address add "$2/24" dev eth0
    ip -n "$1" link set eth0 up
    ip -n "$1" route add 224.0.0.0/4 dev eth0
}

room() {
    say "the room"
    host mimeo-boot-switch
    ip -n mimeo-boot-switch link add switch type bridge mcast_snooping 0
    ip -n mimeo-boot-switch link set switch up
    host mimeo-boot-s 10.77.9.1
    host mimeo-boot-1 10.77.9.11
    host mimeo-boot-2 10.77.9.12
}

# Each disk is larger than the reference disk, and was in use before.
image_room() {
    say "an image file, and one stream to two larger disks"
    "$bin/mimeo-image" capture --overwrite --progress plain disk.raw disk.mimeo
    "$bin/mimeo-image" verify disk.mimeo
    rm -f room.key && "$bin/mimeo-image" keygen --room room.key
    local number size jobs=()
    for number in 1 2; do
        size=$((2 + number))
        rm -f "target$number.raw" && truncate -s ${size}G "target$number.raw"
        head -c 64M /dev/urandom | dd of="target$number.raw" conv=notrunc status=none
        loops+=("$(losetup --find --show "target$number.raw")")
        ip netns exec "mimeo-boot-$number" "$bin/mimeo-receiver" --key-file room.key --yes --verify \
            --progress plain "${loops[-1]}" >"receiver$number.log" 2>&1 &
        jobs+=($!)
    done
    ip netns exec mimeo-boot-s "$bin/mimeo-sender" --key-file room.key --min-receivers 2 \
        --progress plain disk.mimeo
    wait "${jobs[@]}" || die "a receiver failed: see receiver1.log, receiver2.log in $work"
}

boot() {
    local number
    for number in 1 2; do
        say "the machine with disk $number starts"
        sgdisk --verify "target$number.raw" | grep -q 'No problems found' || die "table of disk $number"
        timeout 300 qemu-system-x86_64 -accel tcg -m 512 -nographic -no-reboot -net none \
            -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
            -drive "if=virtio,format=raw,file=target$number.raw" </dev/null >"guest$number.log" 2>&1 ||
            die "the guest of disk $number did not end: see guest$number.log"
        # Behind what the boot loader does to the screen.
        grep -ao 'guest: .*' "guest$number.log" || die "the guest of disk $number did not start: see guest$number.log"
        grep -aq 'files are right' "guest$number.log" || die "files of disk $number: see guest$number.log"
        if grep -aq 'guest: FAILED' "guest$number.log"; then exit 1; fi
    done
}

kernel
initrd
disk
room
image_room
sync
boot
say "both machines run"
