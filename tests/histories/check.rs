//! The verdict on a history: what was promised, against what is recorded; each broken promise is one line.

use std::collections::BTreeMap;

use threadkeep::simulator::answer;

use crate::ask::Outcome;
use crate::record::Record;
use crate::rows::{Event, Message, Rows, Run, Thread};

/// Every promise that this history broke; to be asked when everything has come to rest.
pub fn broken(record: &Record, rows: &Rows) -> Vec<String> {
    let mut broken = record.seen.borrow().clone();
    broken.extend(rows.threads.iter().flat_map(|thread| positions(thread, rows)));
    broken.extend(rows.threads.iter().flat_map(|thread| one_at_a_time(thread, rows)));
    for run in &rows.runs {
        let events: Vec<&Event> = rows.events.iter().filter(|event| event.run_id == run.id).collect();
        let messages: Vec<&Message> = rows.messages.iter().filter(|message| message.run_id == run.id).collect();
        let mut faults = acts(run, &events);
        faults.extend(answers(run, &messages, rows));
        faults.extend(executions(run, record));
        if !faults.is_empty() {
            let lines = faults.iter().map(|fault| format!("{}: {}: {fault}", run.thread_id, run.id));
            broken.extend(lines);
            broken.push(format!("  {run:?}\n  {messages:?}\n  {events:?}\n  {:?}", calls(run, record)));
        }
    }
    broken.extend(questions(record, rows));
    broken.extend(acknowledgements(record, rows));
    broken.extend(keys(record, rows));
    broken.extend(cancels(record, rows));
    let places = rows.tickets.iter();
    broken.extend(places.map(|place| {
        format!("{}: {}: a place in line is left, held by {}", place.thread_id, place.run, place.replica)
    }));
    broken
}

/// Messages are numbered 1, 2, 3, … without a gap.
fn positions(thread: &Thread, rows: &Rows) -> Vec<String> {
    let positions: Vec<i64> = rows.messages_of(&thread.id).map(|message| message.position).collect();
    if positions.iter().copied().eq(1..=thread.last_position) {
        return Vec::new();
    }
    vec![format!("{}: the positions are {positions:?}, the last one {}", thread.id, thread.last_position)]
}

/// An attempt begins only after the one before it, of whichever run, has ended.
fn one_at_a_time(thread: &Thread, rows: &Rows) -> Vec<String> {
    let (mut broken, mut active) = (Vec::new(), None);
    for event in rows.events.iter().filter(|event| event.thread_id == thread.id) {
        let is_wrong = match event.action.as_str() {
            "turn.opened" | "turn.continued" => active.replace(&event.run_id).is_some(),
            "turn.closed" | "turn.swept" => active.take() != Some(&event.run_id),
            "turn.cancelled" => active != Some(&event.run_id),
            _ => true,
        };
        if is_wrong {
            broken.push(format!("{}: out of turn: {event:?}", thread.id));
        }
    }
    broken
}

/// Each attempt has an event for its beginning and one for its end, and only a failed one is followed by another.
fn acts(run: &Run, events: &[&Event]) -> Vec<String> {
    let count = |names: &[&str]| events.iter().filter(|event| names.contains(&event.action.as_str())).count();
    let attempts = usize::try_from(run.attempt).unwrap();
    let ends: Vec<&&Event> =
        events.iter().filter(|event| ["turn.closed", "turn.swept"].contains(&event.action.as_str())).collect();
    let mut broken = Vec::new();
    let mut hold = |holds: bool, promise: &str| {
        if !holds {
            broken.push(promise.to_owned());
        }
    };
    hold(run.is_finished, "it is unfinished");
    hold(count(&["turn.opened"]) == 1, "it is not opened once");
    hold(count(&["turn.continued"]) == attempts - 1, "not each further attempt is recorded");
    hold(ends.len() == attempts, "not each attempt has one recorded end");
    let (last, earlier) = ends.split_last().map_or((None, &[][..]), |(last, earlier)| (Some(last), earlier));
    let failed = |end: &&&Event| end.outcome == "failed" && end.code.as_deref() != Some("cancelled");
    hold(earlier.iter().all(failed), "it was continued although the attempt before had not failed");
    hold(last.is_none_or(|end| end.code == run.error_code), "its last recorded end is not its state");
    hold((run.status == "completed") == run.error_code.is_none(), "its state and its error contradict each other");
    let is_cancelled = run.status == "cancelled";
    hold(!is_cancelled || count(&["turn.cancelled"]) > 0, "it is cancelled, but nobody's act");
    broken
}

