//! Which modules of its crate a source file names.

use std::{iter::Peekable, vec::IntoIter};

/// A path from the root of the crate, and the name it is known by here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) path: Vec<String>,
    pub(super) name: String,
}

/// What `source`, which is the module `module`, names in its `use` lines and with `crate::…` or `super::…` in its code. Comments,
/// texts and tests are not looked at. A path of another crate counts as one inside of this module.
pub(super) fn named(source: &str, module: &[String]) -> Vec<Named> {
    let code = without_comments(without_tests(source));
    let mut words = words(&code).into_iter().peekable();
    let mut named = Vec::new();
    while let Some(word) = words.next() {
        let next = words.peek().map(String::as_str);
        match word.as_str() {
            "use" => tree(&mut words, module, &mut named),
            "crate" | "super" | "self" if next == Some("::") => {
                let start = step(module.to_vec(), &word);
                words.next();
                tree(&mut words, &start, &mut named);
            }
            _ => {}
        }
    }
    named
}

/// Follows `a::b::{c, d as e}` from `start`.
fn tree(words: &mut Peekable<IntoIter<String>>, start: &[String], named: &mut Vec<Named>) {
    let mut path = start.to_vec();
    while let Some(word) = words.next_if(|word| word == "{" || word == "*" || is_name(word)) {
        if word == "{" {
            while words.peek().is_some_and(|word| word != "}") {
                tree(words, &path, named);
                words.next_if(|word| word == ",");
            }
            words.next();
            return;
        }
        path = step(path, &word);
        if words.next_if(|word| word == "::").is_none() {
            break;
        }
    }
    let renamed = words
        .next_if(|word| word == "as")
        .and_then(|_| words.next());
    let name = renamed.or_else(|| path.last().cloned()).unwrap_or_default();
    named.push(Named { path, name });
}

fn step(mut path: Vec<String>, word: &str) -> Vec<String> {
    match word {
        "crate" => path.clear(),
        "super" => drop(path.pop()),
        "self" => {}
        name => path.push(name.to_owned()),
    }
    path
}

fn is_name(word: &str) -> bool {
    word != "as" && word.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// Names, `::`, and every other sign by itself.
fn words(code: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut in_name = false;
    for letter in code.chars() {
        let is_part = letter.is_alphanumeric() || letter == '_';
        match words.last_mut() {
            Some(last) if is_part && in_name => last.push(letter),
            Some(last) if letter == ':' && last == ":" => last.push(letter),
            _ if letter.is_whitespace() => words.push(String::new()),
            _ => words.push(letter.to_string()),
        }
        in_name = is_part;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Tests stand at the end of a file.
fn without_tests(source: &str) -> &str {
    source
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(source)
}

/// Leaves out the rest of a line after `//`, and what stands between quotes on one line.
fn without_comments(source: &str) -> String {
    let lines = source.lines().map(|line| {
        let line = line.split("//").next().unwrap_or(line);
        let outside = line.split('"').step_by(2);
        outside.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<String> {
        let module = ["ring", "layer"].map(String::from);
        let named = named(source, &module);
        named.iter().map(|named| named.path.join("::")).collect()
    }

    #[test]
    fn a_tree_is_followed_into_its_branches() {
        let source = "use crate::{a::{self, B}, super_b as c};\nuse super::{other::{D, E}};";
        let expected = ["a", "a::B", "super_b", "ring::other::D", "ring::other::E"];
        assert_eq!(paths(source), expected);
    }

    #[test]
    fn a_path_in_the_code_is_found_and_one_in_a_comment_is_not() {
        let source = "/// See [`x`](crate::x).\nlet y = super::other::call::<T>(crate::z, \"crate::t\"); // crate::w";
        assert_eq!(paths(source), ["ring::other::call", "z"]);
    }

    #[test]
    fn a_renamed_module_is_known_by_its_new_name() {
        let named = named("pub use a::b as c;", &[]);
        let path = ["a", "b"].map(String::from).to_vec();
        assert_eq!(
            named,
            [Named {
                path,
                name: "c".into()
            }]
        );
    }
}
