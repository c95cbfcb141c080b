#!/usr/bin/env bash
# For RUSTC_WRAPPER: libFuzzer watches mimeo's own code only. With curves and ciphers watched too,
# joins and signed pages take several times as long, and what is found there leads nowhere.
rustc=$1
shift
case " $* " in
*" --crate-name mimeo_"*) exec "$rustc" "$@" ;;
esac
kept=()
for argument in "$@"; do
    case $argument in
    -Cpasses=sancov-module | -Cllvm-args=-sanitizer-coverage-*) ;;
    *) kept+=("$argument") ;;
    esac
done
exec "$rustc" "${kept[@]}"
