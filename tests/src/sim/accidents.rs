//! What may happen to clocks, disks and cables while a room runs.

use std::time::Duration;

use super::{Direction, Drift, Room};

impl Room {
    /// A machine's clock gains or loses from now on.
    pub fn drift(&mut self, machine: usize, drift: Drift) {
        let now = self.timeline.now();
        self.machines[machine].clock.drift(now, drift);
        self.wake(machine);
    }

    /// A machine's clock jumps ahead.
    pub fn jump(&mut self, machine: usize, ahead: Duration) {
        let now = self.timeline.now();
        self.machines[machine].clock.jump(now, ahead);
        self.wake(machine);
    }

    /// A machine falls asleep until [`Room::resume`]: it stands still, and its clock with it.
    pub fn sleep(&mut self, machine: usize) {
        let now = self.timeline.now();
        self.machines[machine].clock.fall_asleep(now);
        self.pause(machine);
    }

    /// The sender's clock jumps ahead.
    pub fn jump_sender(&mut self, ahead: Duration) {
        let now = self.timeline.now();
        self.operator.clock.jump(now, ahead);
        self.drive_operator(self.newest());
    }

    /// The sender's machine falls asleep until [`Room::resume_sender`]: it stands still, and its
    /// clock with it.
    pub fn sleep_sender(&mut self) {
        let now = self.timeline.now();
        self.operator.clock.fall_asleep(now);
        self.suspend_sender();
    }

    /// A machine's disk does nothing for a while.
    pub fn stall(&mut self, machine: usize, pause: Duration) {
        let machine = &mut self.machines[machine];
        let now = machine.clock.shows(self.timeline.now());
        machine.target.stall(now, pause);
    }

    /// Pulls a machine's cable, or plugs it in, one way.
    pub fn cut(&mut self, machine: usize, direction: Direction, cut: bool) {
        let machine = &mut self.machines[machine];
        let link = match direction {
            Direction::Down => &mut machine.down,
            Direction::Up => &mut machine.up,
        };
        link.profile.cut = cut;
    }
}
