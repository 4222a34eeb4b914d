//! What people read in SQL: every view is documented, every question of the cookbook has an answer, and the inspector's
//! role can do nothing else.

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Row};

use crate::harness::App;

const COOKBOOK: &str = include_str!("../../docs/inspect.md");

/// The questions, below the lines that make roles.
fn questions() -> Vec<&'static str> {
    let (_, questions) = COOKBOOK.split_once("## Questions and answers").unwrap();
    questions.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A service in which something was said, and a connection with the inspector's role and no other.
async fn inspected() -> (App, sqlx::PgConnection, String) {
    let app = App::start().await;
    let thread = app.thread().await;
    app.chat(&thread, "I want a refund.").await.expect(200);
    app.chat(&thread, "[[simulate: cut]]").await.expect_error(400, "response_cut");
    app.post("/openai/initialize", &json!({ "agent_id": "nobody" })).await.expect_error(404, "agent_not_found");
    let mut connection = app.database.acquire().await.unwrap().detach();
    let member = "do $$ begin grant threadkeep_inspector to current_user;
                  exception when others then null; end $$; set role threadkeep_inspector";
    sqlx::raw_sql(member).execute(&mut connection).await.unwrap();
    (app, connection, thread)
}

#[actix_rt::test]
async fn every_question_of_the_cookbook_is_answered_to_the_inspector() {
    let (_app, mut inspector, thread) = inspected().await;
    let questions = questions();
    assert!(questions.len() >= 20, "{}", questions.len());
    let mut answered = 0;
    for question in questions {
        let question = question.replace("thread_1", &thread);
        let rows = sqlx::query(AssertSqlSafe(question.clone())).fetch_all(&mut inspector).await;
        answered += usize::from(!rows.unwrap_or_else(|error| panic!("{question}\n{error}")).is_empty());
    }
    assert!(answered >= 10, "only {answered} questions have an answer in a database that holds a conversation");
}

#[actix_rt::test]
async fn the_views_say_who_said_what_and_that_it_is_unaltered() {
    let (_app, mut inspector, thread) = inspected().await;
    let said: Vec<(i64, String, String)> =
        sqlx::query_as("select position, role, text from inspect.messages where thread_id = $1 order by position")
            .bind(&thread)
            .fetch_all(&mut inspector)
            .await
            .unwrap();
    assert_eq!((said.len(), said[0].2.as_str(), said[1].1.as_str()), (3, "I want a refund.", "assistant"));
    let unaltered = questions().into_iter().find(|question| question.contains("is_unaltered")).unwrap();
    let rows =
        sqlx::query(AssertSqlSafe(unaltered.replace("thread_1", &thread))).fetch_all(&mut inspector).await.unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row.get::<bool, _>("is_unaltered")));
}

#[actix_rt::test]
async fn the_inspector_reads_the_views_and_nothing_else() {
    let (_app, mut inspector, _) = inspected().await;
    for forbidden in [
        "select 1 from public.messages",
        "select 1 from public.api_keys",
        "select 1 from public.audit_seals",
        "delete from inspect.messages",
        "update inspect.users set user_name = 'x'",
        "insert into public.projects (id, name) values ('proj_x', 'x')",
        "create table inspect.x ()",
        "create table public.x ()",
    ] {
        let mut transaction = inspector.begin().await.unwrap();
        let error = sqlx::query(AssertSqlSafe(forbidden)).execute(&mut *transaction).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
        assert!(matches!(code.as_deref(), Some("42501" | "55000")), "{forbidden}: {error}");
    }
}

#[actix_rt::test]
async fn every_view_and_every_column_says_what_it_is() {
    let app = App::start().await;
    let silent: Vec<String> = sqlx::query_scalar(
        "select format('%s.%s', class.relname, attribute.attname)
         from pg_class class
         join pg_namespace on pg_namespace.oid = class.relnamespace and nspname = 'inspect'
         join pg_attribute attribute on attribute.attrelid = class.oid and attribute.attnum >= 0
         where class.relkind = 'v' and col_description(class.oid, attribute.attnum) is null
         union all
         select relname from pg_class
         where relkind = 'v' and relnamespace = 'inspect'::regnamespace and obj_description(oid) is null",
    )
    .fetch_all(&app.database)
    .await
    .unwrap();
    assert_eq!(silent, Vec::<String>::new());
}
