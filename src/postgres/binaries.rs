//! Finds the programs of an installed Postgres, or says how to install them; runs none but `postgres --version`
//! and `pg_config --bindir`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

use super::account::Account;
use super::error::Error;

/// The oldest major version that the PostgreSQL project still maintains.
pub(super) const MAJOR_MIN: u32 = 14;

/// Where packages put the programs: a parent folder, how a child's name begins, what follows the child.
const USUAL_PLACES: [(&str, &str, &str); 10] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/lib", "postgresql", "bin"),
    ("/usr/lib64", "postgresql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ("/Library/PostgreSQL", "", "bin"),
];

/// The server's programs of one installation.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    folder: PathBuf,
    version: String,
    major: u32,
}

impl Binaries {
    /// The configured folder's programs, else the newest on this machine; those of `cluster_major` come first.
    pub(super) fn find(
        configured: Option<&Path>,
        cluster_major: Option<u32>,
        account: &Account,
    ) -> Result<Self, Error> {
        if let Some(folder) = configured {
            account.check_reach(folder)?;
            return Self::at(folder).ok_or_else(|| Error::NoBinariesIn { folder: folder.to_owned() });
        }
        let newest_in = |folders: &[PathBuf]| choose(all_in(folders, account), cluster_major);
        newest_in(&usual_folders())
            .or_else(|| newest_in(&told_by_pg_config()))
            .ok_or_else(|| Error::NotInstalled { install: install(None) })
    }

    /// `initdb` looks for its files beside itself, so a symbolic link is followed to the real folder.
    fn at(folder: &Path) -> Option<Self> {
        let postgres = folder.join("postgres").canonicalize().ok()?;
        let folder = postgres.parent()?.to_owned();
        if !folder.join("initdb").is_file() {
            return None;
        }
        let version = version_in(&output_of(&postgres, "--version")?)?;
        let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        (major >= MAJOR_MIN).then_some(Self { folder, version, major })
    }

    /// One of the server's programs, by name.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What to type for psql.
    pub(super) fn psql(&self) -> PathBuf {
        match on_path("psql") {
            Some(_) => PathBuf::from("psql"),
            None => self.program("psql"),
        }
    }

    /// The full version, such as `15.18`.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn major(&self) -> u32 {
        self.major
    }
}

/// `15.18` in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn version_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("(PostgreSQL)")?;
    rest.split_whitespace().next().map(str::to_owned)
}

fn choose(found: Vec<Binaries>, cluster_major: Option<u32>) -> Option<Binaries> {
    found.into_iter().max_by_key(|binaries| (Some(binaries.major) == cluster_major, binaries.major))
}

fn all_in(folders: &[PathBuf], account: &Account) -> Vec<Binaries> {
    let mut real: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| folder.join("postgres").canonicalize().ok()?.parent().map(Path::to_owned))
        .filter(|folder| account.check_reach(folder).is_ok())
        .collect();
    real.sort();
    real.dedup();
    real.iter().filter_map(|folder| Binaries::at(folder)).collect()
}

fn usual_folders() -> Vec<PathBuf> {
    let mut folders = path_folders();
    for (parent, prefix, suffix) in USUAL_PLACES {
        let children = fs::read_dir(parent).into_iter().flatten().flatten();
        folders.extend(
            children
                .filter(|child| child.file_name().to_string_lossy().starts_with(prefix))
                .map(|child| child.path().join(suffix)),
        );
    }
    folders
}

/// Asked last, for it is a slow script on some systems.
fn told_by_pg_config() -> Vec<PathBuf> {
    let bindir = on_path("pg_config").and_then(|program| output_of(&program, "--bindir"));
    bindir.map(|bindir| PathBuf::from(bindir.trim())).into_iter().collect()
}

/// A program on `PATH`.
pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    path_folders().into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn path_folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
}

