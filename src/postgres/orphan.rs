//! What an earlier owner may have left behind: a live server, a stale pid file, stale sockets; only for the one
//! that holds the lock.

use std::fs;
use std::path::Path;

use nix::sys::signal::kill;
use nix::unistd::{Pid, getpid};

use super::error::Error;
use super::folder::Folder;
use super::server::{STOPS, wait_until};

/// Ends an earlier server on this data folder and clears the way for a new one.
pub(super) fn clear(folder: &Folder) -> Result<(), Error> {
    let cluster = folder.cluster();
    let pid_file = cluster.join("postmaster.pid");
    if let Ok(contents) = fs::read_to_string(&pid_file) {
        match pid_in(&contents) {
            Some(pid) => {
                stop(pid, &cluster)?;
                disclaim(&pid_file, pid)?;
            }
            // A power failure may leave the file empty, and Postgres then asks for its removal.
            None => fs::remove_file(&pid_file).map_err(Error::file("remove", &pid_file))?,
        }
    }
    clear_sockets(folder.sockets())
}

fn pid_in(contents: &str) -> Option<Pid> {
    let pid = contents.lines().next()?.trim().parse().ok()?;
    (pid > 0).then(|| Pid::from_raw(pid))
}

fn stop(pid: Pid, cluster: &Path) -> Result<(), Error> {
    for (signal, patience) in STOPS {
        if !serves(pid, cluster) {
            return Ok(());
        }
        let _ = kill(pid, signal);
        if wait_until(patience, || !serves(pid, cluster)) {
            return Ok(());
        }
    }
    Err(Error::Orphan { pid: pid.as_raw() })
}

/// Whether the process is a Postgres on this cluster: process ids come again, and a postmaster works in its cluster.
#[cfg(target_os = "linux")]
fn serves(pid: Pid, cluster: &Path) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == cluster)
        && fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "postgres")
}

#[cfg(not(target_os = "linux"))]
fn serves(pid: Pid, cluster: &Path) -> bool {
    let output = std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&*cluster.to_string_lossy()))
}

/// Postgres takes a pid file for stale when the pid is its parent's, which we will be, but refuses to start when the
/// pid came again as another process. The file itself must stay: it also names the shared memory by which Postgres
/// finds out that a backend of the earlier server is still at work.
fn disclaim(pid_file: &Path, pid: Pid) -> Result<(), Error> {
    let Ok(contents) = fs::read_to_string(pid_file) else {
        return Ok(());
    };
    if kill(pid, None).is_err() {
        return Ok(());
    }
    let rest = contents.split_once('\n').map_or("", |(_, rest)| rest);
    fs::write(pid_file, format!("{}\n{rest}", getpid())).map_err(Error::file("write", pid_file))
}

fn clear_sockets(sockets: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(sockets).map_err(Error::file("read", sockets))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(".s.PGSQL.") {
            let path = entry.path();
            fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_pid_that_is_no_postgres_is_disclaimed_and_the_shared_memory_kept() {
        let file = std::env::temp_dir().join(format!("threadkeep-pid-{}", std::process::id()));
        fs::write(&file, "1\n/data\n1767225600\n15432\n").unwrap();
        let pid = pid_in(&fs::read_to_string(&file).unwrap()).unwrap();
        assert!(!serves(pid, Path::new("/data")));
        disclaim(&file, pid).unwrap();
        let contents = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(contents, format!("{}\n/data\n1767225600\n15432\n", getpid()));
    }

    #[test]
    fn an_unreadable_pid_file_names_nobody() {
        assert_eq!(pid_in(""), None);
        assert_eq!(pid_in("-1\n"), None);
        assert_eq!(pid_in("0\n"), None);
    }
}
