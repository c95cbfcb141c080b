//! Hands what libFuzzer comes up with to `mimeo_fuzz::receiver_session`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mimeo_fuzz::receiver_session::run(data));
