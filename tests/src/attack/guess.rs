//! Guesses at a join code.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use mimeo_protocol::ids::{Mac, Nonce, SessionId};
use mimeo_protocol::keys::{Exchange, Secret};
use mimeo_protocol::wire::{Auth, COOKIE_LEN, Cookie, Join, Kind, Welcome};

/// What one address may have open at a time.
const AT_ONCE: usize = 10;

/// A join that was not answered is asked again.
const AGAIN: Duration = Duration::from_millis(300);

/// Longer than any machine takes to answer all.
const PATIENCE: Duration = Duration::from_secs(60);

/// One try at the code.
struct Guess {
    socket: usize,
    nonce: Nonce,
    cookie: [u8; COOKIE_LEN],
    welcomed: bool,
}

/// Tries ten codes from each of these addresses, which must be the caller's, at a sender that joins
/// with `auth`. Returns how many tries it got a Welcome for. To be called on the attacker's host.
///
/// # Panics
///
/// When an address is not the caller's.
#[must_use]
pub fn guess(
    addresses: impl IntoIterator<Item = Ipv4Addr>,
    sender: SocketAddrV4,
    session: SessionId,
    auth: Auth,
) -> usize {
    let sockets: Vec<UdpSocket> = addresses.into_iter().map(open).collect();
    let mut guesses: Vec<Guess> = (0..sockets.len() * AT_ONCE)
        .map(|number| Guess {
            socket: number % sockets.len(),
            nonce: nonce(number),
            cookie: [0; COOKIE_LEN],
            welcomed: false,
        })
        .collect();
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && guesses.iter().any(|guess| !guess.welcomed) {
        for guess in guesses.iter().filter(|guess| !guess.welcomed) {
            // Where the sender's socket is full it is asked again.
            let _ = sockets[guess.socket].send_to(&join(guess, session, auth), sender);
        }
        let round = Instant::now();
        while round.elapsed() < AGAIN {
            for socket in &sockets {
                listen(socket, &mut guesses);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    guesses.iter().filter(|guess| guess.welcomed).count()
}

fn open(address: Ipv4Addr) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).expect("the address is the attacker's own");
    socket
        .set_nonblocking(true)
        .expect("a socket can be told not to wait");
    socket
}

fn nonce(number: usize) -> Nonce {
    let mut nonce = [0xbb; 16];
    nonce[..8].copy_from_slice(&number.to_be_bytes());
    Nonce(nonce)
}

fn join(guess: &Guess, session: SessionId, auth: Auth) -> Vec<u8> {
    let exchange = Exchange {
        secret: Secret::of_code(&"1-abandon-abandon"),
        session,
        receiver_nonce: guess.nonce,
    };
    let mut datagram = Vec::new();
    Join {
        session_id: session,
        nonce: guess.nonce,
        auth,
        mac: Mac::default(),
        target_id: 0,
        link_speed: 0,
        capacity: u64::MAX,
        resumes: false,
        piped: false,
        cookie: guess.cookie,
        host_name: "guesser".into(),
        exchange: exchange.ask(&[1; 32]),
    }
    .encode(&mut datagram);
    datagram
}

fn listen(socket: &UdpSocket, guesses: &mut [Guess]) {
    let mut datagram = [0; 2048];
    loop {
        let length = match socket.recv(&mut datagram) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("the attacker's socket: {error}"),
        };
        let answer = &datagram[..length];
        match Kind::of(answer) {
            Some((_, Kind::Cookie)) => {
                let Ok(cookie) = Cookie::decode(answer) else {
                    continue;
                };
                if let Some(guess) = guesses.iter_mut().find(|one| one.nonce == cookie.nonce) {
                    guess.cookie = cookie.cookie;
                }
            }
            Some((_, Kind::Welcome)) => {
                let Ok(welcome) = Welcome::decode(answer) else {
                    continue;
                };
                let nonce = welcome.receiver_nonce;
                if let Some(guess) = guesses.iter_mut().find(|one| one.nonce == nonce) {
                    guess.welcomed = true;
                }
            }
            _ => {}
        }
    }
}
