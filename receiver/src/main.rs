//! x
use mimeo_receiver::{config::*, run::*};
use std::time::Duration;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(std::env::var("MIMEO_LOG").unwrap_or("warn".into()))
        .init();
    let c = Config {
        target: a[1].clone().into(),
        target_options: Default::default(),
        interface: Some(a[2].clone()),
        session_name: None,
        sender: None,
        port: 64636,
        admission: Admission::Open,
        memory: 64 << 20,
        start_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(20),
    };
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (u, mut ur) = tokio::sync::mpsc::unbounded_channel();
    let (_c, cr) = tokio::sync::mpsc::unbounded_channel();
    let o = rt.block_on(async {
        tokio::spawn(async move {
            while let Some(u) = ur.recv().await {
                if let Update::Line(s, t) = u {
                    eprintln!("R {s:?} {t}")
                }
            }
        });
        run(c, u, cr).await
    });
    eprintln!("R {:?} {:?} {:?}", o.exit, o.error, o.status);
}
