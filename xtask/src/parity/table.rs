//! The rows of `docs/parity.toml` and the members of the reference clients.

use std::collections::BTreeSet;

use toml::{Table, Value};

/// Something that a reference client has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member {
    /// The client: `aistore`, `storage3`, `neuro_sdk`.
    pub(crate) system: String,
    pub(crate) class: String,
    /// Empty for the class itself.
    pub(crate) name: String,
}

impl Member {
    pub(crate) fn shown(&self) -> String {
        let dot = if self.name.is_empty() { "" } else { "." };
        format!("{} {}{dot}{}", self.system, self.class, self.name)
    }
}

/// How we have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) member: Member,
    /// Full path of our symbol.
    pub(crate) symbol: String,
    /// The recorded exchange that shows what it does; `None` if it asks nobody.
    pub(crate) exchange: Option<String>,
    /// Target and filter of a test that shows it, as `cargo test` takes them.
    pub(crate) test: String,
}

/// The members of the reference clients, in the order of the list.
pub(crate) fn reference(text: &str) -> Vec<Member> {
    let fields = text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    fields
        .filter_map(|fields| match <[String; 3]>::try_from(fields) {
            Ok([system, class, name]) => Some(Member { system, class, name }),
            Err(_) => None,
        })
        .collect()
}

/// The rows, or what makes one unreadable.
pub(crate) fn rows(text: &str) -> Result<Vec<Row>, String> {
    let mut table: Table = text.parse().map_err(|error| format!("{error}"))?;
    let Some(Value::Array(members)) = table.remove("member") else {
        return Err("there is no `[[member]]`".to_owned());
    };
    if let Some(key) = table.keys().next() {
        return Err(format!("`{key}` is not known here"));
    }
    members.into_iter().map(row).collect()
}

fn row(value: Value) -> Result<Row, String> {
    let Value::Table(mut table) = value else { return Err("a member is no table".to_owned()) };
    let known =
        ["system", "class", "member"].map(|key| table.get(key).and_then(Value::as_str).unwrap_or("?"));
    let place = known.join(" ");
    let mut get = |key: &str| match table.remove(key) {
        Some(Value::String(text)) => Ok(Some(text)),
        None => Ok(None),
        Some(_) => Err(format!("`{key}` must be a text ({place})")),
    };
    let mut needed = |key: &str| get(key)?.ok_or_else(|| format!("`{key}` is missing ({place})"));
    let member = Member { system: needed("system")?, class: needed("class")?, name: needed("member")? };
    let (symbol, test) = (needed("symbol")?, needed("test")?);
    let exchange = get("exchange")?;
    let local = match table.remove("local") {
        None => false,
        Some(Value::Boolean(local)) => local,
        Some(_) => return Err(format!("`local` must be true ({place})")),
    };
    if local == exchange.is_some() {
        return Err(format!("either `exchange` or `local = true` is needed ({place})"));
    }
    match table.keys().next() {
        Some(key) => Err(format!("`{key}` is not known here ({place})")),
        None => Ok(Row { member, symbol, exchange, test }),
    }
}

/// Rows that mean nothing: of members that there are not, or twice.
pub(crate) fn mistakes(rows: &[Row], reference: &[Member]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut mistakes = Vec::new();
    for row in rows {
        let shown = row.member.shown();
        if !reference.contains(&row.member) {
            mistakes.push(format!("{shown} is no member of a reference client"));
        }
        if !seen.insert(&row.member) {
            mistakes.push(format!("{shown} has more than one row"));
        }
        let path = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !row.symbol.starts_with("longshore_") || !row.symbol.split("::").all(path) {
            mistakes.push(format!("{shown}: `{}` is no full path of a symbol", row.symbol));
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "[[member]]\nsystem = 'aistore'\nclass = 'Bucket'\nmember = 'create'\n\
                       symbol = 'longshore_aistore::Bucket::create'\ntest = 'wire_client buckets/create'\n";

    #[test]
    fn rows_are_read() {
        let rows = rows(&format!("{ROW}exchange = 'aistore/buckets/create'")).expect("valid");
        assert_eq!(rows[0].member.shown(), "aistore Bucket.create");
        assert_eq!(rows[0].exchange.as_deref(), Some("aistore/buckets/create"));
        assert_eq!(mistakes(&rows, &reference("system\tclass\tmember\naistore\tBucket\tcreate\n")), [""; 0]);
    }

    #[test]
    fn what_is_neither_shown_nor_local_is_refused() {
        for (text, expected) in [
            (ROW.to_owned(), "either"),
            (format!("{ROW}exchange = 'x'\nlocal = true"), "either"),
            (format!("{ROW}local = 'yes'"), "`local`"),
            (format!("{ROW}local = true\nnote = 'x'"), "`note`"),
            (ROW.replace("class = 'Bucket'\n", ""), "`class` is missing"),
            ("[[rows]]".to_owned(), "`[[member]]`"),
        ] {
            let mistake = rows(&text).expect_err(&text);
            assert!(mistake.contains(expected), "{text}: {mistake}");
        }
    }

    #[test]
    fn rows_that_mean_nothing_are_found() {
        let text = format!("{ROW}local = true\n{ROW}local = true\n").replace("longshore_aistore::", "");
        let found = mistakes(&rows(&text).expect("valid"), &reference("system\tclass\tmember\n"));
        for expected in ["is no member", "more than one row", "no full path"] {
            assert!(found.iter().any(|mistake| mistake.contains(expected)), "{expected}: {found:?}");
        }
    }
}
