//! One migrated database per test, copied from a template; the Postgres is `DATABASE_URL`'s or the embedded one.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool};
use threadkeep::postgres::{Config, Embedded};
use threadkeep::store::schema;
use tokio::sync::OnceCell;

static SERVER: OnceLock<(SecretString, Option<Embedded>)> = OnceLock::new();
static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// Makes a migrated database and answers its URL.
pub async fn fresh() -> SecretString {
    let template = TEMPLATE.get_or_init(template).await;
    let name = format!("tk_test_{}_{}", process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
    execute(&format!("create database {name} template {template}")).await;
    url_of(&name)
}

async fn template() -> String {
    drop_leftovers().await;
    let name = format!("tk_test_{}_template", process::id());
    execute(&format!("create database {name}")).await;
    let pool = PgPool::connect(url_of(&name).expose_secret()).await.unwrap();
    schema::migrate(&pool).await.unwrap();
    pool.close().await;
    name
}

/// Databases of earlier runs go; those of a run beside this one stay.
async fn drop_leftovers() {
    let mut connection = connect().await;
    let names: Vec<String> =
        sqlx::query_scalar("select datname::text from pg_database where datname like 'tk\\_test\\_%'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let is_left = |name: &String| {
        let owner = name.split('_').nth(2).unwrap_or_default();
        !Path::new("/proc").join(owner).exists()
    };
    for name in names.into_iter().filter(is_left) {
        let dropped =
            sqlx::query(AssertSqlSafe(format!("drop database if exists {name}"))).execute(&mut connection).await;
        if let Err(error) = dropped {
            eprintln!("{name} stays: {error}");
        }
    }
}

async fn execute(statement: &str) {
    let mut connection = connect().await;
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
}

async fn connect() -> PgConnection {
    PgConnection::connect(server_url().expose_secret()).await.unwrap()
}

fn url_of(database: &str) -> SecretString {
    let options: PgConnectOptions = server_url().expose_secret().parse().unwrap();
    options.database(database).to_url_lossy().to_string().into()
}

fn server_url() -> &'static SecretString {
    &SERVER.get_or_init(start).0
}

fn start() -> (SecretString, Option<Embedded>) {
    if let Ok(url) = std::env::var("DATABASE_URL") {
        return (url.into(), None);
    }
    let place = env!("CARGO_MANIFEST_DIR").replace('/', "-");
    let data_dir = PathBuf::from("/var/tmp").join(format!("threadkeep-tests{place}"));
    let embedded = Embedded::start(&Config { data_dir: Some(data_dir), ..Config::default() });
    let embedded = embedded.unwrap_or_else(|error| {
        eprintln!("{error}");
        process::exit(1)
    });
    (embedded.tcp_url(), Some(embedded))
}
