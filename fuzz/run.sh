#!/usr/bin/env bash
# Runs every fuzz target for a while, beginning with what the corpora hold.
#
#   fuzz/run.sh                    10 s each
#   fuzz/run.sh 60                 60 s each
#   fuzz/run.sh -runs=1000000      so many executions each
#   fuzz/run.sh 60 wire report     these targets only
#
# Needs nightly and cargo-fuzz (cargo install --locked cargo-fuzz). What fails is kept in
# fuzz/artifacts/TARGET; what is found on the way is kept only in a folder that MIMEO_FUZZ_FOUND
# names. To look at an artifact:
#
#   MIMEO_FUZZ_SHOW=1 fuzz/target/HOST/release/TARGET fuzz/artifacts/TARGET/crash-...
#
# What is fuzzed is safe Rust, of which debug assertions and overflow checks tell what is wrong:
# without a sanitizer five times as much is tried. MIMEO_FUZZ_SANITIZER=address builds with one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

all=(
    wire page report body recover rendezvous exchange sender_session receiver_session
    partition ext ntfs fat xfs btrfs lvm golden image_file vmdk qcow2
)

# Bytes of an input at most. Long stories are told by chance too rarely to be worth their time;
# MIMEO_FUZZ_MAX_LEN has them told all the same.
declare -A lengths=(
    [wire]=1500 [page]=128 [report]=256 [body]=128 [recover]=48
    [rendezvous]=128 [exchange]=48 [sender_session]=80 [receiver_session]=72
    [partition]=96 [ext]=96 [ntfs]=96 [fat]=96 [xfs]=96 [btrfs]=96 [lvm]=96
    [golden]=1024 [image_file]=96 [vmdk]=160 [qcow2]=96
)

limit=-max_total_time=10
case "${1:-}" in
-*) limit=$1 && shift ;;
[0-9]*) limit=-max_total_time=$1 && shift ;;
esac
targets=("$@")
if [ $# -eq 0 ]; then
    targets=("${all[@]}")
fi

# Comparisons that are traced in inner loops take longer than all the rest.
export RUSTC_WRAPPER=$PWD/rustc.sh
cargo +nightly fuzz build -O --no-trace-compares --sanitizer "${MIMEO_FUZZ_SANITIZER:-none}"
host=$(rustc +nightly --print host-tuple)
bin=${CARGO_TARGET_DIR:-target}/$host/release
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
found=${MIMEO_FUZZ_FOUND:-$logs}

# Every input frees what it has taken: keep that for the next one instead of giving it back.
export MALLOC_MMAP_THRESHOLD_=30000000 MALLOC_TRIM_THRESHOLD_=268435456 MALLOC_TOP_PAD_=16777216

# How inputs are chosen that are told again and changed. What is left out takes as long as half of
# what is tried, for each branch that was taken a search, and finds no more with as many executions.
choice=(-entropic=0 -reduce_inputs=0)

failed=0
for target in "${targets[@]}"; do
    mkdir -p "$found/$target" "artifacts/$target"
    log=$logs/$target.log
    status=0
    # Nothing takes seconds, or gigabytes.
    "$bin/$target" "$limit" "${choice[@]}" -timeout=25 -rss_limit_mb=1024 \
        "-max_len=${MIMEO_FUZZ_MAX_LEN:-${lengths[$target]}}" \
        "-artifact_prefix=artifacts/$target/" -print_final_stats=1 \
        "$found/$target" "corpus/$target" >"$log" 2>&1 || status=$?
    runs=$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")
    pace=$(awk '/stat::average_exec_per_sec/ { print $2 }' "$log")
    echo "$target: ${runs:-?} executions, ${pace:-?} a second"
    if [ "$status" -ne 0 ]; then
        tail -n 60 "$log"
        echo "$target FAILED" >&2
        failed=1
    fi
done
exit "$failed"
