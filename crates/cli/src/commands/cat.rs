//! `longshore cat`: objects to standard output.

use clap::Args;
use futures_util::{TryStreamExt, pin_mut};
use longshore::{
    AnyStore, ByteRange, StoreUrl,
    transfer::{Download, Sink, Transfer},
};

use super::store_url;
use crate::{
    app::App,
    failure::Failure,
    listing::{Found, Selection, nothing_found},
};

/// Write objects to standard output
///
/// Objects follow each other in the order given, those that match a wildcard in the order of the listing. Large
/// ones arrive in parallel parts within the memory limit.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. Show an object
     longshore cat ais://logs/2024-05-01.txt
  2. Unpack an archive without storing it
     longshore cat ais://backup/home.tar.gz | tar xz
  3. Join all parts of a log
     longshore cat 'ais://logs/2024-05-*.txt' > may.txt
  4. The first KiB, the last 100 bytes
     longshore cat --range 0-1023 ais://logs/big.txt
     longshore cat --range=-100 ais://logs/big.txt")]
pub(crate) struct CatArgs {
    /// Store URLs of objects, wildcards allowed
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,

    /// Bytes FIRST-LAST, counted from 0 and both included; FIRST- to the end; -N for the last N
    #[arg(long, value_name = "RANGE", value_parser = parse_range, allow_hyphen_values = true)]
    range: Option<ByteRange>,

    /// Take `*`, `?` and `[` in keys literally
    #[arg(long)]
    no_glob: bool,
}

pub(crate) async fn run(app: &App, args: CatArgs) -> Result<(), Failure> {
    let mut targets = Vec::new();
    for text in &args.urls {
        let url = store_url(text)?;
        let selection = Selection::of(&url, !args.no_glob, false)?;
        targets.push((url, selection));
    }
    let transfer = app.transfer(1)?;
    for (url, selection) in &targets {
        print_all(app, &transfer, url, selection, args.range).await?;
    }
    Ok(())
}

/// Writes what is selected to standard output, or the same range of each, and returns how many objects and bytes that
/// was.
pub(crate) async fn print_all(
    app: &App,
    transfer: &Transfer,
    url: &StoreUrl,
    selection: &Selection,
    range: Option<ByteRange>,
) -> Result<(u64, u64), Failure> {
    let store = app.services.store(url).await?;
    let found = selection.objects(&store);
    pin_mut!(found);
    let (mut objects, mut bytes) = (0, 0);
    while let Some(found) =
        found.try_next().await.map_err(|e| Failure::of(format!("cannot list {url}"), e))?
    {
        objects += 1;
        let mut download = transfer.download(&store, found.key().clone(), Sink::writer(tokio::io::sink()));
        if let Found::Listed(meta) = &found {
            download = download.size_hint(meta.size);
        }
        if let Some(range) = range {
            download = download.range(range);
        }
        bytes += print(app, download).await?;
    }
    if objects == 0 { Err(nothing_found(url, selection)) } else { Ok((objects, bytes)) }
}

async fn print(app: &App, download: Download<AnyStore>) -> Result<u64, Failure> {
    let mut body = download.body().await.map_err(Failure::transfer)?;
    let mut bytes = 0;
    while let Some(chunk) = body.chunk().await.map_err(Failure::transfer)? {
        bytes += chunk.len() as u64;
        // A pipe may be slow; what is fetched ahead goes on arriving on the other threads.
        tokio::task::block_in_place(|| app.out.write(&chunk))?;
    }
    app.out.flush()?;
    Ok(bytes)
}

/// Reads `FIRST-LAST`, `FIRST-` or `-N`.
fn parse_range(text: &str) -> Result<ByteRange, String> {
    let wrong = || format!("{text:?} is not a range: expected one such as 0-1023, 1024- or -100");
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    match text.split_once('-').ok_or_else(wrong)? {
        ("", last) => match number(last)? {
            0 => Err("the last 0 bytes are none".to_owned()),
            bytes => Ok(ByteRange::Suffix(bytes)),
        },
        (first, "") => Ok(ByteRange::From(number(first)?)),
        (first, last) => {
            let (start, last) = (number(first)?, number(last)?);
            let end = last.checked_add(1).filter(|end| *end > start);
            end.map(|end| ByteRange::Bounded { start, end })
                .ok_or_else(|| format!("{text:?} ends before it starts"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse_range("0-0"), Ok(ByteRange::Bounded { start: 0, end: 1 }));
        assert_eq!(parse_range("5-"), Ok(ByteRange::From(5)));
        assert_eq!(parse_range("-5"), Ok(ByteRange::Suffix(5)));
        for bad in ["", "-", "5", "a-b", "5-4", "-0", "1-2-3", "0-18446744073709551615"] {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
    }
}
