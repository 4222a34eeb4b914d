//! What can keep the embedded server from running, each with its remedy; nothing here carries a password.

use std::io;
use std::path::{Path, PathBuf};

use super::binaries::MAJOR_MIN;

/// Why the embedded Postgres does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable binaries anywhere.
    #[error("no PostgreSQL {MAJOR_MIN} or newer is installed here; {install}")]
    NotInstalled {
        /// What to type on this system.
        install: String,
    },
    /// The configured folder lacks the server's programs.
    #[error(
        "{folder} does not hold the programs `postgres` and `initdb` of PostgreSQL {MAJOR_MIN} or newer; \
         name another folder, or none to search the usual places"
    )]
    NoBinariesIn {
        /// The configured folder.
        folder: PathBuf,
    },
    /// The data were written by a major version that is not at hand.
    #[error("{0}")]
    OtherMajor(Box<OtherMajor>),
    /// The server's account cannot get to a folder that it needs.
    #[error(
        "the account `{account}`, which runs Postgres, cannot enter {folder} and so cannot reach {wanted}; \
         choose a place outside private folders, or let the account in with: chmod a+x {folder}"
    )]
    Unreachable {
        /// The ancestor that is closed.
        folder: PathBuf,
        /// The account that stays outside.
        account: String,
        /// What it needs behind that ancestor.
        wanted: PathBuf,
    },
    /// The data folder belongs to something else.
    #[error("{folder} holds files of something else; name an empty folder, or one that does not exist yet")]
    NotOurs {
        /// The configured data folder.
        folder: PathBuf,
    },
    /// Neither a configured nor a default data folder.
    #[error("no home folder is known for the data; set the data folder, or HOME")]
    NoHome,
    /// Root, without an account to run the server.
    #[error(
        "Postgres does not run as root, and neither `postgres` nor `nobody` exists here; add one with: useradd --system postgres"
    )]
    NoAccount,
    /// The configured port is taken.
    #[error(
        "port {port} of 127.0.0.1 is taken by another program; stop that program, or set another port (0 chooses a free one)"
    )]
    PortTaken {
        /// The configured TCP port.
        port: u16,
    },
    /// The server of a program that is gone does not end.
    #[error("an earlier Postgres on this data folder does not end; stop it with: kill -9 {pid}")]
    Orphan {
        /// Its process id.
        pid: i32,
    },
    /// Another program owns the data folder and its server does not answer.
    #[error(
        "another program holds {folder}, and its Postgres did not answer within {waited_s} s; look at postgres.log there"
    )]
    OwnerSilent {
        /// The data folder.
        folder: PathBuf,
        /// How long we waited, seconds.
        waited_s: u64,
    },
    /// The server ended at start-up, or did not get ready in time.
    #[error("Postgres did not start ({detail}); its log is {log}")]
    Server {
        /// The server's own words, or what we saw.
        detail: String,
        /// Its log file.
        log: PathBuf,
    },
    /// A program of Postgres's ended with an error.
    #[error("{program} failed: {detail}")]
    Program {
        /// Which program.
        program: PathBuf,
        /// The end of its error output.
        detail: String,
    },
    /// The superuser's statements failed.
    #[error("cannot make the role and the database of the embedded Postgres")]
    Role(#[source] io::Error),
    /// A program of Postgres's cannot be run.
    #[error("cannot run {program}")]
    Spawn {
        /// Which program.
        program: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file or folder refused what we need.
    #[error("cannot {action} {path}")]
    File {
        /// The act, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The thread that watches the server ended.
    #[error("the thread that watches Postgres ended early")]
    KeeperLost,
}

impl Error {
    /// The sentence and its cause, for a log line.
    pub(super) fn with_cause(&self) -> String {
        let cause = std::error::Error::source(self);
        cause.map_or_else(|| self.to_string(), |cause| format!("{self}: {cause}"))
    }

    /// Names the act and the file, for `map_err`.
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action, path: path.to_owned(), source }
    }

    /// Names the program, for `map_err`.
    pub(super) fn spawn(program: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Spawn { program: program.to_owned(), source }
    }
}

/// A data folder of a major version that is not at hand, and the lines that move it.
///
/// Postgres never reads another major version's files
/// (<https://www.postgresql.org/docs/current/upgrading.html>), so the data go through a dump.
#[derive(Debug, thiserror::Error)]
#[error(
    "the data in {} were written by PostgreSQL {found}, and the programs at hand are of version {at_hand}. \
     To go on with {found}: {install_found}.\n\
     To move to {at_hand}, first go on with {found}, and while threadkeep runs:\n  {dump}\n\
     then stop it, and:\n  {set_aside}\n\
     start it with version {at_hand}, and while it runs:\n  {restore}",
    data_dir.display()
)]
pub struct OtherMajor {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The major version that wrote the data.
    pub found: u32,
    /// The major version of the programs at hand.
    pub at_hand: u32,
    /// How to get the programs of `found`.
    pub install_found: String,
    /// The shell line that dumps.
    pub dump: String,
    /// The shell line that puts the old cluster aside.
    pub set_aside: String,
    /// The shell line that restores.
    pub restore: String,
}
