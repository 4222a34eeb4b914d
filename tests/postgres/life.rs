//! A server of one program: what the first start makes, what survives, and what the addresses open.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::geteuid;
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgPoolOptions;
use threadkeep::postgres::{Config, Embedded};

use crate::scene::{Process, Scene, alive, runtime, soon, sql, try_sql};

#[test]
fn data_and_port_survive_a_restart() {
    let scene = Scene::new();
    let first = scene.start();
    assert!(!first.joined());
    let port = first.port();
    sql(&first.url(), "create table kept (word text)");
    sql(&first.tcp_url(), "insert into kept values ('still here')");
    first.stop();
    let second = scene.start();
    assert_eq!(second.port(), port);
    assert_eq!(sql(&second.url(), "select word from kept"), ["still here"]);
}

#[test]
fn the_role_is_no_superuser_and_commits_are_durable() {
    let scene = Scene::with_data();
    let embedded = scene.start();
    let setting = |name: &str| sql(&embedded.url(), &format!("select current_setting('{name}')")).remove(0);
    for name in ["fsync", "synchronous_commit", "full_page_writes", "data_checksums"] {
        assert_eq!(setting(name), "on", "{name}");
    }
    assert_eq!(setting("listen_addresses"), "127.0.0.1");
    assert_eq!(setting("server_encoding"), "UTF8");
    assert_eq!(setting("server_version").split(' ').next(), Some(embedded.version()));
    let rights = "select concat_ws(' ', rolname, rolsuper, rolcreatedb, rolcreaterole) from pg_roles where rolname = current_user";
    assert_eq!(sql(&embedded.url(), rights), ["threadkeep f t t"]);
    sql(&embedded.url(), "create database another");
}

#[test]
fn no_password_opens_no_address_and_the_superuser_has_none_at_all() {
    let scene = Scene::with_data();
    let embedded = scene.start();
    for url in [embedded.url(), embedded.tcp_url()] {
        let (_, address) = url.expose_secret().split_once('@').unwrap();
        assert!(try_sql(&format!("postgres://threadkeep:wrong@{address}").into(), "select ''").is_err());
    }
    let superuser = embedded.tcp_url().expose_secret().replace("//threadkeep:", "//postgres:");
    let refusal = try_sql(&superuser.into(), "select ''").unwrap_err().to_string();
    assert!(refusal.contains("pg_hba.conf rejects"), "{refusal}");
}

#[test]
fn everything_is_private_and_nothing_shows_the_password() {
    let scene = Scene::new();
    let embedded = scene.start();
    let url = embedded.url();
    let password = url.expose_secret().split(['@', ':']).nth(2).unwrap();
    assert_eq!(password.len(), 48);
    for (name, mode) in [
        ("", 0o700),
        ("cluster", 0o700),
        ("socket", 0o700),
        ("password", 0o600),
        ("pgpass", 0o600),
        ("owner.lock", 0o600),
        ("postgres.log", 0o600),
    ] {
        let metadata = fs::metadata(scene.data_dir().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
        assert_ne!(metadata.uid(), 0, "{name}");
    }
    let log = fs::read_to_string(scene.data_dir().join("postgres.log")).unwrap();
    for shown in [format!("{embedded:?}"), embedded.psql_line(), log] {
        assert!(!shown.contains(password), "{shown}");
    }
}

#[test]
fn the_psql_line_opens_the_database() {
    let scene = Scene::with_data();
    let embedded = scene.start();
    let line = format!("{} -Atc 'select current_database()'", embedded.psql_line());
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "threadkeep\n", "{line}");
}

#[test]
fn a_long_data_folder_works() {
    let scene = Scene::new();
    let data_dir = scene.folder().join("a".repeat(90)).join("with space, comma");
    let config = Config { data_dir: Some(data_dir), ..Config::default() };
    let embedded = Embedded::start(&config).unwrap();
    assert!(embedded.url().expose_secret().contains("@%2Ftmp%2Fthreadkeep-"));
    assert_eq!(sql(&embedded.url(), "select 'reached'"), ["reached"]);
    let url = embedded.url();
    let name = url.expose_secret().split(['@', ':']).nth(3).unwrap().to_owned();
    drop(embedded);
    fs::remove_dir_all(name.replace("%2F", "/")).unwrap();
}

#[test]
fn a_lost_database_and_a_lost_password_are_made_again() {
    let scene = Scene::with_data();
    let first = scene.start();
    let lost = first.url();
    let elsewhere = lost.expose_secret().replace("/threadkeep?", "/postgres?");
    sql(&elsewhere.into(), "drop database threadkeep");
    first.stop();
    fs::remove_file(scene.data_dir().join("password")).unwrap();
    let second = scene.start();
    assert!(try_sql(&lost, "select ''").is_err());
    assert_eq!(sql(&second.url(), "select 'renewed'"), ["renewed"]);
}

#[test]
fn an_interrupted_first_start_is_made_good() {
    let scene = Scene::new();
    let mut process = Process::spawn(&scene.data_dir());
    let draft = scene.data_dir().join("cluster.new/global");
    soon("initdb is at work", || draft.exists());
    process.kill();
    assert!(!scene.data_dir().join("cluster").exists());
    let embedded = scene.start();
    assert!(!scene.data_dir().join("cluster.new").exists());
    assert_eq!(sql(&embedded.url(), "select 'whole'"), ["whole"]);
}

#[test]
fn a_server_that_dies_is_started_again_and_pools_reconnect() {
    let scene = Scene::with_data();
    let embedded = scene.start();
    runtime().block_on(async {
        let pool = PgPoolOptions::new().connect(embedded.url().expose_secret()).await.unwrap();
        let postmaster = scene.postmaster();
        kill(postmaster, Signal::SIGKILL).unwrap();
        let deadline = Instant::now() + std::time::Duration::from_secs(10);
        while sqlx::query("select 1").execute(&pool).await.is_err() || scene.postmaster() == postmaster {
            assert!(Instant::now() < deadline);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    assert!(!embedded.joined());
}

#[test]
fn a_remembered_port_that_is_taken_gives_way_to_another() {
    let scene = Scene::with_data();
    let first = scene.start();
    let port = first.port();
    first.stop();
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let second = scene.start();
    assert_ne!(second.port(), port);
    assert_eq!(sql(&second.tcp_url(), "select 'moved'"), ["moved"]);
    let moved = second.port();
    second.stop();
    drop(taken);
    assert_eq!(scene.start().port(), moved);
}

#[test]
fn a_pid_that_came_again_does_not_keep_the_server_down() {
    let scene = Scene::with_data();
    scene.start().stop();
    let owner = fs::metadata(scene.data_dir()).unwrap().uid();
    let mut sleeper = Command::new("sleep");
    sleeper.arg("60");
    if geteuid().is_root() {
        std::os::unix::process::CommandExt::uid(&mut sleeper, owner);
    }
    let mut sleeper = sleeper.spawn().unwrap();
    let cluster = scene.data_dir().join("cluster");
    let stale = format!("{}\n{}\n1767225600\n15432\n\n\n1 1\n", sleeper.id(), cluster.display());
    fs::write(cluster.join("postmaster.pid"), stale).unwrap();
    fs::write(scene.data_dir().join("socket/.s.PGSQL.15432.lock"), sleeper.id().to_string()).unwrap();
    let embedded = scene.start();
    assert_eq!(sql(&embedded.url(), "select 'up'"), ["up"]);
    assert!(alive(nix::unistd::Pid::from_raw(sleeper.id().try_into().unwrap())));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}
