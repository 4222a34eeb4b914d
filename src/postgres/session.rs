//! The few messages of Postgres's protocol that the launcher needs: is the server ready, and the superuser's plain
//! statements over the socket; the program's own queries go through sqlx.
//!
//! Message formats: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.

use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::connection::{DATABASE, ROLE, SUPERUSER, socket_file};

/// Protocol 3.0, which every supported server speaks.
const PROTOCOL_VERSION: i32 = 3 << 16;
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(1);
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// `cannot_connect_now`: starting up, recovering or shutting down
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const CANNOT_CONNECT_NOW: &str = "57P03";
/// A statement may hold a password, which must not reach the server's log, whatever `postgresql.conf` asks for.
const QUIET: &str = "-c log_statement=none -c log_min_error_statement=panic -c log_min_duration_statement=-1";

/// Whether the server behind the socket lets clients log in; found out as `pg_isready` does, without logging in.
pub(super) fn accepts(sockets: &Path, port: u16) -> bool {
    let greeting = Session::greet(&socket_file(sockets, port), ROLE, DATABASE, PROBE_TIMEOUT);
    greeting.is_ok_and(|(_, first)| match first.kind {
        b'R' => true,
        b'E' => first.field(b'C').as_deref() != Some(CANNOT_CONNECT_NOW),
        _ => false,
    })
}

/// A connection of the superuser.
pub(super) struct Session {
    stream: BufReader<UnixStream>,
}

impl Session {
    /// Logs in without a password, as the server's account and root may.
    pub(super) fn open(sockets: &Path, port: u16) -> io::Result<Self> {
        let socket = socket_file(sockets, port);
        let (mut session, first) = Self::greet(&socket, SUPERUSER, SUPERUSER, STATEMENT_TIMEOUT)?;
        match (first.kind, first.body.as_slice()) {
            (b'R', [0, 0, 0, 0]) => session.rows().map(|_| session),
            (b'E', _) => Err(first.into_error()),
            _ => Err(io::Error::other("the server asks its own account for a password")),
        }
    }

    /// Runs one statement; the number of rows.
    pub(super) fn run(&mut self, statement: &str) -> io::Result<usize> {
        let body = format!("{statement}\0");
        let mut message = vec![b'Q'];
        message.extend_from_slice(&length_of(body.len())?);
        message.extend_from_slice(body.as_bytes());
        self.stream.get_mut().write_all(&message)?;
        self.rows()
    }

    /// Sends the startup message and reads the first answer.
    fn greet(socket: &Path, user: &str, database: &str, timeout: Duration) -> io::Result<(Self, Message)> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let parameters = format!("user\0{user}\0database\0{database}\0options\0{QUIET}\0\0");
        let mut startup = Vec::new();
        startup.extend_from_slice(&length_of(size_of_val(&PROTOCOL_VERSION) + parameters.len())?);
        startup.extend_from_slice(&PROTOCOL_VERSION.to_be_bytes());
        startup.extend_from_slice(parameters.as_bytes());
        let mut session = Self { stream: BufReader::new(stream) };
        session.stream.get_mut().write_all(&startup)?;
        let first = session.read()?;
        Ok((session, first))
    }

    /// Reads up to `ReadyForQuery`, counts the rows on the way, and fails with the server's error if there is one.
    fn rows(&mut self) -> io::Result<usize> {
        let mut rows = 0;
        let mut error = None;
        loop {
            let message = self.read()?;
            match message.kind {
                b'D' => rows += 1,
                b'E' => error = Some(message.into_error()),
                b'Z' => return error.map_or(Ok(rows), Err),
                _ => {}
            }
        }
    }

    fn read(&mut self) -> io::Result<Message> {
        let mut kind = [0];
        let mut length = [0; 4];
        self.stream.read_exact(&mut kind)?;
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
        let body_bytes = length.saturating_sub(size_of::<i32>());
        if body_bytes > MESSAGE_BYTES_MAX {
            return Err(io::Error::other("the server's message is too long"));
        }
        let mut body = vec![0; body_bytes];
        self.stream.read_exact(&mut body)?;
        Ok(Message { kind: kind[0], body })
    }
}

struct Message {
    kind: u8,
    body: Vec<u8>,
}

impl Message {
    /// A field of an `ErrorResponse`.
    fn field(&self, code: u8) -> Option<String> {
        self.body.split(|&byte| byte == 0).find_map(|field| match field.split_first() {
            Some((first, value)) if *first == code => Some(String::from_utf8_lossy(value).into_owned()),
            _ => None,
        })
    }

    fn into_error(self) -> io::Error {
        io::Error::other(self.field(b'M').unwrap_or_default())
    }
}

/// The length word of a message, which counts itself.
fn length_of(body_bytes: usize) -> io::Result<[u8; 4]> {
    let length = i32::try_from(body_bytes + size_of::<i32>()).map_err(io::Error::other)?;
    Ok(length.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_behind_the_socket_is_not_ready() {
        assert!(!accepts(Path::new("/nonexistent"), 1));
    }

    #[test]
    fn an_errors_fields_are_told_apart_by_their_code() {
        let message =
            Message { kind: b'E', body: b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0".to_vec() };
        assert_eq!(message.field(b'C').as_deref(), Some(CANNOT_CONNECT_NOW));
        assert_eq!(message.field(b'H'), None);
        assert_eq!(message.into_error().to_string(), "the database system is starting up");
    }
}
