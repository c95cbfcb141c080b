#!/usr/bin/env bash
# For RUSTC_WRAPPER: libFuzzer watches mimeo's own code only. With curves and ciphers watched too,
# joins and signed pages take several times as long, and what is found there leads nowhere.
rustc=$1
shift
case " $* " in
*" --crate-name mimeo_"*) is_watched=1 ;;
*) is_watched=0 ;;
esac
kept=()
for argument in "$@"; do
    case $is_watched$argument in
    0-Cpasses=sancov-module | 0-Cllvm-args=-sanitizer-coverage-*) ;;
    # How deep the stack gets tells nothing here.
    1-Cllvm-args=-sanitizer-coverage-stack-depth) ;;
    *) kept+=("$argument") ;;
    esac
done
exec "$rustc" "${kept[@]}"
