//! A private, real Postgres that this program starts, watches and stops; schema and queries are not its matter.

mod account;
mod binaries;
mod cluster;
mod connection;
mod error;
mod folder;
mod keeper;
mod leash;
mod orphan;
mod server;
mod session;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use serde::Deserialize;

pub use error::{Error, OtherMajor};

use binaries::Binaries;
use folder::Folder;
use keeper::{Keeper, Opened, Site};

/// Where the embedded Postgres lives; every field may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The private folder of data, password and log; by default `threadkeep` in the platform's data home, for root
    /// `/var/lib/threadkeep`.
    pub data_dir: Option<PathBuf>,
    /// The folder of Postgres's own programs; by default the newest on this machine, those of the data's major
    /// version first.
    pub bin_dir: Option<PathBuf>,
    /// The TCP port on 127.0.0.1; 0 chooses a free one at the first start and keeps it.
    pub port: u16,
}

/// A running embedded Postgres: ours, or that of another program on the same data folder, which we then replace when
/// it ends.
///
/// Dropping it stops the server if it runs under this program: fast shutdown, at most 20 s. If this program ends
/// without that, however it ends, the server shuts down by itself.
pub struct Embedded {
    site: Arc<Site>,
    opened: Opened,
    keeper: Keeper,
}

impl Embedded {
    /// Starts the server, or joins one that runs, and returns once it accepts connections and holds our role and
    /// database; blocks the calling thread.
    pub fn start(config: &Config) -> Result<Self, Error> {
        let folder = Folder::open(config.data_dir.as_deref())?;
        let binaries = Binaries::find(config.bin_dir.as_deref(), cluster::major(&folder), folder.account())?;
        cluster::check_major(&folder, &binaries)?;
        let site = Arc::new(Site { folder, binaries, port: config.port });
        let (keeper, opened) = Keeper::start(Arc::clone(&site))?;
        Ok(Self { site, opened, keeper })
    }

    /// Stops the server if it is ours, as dropping does.
    pub fn stop(self) {
        drop(self);
    }

    /// The URL over the Unix socket, for this program.
    pub fn url(&self) -> SecretString {
        connection::socket_url(self.site.folder.sockets(), self.opened.port, &self.opened.password)
    }

    /// The URL over 127.0.0.1, for other programs on this machine.
    pub fn tcp_url(&self) -> SecretString {
        connection::tcp_url(self.opened.port, &self.opened.password)
    }

    /// A shell line that opens the database in psql; it names the password's file, not the password.
    pub fn psql_line(&self) -> String {
        connection::psql_line(&self.site.binaries.psql(), &self.site.folder.pgpass(), self.opened.port)
    }

    /// The private folder that everything is in.
    pub fn data_dir(&self) -> &Path {
        self.site.folder.path()
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.opened.port
    }

    /// Whether the server runs under another program; false from the moment that we take over.
    pub fn joined(&self) -> bool {
        !self.keeper.is_owner()
    }

    /// The version of Postgres's programs, such as `15.18`.
    pub fn version(&self) -> &str {
        self.site.binaries.version()
    }

    /// The account of the operating system that runs the server.
    pub fn account(&self) -> &str {
        self.site.folder.account().name()
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Embedded")
            .field("data_dir", &self.data_dir())
            .field("port", &self.port())
            .field("joined", &self.joined())
            .finish_non_exhaustive()
    }
}
