//! A whole session in memory: everything that both programs do but for reading, writing and the
//! network, on one core. Throughput counts the image's bytes.

mod room;
mod support;

use criterion::{BatchSize, Criterion, SamplingMode, Throughput};
use mimeo_protocol::block::Level;

use room::Room;
use support::random_bytes;

/// Bytes of the image.
const IMAGE: usize = 16 << 20;

fn session(criterion: &mut Criterion) {
    let image = random_bytes(5, IMAGE);
    let level = Level::DEFAULT;
    let mut group = criterion.benchmark_group("session");
    group
        .throughput(Throughput::Bytes(IMAGE as u64))
        .sampling_mode(SamplingMode::Flat)
        .sample_size(20);
    for percent in [0, 1] {
        let room = || Room::new(&image, level, percent);
        let mut rehearsal = room();
        rehearsal.run();
        assert!(rehearsal.went_as_planned(), "{percent} % loss");
        group.bench_function(format!("random16MiB_{level}_loss{percent}"), |bencher| {
            bencher.iter_batched_ref(room, Room::run, BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn main() {
    support::run(&[session]);
}
