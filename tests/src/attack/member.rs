//! A member of the room that is up to no good: admitted like any receiver, it has the room's keys.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mimeo_benches::netlab::{Host, Room};
use mimeo_protocol::ids::{Mac, ReceiverNumber, Seq, Slot};
use mimeo_protocol::keys::{SealKey, Secret};
use mimeo_protocol::receiver::{
    Admitted, Endpoint, Event, JoinTarget, Rendezvous, RendezvousConfig, RendezvousEvent, Resume,
    SessionConfig, Unused, Zeroed,
};
use mimeo_protocol::units::{BlockNumber, PageNumber};
use mimeo_protocol::wire::{
    ALL_SYMBOLS, Auth, CONTROL_GROUP_V4, Deficit, Effort, Envelope, FailCode, GroupControl, Kind,
    Report, Stage, SymbolHeader, ToReceiver, ToSender, unicast_header,
};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use super::forged::Forger;

/// As receivers ask for.
const BUFFER: usize = 16 << 20;

/// Datagrams of which a quarter of that is enough.
const WINDOW: u32 = 2000;

/// How often sockets and timers are looked at.
const TICK: Duration = Duration::from_millis(1);

/// A greedy member reports so often: as often as any may.
const REPORT_EVERY: Duration = Duration::from_millis(5);

/// Longer than any machine takes for what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who was admitted.
#[derive(Debug)]
pub struct Member {
    admitted: Admitted,
    unicast: UdpSocket,
    data: UdpSocket,
}

/// A member that takes part as it should, until it has all or is dropped.
#[derive(Debug)]
pub struct TakesPart {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    /// Joins the session of `name` from `host` with a secret that it was given.
    ///
    /// # Panics
    ///
    /// When it is not admitted in time.
    #[must_use]
    pub fn join(
        room: &Room,
        host: Host,
        port: u16,
        name: &str,
        auth: Auth,
        secret: Secret,
    ) -> Self {
        let open = || UdpSocket::bind((host.address(), 0));
        let unicast = inside(room, host, open);
        let control = inside(room, host, || {
            listen(SocketAddrV4::new(CONTROL_GROUP_V4, port), host.address())
        });
        let rendezvous = Rendezvous::new(
            Instant::now(),
            RendezvousConfig {
                session_name: Some(name.to_owned()),
                auth,
                secret: Some(secret),
                sender_key: None,
                seed: Secret::new([host.number() as u8; 32]),
                mac: Mac([2, 0, 0, 0, 0, 0xbb]),
                target_id: 1,
                link_speed: 0,
                capacity: None,
                resumes: false,
                piped: false,
                host_name: "insider".into(),
                sender: None,
                instead_of: None,
            },
        );
        let admitted = admitted(rendezvous, &[&unicast, &control], port);
        let SocketAddr::V4(group) = admitted.body.group else {
            panic!("the room has IPv4: {:?}", admitted.body);
        };
        let data = inside(room, host, || listen(group, host.address()));
        Self {
            admitted,
            unicast,
            data,
        }
    }

    /// Speaks under the group's key, also to single receivers: theirs it has not.
    #[must_use]
    pub fn forger(&self) -> Forger {
        let key = || SealKey::new(&self.admitted.body.group_key);
        Forger {
            group: key(),
            unicast: key(),
            session: self.admitted.session_id,
        }
    }

