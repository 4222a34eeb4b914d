//! A second handle on a client's connection, to close it before an answer; all else is the server's business.

use std::any::Any;

use actix_web::dev::Extensions;

/// Kept with each connection.
pub struct Connection {
    #[cfg(unix)]
    stream: std::net::TcpStream,
}

impl Connection {
    /// What `HttpServer::on_connect` calls for each new connection.
    pub fn keep(stream: &dyn Any, extensions: &mut Extensions) {
        if let Some(connection) = Self::duplicate(stream) {
            extensions.insert(connection);
        }
    }

    #[cfg(unix)]
    fn duplicate(stream: &dyn Any) -> Option<Self> {
        use std::os::fd::AsFd;

        let stream = stream.downcast_ref::<actix_rt::net::TcpStream>()?;
        let stream = stream.as_fd().try_clone_to_owned().ok()?.into();
        Some(Self { stream })
    }

    /// Elsewhere a disconnect comes right after the head instead of before it.
    #[cfg(not(unix))]
    fn duplicate(_: &dyn Any) -> Option<Self> {
        None
    }

    #[cfg(unix)]
    pub fn close(&self) {
        if let Err(error) = self.stream.shutdown(std::net::Shutdown::Both) {
            log::debug!("error={error} the client was gone before the simulated disconnect");
        }
    }

    #[cfg(not(unix))]
    pub fn close(&self) {}
}
