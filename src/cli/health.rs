//! `threadkeep health`: what a container's health check runs, so that the image needs no curl.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::settings::Settings;

/// How long the server may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

/// How a server that lives and speaks TLS turns a plain request away (RFC 8446, section 5.1); its certificate is none of this
/// machine's business.
const TLS_ALERT: &[u8] = &[0x15, 0x03];

/// Succeeds when `GET /healthz` of `server.listen` answers 200.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    let address = reachable(settings.server.listen);
    let answer = ask(address).with_context(|| format!("no server answers on {address}"))?;
    if settings.server.speaks_tls() && answer.starts_with(TLS_ALERT) {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&answer);
    if !answer.starts_with("HTTP/1.1 200") {
        bail!("the server on {address} is not well: {}", answer.lines().next().unwrap_or_default());
    }
    Ok(())
}

/// An address that means every interface is asked on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect_timeout(&address, LIMIT)?;
    connection.set_read_timeout(Some(LIMIT))?;
    connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    connection.take(4096).read_to_end(&mut answer)?;
    Ok(answer)
}
