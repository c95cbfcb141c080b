//! stand-in
#![allow(missing_docs, reason = "x")]
use mimeo_protocol::{block::Level, keys::Secret, pacing::Rate, sender::Parity};
use std::{
    ffi::OsString,
    time::{Duration, SystemTime},
};
#[derive(Debug, Clone)]
pub enum Admission {
    Open,
    Key(Secret),
}
#[derive(Debug, Clone)]
pub struct StartRules {
    pub min_receivers: usize,
    pub min_wait: Duration,
    pub max_wait: Option<Duration>,
    pub start_at: Option<SystemTime>,
    pub start_timeout: Duration,
}
#[derive(Debug, Clone)]
pub struct Config {
    pub source: OsString,
    pub interface: Option<String>,
    pub session_name: String,
    pub port: u16,
    pub ttl: u8,
    pub admission: Admission,
    pub start: StartRules,
    pub linger: Duration,
    pub rate_cap: Option<Rate>,
    pub parity: Parity,
    pub level: Level,
}
