//! Hands what libFuzzer comes up with to `mimeo_fuzz::image_file`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mimeo_fuzz::image_file::run(data));
