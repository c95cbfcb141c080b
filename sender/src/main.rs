//! x
use mimeo_sender::{config::*, run::*};
use std::time::Duration;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(std::env::var("MIMEO_LOG").unwrap_or("warn".into()))
        .init();
    let c = Config {
        source: a[1].clone().into(),
        interface: Some(a[2].clone()),
        session_name: "x".into(),
        port: 64636,
        ttl: 1,
        admission: Admission::Open,
        start: StartRules {
            min_receivers: a[3].parse().unwrap(),
            min_wait: Duration::ZERO,
            max_wait: None,
            start_at: None,
            start_timeout: Duration::from_secs(30),
        },
        linger: Duration::ZERO,
        rate_cap: a
            .get(4)
            .map(|r| mimeo_protocol::pacing::Rate(r.parse().unwrap())),
        parity: mimeo_protocol::sender::Parity::Auto,
        level: mimeo_protocol::block::Level::NONE,
    };
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (u, mut ur) = tokio::sync::mpsc::unbounded_channel();
    let (_c, cr) = tokio::sync::mpsc::unbounded_channel();
    let o = rt.block_on(async {
        tokio::spawn(async move {
            let mut last = std::time::Instant::now();
            while let Some(u) = ur.recv().await {
                match u {
                    Update::Line(s, t) => eprintln!("{s:?} {t}"),
                    Update::Status(s) => {
                        if last.elapsed().as_millis() > 900 {
                            last = std::time::Instant::now();
                            eprintln!(
                                "{:?} passed {} allowed {} sent {} {:?}",
                                s.phase,
                                s.bytes_passed,
                                s.allowed_rate / 1000000,
                                s.sent_rate / 1000000,
                                s.receivers
                                    .iter()
                                    .map(|r| (
                                        r.bytes_written >> 20,
                                        r.loss,
                                        r.socket_drops,
                                        r.limit,
                                        r.round_trip
                                    ))
                                    .collect::<Vec<_>>()
                            )
                        }
                    }
                }
            }
        });
        run(c, u, cr).await
    });
    eprintln!(
        "{:?} {:?} {:?} {:?}",
        o.exit, o.error, o.status.transfer_time, o.status.counters
    );
    println!("{:?}", o.status.digest);
    if let Some(l) = o.status.image_len {
        eprintln!(
            "{:.0} Mbit/s",
            l as f64 * 8.0 / o.status.transfer_time.as_secs_f64() / 1e6
        );
    }
}
