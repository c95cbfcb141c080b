//! What befalls a machine, and how it may end because of that.
//!
//! To add a fate: a variant, its share in [`draw`], what is done in [`befall`], and what may come
//! of it in [`Fate::prospects`].

use std::time::Duration;

use mimeo_protocol::receiver::Resume;
use mimeo_protocol::wire::FailCode;
use mimeo_tests::sim::{Dice, Direction, Drift, Room, Trouble};

use super::draw::ms;

/// What was done to a machine on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Stays,
    /// It is switched off.
    Killed,
    /// It is switched off and on again, so many times.
    Restarted(u64),
    /// It stands still for a while.
    Paused(Duration),
    /// It sleeps for a while, and its clock with it.
    Sleeps(Duration),
    /// Its operator gives up.
    Interrupted,
    /// Its disk does one of these.
    Disk(Trouble),
    /// Its disk does nothing for a while.
    Stalls(Duration),
    /// Its disk writes a hundredth of what it did, for a while.
    Crawls(Duration),
    /// Nothing passes for a while: from the sender, to it, or both.
    CutOff(bool, bool, Duration),
    /// Its clock jumps ahead.
    Jumps(Duration),
    /// Its clock is fast or slow.
    Drifts(i32),
}

/// What may become of a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prospects {
    /// It cannot have the image.
    pub doomed: bool,
    /// It may be switched off.
    pub killed: bool,
    /// It may fail for these reasons.
    pub fails: &'static [FailCode],
    /// Whether it may come too late, or not know that it came in time.
    pub may_miss: bool,
    /// For how long it did not take part.
    pub away: Duration,
}

/// A while that is as often short as long, up to half of the time after which a receiver gives up.
pub fn a_while(dice: &mut Dice) -> Duration {
    let most = dice.pick(&[300, 1000, 4000, 12_000, 30_000]);
    ms(dice.between(100, most))
}

/// Two machines in three are left alone.
pub fn draw(dice: &mut Dice, image_len: u64) -> Fate {
    if dice.chance(0.66) {
        return Fate::Stays;
    }
    let place = dice.below(image_len);
    match dice.below(16) {
        0 => Fate::Killed,
        1 | 2 => Fate::Restarted(dice.between(1, 4)),
        3 => Fate::Paused(a_while(dice)),
        4 => Fate::Sleeps(a_while(dice)),
        5 => Fate::Interrupted,
        6 => Fate::Disk(Trouble::FailsAfter(place)),
        7 => Fate::Disk(Trouble::FullAt(place)),
        8 => Fate::Disk(Trouble::BadSector(place)),
        9 => Fate::Disk(Trouble::FailsToFlush),
        10 => Fate::Disk(dice.pick(&[Trouble::LiesAt(place), Trouble::Unreadable])),
        11 => Fate::Stalls(a_while(dice)),
        12 => Fate::Crawls(a_while(dice)),
        13 => {
            let (down, up) = dice.pick(&[(true, true), (true, false), (false, true)]);
            Fate::CutOff(down, up, a_while(dice))
        }
        14 => Fate::Jumps(a_while(dice)),
        _ => Fate::Drifts(dice.pick(&[-1000, -100, 100, 1000])),
    }
}

/// Lets it happen, at some moment of the transfer.
pub fn befall(room: &mut Room, dice: &mut Dice, machine: usize, fate: Fate) {
    let when = room.elapsed() + ms(dice.between(200, 3000));
    match fate {
        Fate::Stays => {}
        Fate::Disk(trouble) => {
            let one = &mut room.machines[machine];
            one.target.profile.trouble = Some(trouble);
            one.profile.verify |= matches!(trouble, Trouble::LiesAt(_) | Trouble::Unreadable);
        }
        Fate::Killed => room.at(when, move |room| room.kill(machine)),
        Fate::Interrupted => room.at(when, move |room| room.interrupt(machine)),
        Fate::Restarted(times) => restart(room, dice, machine, when, times),
        Fate::Paused(pause) => {
            room.at(when, move |room| room.pause(machine));
            room.at(when + pause, move |room| room.resume(machine));
        }
        Fate::Sleeps(pause) => {
            room.at(when, move |room| room.sleep(machine));
            room.at(when + pause, move |room| room.resume(machine));
        }
        Fate::Stalls(pause) => room.at(when, move |room| room.stall(machine, pause)),
        Fate::Crawls(pause) => {
            let speed = room.machines[machine].profile.disk.speed;
            let set = move |speed| {
                move |room: &mut Room| room.machines[machine].target.profile.speed = speed
            };
            room.at(when, set(speed / 100));
            room.at(when + pause, set(speed));
        }
        Fate::CutOff(down, up, pause) => {
            let set = move |cut| {
                move |room: &mut Room| {
                    room.cut(machine, Direction::Down, cut & down);
                    room.cut(machine, Direction::Up, cut & up);
                }
            };
            room.at(when, set(true));
            room.at(when + pause, set(false));
        }
        Fate::Jumps(ahead) => room.at(when, move |room| room.jump(machine, ahead)),
        Fate::Drifts(ppm) => room.drift(machine, Drift(ppm)),
    }
}

fn restart(room: &mut Room, dice: &mut Dice, machine: usize, mut when: Duration, times: u64) {
    for _ in 0..times {
        let again = when + ms(dice.between(10, 4000));
        let resume = dice.pick(&[Resume::Off, Resume::Off, Resume::IfPart, Resume::Always]);
        room.at(when, move |room| {
            room.kill(machine);
            room.machines[machine].profile.resume = resume;
        });
        room.at(again, move |room| room.start(machine));
        when = again + ms(dice.between(10, 2000));
    }
}

impl Fate {
    /// What may come of it, to a machine that keeps what its disk holds or does not.
    pub fn prospects(self, resumes: bool) -> Prospects {
        let nothing = Prospects::default();
        match self {
            Self::Stays | Self::Stalls(_) | Self::Crawls(_) | Self::Drifts(_) => nothing,
            Self::Killed => Prospects {
                killed: true,
                ..nothing
            },
            // Who comes back may find the room closed, or nobody, or nothing to go on with. Who
            // searched in vain was switched off in the end.
            Self::Restarted(_) => Prospects {
                killed: true,
                may_miss: true,
                fails: &[FailCode::Silence, FailCode::TargetRefused],
                ..nothing
            },
            Self::Interrupted => Prospects {
                fails: &[FailCode::Interrupted],
                ..nothing
            },
            Self::Disk(Trouble::LiesAt(_)) => Prospects {
                doomed: true,
                fails: &[FailCode::ReadBackDiffers],
                ..nothing
            },
            // What a disk holds already need not be written.
            Self::Disk(trouble) => Prospects {
                doomed: !resumes || matches!(trouble, Trouble::FailsToFlush | Trouble::Unreadable),
                fails: &[FailCode::TargetFailed],
                ..nothing
            },
            Self::Paused(away) | Self::Sleeps(away) | Self::CutOff(_, _, away) => Prospects {
                may_miss: true,
                away,
                ..nothing
            },
            Self::Jumps(_) => Prospects {
                may_miss: true,
                ..nothing
            },
        }
    }
}
