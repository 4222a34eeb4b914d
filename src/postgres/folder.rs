//! The data folder: where each file lives, who may read it, and the small files in it; not the cluster's contents.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::account::Account;
use super::connection::ROLE;
use super::error::Error;

/// The shortest `sun_path` among the systems we know holds 104 bytes, macOS's, its end mark included.
const SOCKET_PATH_BYTES_MAX: usize = 103;
const LONGEST_SOCKET_NAME: &str = ".s.PGSQL.65535";
const PASSWORD_BYTES: usize = 24;
const LOG_BYTES_MAX: u64 = 16 << 20;

/// A private (0700) folder of the server's account.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    sockets: PathBuf,
    account: Account,
}

impl Folder {
    /// Makes the folder, or opens ours; refuses one that the account cannot reach or that is not ours.
    pub(super) fn open(requested: Option<&Path>) -> Result<Self, Error> {
        let requested = match requested {
            Some(path) => path.to_owned(),
            None => {
                default_path(nix::unistd::geteuid().is_root(), std::env::var_os("XDG_DATA_HOME"), std::env::home_dir())?
            }
        };
        let path = std::path::absolute(&requested).map_err(Error::file("find", &requested))?;
        let account = Account::for_folder(&path)?;
        if let Some(parent) = path.parent() {
            account.check_reach(parent)?;
            fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
            account.check_reach(parent)?;
        }
        make_data_folder(&path, &account)?;
        // The lock file marks the folder as ours, so it comes before anything else in it.
        open_lock(&path, &account)?;
        let path = path.canonicalize().map_err(Error::file("find", &path))?;
        let sockets = socket_folder(&path);
        make_socket_folder(&sockets, &account)?;
        Ok(Self { path, sockets, account })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn sockets(&self) -> &Path {
        &self.sockets
    }

    pub(super) fn cluster(&self) -> PathBuf {
        self.path.join("cluster")
    }

    pub(super) fn cluster_draft(&self) -> PathBuf {
        self.path.join("cluster.new")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("postgres.log")
    }

    pub(super) fn pgpass(&self) -> PathBuf {
        self.path.join("pgpass")
    }

    /// The file whose `flock` decides who owns the cluster.
    pub(super) fn lock_file(&self) -> Result<File, Error> {
        open_lock(&self.path, &self.account)
    }

    /// The server's log, for appending; the one before it is kept as `postgres.log.old`.
    pub(super) fn open_log(&self) -> Result<File, Error> {
        let path = self.log();
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
            fs::rename(&path, path.with_extension("log.old")).map_err(Error::file("rename", &path))?;
        }
        let file = private_file().append(true).open(&path).map_err(Error::file("open", &path))?;
        self.account.take(&path)?;
        Ok(file)
    }

    /// The port of the last start, if there was one.
    pub(super) fn remembered_port(&self) -> Option<u16> {
        fs::read_to_string(self.path.join("port")).ok()?.trim().parse().ok()
    }

    pub(super) fn remember_port(&self, port: u16) -> Result<(), Error> {
        if self.remembered_port() == Some(port) {
            return Ok(());
        }
        self.write_private("port", &format!("{port}\n"))
    }

    /// The role's password, once the owner has made one.
    pub(super) fn password(&self) -> Option<SecretString> {
        let password = fs::read_to_string(self.path.join("password")).ok()?;
        let password = password.trim();
        (!password.is_empty()).then(|| password.into())
    }

    /// The role's password, made if there is none, and whether it is new; writes `pgpass` to match.
    pub(super) fn ensure_password(&self) -> Result<(SecretString, bool), Error> {
        let (password, new) = match self.password() {
            Some(password) => (password, false),
            None => (self.make_password()?, true),
        };
        let line = format!("*:*:*:{ROLE}:{}\n", password.expose_secret());
        if fs::read_to_string(self.pgpass()).ok().as_deref() != Some(line.as_str()) {
            self.write_private("pgpass", &line)?;
        }
        Ok((password, new))
    }

    fn make_password(&self) -> Result<SecretString, Error> {
        let mut bytes = [0; PASSWORD_BYTES];
        let source = Path::new("/dev/urandom");
        File::open(source).and_then(|mut file| file.read_exact(&mut bytes)).map_err(Error::file("read", source))?;
        let password = hex::encode(bytes);
        self.write_private("password", &format!("{password}\n"))?;
        Ok(password.into())
    }

    fn write_private(&self, name: &str, contents: &str) -> Result<(), Error> {
        let path = self.path.join(name);
        let draft = self.path.join(format!("{name}.new"));
        private_file()
            .truncate(true)
            .open(&draft)
            .and_then(|mut file| {
                file.write_all(contents.as_bytes())?;
                file.sync_all()
            })
            .map_err(Error::file("write", &draft))?;
        self.account.take(&draft)?;
        fs::rename(&draft, &path).map_err(Error::file("rename", &draft))
    }
}