fn output_of(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// How to install Postgres here, of one major version or of whatever the system offers, as a clause.
pub(super) fn install(major: Option<u32>) -> String {
    let system = if cfg!(target_os = "macos") {
        "ID=macos".to_owned()
    } else {
        fs::read_to_string("/etc/os-release").unwrap_or_default()
    };
    install_on(&system, major, geteuid().is_root())
}

fn install_on(os_release: &str, major: Option<u32>, root: bool) -> String {
    let named = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    let system = format!("{} {}", named("ID"), named("ID_LIKE"));
    let command = system.split_whitespace().find_map(|id| install_command(id, major));
    match command {
        Some(command) if root || command.starts_with("brew") => format!("install it with: {command}"),
        Some(command) => format!("install it with: sudo {command}"),
        None => match major {
            Some(major) => format!("install version {major} from https://www.postgresql.org/download/"),
            None => "install it from https://www.postgresql.org/download/".to_owned(),
        },
    }
}

/// The systems' own packages; where a system keeps one major version only, another has no command.
fn install_command(system: &str, major: Option<u32>) -> Option<String> {
    let numbered = major.map(|major| major.to_string()).unwrap_or_default();
    match (system, major) {
        ("debian" | "ubuntu", None) => Some("apt-get install -y postgresql".to_owned()),
        ("debian" | "ubuntu", Some(_)) => Some(format!("apt-get install -y postgresql-{numbered}")),
        ("fedora" | "rhel" | "centos", None) => Some("dnf install -y postgresql-server".to_owned()),
        ("alpine", _) => Some(format!("apk add postgresql{numbered} postgresql{numbered}-client")),
        ("arch", None) => Some("pacman -S --noconfirm postgresql".to_owned()),
        ("suse" | "opensuse", _) => Some(format!("zypper install -y postgresql{numbered}-server")),
        ("amzn", _) => Some(format!("dnf install -y postgresql{}-server", major.unwrap_or(17))),
        ("macos", _) => Some(format!("brew install postgresql@{}", major.unwrap_or(17))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binaries(major: u32) -> Binaries {
        Binaries {
            folder: PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")),
            version: format!("{major}.1"),
            major,
        }
    }

    fn chosen(majors: &[u32], cluster_major: Option<u32>) -> Option<u32> {
        choose(majors.iter().copied().map(binaries).collect(), cluster_major).map(|chosen| chosen.major)
    }

    #[test]
    fn the_newest_version_is_chosen_unless_the_data_have_theirs() {
        assert_eq!(chosen(&[15, 17, 16], None), Some(17));
        assert_eq!(chosen(&[15, 17, 16], Some(15)), Some(15));
        assert_eq!(chosen(&[15, 17, 16], Some(14)), Some(17));
        assert_eq!(chosen(&[], Some(14)), None);
    }

    #[test]
    fn a_link_leads_to_the_real_folder() {
        let account = Account::for_folder(Path::new("/nonexistent")).unwrap();
        let real = Binaries::find(None, None, &account).unwrap();
        let folder = std::env::temp_dir().join(format!("threadkeep-links-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(real.program("postgres"), folder.join("postgres")).unwrap();
        let linked = Binaries::at(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(linked.folder, real.folder);
        assert_eq!(linked.version, real.version);
    }

    #[test]
    fn versions_are_read_from_releases_packages_and_betas() {
        let version = |line| version_in(line).unwrap();
        assert_eq!(version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), "15.18");
        assert_eq!(version("postgres (PostgreSQL) 18beta1\n"), "18beta1");
        assert_eq!(version_in("sh: postgres: not found"), None);
    }

    #[test]
    fn every_system_gets_its_own_install_line() {
        let debian = "PRETTY_NAME=\"Debian\"\nID=debian\n";
        assert_eq!(install_on(debian, None, true), "install it with: apt-get install -y postgresql");
        assert_eq!(install_on(debian, Some(14), false), "install it with: sudo apt-get install -y postgresql-14");
        let rocky = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n";
        assert_eq!(install_on(rocky, None, true), "install it with: dnf install -y postgresql-server");
        assert_eq!(install_on("ID=alpine", None, true), "install it with: apk add postgresql postgresql-client");
        assert_eq!(install_on("ID=macos", None, false), "install it with: brew install postgresql@17");
        assert!(install_on("", None, true).ends_with("https://www.postgresql.org/download/"));
    }
}