/// A run has one question; a completed one has one answer, after the question, to exactly the history before it.
fn answers(run: &Run, messages: &[&Message], rows: &Rows) -> Vec<String> {
    let of = |role: &str| messages.iter().copied().filter(|message| message.role == role).collect::<Vec<_>>();
    let (questions, answers) = (of("user"), of("assistant"));
    let [question] = questions[..] else { return vec![format!("it has {} questions", questions.len())] };
    let answer = match (run.status.as_str(), &answers[..]) {
        ("completed", [answer]) => answer,
        ("completed", _) => return vec![format!("it has {} answers", answers.len())],
        (_, []) => return Vec::new(),
        (status, _) => return vec![format!("it is {status} and has {} answers", answers.len())],
    };
    let earlier = rows.messages_of(&run.thread_id).filter(|message| message.position < answer.position);
    let mut history: Vec<(&str, &str)> = earlier
        .filter(|message| message.id != question.id)
        .map(|message| (message.role.as_str(), message.text.as_str()))
        .collect();
    history.push(("user", &question.text));
    let mut broken = Vec::new();
    if answer.position <= question.position {
        broken.push("its answer comes before its question".to_owned());
    }
    let expected = answer::text(&history, run.instructions.as_deref());
    if answer.text != expected {
        broken.push(format!("its answer is to another history; to this one it is: {expected}"));
    }
    broken
}

/// The model works at most once per attempt.
fn executions(run: &Run, record: &Record) -> Option<String> {
    let executions = calls(run, record).len();
    let attempts = usize::try_from(run.attempt).unwrap();
    (executions > attempts).then(|| format!("the model worked {executions} times in {attempts} attempts"))
}

fn calls(run: &Run, record: &Record) -> Vec<String> {
    let calls = record.calls.borrow();
    let mut of_run: Vec<_> = calls.values().filter(|call| call.is_execution() && call.run_id() == run.id).collect();
    of_run.sort_by_key(|call| call.at_ms);
    of_run.iter().map(|call| format!("{} {} {}", call.at_ms, call.request_id, call.outcome)).collect()
}

/// What a client asked is written at most once, whether or not it was told so.
fn questions(record: &Record, rows: &Rows) -> Vec<String> {
    let mut written: BTreeMap<(&str, &str), Vec<i64>> = BTreeMap::new();
    for message in rows.messages.iter().filter(|message| message.role == "user") {
        written.entry((&message.thread_id, &message.text)).or_default().push(message.position);
    }
    let doubles = written.iter().filter(|(_, positions)| positions.len() > 1);
    let mut broken: Vec<String> =
        doubles.map(|((thread, text), at)| format!("{thread}: {text:?} is written at {at:?}")).collect();
    let known = record.thread_keys.borrow().len();
    if known > 0 && rows.threads.len() > known {
        broken.push(format!("there are {} threads for {known} keys", rows.threads.len()));
    }
    broken
}

/// What a client was told is what is stored, and nobody was told of a defect.
fn acknowledgements(record: &Record, rows: &Rows) -> Vec<String> {
    let stored: BTreeMap<&str, &Message> = rows.messages.iter().map(|message| (message.id.as_str(), message)).collect();
    let mut broken = Vec::new();
    for attempt in record.attempts.borrow().iter() {
        if let Outcome::Refused { status: 500.., code } = &attempt.outcome
            && code == "internal"
        {
            broken.push(format!("{}: a defect showed: {attempt}", attempt.ask.thread_id));
        }
        let Outcome::Answered { run_id, message_id, response, .. } = &attempt.outcome else { continue };
        let question = rows.messages.iter().find(|message| message.run_id == *run_id && message.role == "user");
        let is_stored = stored.get(message_id.as_str()).is_some_and(|message| {
            let place = (message.thread_id.as_str(), message.run_id.as_str(), message.role.as_str());
            message.text == *response && place == (&attempt.ask.thread_id, run_id, "assistant")
        });
        let is_its = question.is_some_and(|question| question.text == attempt.ask.text);
        if !is_stored || !is_its {
            broken.push(format!("{}: an answer is not stored as it was given: {attempt}", attempt.ask.thread_id));
        }
    }
    broken
}

/// One key has one run and one answer, on every replica.
fn keys(record: &Record, rows: &Rows) -> Vec<String> {
    let attempts = record.attempts.borrow();
    let mut answers: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut broken = Vec::new();
    for attempt in attempts.iter() {
        let (Some(key), Outcome::Answered { run_id, message_id, .. }) = (&attempt.ask.key, &attempt.outcome) else {
            continue;
        };
        let first = *answers.entry(key).or_insert((run_id, message_id));
        if first != (run_id.as_str(), message_id.as_str()) {
            broken.push(format!("{}: {key} was answered by {first:?}, then {attempt}", attempt.ask.thread_id));
        }
    }
    let unknown = answers.values().filter(|(run_id, _)| !rows.runs.iter().any(|run| run.id == *run_id));
    broken.extend(unknown.map(|(run_id, _)| format!("{run_id} is not stored")));
    broken
}

/// Who was told that a cancellation ended a run finds both acts recorded.
fn cancels(record: &Record, rows: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for (run_id, status) in record.cancels.borrow().iter() {
        let is_recorded = rows.events.iter().any(|event| event.run_id == *run_id && event.action == "turn.cancelled");
        let stored = rows.runs.iter().find(|run| run.id == *run_id).map(|run| run.status.as_str());
        let is_same = stored == Some(status) || status == "failed" && stored.is_some();
        if !(is_recorded && is_same) {
            broken.push(format!("{run_id}: its cancellation ended it as {status}, but it is {stored:?}"));
        }
    }
    broken
}
