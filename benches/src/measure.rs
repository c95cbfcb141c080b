//! Processes with an account of what they cost.
//!
//! The kernel hands the account over when the process is reaped (`wait4(2)`), so
//! a child must be reaped here and nowhere else.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

/// What a process that ended has cost.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// CPU time in user mode, all threads and the children it waited for.
    pub user: Duration,
    /// CPU time in the kernel on its behalf, counted likewise. What a datagram costs on its
    /// way through a virtual network is the sender's, up to the receivers' sockets.
    pub system: Duration,
    /// Peak resident memory in bytes.
    ///
    /// Never less than the peak of the process that started it, because the kernel
    /// carries the mark of the forked copy over `execve`: keep the measuring
    /// process small.
    pub max_rss: u64,
    /// From the start until the end was noticed.
    pub wall: Duration,
    /// When the end was noticed.
    pub ended: Instant,
}

impl Usage {
    /// CPU time in both modes.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.user + self.system
    }
}

/// A process that was started by [`spawn`]. Dropping it kills the process.
#[derive(Debug)]
pub struct Running {
    pid: Pid,
    /// Names exactly this process, also after its number went to another one.
    handle: OwnedFd,
    started: Instant,
    usage: Option<Usage>,
    /// The child's standard input, where the command asked for a pipe.
    pub stdin: Option<ChildStdin>,
    /// The child's standard output, where the command asked for a pipe.
    pub stdout: Option<ChildStdout>,
    /// The child's standard error, where the command asked for a pipe.
    pub stderr: Option<ChildStderr>,
}

/// Starts `command`.
///
/// # Errors
///
/// The program cannot be started, or the kernel has no process handles (Linux 5.3).
pub fn spawn(mut command: Command) -> io::Result<Running> {
    let started = Instant::now();
    let mut child = command.spawn()?;
    let pid = Pid::from_child(&child);
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(error) => {
            child.kill()?;
            child.wait()?;
            return Err(error.into());
        }
    };
    Ok(Running {
        pid,
        handle,
        started,
        usage: None,
        stdin: child.stdin.take(),
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
    })
}

impl Running {
    /// The process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// When it was started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What it cost, if its end was already noticed.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Ends every process of its group at once, if it still runs: for one that was started
    /// as the leader of a group, as a shell with a pipeline.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn kill_group(&self) -> io::Result<()> {
        if self.usage.is_some() {
            return Ok(());
        }
        // It is not reaped yet, so the number is still its own.
        match kill_process_group(self.pid, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the end, at most for `timeout`; `None` when it still runs then.
    ///
    /// # Errors
    ///
    /// The kernel refuses to wait, which only happens if someone else reaped the
    /// process.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<Option<Usage>> {
        wait_all([&mut *self], timeout)?;
        Ok(self.usage)
    }

    /// Ends the process at once, if it still runs, and reaps it.
    ///
    /// # Errors
    ///
    /// As for [`Running::wait`].
    pub fn kill(&mut self) -> io::Result<Usage> {
        if let Some(usage) = self.usage {
            return Ok(usage);
        }
        self.signal(Signal::KILL)?;
        self.reap()
    }

    /// Sends `signal`; nothing happens when the process has ended.
    ///
    /// # Errors
    ///
    /// The caller may not signal the process.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.usage.is_some() {
            return Ok(());
        }
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the account of a process that has ended or is about to.
    fn reap(&mut self) -> io::Result<Usage> {
        let (status, account) = wait4(self.pid)?;
        let ended = Instant::now();
        let usage = Usage {
            status: ExitStatus::from_raw(status),
            user: duration(account.ru_utime),
            system: duration(account.ru_stime),
            // `ru_maxrss` counts KiB on Linux, getrusage(2).
            max_rss: u64::try_from(account.ru_maxrss).unwrap_or(0) * 1024,
            wall: ended - self.started,
            ended,
        };
        self.usage = Some(usage);
        Ok(usage)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nobody is left to tell; a process that cannot be killed is gone already.
        let _ = self.kill();
    }
}

