//! Hands what libFuzzer comes up with to `mimeo_fuzz::qcow2`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mimeo_fuzz::qcow2::run(data));
