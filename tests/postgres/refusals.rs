//! What the embedded server refuses, with which remedy, and what a refusal leaves untouched.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use threadkeep::postgres::{Config, Embedded, Error};

use crate::scene::{Scene, sql};

#[test]
fn another_major_version_is_refused_with_lines_that_move_the_data() {
    let scene = Scene::with_data();
    let embedded = scene.start();
    sql(&embedded.url(), "create table kept as select 'moved' as word");
    let major = embedded.version().split('.').next().unwrap().to_owned();
    embedded.stop();
    let version = scene.data_dir().join("cluster/PG_VERSION");
    fs::write(&version, "13\n").unwrap();
    let error = scene.try_start().unwrap_err();
    assert!(error.to_string().contains("PostgreSQL 13"), "{error}");
    let Error::OtherMajor(remedy) = error else { panic!("{error}") };
    assert_eq!((remedy.found, remedy.at_hand.to_string()), (13, major.clone()));
    assert!(remedy.install_found.contains("13"));

    fs::write(&version, format!("{major}\n")).unwrap();
    let run = |line: &str| {
        let output = Command::new("sh").args(["-c", line]).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let old = scene.start();
    run(&remedy.dump);
    old.stop();
    run(&remedy.set_aside);
    let new = scene.start();
    sql(&new.url(), "create table kept (word text)");
    run(&remedy.restore);
    assert_eq!(sql(&new.url(), "select word from kept"), ["moved"]);
}

#[test]
fn a_folder_behind_a_closed_one_is_refused_and_not_made() {
    let scene = Scene::new();
    let closed = scene.folder().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o600)).unwrap();
    let config = Config { data_dir: Some(closed.join("data")), ..Config::default() };
    let error = Embedded::start(&config).unwrap_err();
    assert!(matches!(&error, Error::Unreachable { folder, .. } if *folder == closed), "{error}");
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    assert!(!closed.join("data").exists());
}

#[test]
fn a_folder_of_something_else_is_refused_and_left_as_it_was() {
    let scene = Scene::new();
    fs::create_dir(scene.data_dir()).unwrap();
    fs::set_permissions(scene.data_dir(), Permissions::from_mode(0o755)).unwrap();
    fs::write(scene.data_dir().join("letter"), "dear").unwrap();
    let error = scene.try_start().unwrap_err();
    assert!(matches!(error, Error::NotOurs { .. }), "{error}");
    assert_eq!(fs::metadata(scene.data_dir()).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_dir(scene.data_dir()).unwrap().count(), 1);
}

#[test]
fn a_configured_port_that_is_taken_is_refused() {
    let scene = Scene::with_data();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = Config { port, ..scene.config() };
    let error = Embedded::start(&config).unwrap_err();
    assert!(matches!(error, Error::PortTaken { port: named } if named == port), "{error}");
    drop(taken);
    assert_eq!(Embedded::start(&config).unwrap().port(), port);
}

#[test]
fn a_configured_folder_without_programs_is_refused() {
    let scene = Scene::new();
    let bin_dir = PathBuf::from("/usr/share");
    let config = Config { bin_dir: Some(bin_dir.clone()), ..scene.config() };
    let error = Embedded::start(&config).unwrap_err();
    assert!(matches!(&error, Error::NoBinariesIn { folder } if *folder == bin_dir), "{error}");
}

#[test]
fn a_broken_cluster_tells_why_in_the_servers_own_words() {
    let scene = Scene::with_data();
    scene.start().stop();
    fs::remove_file(scene.data_dir().join("cluster/global/pg_control")).unwrap();
    let error = scene.try_start().unwrap_err();
    assert!(error.to_string().contains("pg_control"), "{error}");
}
