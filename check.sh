#!/usr/bin/env bash
# Checks everything, the same on a desk and in CI.
#
#   ./check.sh              all steps
#   ./check.sh fmt clippy   these steps only
#
# A step that fails does not keep the others from running; the exit code is 1 if any failed.
# Tests that need root or a tool that is not there are skipped, unless MIMEO_REQUIRE_ALL=1; without
# nightly and cargo-fuzz only what was found before is tried.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

all=(fmt deny clippy doc test fuzz)

step_fmt() {
    cargo fmt --all --check
}

step_deny() {
    # A Cargo.lock that does not fit the manifests is found here, not in somebody's checkout.
    cargo metadata --locked --format-version 1 >/dev/null
    if ! cargo deny --version >/dev/null 2>&1; then
        echo "cargo-deny is not installed: cargo install --locked cargo-deny" >&2
        return 1
    fi
    cargo deny --log-level warn check --hide-inclusion-graph licenses bans sources
}

step_clippy() {
    cargo clippy --workspace --all-targets -- -D warnings
}

step_doc() {
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
}

# The README's command. The closing lines of all its parts stand together at the end.
step_test() {
    local log status=0
    log=$(mktemp)
    cargo test --workspace --no-fail-fast 2>&1 | tee "$log" || status=$?
    echo
    echo "--- closing lines of the tests"
    grep -E '^(test result:|error: |    `-p |test .* FAILED$)' "$log" |
        grep -v ' ok. 0 passed; 0 failed; 0 ignored' || true
    awk '/^test result:/ { runs++; passed += $4; failed += $6; ignored += $8 }
         END { printf "%d passed, %d failed, %d ignored in %d runs\n", passed, failed, ignored, runs }' "$log"
    rm -f "$log"
    return "$status"
}

# Every fuzz target for some seconds, its corpus first.
step_fuzz() {
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    cargo metadata --manifest-path fuzz/Cargo.toml --locked --format-version 1 >/dev/null
    if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
        echo "fuzzing needs nightly (rustup toolchain install nightly --profile minimal)" >&2
        echo "and cargo-fuzz (cargo install --locked cargo-fuzz)" >&2
        [ "${MIMEO_REQUIRE_ALL:-}" != 1 ] || return 1
        cargo test --manifest-path fuzz/Cargo.toml --no-default-features
        return
    fi
    fuzz/run.sh 4
}

steps=("$@")
if [ $# -eq 0 ]; then
    steps=("${all[@]}")
fi
for step in "${steps[@]}"; do
    if ! declare -F "step_$step" >/dev/null; then
        echo "no step is called $step; there are: ${all[*]}" >&2
        exit 2
    fi
done

summary=()
failed=0
for step in "${steps[@]}"; do
    echo "=== $step"
    started=$SECONDS
    # A subshell whose status is read afterwards: behind "if" or "||" set -e would not hold in it.
    set +e
    (
        set -e
        "step_$step"
    )
    status=$?
    set -e
    if [ "$status" -eq 0 ]; then
        summary+=("ok      $step ($((SECONDS - started)) s)")
    else
        summary+=("FAILED  $step ($((SECONDS - started)) s)")
        failed=1
    fi
done

echo "=== checked"
printf '%s\n' "${summary[@]}"
exit "$failed"
