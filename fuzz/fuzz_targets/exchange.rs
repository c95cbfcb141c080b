//! Hands what libFuzzer comes up with to `mimeo_fuzz::exchange`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mimeo_fuzz::exchange::run(data));
