//! How files look: length, names, comments, shortcuts, migrations. Not how their parts depend on each other.

use std::collections::BTreeSet;

use crate::source::{Source, catches, catches_in, holds, house, leading_word, rust, words};

const FILE_LINES_MAX: usize = 300;
const COMMENTS_PER_100_LINES_MAX: usize = 4;
const VAGUE_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "manager", "managers"];

#[test]
fn files_stay_within_their_length() {
    let lines = "\n".repeat(FILE_LINES_MAX);
    let longer = format!("{lines}\n");
    catches(lengths, "src/a.rs", &lines, &[]);
    catches(lengths, "tests/b.rs", &longer, &[FILE_LINES_MAX + 1]);
    holds(lengths);
}

fn lengths(files: &[Source]) -> Vec<String> {
    let long = rust(files).filter(|file| file.text.lines().count() > FILE_LINES_MAX);
    long.map(|file| format!("{}:{}: find the concept that lacks a file of its own", file.path, FILE_LINES_MAX + 1))
        .collect()
}

#[test]
fn names_say_what_a_module_is() {
    let files = [("src/http/session_manager.rs", ""), ("tests/common/mod.rs", ""), ("src/app.rs", "\nmod utils {}")];
    catches_in(vague_names, &files, &["src/http/session_manager.rs:1", "tests/common/mod.rs:1", "src/app.rs:2"]);
    catches(vague_names, "src/commonwealth.rs", "let mod_helper = 1;", &[]);
    holds(vague_names);
}

fn vague_names(files: &[Source]) -> Vec<String> {
    let is_vague = |name: &str| name.split('_').any(|part| VAGUE_NAMES.contains(&part));
    let remedy = "name the module after the thing it holds";
    let mut broken = Vec::new();
    for file in rust(files) {
        if file.path.split(['/', '.']).any(is_vague) {
            broken.push(file.broken(0, remedy));
        }
        let inline = words(&file.code, "mod").filter(|at| is_vague(leading_word(file.code[at + 3..].trim_start())));
        broken.extend(inline.map(|at| file.broken(at, remedy)));
    }
    broken
}

#[test]
fn nothing_is_silenced_unfinished_or_imported_wholesale() {
    let bad = "#![allow(dead_code)]\n#[cfg_attr(x, allow(unused))]\nuse crate::domain::*;\ntodo!();\nunimplemented!()";
    catches(shortcuts, "src/a.rs", bad, &[1, 2, 3, 4, 5]);
    let good = "#[expect(dead_code, reason = \"allow(x)\")]\n// todo!()\nmod tests {\n    use super::*;\n}";
    catches(shortcuts, "src/a.rs", good, &[]);
    catches(shortcuts, "tests/b.rs", "use crate::x::*;", &[]);
    holds(shortcuts);
}

fn shortcuts(files: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in rust(files) {
        broken.extend(file.broken_lines("say #[expect(lint, reason = \"…\")] instead", |line| {
            line.starts_with('#') && words(line, "allow").any(|at| line[at + 5..].starts_with('('))
        }));
        let production = file.code.split("\nmod tests {").next().unwrap_or_default();
        let globs = production.match_indices("::*").filter(|_| file.path.starts_with("src/"));
        broken.extend(globs.map(|(at, _)| file.broken(at, "import each name")));
        for unfinished in ["todo", "unimplemented"] {
            let calls = words(&file.code, unfinished).filter(|at| file.code[at + unfinished.len()..].starts_with('!'));
            broken.extend(calls.map(|at| file.broken(at, "finish it, or return a typed error")));
        }
    }
    broken
}

#[test]
fn every_file_says_what_is_in_it() {
    let files = [("src/a.rs", "// No.\n"), ("tests/b.rs", "\n//! Late."), ("src/c.rs", "//! Yes.")];
    catches_in(module_docs, &files, &["src/a.rs:1", "tests/b.rs:1"]);
    holds(module_docs);
}

fn module_docs(files: &[Source]) -> Vec<String> {
    let mute = rust(files).filter(|file| !file.text.starts_with("//!"));
    mute.map(|file| file.broken(0, "begin with `//!`: what is here, and what is not")).collect()
}

#[test]
fn inline_comments_are_rare() {
    let chatty = "let url = \"http://x\"; // Why.\n/* Two\nlines. */\n";
    let (few, code) = (chatty.to_owned() + &"x();\n".repeat(74), "x();\n".repeat(73));
    catches_in(comments, &[("src/a.rs", &few), ("src/b.rs", "/// Doc.\n")], &[]);
    catches_in(comments, &[("src/a.rs", chatty), ("src/b.rs", &code)], &["src/a.rs:1"]);
    holds(comments);
}

fn comments(files: &[Source]) -> Vec<String> {
    let too_many = |lines: usize, code: usize| lines * 100 > code * COMMENTS_PER_100_LINES_MAX;
    let lines = house(files).map(|file| file.comment_lines).sum();
    if !too_many(lines, house(files).map(Source::code_lines).sum()) {
        return Vec::new();
    }
    let chatty = house(files).filter(|file| too_many(file.comment_lines, file.code_lines()));
    chatty
        .map(|file| {
            file.broken(
                0,
                "src has more inline comments than 4 in 100 lines of code; say it in a name, or drop it here",
            )
        })
        .collect()
}

#[test]
fn migrations_are_numbered_and_say_why() {
    let files = [
        ("migrations/0001_a.sql", "-- Why.\n"),
        ("migrations/0001_b.sql", "-- Why."),
        ("migrations/b.sql", "select 1;"),
    ];
    catches_in(migrations, &files, &["migrations/0001_b.sql:1", "migrations/b.sql:1", "migrations/b.sql:1"]);
    catches_in(migrations, &files[..1], &[]);
    holds(migrations);
}

fn migrations(files: &[Source]) -> Vec<String> {
    let (mut broken, mut last) = (Vec::new(), 0);
    for file in files.iter().filter(|file| file.path.starts_with("migrations/")) {
        let name = file.path.trim_start_matches("migrations/");
        let number = name.split('_').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        if number <= last {
            broken.push(file.broken(0, "give it the next number, as in 0007_name.sql"));
        }
        if !file.text.starts_with("--") {
            broken.push(file.broken(0, "begin with a `--` comment that says why"));
        }
        last = number;
    }
    broken
}

#[test]
fn a_route_keeps_its_name_at_every_depth() {
    let route = ("src/http/openai/chat.rs", "");
    let (test, service) = (("tests/api/openai/chat.rs", ""), ("src/service/chat.rs", ""));
    catches_in(depths, &[route, test], &["src/http/openai/chat.rs:1"]);
    catches_in(depths, &[route, service], &["src/http/openai/chat.rs:1"]);
    catches_in(depths, &[route, test, service, ("src/http/openai/mod.rs", "")], &[]);
    holds(depths);
}

fn depths(files: &[Source]) -> Vec<String> {
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut broken = Vec::new();
    for file in files {
        let Some(name) = file.path.strip_prefix("src/http/openai/").filter(|name| *name != "mod.rs") else {
            continue;
        };
        for twin in [format!("src/service/{name}"), format!("tests/api/openai/{name}")] {
            if !paths.contains(twin.as_str()) {
                broken.push(file.broken(0, &format!("its counterpart {twin} is missing")));
            }
        }
    }
    broken
}
