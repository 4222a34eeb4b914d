//! How to reach the server: names, addresses and the psql line; nothing here connects.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

/// The role that the program works as; it owns its database and is no superuser.
pub(super) const ROLE: &str = "threadkeep";
pub(super) const DATABASE: &str = "threadkeep";
/// The account's own role, for making the other; no password opens it.
pub(super) const SUPERUSER: &str = "postgres";

/// The URL over the Unix socket.
pub(super) fn socket_url(sockets: &Path, port: u16, password: &SecretString) -> SecretString {
    let host = percent_encoded(sockets.as_os_str().as_encoded_bytes());
    url(&host, port, password)
}

/// The URL over the loopback address.
pub(super) fn tcp_url(port: u16, password: &SecretString) -> SecretString {
    url("127.0.0.1", port, password)
}

fn url(host: &str, port: u16, password: &SecretString) -> SecretString {
    let password = password.expose_secret();
    format!("postgres://{ROLE}:{password}@{host}:{port}/{DATABASE}?sslmode=disable").into()
}

/// A shell line that opens the database; the password stays in its file.
pub(super) fn psql_line(psql: &Path, pgpass: &Path, port: u16) -> String {
    format!("{} -d {DATABASE}", client_line(psql, pgpass, port))
}

/// The part that every client's shell line begins with.
pub(super) fn client_line(program: &Path, pgpass: &Path, port: u16) -> String {
    format!("PGPASSFILE={} {} -h 127.0.0.1 -p {port} -U {ROLE}", shell_word(pgpass), shell_word(program))
}

/// A path as one word of a POSIX shell.
pub(super) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@:,%=".contains(&byte)) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn percent_encoded(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len() * 3);
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a `String` does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

pub(super) fn socket_file(sockets: &Path, port: u16) -> PathBuf {
    sockets.join(format!(".s.PGSQL.{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_psql_line_survives_a_shell() {
        let folder = Path::new("/home/o'neil/Application Support");
        let line = psql_line(Path::new("psql"), &folder.join("pgpass"), 15432);
        let words = line.replace(" psql -h", " sh -c 'printf %s \"$PGPASSFILE\"' -h");
        let output = std::process::Command::new("sh").args(["-c", &words]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), folder.join("pgpass").to_str().unwrap());
    }

    #[test]
    fn a_socket_url_holds_any_folder_and_no_printed_password() {
        let url = socket_url(Path::new("/tmp/a b%/c"), 1, &SecretString::from("hidden"));
        assert_eq!(
            url.expose_secret(),
            "postgres://threadkeep:hidden@%2Ftmp%2Fa%20b%25%2Fc:1/threadkeep?sslmode=disable"
        );
        assert!(!format!("{url:?}").contains("hidden"));
    }
}