    /// Takes part like a receiver whose disk takes everything.
    #[must_use]
    pub fn take_part(self) -> TakesPart {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || self.run(&stopped));
        TakesPart {
            stop,
            thread: Some(thread),
        }
    }

    fn run(self, stop: &AtomicBool) {
        let (sender, now) = (self.admitted.sender, Instant::now());
        let config = SessionConfig {
            buffers: 64,
            window: WINDOW,
            in_order: false,
            target_len: None,
            resume: Resume::Off,
            idle_timeout: PATIENCE,
            seed: 1,
            image_len: self.admitted.body.image_len,
            verify: false,
            unused: Unused::Keep,
        };
        let mut endpoint = Endpoint::new(now, config, self.admitted);
        let mut out = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            for socket in [&self.unicast, &self.data] {
                each(socket, |_, datagram| {
                    endpoint.handle_datagram(Instant::now(), datagram);
                });
            }
            let now = Instant::now();
            endpoint.handle_timeout(now);
            while let Some(event) = endpoint.poll_event() {
                if is_over(&mut endpoint, now, event) {
                    return;
                }
            }
            while endpoint.poll_transmit(now, &mut out) {
                send(&self.unicast, &out, sender);
            }
            std::thread::sleep(TICK);
        }
    }

    /// Asks for every symbol of every block, again and again, until the sender has enough of it.
    /// Returns what it says then.
    ///
    /// # Panics
    ///
    /// When the sender does not send it away.
    #[must_use]
    pub fn ask_for_ever(self) -> FailCode {
        let begun = Instant::now();
        let group = SealKey::new(&self.admitted.body.group_key);
        let (mut stream, mut sent, mut next) = (Stream::default(), 0, begun);
        let mut told = None;
        while begun.elapsed() < PATIENCE {
            each(&self.data, |_, datagram| stream.hear(&group, datagram));
            each(&self.unicast, |_, datagram| {
                if let Some(ToReceiver::Abort { code, .. }) = self.open(datagram) {
                    told = Some(code);
                }
            });
            let message = match told {
                Some(_) => ToSender::AbortSeen,
                None => ToSender::Report(stream.report()),
            };
            if told.is_some() || Instant::now() >= next {
                next = Instant::now() + REPORT_EVERY;
                sent += 1;
                send(
                    &self.unicast,
                    &self.seal(sent, &message),
                    self.admitted.sender,
                );
            }
            if let Some(code) = told {
                return code;
            }
            std::thread::sleep(TICK);
        }
        panic!("the sender goes on and on");
    }

    fn open(&self, datagram: &[u8]) -> Option<ToReceiver> {
        let envelope = Envelope::unicast(datagram, Kind::ToReceiver).ok()?;
        let key = &self.admitted.keys.to_receiver;
        let plain = key.open_vec(envelope.seq, envelope.header, envelope.sealed);
        ToReceiver::decode(&plain.ok()?).ok()
    }

    fn seal(&self, seq: u64, message: &ToSender) -> Vec<u8> {
        let (mut plain, mut datagram) = (Vec::new(), Vec::new());
        message.encode(&mut plain);
        let number = self.admitted.number;
        let tag = self.admitted.session_id.tag();
        unicast_header(Kind::ToSender, tag, seq, number, &mut datagram);
        let key = &self.admitted.keys.to_sender;
        key.seal_behind(seq, 0, &plain, &mut datagram);
        datagram
    }

    /// Its number in the session.
    #[must_use]
    pub fn number(&self) -> ReceiverNumber {
        self.admitted.number
    }
}

impl Drop for TakesPart {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of it was printed.
            let _ = thread.join();
        }
    }
}

/// Where the stream is.
#[derive(Debug, Default)]
struct Stream {
    seq: u64,
    slot: u32,
    /// Blocks that may be asked for.
    blocks: u32,
}

impl Stream {
    fn hear(&mut self, group: &SealKey, datagram: &[u8]) {
        if let Ok(header) = SymbolHeader::decode(datagram) {
            self.seq = self.seq.max(header.seq.0);
            self.slot = self.slot.max(header.slot.0);
            self.blocks = self.blocks.max(header.horizon.0);
        }
        let Ok(envelope) = Envelope::group(datagram) else {
            return;
        };
        let plain = group.open_vec(envelope.seq, envelope.header, envelope.sealed);
        let Some(control) = plain
            .ok()
            .and_then(|plain| GroupControl::decode(&plain).ok())
        else {
            return;
        };
        let position = control.position;
        self.seq = self.seq.max(envelope.seq);
        self.slot = self.slot.max(position.slot.0);
        // From the second cycle on of all.
        let end = control.end.filter(|_| position.cycle.0 > 1);
        let blocks = end.map_or(position.horizon, |end| end.blocks);
        self.blocks = self.blocks.max(blocks.0);
    }

