//! The fenced blocks of a page, and what stands beside their language.

use std::fmt;

/// One example.
#[derive(Debug, Default)]
pub(super) struct Block {
    page: String,
    line: usize,
    pub(super) language: String,
    pub(super) text: String,
    /// `no-run: reason`.
    pub(super) no_run: Option<String>,
    /// `file=name`: where the commands of the page find it.
    pub(super) file: Option<String>,
    /// `exit=n`: the code of each command.
    pub(super) exit: i32,
    /// `wrong`: the file is a mistake.
    pub(super) wrong: bool,
    /// `fragment`: the keys of one backend.
    pub(super) fragment: bool,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.page, self.line)
    }
}

impl Block {
    fn new(page: &str, line: usize, info: &str) -> Self {
        let mut block = Self {
            page: page.to_owned(),
            line,
            ..Self::default()
        };
        let (words, reason) = match info.split_once("no-run:") {
            Some((words, reason)) => (words, Some(reason.trim().to_owned())),
            None => (info, None),
        };
        block.no_run = reason;
        let mut words = words.split_whitespace();
        words
            .next()
            .unwrap_or_default()
            .clone_into(&mut block.language);
        assert!(
            !block.language.is_empty(),
            "{block}: no language; `text` is for what is no example"
        );
        for word in words {
            match word.split_once('=') {
                Some(("file", name)) => block.file = Some(name.to_owned()),
                Some(("exit", code)) => block.exit = code.parse().expect("an exit code"),
                None if word == "wrong" => block.wrong = true,
                None if word == "fragment" => block.fragment = true,
                _ => panic!("{block}: what is `{word}`?"),
            }
        }
        block
    }
}

/// All of a page.
pub(super) fn blocks(page: &str, text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some(Block::new(page, at + 1, info.trim())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block has no end");
    found
}
