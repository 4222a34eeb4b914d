//! The writers of turns, called as the service calls them: what shares a statement, what waits, what a loss costs.

mod scene;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use threadkeep::domain::{Content, MessageId};
use threadkeep::store::Error;
use threadkeep::store::turns::{Opened, Opening, Refusal};
use tokio::time::{sleep, timeout};

use scene::{Scene, closing};

fn is_claimed(opened: &Result<(Opening, Opened), Error>) -> bool {
    matches!(opened, Ok((_, Opened::Claimed(_))))
}

#[actix_rt::test]
async fn turns_that_wait_together_share_a_statement() {
    let scene = Scene::with("database.writers = 1").await;
    let threads = scene.threads(130).await;
    scene.open(&scene.threads(1).await[0]).await;
    let before = scene.wire.statements();
    let opened = scene.while_the_writer_is_stuck(scene.open_all(&threads)).await;
    assert_eq!(scene.wire.statements() - before, 1 + 3, "the one that was stuck, then 64, 64 and 2 turns");
    assert!(opened.iter().all(is_claimed));
    let before = scene.wire.statements();
    let closings = opened.into_iter().map(|opened| scene.writers.close(closing(&opened.unwrap().0)));
    let closed = scene.while_the_writer_is_stuck(join_all(closings)).await;
    assert_eq!(scene.wire.statements() - before, 1 + 3);
    assert!(closed.into_iter().all(|closed| closed.unwrap()));
    assert_eq!(scene.count("messages where role = 'assistant'").await, 130);
}

#[actix_rt::test]
async fn large_turns_do_not_share_a_statement() {
    let scene = Scene::with("database.writers = 1").await;
    scene.open(&scene.threads(1).await[0]).await;
    let openings = scene.threads(3).await.into_iter().map(|thread| {
        let content = Content::text("x".repeat(3 << 20));
        scene.writers.open(Opening { content, ..scene.opening(&thread) })
    });
    let before = scene.wire.statements();
    let opened = scene.while_the_writer_is_stuck(join_all(openings)).await;
    assert_eq!(scene.wire.statements() - before, 1 + 3);
    assert!(opened.iter().all(is_claimed));
}

#[actix_rt::test]
async fn a_turn_that_the_database_refuses_fails_alone() {
    let scene = Scene::with("database.writers = 1").await;
    let threads = scene.threads(6).await;
    let taken = scene.open(&threads[5]).await.message_id;
    let openings = threads[..5].iter().enumerate().map(|(turn, thread)| {
        let message_id = if turn == 2 { taken.clone() } else { MessageId::generate() };
        scene.writers.open(Opening { message_id, ..scene.opening(thread) })
    });
    let before = scene.wire.statements();
    let opened = scene.while_the_writer_is_stuck(join_all(openings)).await;
    assert_eq!(scene.wire.statements() - before, 1 + 1 + 5, "the one that was stuck, all together, each alone");
    assert_eq!(opened.iter().map(is_claimed).collect::<Vec<_>>(), [true, true, false, true, true]);
    assert!(matches!(opened[2], Err(Error::Statement(_))), "{:?}", opened[2]);
}

#[actix_rt::test]
async fn a_history_that_cannot_be_read_fails_its_own_turn_only() {
    let scene = Scene::with("database.writers = 1").await;
    let threads = scene.threads(4).await;
    let opening = scene.open(&threads[1]).await;
    assert!(scene.writers.close(closing(&opening)).await.unwrap());
    sqlx::query("update messages set content = '[1e400]' where position = 1").execute(&scene.database).await.unwrap();
    let opened = scene.while_the_writer_is_stuck(scene.open_all(&threads)).await;
    assert_eq!(opened.iter().map(is_claimed).collect::<Vec<_>>(), [true, false, true, true]);
}

#[actix_rt::test]
async fn of_two_openings_of_one_thread_the_first_gets_it() {
    let scene = Scene::with("database.writers = 1").await;
    let thread = scene.threads(1).await.remove(0);
    let opened = scene.while_the_writer_is_stuck(scene.open_all(&vec![thread; 3])).await;
    assert!(is_claimed(&opened[0]), "{:?}", opened[0]);
    for late in &opened[1..] {
        assert!(matches!(late, Ok((_, Opened::Refused(Refusal::ThreadBusy)))), "{late:?}");
    }
}

#[actix_rt::test]
async fn closings_go_before_openings() {
    let scene = Scene::with("database.writers = 1").await;
    let thread = scene.threads(1).await.remove(0);
    let first = scene.open(&thread).await;
    let turns =
        async { futures_util::join!(scene.writers.open(scene.opening(&thread)), scene.writers.close(closing(&first))) };
    let (opened, closed) = scene.while_the_writer_is_stuck(turns).await;
    assert!(closed.unwrap());
    assert!(is_claimed(&opened), "{opened:?}");
}