/// Waits until all have ended, at most for `timeout`, and notes each end when it
/// happens. True when none runs any more.
///
/// # Errors
///
/// As for [`Running::wait`].
pub fn wait_all<'a>(
    processes: impl IntoIterator<Item = &'a mut Running>,
    timeout: Duration,
) -> io::Result<bool> {
    let deadline = Instant::now() + timeout;
    let mut open: Vec<_> = processes
        .into_iter()
        .filter(|p| p.usage.is_none())
        .collect();
    while !open.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut handles: Vec<_> = open
            .iter()
            .map(|p| PollFd::new(&p.handle, PollFlags::IN))
            .collect();
        let ready = match poll(&mut handles, Some(&timespec(left))) {
            Ok(ready) => ready,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        if ready == 0 {
            return Ok(false);
        }
        let ended: Vec<_> = handles.iter().map(|h| !h.revents().is_empty()).collect();
        for (process, _) in open.iter_mut().zip(&ended).filter(|(_, ended)| **ended) {
            process.reap()?;
        }
        open.retain(|p| p.usage.is_none());
    }
    Ok(true)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        // Beyond what the kernel can count, "for ever" is near enough.
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

fn duration(time: libc::timeval) -> Duration {
    let micros = time.tv_sec * 1_000_000 + time.tv_usec;
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// Blocks until `pid` has ended; yields its wait status and its account.
#[allow(
    unsafe_code,
    reason = "rustix has no wait call that yields the account"
)]
fn wait4(pid: Pid) -> io::Result<(i32, libc::rusage)> {
    loop {
        let mut status = 0;
        let mut account = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: both pointers are valid for writes for the length of the call.
        let result = unsafe {
            libc::wait4(
                pid.as_raw_nonzero().get(),
                &raw mut status,
                0,
                account.as_mut_ptr(),
            )
        };
        if result >= 0 {
            // SAFETY: every bit pattern of the struct's integers is valid, and zeroed
            // memory was initialised before the kernel filled it.
            return Ok((status, unsafe { account.assume_init() }));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::Stdio;

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        spawn(command).unwrap()
    }

    #[test]
    fn reports_the_exit_code() {
        let usage = shell("exit 7").wait(LONG).unwrap().unwrap();
        assert_eq!(usage.status.code(), Some(7));
        assert!(usage.max_rss > 100 << 10, "{usage:?}");
    }

    #[test]
    fn counts_cpu_time() {
        let idle = shell("exec sleep 0.1").wait(LONG).unwrap().unwrap();
        let busy = shell("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done");
        let busy = { busy }.wait(LONG).unwrap().unwrap();
        assert!(busy.cpu() > idle.cpu(), "{busy:?} {idle:?}");
        assert!(busy.user > Duration::from_millis(10), "{busy:?}");
    }

    #[test]
    fn a_process_that_runs_on_is_not_done_and_can_be_killed() {
        let mut running = shell("exec sleep 1000");
        assert!(running.wait(Duration::from_millis(1)).unwrap().is_none());
        assert_eq!(running.kill().unwrap().status.signal(), Some(9));
        assert_eq!(
            running
                .wait(Duration::ZERO)
                .unwrap()
                .unwrap()
                .status
                .signal(),
            Some(9)
        );
    }

    #[test]
    fn a_group_ends_together() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 | sleep 1000; true"]);
        command.stdout(Stdio::piped()).process_group(0);
        let mut running = spawn(command).unwrap();
        running.kill_group().unwrap();
        // Its members hold the other end of the pipe.
        let mut output = running.stdout.take().unwrap();
        assert_eq!(output.read(&mut [0]).unwrap(), 0);
        let usage = running.wait(LONG).unwrap().unwrap();
        assert_eq!(usage.status.signal(), Some(9));
    }

    #[test]
    fn dropping_ends_the_process() {
        let running = shell("exec sleep 1000");
        let path = format!("/proc/{}", running.id());
        drop(running);
        assert!(!std::path::Path::new(&path).exists());
    }

    #[test]
    fn waits_for_several_and_says_who_is_left() {
        let mut short = shell("exit 0");
        let mut long = shell("exec sleep 1000");
        short.wait(LONG).unwrap();
        let all = wait_all([&mut short, &mut long], Duration::from_millis(20)).unwrap();
        assert!(!all);
        assert!(short.usage().is_some() && long.usage().is_none());
        long.signal(Signal::TERM).unwrap();
        assert!(wait_all([&mut short, &mut long], LONG).unwrap());
        assert_eq!(long.usage().unwrap().status.signal(), Some(15));
    }
}
