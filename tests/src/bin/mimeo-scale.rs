//! try
use mimeo_tests::scale::{Setting, run};
fn main() {
    let mut args = std::env::args().skip(1);
    let r: u16 = args.next().unwrap().parse().unwrap();
    let loss: f64 = args.next().unwrap().parse().unwrap();
    let image: u64 = args.next().unwrap().parse().unwrap();
    let mut s = Setting::gigabit(r, loss, image);
    if let Some(c) = args.next() { s.cable = c.parse().unwrap(); }
    let t = std::time::Instant::now();
    match run(&s) {
        Ok(f) => println!("R {r} loss {loss}: {:.3} s (wire {:.3}) overhead {:.3} % feedback {:.0}/s peak {} needless {} cycles {} state {} real {:?} {:?}", f.time.as_secs_f64(), s.wire_time().as_secs_f64(), f.overhead()*100.0, f.feedback_rate(), f.feedback_peak, f.needless_symbols, f.cycles, f.state_bytes, t.elapsed(), f.counters),
        Err(e) => println!("R {r} loss {loss}: {e} real {:?}", t.elapsed()),
    }
}
