//! The audit's chain: made a moment after each event, and verified whenever somebody wants to know.

use std::time::Duration;

use log::Level;
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use crate::domain::{Page, Piece, ProjectId, causes};
use crate::service::{Error, Process, projects};
use crate::store::audit::Patience;
use crate::store::{PgPool, audit};

pub use crate::store::audit::{Event, Head, Link};

/// What is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The event of a link is gone.
    #[error("event {event_id} (link {number}) was removed")]
    Removed {
        /// The link.
        number: i64,
        /// The event.
        event_id: i64,
    },
    /// The event, or the link, is not what was written, or stands in another's place.
    #[error("event {event_id} (link {number}) was altered or moved")]
    Altered {
        /// The link.
        number: i64,
        /// The event.
        event_id: i64,
    },
    /// A link is missing.
    #[error("link {0} is missing")]
    Gap(i64),
    /// The last links are missing.
    #[error("the chain ends at link {found}, but {known} are known")]
    Short {
        /// The last link that is there.
        found: i64,
        /// The last link that was made.
        known: i64,
    },
    /// An event that nobody sealed: it was put in later, behind the sealer's back.
    #[error("event {0} was inserted later")]
    Inserted(i64),
    /// A message is not what was said.
    #[error("message {0} was altered or removed")]
    Message(String),
    /// The chain is another than the one that was noted down.
    #[error("link {0} is not the one of the checkpoint")]
    Checkpoint(i64),
}

/// A chain that was looked through.
#[derive(Debug)]
pub struct Verified {
    /// The project.
    pub project_id: ProjectId,
    /// How many links were looked at.
    pub links: i64,
    /// What is wrong, in order; empty: nothing.
    pub faults: Vec<Fault>,
}

/// How many events one pass seals.
const PASS_EVENTS: i64 = 5000;

/// How often the sealer looks for new events.
const PASS_EVERY: Duration = Duration::from_secs(1);

/// How many links are read at once.
const READ_LINKS: i64 = 2000;

/// Seals new events until the process ends; while another replica does, this one only looks.
pub async fn keep_sealed(process: Process) {
    let mut is_well = true;
    loop {
        match audit::seal(&process.pool, PASS_EVENTS, Patience::Skips).await {
            Ok(PASS_EVENTS) => continue,
            Ok(_) => is_well = true,
            Err(error) => {
                let level = if is_well { Level::Warn } else { Level::Debug };
                log::log!(level, "cause={:?} Events of the audit wait for their links", causes(&error));
                is_well = false;
            }
        }
        sleep(PASS_EVERY).await;
    }
}

/// Seals what is committed by now.
pub async fn seal(pool: &PgPool) -> Result<(), Error> {
    while audit::seal(pool, PASS_EVENTS, Patience::Waits).await? == PASS_EVENTS {}
    Ok(())
}

/// The ends of all chains, to be noted down where nobody who can change the database can change them.
pub async fn checkpoint(pool: &PgPool) -> Result<Vec<Head>, Error> {
    seal(pool).await?;
    Ok(audit::heads(pool).await?)
}

/// Looks through every chain, and holds it against checkpoints.
pub async fn verify(pool: &PgPool, checkpoints: &[Head]) -> Result<Vec<Verified>, Error> {
    let mut all = Vec::new();
    for head in checkpoint(pool).await? {
        let noted: Vec<&Head> = checkpoints.iter().filter(|noted| noted.project_id == head.project_id).collect();
        all.push(chain(pool, head, &noted).await?);
    }
    for noted in checkpoints {
        if !all.iter().any(|chain| chain.project_id == noted.project_id) {
            let faults = vec![Fault::Short { found: 0, known: noted.number }];
            all.push(Verified { project_id: noted.project_id.clone(), links: 0, faults });
        }
    }
    Ok(all)
}

/// A project's events, newest first.
pub async fn list(pool: &PgPool, project: &str, page: &Page) -> Result<Piece<Event>, Error> {
    let project = projects::find(pool, project).await?;
    Ok(audit::list(pool, &project.id, page).await?)
}

async fn chain(pool: &PgPool, head: Head, noted: &[&Head]) -> Result<Verified, Error> {
    let project_id = head.project_id;
    let (mut before, mut number) = (Sha256::digest(project_id.as_str()).to_vec(), 0);
    let mut faults = Vec::new();
    loop {
        let links = audit::links(pool, &project_id, number, READ_LINKS).await?;
        if links.is_empty() {
            break;
        }
        for link in links {
            faults.extend((number + 1..link.number).map(Fault::Gap));
            faults.extend(fault(&before, &link));
            let is_other = |noted: &&&Head| noted.number == link.number && noted.hash != link.hash;
            faults.extend(noted.iter().find(is_other).map(|noted| Fault::Checkpoint(noted.number)));
            (before, number) = (link.hash, link.number);
        }
    }
    let known = noted.iter().map(|noted| noted.number).max().unwrap_or(0).max(head.number);
    if number < known {
        faults.push(Fault::Short { found: number, known });
    }
    faults.extend(audit::unsealed(pool, &project_id).await?.into_iter().map(Fault::Inserted));
    faults.extend(audit::altered_messages(pool, &project_id).await?.into_iter().map(Fault::Message));
    Ok(Verified { project_id, links: number, faults })
}

fn fault(before: &[u8], link: &Link) -> Option<Fault> {
    let (number, event_id) = (link.number, link.event_id);
    let Some(event) = &link.event else { return Some(Fault::Removed { number, event_id }) };
    let expected = Sha256::new().chain_update(before).chain_update(Sha256::digest(event)).finalize();
    (link.hash != *expected).then_some(Fault::Altered { number, event_id })
}

/// A checkpoint as a line of text: project, number and hash.
pub fn line(head: &Head) -> String {
    format!("{} {} {}", head.project_id, head.number, hex::encode(&head.hash))
}

/// Reads such lines again; the error names the one that is none.
pub fn read_lines(text: &str) -> Result<Vec<Head>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|(at, line)| read_line(line).ok_or_else(|| format!("line {} is no checkpoint", at + 1))).collect()
}

fn read_line(line: &str) -> Option<Head> {
    let mut parts = line.split_whitespace();
    let (project_id, number, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let project_id = ProjectId::parse(project_id).ok()?;
    Some(Head { project_id, number: number.parse().ok()?, hash: hex::decode(hash).ok()? })
}
