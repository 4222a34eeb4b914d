//! The cluster's contents: made once, its major version, its role and database; it is started elsewhere.

use std::fs::{self, File};
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use nix::sys::signal::Signal;
use secrecy::{ExposeSecret as _, SecretString};

use super::binaries::{self, Binaries};
use super::connection::{DATABASE, ROLE, SUPERUSER, client_line, shell_word};
use super::error::{Error, OtherMajor};
use super::folder::Folder;
use super::leash::tie;
use super::server::wait_until;
use super::session::Session;

const LEFTOVER_PATIENCE: Duration = Duration::from_secs(5);

/// The major version that wrote the cluster, if there is one.
pub(super) fn major(folder: &Folder) -> Option<u32> {
    fs::read_to_string(folder.cluster().join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// Fails with the lines that move the data if the programs are of another major version.
pub(super) fn check_major(folder: &Folder, binaries: &Binaries) -> Result<(), Error> {
    match major(folder) {
        Some(found) if found != binaries.major() => {
            Err(Error::OtherMajor(Box::new(move_lines(folder, binaries, found))))
        }
        _ => Ok(()),
    }
}

/// Both lines use the newer programs: `pg_dump` reads every older server.
fn move_lines(folder: &Folder, binaries: &Binaries, found: u32) -> OtherMajor {
    let port = folder.remembered_port().unwrap_or_default();
    let client = |name| client_line(&binaries.program(name), &folder.pgpass(), port);
    let dump = shell_word(&folder.path().join("threadkeep.dump"));
    let cluster = folder.cluster();
    OtherMajor {
        data_dir: folder.path().to_owned(),
        found,
        at_hand: binaries.major(),
        install_found: binaries::install(Some(found)),
        dump: format!("{} --format=custom -f {dump} {DATABASE}", client("pg_dump")),
        set_aside: format!("mv {} {}", shell_word(&cluster), shell_word(&cluster.with_extension(found.to_string()))),
        restore: format!("{} --clean --if-exists --single-transaction -d {DATABASE} {dump}", client("pg_restore")),
    }
}

/// Makes the cluster if there is none; a kill in the middle leaves only a draft, which the next start removes.
pub(super) fn ensure(folder: &Folder, binaries: &Binaries) -> Result<(), Error> {
    if major(folder).is_some() {
        return check_major(folder, binaries);
    }
    let draft = folder.cluster_draft();
    // Programs of a killed initdb may write for a moment longer.
    wait_until(LEFTOVER_PATIENCE, || fs::remove_dir_all(&draft).is_ok() || !draft.exists());
    initdb(folder, binaries, &draft)?;
    write_access_rules(folder, &draft)?;
    let cluster = folder.cluster();
    fs::rename(&draft, &cluster).map_err(Error::file("rename", &draft))?;
    sync(folder.path())
}

fn initdb(folder: &Folder, binaries: &Binaries, draft: &Path) -> Result<(), Error> {
    let program = binaries.program("initdb");
    let mut command = folder.account().command(&program, folder.path());
    command
        .args(["--username", SUPERUSER, "--encoding=UTF8", "--locale=C", "--data-checksums"])
        .args(["--auth-local=peer", "--auth-host=reject", "-D"])
        .arg(draft);
    tie(&mut command, Signal::SIGKILL);
    let output = command.output().map_err(Error::spawn(&program))?;
    check(&program, &output)
}

/// The superuser exists for the server's account and root alone, over the socket, without any password that could
/// leak; everyone else proves a password.
fn write_access_rules(folder: &Folder, draft: &Path) -> Result<(), Error> {
    let name = folder.account().name();
    let rules = format!(
        "local all {SUPERUSER} peer map=server\n\
         local all all scram-sha-256\n\
         host all {SUPERUSER} 127.0.0.1/32 reject\n\
         host all all 127.0.0.1/32 scram-sha-256\n"
    );
    let names = format!(
        "server \"{name}\" {SUPERUSER}
server root {SUPERUSER}
"
    );
    for (file, contents) in [("pg_hba.conf", rules), ("pg_ident.conf", names)] {
        let path = draft.join(file);
        fs::write(&path, contents).map_err(Error::file("write", &path))?;
        sync(&path)?;
    }
    Ok(())
}

fn sync(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::file("write", path))
}

/// Makes the role and its database where they are missing, and gives the role a new password if there is one.
pub(super) fn ensure_role(folder: &Folder, port: u16, password: &SecretString, new: bool) -> Result<(), Error> {
    let mut session = Session::open(folder.sockets(), port).map_err(Error::Role)?;
    // The password is ours and hexadecimal.
    let password = password.expose_secret();
    let role = format!("select from pg_roles where rolname = '{ROLE}'");
    let database = format!("select from pg_database where datname = '{DATABASE}'");
    if session.run(&role).map_err(Error::Role)? == 0 {
        let create = format!("create role {ROLE} login createdb createrole password '{password}'");
        session.run(&create).map_err(Error::Role)?;
    } else if new {
        session.run(&format!("alter role {ROLE} password '{password}'")).map_err(Error::Role)?;
    }
    if session.run(&database).map_err(Error::Role)? == 0 {
        session.run(&format!("create database {DATABASE} owner {ROLE}")).map_err(Error::Role)?;
    }
    Ok(())
}

fn check(program: &Path, output: &Output) -> Result<(), Error> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let end = said.get(said.len().saturating_sub(3)..).unwrap_or_default().join("; ");
    Err(Error::Program {
        program: program.to_owned(),
        detail: if end.is_empty() { output.status.to_string() } else { end },
    })
}
