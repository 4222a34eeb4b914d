//! Each guard is taken away once, and the checker must notice; with the guard it must have nothing to say.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use threadkeep::app::operator;
use threadkeep::domain::{Content, MessageId, OnBusy, RunId, RunStatus};
use threadkeep::simulator::answer;
use threadkeep::store::turns::{self, Claim, Closing, Lease, Opened, Opening, Refusal, Reopened};
use tokio::time::{sleep, timeout};

use crate::ask::{Ask, Outcome};
use crate::failover::Scene;

const FENCE: &str = "and runs.attempt = ended.attempt and runs.lease_owner = ended.lease_owner\n";
const SWEEPING: [(&str, &str); 1] = [("turns.sweep_ms", "100")];

#[actix_rt::test]
async fn a_late_closing_is_void_by_the_fence_alone() {
    let without_attempt = FENCE.replace("and runs.attempt = ended.attempt ", "");
    for (first, second, fence) in [
        ("replica_a", "replica_b", FENCE),
        ("replica_a", "replica_a", FENCE),
        ("replica_a", "replica_b", "\n"),
        ("replica_a", "replica_a", &without_attempt),
    ] {
        let scene = Scene::new(&SWEEPING).await;
        let stale = claim(&scene, "A question", first, 1).await;
        scene.until("failed").await;
        let lease = lease(second, 60_000);
        let reopened = turns::reopen(&scene.world.database, &operator("test").unwrap(), &stale.run_id, &lease).await;
        let Ok(Reopened::Claimed(again)) = reopened else { panic!("{reopened:?}") };
        assert_eq!(close_fenced_by(fence, &scene, &stale, first).await, fence != FENCE);
        let closing = closing(&again, second);
        let closed = turns::close(&mut *scene.connection().await, &[closing]).await.unwrap();
        let broken = scene.broken().await;
        assert_eq!((closed, broken.is_empty()), (vec![fence == FENCE], fence == FENCE), "{broken:?}");
    }
}

#[actix_rt::test]
async fn two_turns_run_at_once_without_the_unique_index() {
    let scene = Scene::new(&[]).await;
    let first = claim(&scene, "First", "replica_a", 60_000).await;
    let second = || opening(&scene, "Second", "replica_b", 60_000);
    let opened = turns::open(&mut *scene.connection().await, &[second()]).await.unwrap();
    assert!(matches!(opened[..], [Ok(Opened::Refused(Refusal::ThreadBusy))]), "{opened:?}");
    let drop_index = "drop index runs_one_unfinished_per_thread";
    sqlx::query(drop_index).execute(&scene.world.database).await.unwrap();
    let second = claim(&scene, "Second", "replica_b", 60_000).await;
    let watched = timeout(Duration::from_millis(500), scene.record.watch(&scene.world.database)).await;
    assert!(watched.is_err() && !scene.record.seen.take().is_empty());
    for (claim, owner) in [(&first, "replica_a"), (&second, "replica_b")] {
        assert_eq!(turns::close(&mut *scene.connection().await, &[closing(claim, owner)]).await.unwrap(), [true]);
    }
    let broken = scene.broken().await;
    assert!(broken.iter().any(|line| line.contains("out of turn")), "{broken:?}");
    assert!(broken.iter().any(|line| line.contains("another history")), "{broken:?}");
}

#[actix_rt::test]
async fn a_repeated_question_is_written_twice_without_its_key() {
    let scene = Scene::new(&[]).await;
    let ask = scene.question("Once only");
    assert!(scene.ask(&ask, 0).await.run_id().is_some());
    assert!(matches!(scene.ask(&ask, 1).await, Outcome::Answered { replayed: true, .. }));
    assert_eq!(scene.broken().await, [""; 0]);
    sqlx::query("delete from idempotency_keys").execute(&scene.world.database).await.unwrap();
    assert!(matches!(scene.ask(&ask, 1).await, Outcome::Answered { replayed: false, .. }));
    let broken = scene.broken().await;
    assert!(broken.iter().any(|line| line.contains("is written at")), "{broken:?}");
    assert!(broken.iter().any(|line| line.contains("was answered by")), "{broken:?}");
}

