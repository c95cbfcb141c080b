//! Hands what libFuzzer comes up with to `mimeo_fuzz::golden`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mimeo_fuzz::golden::run(data));
