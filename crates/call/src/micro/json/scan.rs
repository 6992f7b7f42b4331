//! Reading as Go reads.

use std::str::Chars;

/// How many containers may stand in one another (Go `encoding/json/scanner.go`, `maxNestingDepth`).
const MAX_DEPTH: usize = 10_000;

/// One value of an object, as far as an error is interested in it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::micro) enum Value<'a> {
    Null,
    /// What stands between the quotes, escapes and all; see [`unquote`].
    Text(&'a str),
    Number(&'a str),
    /// true, false, an array or an object.
    Other,
}

/// Walks over JSON text without ever recursing, so that no nesting can overflow the stack.
///
/// `None` means a syntax error. Only ASCII bytes are ever taken apart, so every slice ends where a character does.
#[derive(Debug)]
pub(in crate::micro) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(in crate::micro) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Takes `token` if it comes next, after white space.
    pub(in crate::micro) fn take(&mut self, token: u8) -> bool {
        self.space();
        self.eat(token)
    }

    /// Whether there is nothing left but white space.
    pub(in crate::micro) fn at_end(&mut self) -> bool {
        self.space();
        self.peek().is_none()
    }

    /// Takes the name of a member and its colon.
    pub(in crate::micro) fn name(&mut self) -> Option<&'a str> {
        self.space();
        let name = self.text()?;
        self.take(b':').then_some(name)
    }

    /// Takes the value of a member of the outermost object.
    pub(in crate::micro) fn value(&mut self) -> Option<Value<'a>> {
        self.space();
        match self.peek()? {
            b'{' | b'[' => self.container().map(|()| Value::Other),
            _ => self.scalar(),
        }
    }

    fn container(&mut self) -> Option<()> {
        let mut due = Vec::new();
        loop {
            if self.begins(&mut due)? && !self.continues(&mut due)? {
                return Some(());
            }
        }
    }

    /// Takes the beginning of a value, and says whether that was all of it. `due` are the brackets that must close.
    fn begins(&mut self, due: &mut Vec<u8>) -> Option<bool> {
        self.space();
        let close = match self.peek()? {
            b'{' => b'}',
            b'[' => b']',
            _ => return self.scalar().map(|_| true),
        };
        self.at += 1;
        if self.take(close) {
            return (due.len() + 1 < MAX_DEPTH).then_some(true);
        }
        due.push(close);
        if close == b'}' {
            self.name()?;
        }
        (due.len() < MAX_DEPTH).then_some(false)
    }

    /// Takes what follows a whole value, and says whether another value comes.
    fn continues(&mut self, due: &mut Vec<u8>) -> Option<bool> {
        while let Some(&close) = due.last() {
            if self.take(b',') {
                return match close {
                    b'}' => self.name().map(|_| true),
                    _ => Some(true),
                };
            }
            if !self.take(close) {
                return None;
            }
            due.pop();
        }
        Some(false)
    }

    fn scalar(&mut self) -> Option<Value<'a>> {
        match self.peek()? {
            b'"' => self.text().map(Value::Text),
            b'n' => self.word("null").map(|()| Value::Null),
            b't' => self.word("true").map(|()| Value::Other),
            b'f' => self.word("false").map(|()| Value::Other),
            _ => self.number().map(Value::Number),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let follows = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        follows.then_some(())
    }

    fn number(&mut self) -> Option<&'a str> {
        let from = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Some(&self.text[from..self.at])
    }

    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }

    fn text(&mut self) -> Option<&'a str> {
        if !self.eat(b'"') {
            return None;
        }
        let from = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.escape()?,
                0..=0x1f => return None,
                _ => self.at += 1,
            }
        }
        let to = self.at;
        self.at += 1;
        Some(&self.text[from..to])
    }

    fn escape(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        match rest.first()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' if rest.get(1..5)?.iter().all(u8::is_ascii_hexdigit) => self.at += 6,
            _ => return None,
        }
        Some(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let follows = self.peek() == Some(byte);
        self.at += usize::from(follows);
        follows
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// The text that stands between quotes, its escapes resolved. Half of a surrogate pair becomes U+FFFD, as in Go.
pub(in crate::micro) fn unquote(quoted: &str) -> String {
    if !quoted.contains('\\') {
        return quoted.to_owned();
    }
    let mut units = Vec::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => units.push(escaped_unit(&mut rest)),
            plain => units.extend_from_slice(plain.encode_utf16(&mut [0; 2])),
        }
    }
    String::from_utf16_lossy(&units)
}

/// The UTF-16 unit that the escape after a backslash stands for.
fn escaped_unit(rest: &mut Chars<'_>) -> u16 {
    match rest.next() {
        Some('b') => 0x08,
        Some('f') => 0x0c,
        Some('n') => 0x0a,
        Some('r') => 0x0d,
        Some('t') => 0x09,
        Some('u') => {
            u16::from_str_radix(&rest.by_ref().take(4).collect::<String>(), 16).unwrap_or(0xfffd)
        }
        // Quote, backslash and slash stand for themselves; the scanner has let nothing else pass.
        other => other
            .and_then(|itself| u16::try_from(u32::from(itself)).ok())
            .unwrap_or(0xfffd),
    }
}