#[actix_rt::test]
async fn a_thread_stays_locked_without_the_sweeper() {
    let scene = Scene::new(&[("turns.lease_ms", "500"), ("turns.sweep_ms", "600000")]).await;
    let ask = scene.question("[[simulate: slow_head=60000]] Never");
    let happen = async {
        scene.until("in_progress").await;
        scene.world.replicas[0].kill();
        sleep(Duration::from_secs(3)).await;
        scene.ask(&Ask { on_busy: Some("reject"), ..scene.question("Is it free?") }, 1).await
    };
    let (_, refused) = futures_util::join!(scene.ask(&ask, 0), happen);
    assert_eq!(refused.code(), Some("thread_busy"), "{refused:?}");
    let broken = scene.broken().await;
    assert!(broken.iter().any(|line| line.contains("it is unfinished")), "{broken:?}");
}

async fn claim(scene: &Scene, text: &str, owner: &str, lease_ms: i64) -> Claim {
    let opened = turns::open(&mut *scene.connection().await, &[opening(scene, text, owner, lease_ms)]).await.unwrap();
    match opened.into_iter().next() {
        Some(Ok(Opened::Claimed(claim))) => *claim,
        other => panic!("{other:?}"),
    }
}

fn opening(scene: &Scene, text: &str, owner: &str, lease_ms: i64) -> Opening {
    Opening {
        caller: operator("test").unwrap(),
        thread_id: serde_json::from_value(scene.thread_id.clone().into()).unwrap(),
        agent: serde_json::from_value("sample".into()).unwrap(),
        run_id: RunId::generate(),
        message_id: MessageId::generate(),
        content: Content::text(text.to_owned()),
        lease: lease(owner, lease_ms),
        on_busy: Some(OnBusy::Reject),
        on_busy_default: OnBusy::Reject,
        key: None,
    }
}

fn lease(owner: &str, duration_ms: i64) -> Lease {
    Lease { owner: owner.to_owned(), duration_ms }
}

/// The end of an attempt with what the simulator says to its history.
fn closing(claim: &Claim, owner: &str) -> Closing {
    let history = claim.history.iter().map(|message| (message.role.as_str(), message.content.plain_text()));
    let text = answer::text(&history.collect::<Vec<_>>(), claim.agent.instructions.as_deref());
    Closing {
        run_id: claim.run_id.clone(),
        attempt: claim.attempt,
        lease_owner: owner.to_owned(),
        who: serde_json::json!({ "actor": "test" }),
        status: RunStatus::Completed,
        error: None,
        answer: Some((MessageId::generate(), Content::text(text))),
        usage: None,
        provider_model: None,
        provider_request_id: None,
        provider_response_id: None,
    }
}

/// Closes a run as `close.sql` does, with this in the place of its fence; whether it was closed.
async fn close_fenced_by(fence: &str, scene: &Scene, claim: &Claim, owner: &str) -> bool {
    let statement = include_str!("../../src/store/turns/close.sql");
    assert_eq!(statement.matches(FENCE).count(), 1, "the fence is written otherwise by now");
    let nothing = || vec![None::<String>];
    let content = serde_json::to_string(&Content::text("A late answer.".to_owned())).unwrap();
    sqlx::query_scalar(AssertSqlSafe(statement.replace(FENCE, fence)))
        .bind(vec![claim.run_id.as_str()])
        .bind(vec![claim.attempt])
        .bind(vec![owner])
        .bind(vec!["completed"])
        .bind(nothing())
        .bind(nothing())
        .bind(vec![MessageId::generate().as_str()])
        .bind(vec![content])
        .bind(nothing())
        .bind(nothing())
        .bind(nothing())
        .bind(nothing())
        .bind(vec![r#"{ "actor": "test" }"#])
        .fetch_one(&scene.world.database)
        .await
        .unwrap()
}