/// `/var/lib/threadkeep` for root, else the platform's data home
/// (<https://specifications.freedesktop.org/basedir-spec/latest/>).
fn default_path(root: bool, data_home: Option<OsString>, home: Option<PathBuf>) -> Result<PathBuf, Error> {
    if root {
        return Ok(PathBuf::from("/var/lib/threadkeep"));
    }
    let home = home.filter(|home| home.is_absolute());
    let data_home = if cfg!(target_os = "macos") {
        home.map(|home| home.join("Library/Application Support"))
    } else {
        data_home
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| home.map(|home| home.join(".local/share")))
    };
    Ok(data_home.ok_or(Error::NoHome)?.join("threadkeep"))
}

fn make_data_folder(path: &Path, account: &Account) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_ours(path)?,
        Err(error) => return Err(Error::file("create", path)(error)),
    }
    make_private(path, account)
}

/// Ours is an empty folder or one with our lock file: making a foreign one private would harm its owner.
fn check_ours(path: &Path) -> Result<(), Error> {
    let mut entries = fs::read_dir(path).map_err(Error::file("read", path))?;
    if entries.next().is_some() && !lock_path(path).exists() {
        return Err(Error::NotOurs { folder: path.to_owned() });
    }
    Ok(())
}

fn make_private(path: &Path, account: &Account) -> Result<(), Error> {
    account.take(path)?;
    let metadata = fs::metadata(path).map_err(Error::file("read", path))?;
    if metadata.permissions().mode() & 0o777 != 0o700 {
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(Error::file("make private", path))?;
    }
    Ok(())
}

/// `socket/` in the data folder; a name derived from it in `/tmp` where that is too long for a socket,
/// or holds characters that Postgres or a URL would have to quote.
fn socket_folder(path: &Path) -> PathBuf {
    let folder = path.join("socket");
    let bytes = folder.as_os_str().as_encoded_bytes();
    let plain = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._- ".contains(byte));
    if plain && bytes.len() + 1 + LONGEST_SOCKET_NAME.len() <= SOCKET_PATH_BYTES_MAX {
        return folder;
    }
    let digest = hex::encode(Sha256::digest(path.as_os_str().as_encoded_bytes()));
    PathBuf::from(format!("/tmp/threadkeep-{}", digest.get(..16).unwrap_or(&digest)))
}

/// Anyone may have put something at a name in `/tmp`: only a folder of the account's own will do.
fn make_socket_folder(path: &Path, account: &Account) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => account.take(path)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::file("create", path)(error)),
    }
    let metadata = fs::symlink_metadata(path).map_err(Error::file("read", path))?;
    if !metadata.is_dir() || !account.owns(&metadata) {
        return Err(Error::NotOurs { folder: path.to_owned() });
    }
    make_private(path, account)
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.join("owner.lock")
}

fn open_lock(folder: &Path, account: &Account) -> Result<File, Error> {
    let path = lock_path(folder);
    let file = private_file().open(&path).map_err(Error::file("open", &path))?;
    account.take(&path)?;
    Ok(file)
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_platforms_data_home() {
        let path = |root, data_home: Option<&str>, home: Option<&str>| {
            default_path(root, data_home.map(OsString::from), home.map(PathBuf::from)).ok()
        };
        assert_eq!(path(true, Some("/data"), Some("/root")), Some("/var/lib/threadkeep".into()));
        assert_eq!(path(false, None, None), None);
        if cfg!(target_os = "macos") {
            let library = "/Users/a/Library/Application Support/threadkeep";
            assert_eq!(path(false, None, Some("/Users/a")), Some(library.into()));
        } else {
            assert_eq!(path(false, Some("/data"), Some("/home/a")), Some("/data/threadkeep".into()));
            let share = Some(PathBuf::from("/home/a/.local/share/threadkeep"));
            assert_eq!(path(false, None, Some("/home/a")), share);
            assert_eq!(path(false, Some("relative"), Some("/home/a")), share);
        }
    }

    #[test]
    fn a_long_or_odd_path_puts_the_sockets_in_tmp() {
        assert_eq!(socket_folder(Path::new("/a b")), Path::new("/a b/socket"));
        let fits = format!("/{}", "a".repeat(80));
        assert_eq!(socket_folder(Path::new(&fits)), Path::new(&fits).join("socket"));
        for path in [format!("{fits}a"), "/a,b".to_owned(), "/ü".to_owned()] {
            let folder = socket_folder(Path::new(&path));
            assert!(folder.starts_with("/tmp"), "{path}");
            assert!(folder.as_os_str().len() < 50);
        }
        assert_ne!(socket_folder(Path::new("/a,b")), socket_folder(Path::new("/a,c")));
    }
}