    /// All that was sent has come, and nothing of it was of use.
    fn report(&self) -> Report {
        let all = Deficit {
            first: BlockNumber(0),
            count: self.blocks,
            symbols: ALL_SYMBOLS,
        };
        Report {
            stage: Stage::Receiving,
            seq_seen: Seq(self.seq),
            held_us: 0,
            received: self.seq,
            expected: self.seq,
            socket_drops: 0,
            window: WINDOW,
            credit: Slot(self.slot + 200),
            blocks_done: 0,
            bytes_written: 0,
            bytes_kept: 0,
            busy_ms: 0,
            bytes_verified: 0,
            effort: Effort::default(),
            buffers: 254,
            turn: 0,
            bad_blocks: 0,
            forged_symbols: 0,
            spoiled: Vec::new(),
            pages_up_to: PageNumber(0),
            missing_pages: Vec::new(),
            complete_up_to: BlockNumber(0),
            covered_up_to: BlockNumber(self.blocks),
            deficits: if self.blocks == 0 {
                Vec::new()
            } else {
                vec![all]
            },
        }
    }
}

/// Does what an event asks for, as if on a disk that takes everything; true at the session's end.
fn is_over(endpoint: &mut Endpoint, now: Instant, event: Event) -> bool {
    match event {
        Event::Block {
            block,
            buffer,
            entry,
            ..
        } => {
            let symbols = endpoint.take(buffer).expect("a whole block has a buffer");
            endpoint.give_back(buffer, symbols);
            let bytes = u64::from(entry.stored_len);
            endpoint
                .session_mut()
                .handle_written(now, block, bytes, Duration::ZERO);
        }
        Event::Zero(run) => {
            let zeroed = Zeroed {
                run,
                written: 0,
                kept: 0,
                busy: Duration::ZERO,
                done: true,
            };
            endpoint.session_mut().handle_zeroed(now, zeroed);
        }
        Event::Flush { .. } => endpoint.session_mut().handle_flushed(now),
        Event::Finished { .. } | Event::Left => return true,
        _ => {}
    }
    false
}

/// Runs the search to its end.
fn admitted(mut rendezvous: Rendezvous, sockets: &[&UdpSocket], port: u16) -> Admitted {
    let (begun, mut out) = (Instant::now(), Vec::new());
    while begun.elapsed() < PATIENCE {
        for socket in sockets {
            each(socket, |from, datagram| {
                rendezvous.handle_datagram(Instant::now(), from, datagram);
            });
        }
        let now = Instant::now();
        rendezvous.handle_timeout(now);
        while let Some(to) = rendezvous.poll_transmit(now, &mut out) {
            let to = match to {
                JoinTarget::ControlGroup => (CONTROL_GROUP_V4, port).into(),
                JoinTarget::Unicast(to) => to,
            };
            send(sockets[0], &out, to);
        }
        while let Some(event) = rendezvous.poll_event() {
            match event {
                RendezvousEvent::Joined(admitted) => return *admitted,
                RendezvousEvent::Found(_) => {}
                other => panic!("the insider is not admitted: {other:?}"),
            }
        }
        std::thread::sleep(TICK);
    }
    panic!("the insider finds no session");
}

fn inside<T: Send>(room: &Room, host: Host, open: impl FnOnce() -> io::Result<T> + Send) -> T {
    room.inside(host, open)
        .expect("a host of the room can be entered")
        .expect("the host has its address")
}

fn listen(group: SocketAddrV4, own: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(group)?;
    socket.join_multicast_v4(group.ip(), &own)?;
    set_socket_recv_buffer_size_force(&socket, BUFFER)?;
    Ok(socket)
}

/// Hands out what has come.
fn each(socket: &UdpSocket, mut handle: impl FnMut(SocketAddr, &[u8])) {
    let mut datagram = [0; 2048];
    socket
        .set_nonblocking(true)
        .expect("a socket can be told not to wait");
    while let Ok((length, from)) = socket.recv_from(&mut datagram) {
        handle(from, &datagram[..length]);
    }
}

/// The network may refuse a datagram for a moment; the protocol repeats what matters.
fn send(socket: &UdpSocket, datagram: &[u8], to: SocketAddr) {
    let _ = socket.send_to(datagram, to);
}
