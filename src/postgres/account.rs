//! The account that owns the files and runs the server, and the commands run in its name; not what they do.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{AccessFlags, Gid, Uid, User, access, getegid, geteuid};

use super::error::Error;

/// Who runs the server when root starts us, in order of preference; Postgres refuses to run as root.
const SERVER_ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// What a child keeps of our environment: settings such as `PGHOST` or `LANG` must not reach it.
const ENVIRONMENT_KEPT: [&str; 4] = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ"];

/// An account of the operating system.
#[derive(Debug, Clone)]
pub(super) struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
    /// We are root and become this account for every child.
    switched: bool,
}

impl Account {
    /// The account for a data folder: ourselves; for root the folder's owner, else a server account.
    pub(super) fn for_folder(folder: &Path) -> Result<Self, Error> {
        let ourselves = geteuid();
        if !ourselves.is_root() {
            return Ok(Self {
                name: name_of(ourselves).unwrap_or_else(|| ourselves.to_string()),
                uid: ourselves,
                gid: getegid(),
                switched: false,
            });
        }
        let owner = fs::metadata(folder)
            .ok()
            .map(|metadata| Uid::from_raw(metadata.uid()))
            .filter(|uid| !uid.is_root())
            .and_then(|uid| User::from_uid(uid).ok().flatten());
        let server_account = || SERVER_ACCOUNTS.iter().find_map(|name| User::from_name(name).ok().flatten());
        let user = owner.or_else(server_account).ok_or(Error::NoAccount)?;
        Ok(Self { name: user.name, uid: user.uid, gid: user.gid, switched: true })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A command of this account in a folder it may enter, with a clean environment and no input.
    pub(super) fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .env_clear()
            .envs(ENVIRONMENT_KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("HOME", folder)
            .env("LC_ALL", "C");
        if self.switched {
            // `Command` empties the supplementary groups when root sets a uid.
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
        command
    }

    /// Gives a file that we made to the account.
    pub(super) fn take(&self, path: &Path) -> Result<(), Error> {
        if !self.switched {
            return Ok(());
        }
        chown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw())).map_err(Error::file("change the owner of", path))
    }

    pub(super) fn owns(&self, metadata: &Metadata) -> bool {
        metadata.uid() == self.uid.as_raw()
    }

    /// Fails with the first folder above `wanted` (itself included) that the account cannot enter.
    pub(super) fn check_reach(&self, wanted: &Path) -> Result<(), Error> {
        let mut ancestors: Vec<&Path> = wanted.ancestors().collect();
        ancestors.reverse();
        let closed = ancestors
            .into_iter()
            .map_while(|folder| Some((folder, fs::metadata(folder).ok()?)))
            .find(|(folder, metadata)| !self.enters(folder, metadata));
        match closed {
            Some((folder, _)) => Err(Error::Unreachable {
                folder: folder.to_owned(),
                account: self.name.clone(),
                wanted: PathBuf::from(wanted),
            }),
            None => Ok(()),
        }
    }

    fn enters(&self, folder: &Path, metadata: &Metadata) -> bool {
        if !self.switched {
            return access(folder, AccessFlags::X_OK).is_ok();
        }
        let bit = if self.owns(metadata) {
            0o100
        } else if metadata.gid() == self.gid.as_raw() {
            0o010
        } else {
            0o001
        };
        metadata.mode() & bit != 0
    }
}

fn name_of(uid: Uid) -> Option<String> {
    Some(User::from_uid(uid).ok()??.name)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_closed_ancestor_is_named() {
        let open = std::env::temp_dir().join(format!("threadkeep-reach-{}", std::process::id()));
        let closed = open.join("closed");
        let wanted = closed.join("a/b");
        let account = Account::for_folder(&wanted).unwrap();
        fs::create_dir_all(&closed).unwrap();
        assert!(account.check_reach(&wanted).is_ok());
        fs::set_permissions(&closed, Permissions::from_mode(0o600)).unwrap();
        let error = account.check_reach(&wanted).unwrap_err();
        fs::remove_dir_all(&open).unwrap();
        assert!(matches!(&error, Error::Unreachable { folder, .. } if *folder == closed), "{error}");
    }

    #[test]
    fn the_server_never_runs_as_root() {
        let account = Account::for_folder(Path::new("/nonexistent")).unwrap();
        assert!(!account.uid.is_root());
        let output = account.command(Path::new("/usr/bin/id"), Path::new("/")).arg("-u").output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), account.uid.to_string());
    }
}