#[actix_rt::test]
async fn a_lost_connection_costs_its_own_turns_and_no_later_one() {
    let scene = Scene::with("database.writers = 4").await;
    let threads = scene.threads(100).await;
    assert!(scene.open_all(&threads[..60]).await.iter().all(is_claimed));
    scene.wire.cut();
    scene.wire.restore();
    let lost = scene.writers.open(scene.opening(&threads[60])).await;
    assert!(matches!(lost, Err(Error::Unavailable(_))), "{lost:?}");
    assert!(scene.open_all(&threads[61..]).await.iter().all(is_claimed));
    assert_eq!(scene.count("runs").await, 99);
}

#[actix_rt::test]
async fn a_turn_whose_connection_is_lost_is_never_written_twice() {
    let scene = Scene::with("database.writers = 1").await;
    let threads = scene.threads(3).await;
    let turns = async {
        scene.wait_for_a_blocked_statement().await;
        scene.wire.cut();
        scene.wire.restore();
        scene.open_all(&threads).await
    };
    let stuck = scene.threads(1).await.remove(0);
    let holder = scene.hold(&stuck).await;
    let (lost, opened) = futures_util::join!(scene.writers.open(scene.opening(&stuck)), turns);
    assert!(matches!(lost, Err(Error::Unavailable(_))), "{lost:?}");
    assert!(opened.iter().all(is_claimed));
    holder.rollback().await.unwrap();
    sleep(Duration::from_millis(200)).await;
    assert!(scene.count(&format!("messages where thread_id = '{stuck}'")).await <= 1);
}

#[actix_rt::test]
async fn turns_wait_for_a_database_that_comes_back_in_time() {
    let scene = Scene::with("database.writers = 2").await;
    let threads = scene.threads(10).await;
    scene.wire.cut();
    let restore = async {
        sleep(Duration::from_millis(300)).await;
        scene.wire.restore();
    };
    let (opened, ()) = futures_util::join!(scene.open_all(&threads), restore);
    assert!(opened.iter().all(is_claimed), "{opened:?}");
}

#[actix_rt::test]
async fn a_turn_that_waited_too_long_is_told_so_and_never_written() {
    let scene = Scene::with("database.acquire_timeout_ms = 600").await;
    let threads = scene.threads(5).await;
    scene.wire.cut();
    let started = Instant::now();
    for late in scene.open_all(&threads).await {
        assert!(matches!(late, Err(Error::Waited)), "{late:?}");
    }
    assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
    scene.wire.restore();
    let thread = scene.threads(1).await.remove(0);
    let opened = loop {
        match scene.writers.open(scene.opening(&thread)).await {
            Err(Error::Waited) => assert!(started.elapsed() < Duration::from_secs(20)),
            opened => break opened,
        }
    };
    assert!(is_claimed(&opened), "{opened:?}");
    assert_eq!(scene.count("runs").await, 1);
}

#[actix_rt::test]
async fn a_full_queue_refuses_at_once_and_lets_closings_through() {
    let scene = Scene::with("database.writers = 1\ndatabase.queue_max = 3").await;
    let threads = scene.threads(5).await;
    let running = scene.open(&scene.threads(1).await[0]).await;
    let turns = async { futures_util::join!(scene.open_all(&threads), scene.writers.close(closing(&running))) };
    let (opened, closed) = scene.while_the_writer_is_stuck(turns).await;
    assert_eq!(opened.iter().map(is_claimed).collect::<Vec<_>>(), [true, true, true, false, false]);
    assert!(matches!(opened[3], Err(Error::Crowded)), "{:?}", opened[3]);
    assert!(closed.unwrap());
}

#[actix_rt::test]
async fn a_caller_that_goes_away_disturbs_nobody() {
    let scene = Scene::with("database.writers = 1").await;
    let threads = scene.threads(4).await;
    let turns = async {
        let gone = timeout(Duration::from_millis(1), scene.writers.open(scene.opening(&threads[3]))).await;
        assert!(gone.is_err());
        scene.open_all(&threads[..3]).await
    };
    let opened = scene.while_the_writer_is_stuck(turns).await;
    assert!(opened.iter().all(is_claimed), "{opened:?}");
    assert_eq!(scene.count(&format!("runs where thread_id = '{}'", threads[3])).await, 0);
}

#[actix_rt::test]
async fn the_end_waits_for_what_waits_and_leaves_no_connection() {
    let scene = Scene::with("database.writers = 3").await;
    let threads = scene.threads(100).await;
    let (opened, ()) = futures_util::join!(scene.open_all(&threads), scene.writers.finish());
    assert!(opened.iter().all(is_claimed));
    let late = scene.writers.open(scene.opening(&threads[0])).await;
    assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    let connections = "pg_stat_activity where datname = current_database() and application_name = 'threadkeep'";
    for _ in 0..100 {
        if scene.count(connections).await == 0 {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("connections are left");
}
