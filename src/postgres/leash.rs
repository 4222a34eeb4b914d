//! Ties a child process to this program, so that it never outlives us; ending it in good order is not done here.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use super::account::Account;
use super::error::Error;

const SHELL: &str = "/bin/sh";

/// The child gets the signal when the thread that starts it ends, which is at the latest when this process ends,
/// however it ends (`PR_SET_PDEATHSIG`). It also leaves our process group: Ctrl-C in a terminal is for us alone.
pub(super) fn tie(command: &mut Command, signal: Signal) {
    command.process_group(0);
    #[cfg(target_os = "linux")]
    {
        let us = nix::unistd::getpid();
        let request = move || {
            nix::sys::prctl::set_pdeathsig(signal)?;
            // We may have ended before the request was made.
            if nix::unistd::getppid() == us { Ok(()) } else { Err(std::io::Error::from(nix::errno::Errno::ESRCH)) }
        };
        // `Command` runs this after the change of account, which would clear the request.
        #[expect(unsafe_code, reason = "only prctl and getppid run between fork and exec, both async-signal-safe")]
        unsafe {
            command.pre_exec(request);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = signal;
}

/// Does the same from outside, where the kernel does not: a shell that waits for the end of a pipe that we hold.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// It holds the writing end of the pipe.
    shell: Child,
}

impl Watchdog {
    /// Watches `child` on systems where [`tie`] cannot.
    pub(super) fn where_needed(child: &Child, account: &Account) -> Result<Option<Self>, Error> {
        if cfg!(target_os = "linux") {
            return Ok(None);
        }
        Self::over(child, account).map(Some)
    }

    fn over(child: &Child, account: &Account) -> Result<Self, Error> {
        let shell = Path::new(SHELL);
        let mut command = account.command(shell, Path::new("/"));
        command
            .args(["-c", r#"read -r _; kill -INT "$1""#, "sh", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let shell = command.spawn().map_err(Error::spawn(shell))?;
        Ok(Self { shell })
    }
}

impl Drop for Watchdog {
    /// Ends the shell before its pipe, or it would signal a process id that may be another's by now.
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn account() -> Account {
        Account::for_folder(Path::new("/nonexistent")).unwrap()
    }

    fn sleeper() -> Command {
        let mut command = account().command(Path::new("/bin/sleep"), Path::new("/"));
        command.arg("60");
        command
    }

    #[test]
    fn a_watched_child_ends_with_the_pipe() {
        let mut child = sleeper().spawn().unwrap();
        let mut watchdog = Watchdog::over(&child, &account()).unwrap();
        drop(watchdog.shell.stdin.take());
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
    }

    #[test]
    fn a_dropped_watchdog_leaves_the_child_alone() {
        let mut child = sleeper().spawn().unwrap();
        drop(Watchdog::over(&child, &account()).unwrap());
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_tied_child_ends_with_the_thread_that_started_it() {
        let start = || {
            let mut command = sleeper();
            tie(&mut command, Signal::SIGINT);
            command.spawn().unwrap()
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
    }
}
