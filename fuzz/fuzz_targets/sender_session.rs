//! Hands what libFuzzer comes up with to `mimeo_fuzz::sender_session`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mimeo_fuzz::sender_session::run(data));
