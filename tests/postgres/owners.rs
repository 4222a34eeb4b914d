//! Several programs on one data folder: who owns the server, who joins, and what happens when the owner goes.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgPoolOptions;

use crate::scene::{Process, Scene, alive, runtime, soon, sql, try_sql};

#[test]
fn a_second_process_joins() {
    let scene = Scene::with_data();
    let _owner = scene.process();
    let postmaster = scene.postmaster();
    let joined = scene.start();
    assert!(joined.joined());
    assert_eq!(sql(&joined.tcp_url(), "select 'together'"), ["together"]);
    joined.stop();
    assert!(alive(postmaster), "a program that joined must not stop the owner's server");
}

#[test]
fn two_first_starts_at_once_share_one_server() {
    let scene = Scene::new();
    let mut other = Process::spawn(&scene.data_dir());
    let ours = scene.start();
    other.hear("ready");
    assert_eq!(sql(&ours.url(), "select 'shared'"), ["shared"]);
}

#[test]
fn the_server_ends_with_a_killed_owner_and_the_next_start_works() {
    let scene = Scene::with_data();
    let mut owner = scene.process();
    let postmaster = scene.postmaster();
    owner.kill();
    soon("the server is gone", || !alive(postmaster));
    let next = scene.start();
    assert!(!next.joined());
    assert_eq!(sql(&next.url(), "select 'recovered'"), ["recovered"]);
}

#[test]
fn a_start_right_after_a_kill_keeps_what_was_committed() {
    let scene = Scene::with_data();
    let mut owner = scene.process();
    let joined = scene.start();
    sql(&joined.url(), "create table kept (word text)");
    joined.stop();
    for round in 0..3 {
        let joined = scene.start();
        assert!(joined.joined());
        sql(&joined.url(), &format!("insert into kept values ('{round}')"));
        joined.stop();
        owner.kill();
        owner = scene.process();
    }
    let joined = scene.start();
    assert_eq!(sql(&joined.url(), "select word from kept order by word"), ["0", "1", "2"]);
}

#[test]
fn the_server_ends_with_an_owner_that_exits_without_a_word() {
    let scene = Scene::with_data();
    let mut owner = scene.process();
    let postmaster = scene.postmaster();
    owner.tell("exit");
    owner.wait();
    soon("the server is gone", || !alive(postmaster));
}

#[test]
fn a_stopped_server_is_gone_before_stop_returns() {
    let scene = Scene::with_data();
    let mut owner = scene.process();
    let postmaster = scene.postmaster();
    owner.tell("stop");
    owner.hear("stopped");
    assert!(!alive(postmaster));
}

#[test]
fn a_joined_process_takes_over_from_a_killed_owner_and_its_pool_reconnects() {
    let scene = Scene::with_data();
    let mut owner = scene.process();
    let joined = scene.start();
    assert!(joined.joined());
    let postmaster = scene.postmaster();
    runtime().block_on(async {
        let pool = PgPoolOptions::new().connect(joined.url().expose_secret()).await.unwrap();
        sqlx::query("create table kept ()").execute(&pool).await.unwrap();
        owner.kill();
        let start = Instant::now();
        while alive(postmaster) || sqlx::query("insert into kept default values").execute(&pool).await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(!joined.joined());
    let another = scene.start();
    assert!(another.joined());
}

#[test]
fn a_stopping_owner_hands_over_to_a_joined_process() {
    let scene = Scene::with_data();
    let owner = scene.start();
    let mut other = scene.process();
    let url = owner.url();
    owner.stop();
    soon("the other process serves", || try_sql(&url, "select ''").is_ok());
    other.tell("stop");
    other.hear("stopped");
}

#[test]
fn a_takeover_keeps_the_socket_when_another_program_took_the_port() {
    let scene = Scene::with_data();
    let first = scene.start();
    let (url, port) = (first.url(), first.port());
    first.stop();
    let mut owner = scene.process();
    let joined = scene.process();
    let postmaster = scene.postmaster();
    joined.signal(Signal::SIGSTOP);
    owner.kill();
    soon("the server is gone", || !alive(postmaster));
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    joined.signal(Signal::SIGCONT);
    soon("the other process serves", || try_sql(&url, "select ''").is_ok());
}

#[test]
fn a_backend_that_outlives_its_server_delays_the_next_start_and_no_more() {
    let scene = Scene::with_data();
    let first = scene.start();
    let url = first.url();
    first.stop();
    let mut owner = scene.process();
    let busy = std::thread::spawn(move || try_sql(&url, "select count(*)::text from generate_series(1, 5000000)"));
    std::thread::sleep(Duration::from_millis(200));
    let postmaster = scene.postmaster();
    kill(postmaster, Signal::SIGKILL).unwrap();
    owner.kill();
    let next = scene.start();
    assert_eq!(sql(&next.url(), "select 'up'"), ["up"]);
    let _ = busy.join().unwrap();
}
