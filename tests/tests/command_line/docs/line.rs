//! A block of commands, line by line.

/// The commands of a block: a line that ends in a backslash, or within quotes, goes on in the next.
pub(super) fn commands(block: &str) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), String::new());
    for line in block.lines() {
        open.push_str(line);
        if let Some(whole) = open.strip_suffix('\\') {
            open = format!("{whole} ");
            continue;
        }
        if split(&open).is_none() {
            open.push('\n');
            continue;
        }
        let command = std::mem::take(&mut open);
        if split(&command).is_some_and(|words| !words.is_empty()) {
            found.push(command.trim().to_owned());
        }
    }
    assert!(open.is_empty(), "a quote without an end: {open}");
    found
}

/// The words of a command, without quotes and comments; `None` if a quote is open at its end.
pub(super) fn split(command: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => {
                // To the end of the line.
                let _ = chars.by_ref().find(|c| *c == '\n');
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[test]
fn commands_may_span_lines_and_have_comments() {
    let block = "a b \\\n  c # why\n# alone\n\nd 'e\n f' \"g\\\"\"\n";
    assert_eq!(commands(block), ["a b    c # why", "d 'e\n f' \"g\\\"\""]);
    assert_eq!(split("a b    c # why").unwrap(), ["a", "b", "c"]);
    assert_eq!(
        split("d 'e\n f' \"g\\\"\" ''").unwrap(),
        ["d", "e\n f", "g\"", ""]
    );
    assert_eq!(split("it's"), None);
}
