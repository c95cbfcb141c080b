use std::{thread, time::Duration};

use super::*;
use crate::{Family, Interface, ReceiveBatch};

fn socket() -> Socket {
    let lo = Interface::choose(Some("lo")).unwrap();
    Socket::unicast(&lo, Family::V4, 0, 1).unwrap()
}

/// Far enough away that reaching it is a failure.
fn late() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(30))
}

#[test]
fn a_waker_ends_the_wait_of_another_thread() {
    let waiter = Waiter::new().unwrap();
    let waker = waiter.waker();
    let thread = thread::spawn(move || waker.wake());
    assert!(waiter.wait(&[], late()).unwrap().woken());
    thread.join().unwrap();
}

#[test]
fn wakes_before_the_wait_count_once_and_are_used_up() {
    let waiter = Waiter::new().unwrap();
    let (one, other) = (waiter.waker(), waiter.waker());
    one.wake();
    one.clone().wake();
    other.wake();
    assert!(waiter.wait(&[], late()).unwrap().woken());
    assert!(waiter.wait(&[], Some(Instant::now())).unwrap().timed_out());
    one.wake();
    assert!(waiter.wait(&[], late()).unwrap().woken());
}

#[test]
fn no_wake_is_lost_between_threads() {
    use std::sync::atomic::AtomicU32;
    const ROUNDS: u32 = 20_000;
    let waiter = Waiter::new().unwrap();
    let written = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (waker, written) = (waiter.waker(), Arc::clone(&written));
            thread::spawn(move || {
                for _ in 0..ROUNDS {
                    written.fetch_add(1, Ordering::Relaxed);
                    waker.wake();
                }
            })
        })
        .collect();
    while written.load(Ordering::Relaxed) < 2 * ROUNDS {
        let readiness = waiter.wait(&[], late()).unwrap();
        assert!(readiness.woken(), "a wake was lost");
    }
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[test]
fn sockets_are_told_apart() {
    let waiter = Waiter::new().unwrap();
    let sockets = [socket(), socket(), socket()];
    let watched: Vec<_> = sockets
        .iter()
        .map(|socket| (socket, Interest::Readable))
        .collect();
    assert!(
        waiter
            .wait(&watched, Some(Instant::now()))
            .unwrap()
            .timed_out()
    );
    sockets[0].send(sockets[2].local_addr(), b"x", 1).unwrap();
    let readiness = waiter.wait(&watched, late()).unwrap();
    let readable: Vec<bool> = (0..3).map(|index| readiness.readable(index)).collect();
    assert_eq!(readable, [false, false, true]);
    assert!(!readiness.writable(2) && !readiness.woken());
    assert!(!readiness.readable(usize::MAX));
    sockets[2].recv(&mut ReceiveBatch::new()).unwrap();
    assert!(
        waiter
            .wait(&watched, Some(Instant::now()))
            .unwrap()
            .timed_out()
    );
}

#[test]
fn room_to_send_is_reported_only_where_asked_for() {
    let waiter = Waiter::new().unwrap();
    let (one, other) = (socket(), socket());
    let watched = [(&one, Interest::Readable), (&other, Interest::Both)];
    let readiness = waiter.wait(&watched, late()).unwrap();
    assert!(readiness.writable(1) && !readiness.readable(1));
    assert!(!readiness.writable(0));
}

#[test]
fn a_wait_with_a_full_list_sees_the_last_socket_and_the_waker() {
    let waiter = Waiter::new().unwrap();
    let sockets: Vec<Socket> = (0..=MAX_SOCKETS).map(|_| socket()).collect();
    let watched: Vec<_> = sockets
        .iter()
        .map(|socket| (socket, Interest::Writable))
        .collect();
    waiter.waker().wake();
    let readiness = waiter.wait(&watched[..MAX_SOCKETS], late()).unwrap();
    assert!(readiness.woken() && readiness.writable(MAX_SOCKETS - 1));
    let error = waiter.wait(&watched, late()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn the_wait_never_ends_before_its_deadline() {
    precise_timers().unwrap();
    assert_eq!(
        rustix::thread::current_timer_slack().unwrap(),
        PRECISE_SLACK.get()
    );
    let waiter = Waiter::new().unwrap();
    for microseconds in [0, 1, 50, 300, 1500] {
        let until = Instant::now() + Duration::from_micros(microseconds);
        assert!(waiter.wait(&[], Some(until)).unwrap().timed_out());
        assert!(Instant::now() >= until, "{microseconds} us were cut short");
    }
}
