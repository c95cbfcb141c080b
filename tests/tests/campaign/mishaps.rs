//! What happens to the whole room.

use std::time::Duration;

use mimeo_protocol::units::BLOCK_SIZE;
use mimeo_protocol::wire::FailCode;
use mimeo_tests::sim::{Dice, Direction, Image, Room, Sight};

use super::draw::ms;
use super::fates::a_while;

/// What was done to the room on purpose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mishap {
    /// Nothing.
    None,
    /// The sender stands still for a while.
    SenderStands(Duration),
    /// The sender sleeps for a while, and its clock with it.
    SenderSleeps(Duration),
    /// The sender's clock jumps ahead.
    SenderJumps(Duration),
    /// The sender dies.
    SenderDies,
    /// The sender dies, and is started again after a while, so many times.
    SenderRestarts(u64, Duration),
    /// The sender dies, and one with another image of the same name is started after a while.
    SenderChanges(Duration),
    /// A switch fails: so many of the machines hear and say nothing for a while.
    Partition(usize, Duration),
    /// This share of everything but symbols is lost, both ways.
    LosesControl(f64),
    /// This share of the reports is lost.
    LosesReports(f64),
}

/// Two rooms in three have no mishap.
pub fn draw(dice: &mut Dice, receivers: u64) -> Mishap {
    if dice.chance(0.66) {
        return Mishap::None;
    }
    match dice.below(10) {
        0 => Mishap::SenderStands(a_while(dice)),
        1 => Mishap::SenderSleeps(a_while(dice)),
        2 => Mishap::SenderJumps(a_while(dice)),
        3 => Mishap::Partition(dice.between(1, receivers) as usize, a_while(dice)),
        4 => Mishap::LosesControl(dice.pick(&[0.1, 0.3, 0.5])),
        5 => Mishap::LosesReports(dice.pick(&[0.2, 0.5])),
        6 => Mishap::SenderDies,
        7 | 8 => Mishap::SenderRestarts(dice.between(1, 3), a_while(dice)),
        _ => Mishap::SenderChanges(a_while(dice)),
    }
}

/// Lets it happen.
pub fn happen(room: &mut Room, dice: &mut Dice, mishap: Mishap) {
    let when = ms(dice.between(200, 3000));
    match mishap {
        Mishap::None => {}
        Mishap::SenderStands(pause) => {
            room.at(when, Room::suspend_sender);
            room.at(when + pause, Room::resume_sender);
        }
        Mishap::SenderSleeps(pause) => {
            room.at(when, Room::sleep_sender);
            room.at(when + pause, Room::resume_sender);
        }
        Mishap::SenderJumps(ahead) => room.at(when, move |room| room.jump_sender(ahead)),
        Mishap::SenderDies => room.at(when, Room::kill_sender),
        Mishap::SenderRestarts(times, pause) => {
            for time in 0..u32::try_from(times).expect("a few") {
                // It runs for as long as it was away.
                room.at(when + 2 * time * pause, Room::kill_sender);
                room.at(when + (2 * time + 1) * pause, |room| {
                    room.start_sender(|_| {});
                });
            }
        }
        Mishap::SenderChanges(pause) => {
            let other = another(dice, &room.image);
            room.at(when, Room::kill_sender);
            room.at(when + pause, move |room| {
                room.start_sender(|config| config.image = other);
            });
        }
        Mishap::Partition(machines, pause) => {
            let set = move |cut| {
                move |room: &mut Room| {
                    for machine in 0..machines {
                        room.cut(machine, Direction::Down, cut);
                        room.cut(machine, Direction::Up, cut);
                    }
                }
            };
            room.at(when, set(true));
            room.at(when + pause, set(false));
        }
        Mishap::LosesControl(share) => {
            let is_symbol = |sight: &Sight| matches!(sight, Sight::Symbol(_));
            lose(room, dice, share, move |sight| !is_symbol(sight));
        }
        Mishap::LosesReports(share) => {
            lose(room, dice, share, |sight| matches!(sight, Sight::Report(_)));
        }
    }
}

/// An image that differs from its beginning, as long or longer: a disk that is to fail at some place
/// gets there.
fn another(dice: &mut Dice, image: &Image) -> Image {
    let len = image.len();
    let mut bytes = vec![0; dice.pick(&[len, len, len + 999, len + BLOCK_SIZE])];
    dice.fill(&mut bytes);
    bytes.as_slice().into()
}

fn lose(room: &mut Room, dice: &mut Dice, share: f64, what: impl Fn(&Sight) -> bool + 'static) {
    let mut dice = dice.fork();
    room.lose(move |crossing| what(&crossing.sight) && dice.chance(share));
}

impl Mishap {
    /// For how long a machine was cut off from the room, and whether it may think that it was.
    pub fn away(self, machine: usize) -> Option<Duration> {
        match self {
            Self::Partition(machines, pause) if machine < machines => Some(pause),
            Self::SenderStands(pause) | Self::SenderSleeps(pause) | Self::SenderJumps(pause) => {
                Some(pause)
            }
            Self::SenderRestarts(times, pause) => Some(2 * pause * times as u32),
            Self::SenderChanges(pause) => Some(pause),
            Self::SenderDies => Some(Duration::MAX),
            Self::LosesControl(_) | Self::LosesReports(_) => Some(Duration::ZERO),
            _ => None,
        }
    }

    /// Why any machine may fail.
    pub fn fails(self) -> &'static [FailCode] {
        match self {
            Self::SenderChanges(_) => &[FailCode::TargetRefused],
            _ => &[],
        }
    }
}
