//! stand-in
#![allow(missing_docs, reason="x")]
use std::{ffi::OsString,time::Duration,net::SocketAddr};
use mimeo_protocol::keys::Secret; use mimeo_image::TargetOptions;
#[derive(Debug,Clone)] pub enum Admission { Open, Key(Secret) }
#[derive(Debug,Clone)] pub struct Config { pub target: OsString, pub target_options: TargetOptions, pub interface: Option<String>, pub session_name: Option<String>, pub sender: Option<SocketAddr>, pub port: u16, pub admission: Admission, pub memory: u64, pub start_timeout: Duration, pub idle_timeout: Duration }
