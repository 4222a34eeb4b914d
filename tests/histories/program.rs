//! One process of the binary under test: started, signalled, ended; it never outlives the test.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::sleep;

/// A running process; dropping it kills it.
pub struct Program {
    child: Child,
    words: PathBuf,
}

impl Program {
    /// Starts `threadkeep` with these arguments and variables; what it says goes to `name.out`, its log to `name.log`.
    pub fn spawn(folder: &Path, name: &str, arguments: &[&str], variables: &[(String, String)]) -> Self {
        let words = folder.join(format!("{name}.out"));
        let log = OpenOptions::new().create(true).append(true).open(folder.join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_threadkeep"));
        command
            .args(arguments)
            .env_remove("DATABASE_URL")
            .env_remove("OPENAI_API_KEY")
            .envs(variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(File::create(&words).unwrap())
            .stderr(log);
        tie(&mut command);
        Self { child: command.spawn().unwrap(), words }
    }

    /// The rest of the first line that it says after `mark`, up to white space; nothing when it ends before.
    pub async fn hear(&mut self, mark: &str) -> Option<String> {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let ended = self.child.try_wait().unwrap().is_some();
            let said = fs::read_to_string(&self.words).unwrap();
            let rest = said.split_once(mark).filter(|(_, rest)| rest.contains('\n'));
            if let Some((_, rest)) = rest {
                return rest.split_whitespace().next().map(str::to_owned);
            }
            if ended {
                return None;
            }
            assert!(Instant::now() < deadline, "a process never said {mark:?}, only {said:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for its end; the exit code, or nothing when a signal ended it.
    pub async fn ended(&mut self, patience: Duration) -> Option<i32> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "a process did not end within {patience:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The kernel kills the child when the thread that starts it ends, however the test ends.
fn tie(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        let request = || Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?);
        #[expect(unsafe_code, reason = "only prctl runs between fork and exec, and it is async-signal-safe")]
        unsafe {
            command.pre_exec(request);
        }
    }
    command.process_group(0);
}
