//! Project files prepared for the rules: comments and literals blanked, paths found. Judges nothing.

use std::{fs, path::Path};

pub type Rule = fn(&[Source]) -> Vec<String>;

/// A file as read, and as `code`: the same lines with comments and literals blanked.
pub struct Source {
    pub path: String,
    pub text: String,
    pub code: String,
    pub comment_lines: usize,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let (code, comment_lines) = blank(text);
        Self { path: path.to_owned(), text: text.to_owned(), code, comment_lines }
    }

    pub fn extension(&self) -> &str {
        extension(&self.path)
    }

    /// The module right below the crate's root that this file belongs to.
    pub fn layer(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split(['/', '.']).next()
    }

    pub fn is_outside(&self, layers: &[&str]) -> bool {
        self.layer().is_some_and(|layer| !layers.contains(&layer))
    }

    pub fn code_lines(&self) -> usize {
        self.code.lines().filter(|line| !line.trim().is_empty()).count()
    }

    /// Each `root::name`, also inside `root::{name, …}`, with the offset of `name` in `code`.
    pub fn names_after(&self, root: &str) -> Vec<(usize, &str)> {
        let mut names = Vec::new();
        for at in words(&self.code, root) {
            let rest = self.code[at + root.len()..].trim_start();
            let Some(rest) = rest.strip_prefix("::").map(str::trim_start) else {
                continue;
            };
            let offset = self.code.len() - rest.len();
            names.extend(first_names(rest).into_iter().map(|(at, name)| (offset + at, name)));
        }
        names
    }

    /// Every trimmed line of `code` that breaks a rule.
    pub fn broken_lines(&self, remedy: &str, breaks: impl Fn(&str) -> bool) -> Vec<String> {
        let lines = self.code.lines().enumerate().filter(|(_, line)| breaks(line.trim()));
        lines.map(|(at, _)| format!("{}:{}: {remedy}", self.path, at + 1)).collect()
    }

    pub fn broken(&self, offset: usize, remedy: &str) -> String {
        let line = self.code[..offset].matches('\n').count() + 1;
        format!("{}:{line}: {remedy}", self.path)
    }
}

/// The first segment of a use tree, or of each of its branches when it is a `{group}`.
fn first_names(tree: &str) -> Vec<(usize, &str)> {
    let Some(group) = tree.strip_prefix('{') else {
        return vec![(0, leading_word(tree))];
    };
    let (mut names, mut depth, mut fresh) = (Vec::new(), 0, true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            _ if fresh && is_word(character) => {
                names.push((at + 1, leading_word(&group[at..])));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

pub fn leading_word(text: &str) -> &str {
    &text[..text.find(|character| !is_word(character)).unwrap_or(text.len())]
}

fn extension(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or_default()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| !code[..*at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word))
}

/// Blanks comments and literals, keeps every line break, counts the lines of inline comments.
fn blank(text: &str) -> (String, usize) {
    let characters: Vec<char> = text.chars().collect();
    let (mut code, mut comment_lines, mut at) = (String::new(), 0, 0);
    while at < characters.len() {
        let end = opaque_end(&characters, at).min(characters.len());
        let piece: String = characters[at..end.max(at + 1)].iter().collect();
        if end == at {
            code.push_str(&piece);
        } else {
            code.extend(piece.chars().map(|c| if c == '\n' { c } else { ' ' }));
            let is_doc = ["///", "//!", "/**", "/*!"].iter().any(|doc| piece.starts_with(doc));
            let is_comment = piece.starts_with("//") || piece.starts_with("/*");
            comment_lines += if is_comment && !is_doc { piece.lines().count() } else { 0 };
        }
        at = end.max(at + 1);
    }
    (code, comment_lines)
}

/// Where the comment or literal that starts here ends; here, when none starts.
fn opaque_end(characters: &[char], at: usize) -> usize {
    let ahead = |offset: usize| characters.get(at + offset).copied().unwrap_or_default();
    let find = |from: usize, character: char| {
        (from..characters.len()).find(|i| characters[*i] == character).unwrap_or(characters.len())
    };
    match (ahead(0), ahead(1), ahead(2)) {
        ('/', '/', _) => find(at, '\n'),
        ('/', '*', _) => block_comment_end(characters, at),
        ('"', _, _) => string_end(characters, at),
        ('\'', '\\', _) => find(at + 3, '\'') + 1,
        ('\'', _, '\'') => at + 3,
        _ => at,
    }
}

fn block_comment_end(characters: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (1, start + 2);
    while depth > 0 && at < characters.len() {
        match characters[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn string_end(characters: &[char], start: usize) -> usize {
    let hashes = characters[..start].iter().rev().take_while(|c| **c == '#').count();
    let is_raw = characters[..start - hashes].last() == Some(&'r');
    let mut at = start + 1;
    while at < characters.len() {
        let closing = characters[at + 1..].iter().take_while(|c| **c == '#').count();
        match characters[at] {
            '"' if is_raw && closing >= hashes => return at + 1 + hashes,
            '"' if !is_raw => return at + 1,
            '\\' if !is_raw => at += 2,
            _ => at += 1,
        }
    }
    at
}

/// Every Rust and SQL file of the project, by path.
pub fn tree() -> Vec<Source> {
    let mut files = Vec::new();
    for folder in ["migrations", "src", "tests"] {
        collect(Path::new(env!("CARGO_MANIFEST_DIR")), folder, &mut files);
    }
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the sources were not found");
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(root: &Path, folder: &str, files: &mut Vec<Source>) {
    for entry in fs::read_dir(root.join(folder)).into_iter().flatten() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() && !path.ends_with("/node_modules") {
            collect(root, &path, files);
        } else if ["rs", "sql"].contains(&extension(&path)) {
            files.push(Source::new(&path, &fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

pub fn rust(files: &[Source]) -> impl Iterator<Item = &Source> {
    files.iter().filter(|file| file.extension() == "rs")
}

pub fn house(files: &[Source]) -> impl Iterator<Item = &Source> {
    rust(files).filter(|file| file.path.starts_with("src/"))
}

/// The rule finds fault with exactly these lines of the example file.
pub fn catches(rule: Rule, path: &str, text: &str, lines: &[usize]) {
    let places: Vec<String> = lines.iter().map(|line| format!("{path}:{line}")).collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    catches_in(rule, &[(path, text)], &places);
}

/// The rule finds fault with exactly these places (`path:line`) of the example files.
pub fn catches_in(rule: Rule, example: &[(&str, &str)], places: &[&str]) {
    let files: Vec<Source> = example.iter().map(|(path, text)| Source::new(path, text)).collect();
    let found = rule(&files);
    let caught: Vec<&str> = found.iter().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(caught, places, "the rule misjudges its example {example:?}: {found:?}");
}

pub fn holds(rule: Rule) {
    let broken = rule(&tree());
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn literals_and_comments_hide_nothing_behind_them() {
    let tricky = "f('\"', b'\\'', '\\u{1F600}', r#\"\"//\"#, \"\\\"/*\"); fn g<'a>() { /* /* */ ' */ sqlx::query() }";
    let source = Source::new("src/app.rs", &format!("{tricky}\n{tricky}"));
    let lines = source.names_after("sqlx").into_iter().map(|(at, _)| source.broken(at, "")).collect::<Vec<_>>();
    assert_eq!(lines, ["src/app.rs:1: ", "src/app.rs:2: "]);
    assert!(!source.code.contains("//") && !source.code.contains("/*"));
}
