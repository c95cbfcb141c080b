//! stand-in
#![allow(missing_docs, reason = "x")]
use mimeo_image::TargetOptions;
use mimeo_protocol::keys::Secret;
use std::{ffi::OsString, net::SocketAddr, time::Duration};
#[derive(Debug, Clone)]
pub enum Admission {
    Open,
    Key(Secret),
}
#[derive(Debug, Clone)]
pub struct Config {
    pub target: OsString,
    pub target_options: TargetOptions,
    pub interface: Option<String>,
    pub session_name: Option<String>,
    pub sender: Option<SocketAddr>,
    pub port: u16,
    pub admission: Admission,
    pub memory: u64,
    pub start_timeout: Duration,
    pub idle_timeout: Duration,
}
