//! What is shown while bytes move: a bar on a terminal, a line every few seconds elsewhere.
//!
//! A ticker looks at the totals of the running transfers. Drawing therefore costs the same whether a gigabyte or
//! a kilobyte moves between two looks, and never holds up the tasks that move them.

use std::{
    fmt::Write,
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use longshore::transfer::Progress;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    output::{Message, Output},
    settings::When,
    units::{count, show_duration, show_size},
};

const BAR: &str =
    "{spinner} {bytes:>10} of {total_bytes}  {bar:24}  {binary_bytes_per_sec:>12}  ETA {eta:>4}  {msg}";
/// While the total is not known.
const SPINNER: &str = "{spinner} {bytes:>10}  {binary_bytes_per_sec:>12}  {elapsed}  {msg}";
const REDRAW: Duration = Duration::from_millis(100);
/// How often a line is written where there is no bar.
pub(crate) const LINES: Duration = Duration::from_secs(5);

/// Adds up transfers and shows the sum until it is dropped.
#[derive(Debug)]
pub(crate) struct Board {
    sums: Sums,
    bar: Option<ProgressBar>,
    /// Owns the ticker.
    _ticker: JoinSet<()>,
}

impl Drop for Board {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Board {
    pub(crate) fn new(out: &Output, when: When) -> Self {
        let sums = Sums::default();
        let mut ticker = JoinSet::new();
        let bar = match Form::of(out, when) {
            Form::Nothing => None,
            Form::Lines => {
                ticker.spawn(lines(sums.clone(), out.clone()));
                None
            }
            Form::Bar(bar) => {
                bar.set_style(style(SPINNER));
                ticker.spawn(draw(sums.clone(), bar.clone()));
                Some(bar)
            }
        };
        Self { sums, bar, _ticker: ticker }
    }

    /// Counts one more transfer, of a single object or of a whole tree.
    pub(crate) fn add(&self, progress: watch::Receiver<Progress>, what: Extent) {
        self.sums.lock().active.push((progress, what));
    }

    /// Says that more transfers will come, so that the totals are not final yet. Off by default.
    pub(crate) fn more_to_come(&self, more: bool) {
        self.sums.lock().more = more;
    }
}

/// How progress is shown.
#[derive(Debug)]
pub(crate) enum Form {
    Nothing,
    /// A line now and then.
    Lines,
    /// A line that changes.
    Bar(ProgressBar),
}

impl Form {
    pub(crate) fn of(out: &Output, when: When) -> Self {
        let terminal = std::io::stderr().is_terminal();
        match when {
            _ if out.is_quiet() => Self::Nothing,
            When::Never => Self::Nothing,
            When::Auto if out.is_json() => Self::Nothing,
            When::Auto if terminal => Self::Bar(bar(out, terminal)),
            When::Always if !out.is_json() => Self::Bar(bar(out, terminal)),
            When::Auto | When::Always => Self::Lines,
        }
    }
}

fn bar(out: &Output, terminal: bool) -> ProgressBar {
    let bar = out.bars().add(ProgressBar::no_length());
    if !terminal {
        // Asked for although nobody seems to watch: a recording, or a terminal that hides.
        out.bars().set_draw_target(ProgressDrawTarget::term_like(Box::new(PlainTerm)));
    }
    bar
}

fn style(template: &str) -> ProgressStyle {
    // A wrong template shows as the library's default one; a test looks at ours.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

async fn draw(sums: Sums, bar: ProgressBar) {
    let mut known = false;
    loop {
        let sum = sums.look();
        if sum.is_final && !known {
            known = true;
            bar.set_style(style(BAR));
        }
        if known {
            bar.set_length(sum.total.bytes_total.max(sum.total.bytes));
        }
        bar.set_position(sum.total.bytes);
        bar.set_message(sum.items());
        tokio::time::sleep(REDRAW).await;
    }
}

async fn lines(sums: Sums, out: Output) {
    let start = Instant::now();
    let mut last = 0;
    loop {
        tokio::time::sleep(LINES).await;
        let sum = sums.look();
        let rate = sum.total.bytes.saturating_sub(last) / LINES.as_secs();
        last = sum.total.bytes;
        out.notice(&sum.message(rate, start.elapsed()));
    }
}

/// How much a transfer moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// One object: its size is the total, once it is known.
    Object,
    /// Whatever is found.
    Tree,
}

impl Extent {
    fn is_final(self, progress: &Progress) -> bool {
        progress.totals_final || (self == Self::Object && progress.bytes_total > 0)
    }
}

/// The transfers that run and the sum of those that ended. Cheap to clone.
#[derive(Clone, Debug, Default)]
struct Sums(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    active: Vec<(watch::Receiver<Progress>, Extent)>,
    ended: Progress,
    more: bool,
}

/// All transfers together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum {
    pub(crate) total: Progress,
    /// The totals will not grow any more.
    pub(crate) is_final: bool,
}

impl Sums {
    fn lock(&self) -> std::sync::MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> Sum {
        let mut guard = self.lock();
        let Running { active, ended, more } = &mut *guard;
        let mut total = *ended;
        let mut is_final = !*more;
        active.retain(|(receiver, extent)| {
            let progress = *receiver.borrow();
            add(&mut total, &progress);
            is_final &= extent.is_final(&progress);
            // A handle that was dropped publishes nothing more.
            let over = progress.finished || receiver.has_changed().is_err();
            if over {
                add(ended, &progress);
            }
            !over
        });
        Sum { total, is_final }
    }
}

fn add(sum: &mut Progress, one: &Progress) {
    sum.bytes += one.bytes;
    sum.bytes_total += one.bytes_total;
    sum.items_total += one.items_total;
    sum.succeeded += one.succeeded;
    sum.skipped += one.skipped;
    sum.failed += one.failed;
}

impl Sum {
    /// How many items are done, for people.
    fn items(&self) -> String {
        let p = &self.total;
        let done = p.succeeded + p.skipped + p.failed;
        let mut text = match (p.items_total, self.is_final) {
            (0 | 1, true) => String::new(),
            (all, true) => format!("{done} of {}", count(all, "item")),
            (_, false) => count(done, "item"),
        };
        if p.failed > 0 {
            let _ = write!(text, ", {} failed", p.failed);
        }
        text
    }

    fn message(&self, rate: u64, elapsed: Duration) -> Message<'static> {
        let p = &self.total;
        let left = p.bytes_total.saturating_sub(p.bytes);
        Message::Progress {
            bytes: p.bytes,
            total_bytes: self.is_final.then_some(p.bytes_total),
            items: p.succeeded + p.skipped + p.failed,
            total_items: self.is_final.then_some(p.items_total),
            failed: p.failed,
            bytes_per_second: rate,
            seconds: elapsed.as_secs(),
            eta_seconds: (self.is_final && rate > 0).then(|| left.div_ceil(rate)),
        }
    }
}

/// The text of a progress line.
pub(crate) fn line(f: &mut std::fmt::Formatter<'_>, message: &Message<'_>) -> std::fmt::Result {
    let Message::Progress {
        bytes,
        total_bytes,
        items,
        total_items,
        failed,
        bytes_per_second,
        eta_seconds,
        ..
    } = message
    else {
        return Ok(());
    };
    write!(f, "progress: {}", show_size(*bytes))?;
    if let Some(total) = total_bytes {
        write!(f, " of {}", show_size(*total))?;
    }
    write!(f, ", {items}")?;
    if let Some(total) = total_items {
        write!(f, " of {total}")?;
    }
    write!(f, " items, {}/s", show_size(*bytes_per_second))?;
    if let Some(eta) = eta_seconds {
        write!(f, ", ETA {}", show_duration(Duration::from_secs(*eta)))?;
    }
    if *failed > 0 { write!(f, ", {failed} failed") } else { Ok(()) }
}

/// A terminal of a fixed size on standard error, for `--progress always` without one.
#[derive(Debug)]
struct PlainTerm;

impl indicatif::TermLike for PlainTerm {
    fn width(&self) -> u16 {
        100
    }

    fn move_cursor_up(&self, n: usize) -> std::io::Result<()> {
        if n > 0 { self.write_str(&format!("\x1b[{n}A")) } else { Ok(()) }
    }

    fn move_cursor_down(&self, n: usize) -> std::io::Result<()> {
        if n > 0 { self.write_str(&format!("\x1b[{n}B")) } else { Ok(()) }
    }

    fn move_cursor_right(&self, n: usize) -> std::io::Result<()> {
        if n > 0 { self.write_str(&format!("\x1b[{n}C")) } else { Ok(()) }
    }

    fn move_cursor_left(&self, n: usize) -> std::io::Result<()> {
        if n > 0 { self.write_str(&format!("\x1b[{n}D")) } else { Ok(()) }
    }

    fn write_line(&self, line: &str) -> std::io::Result<()> {
        self.write_str(line)?;
        self.write_str("\n")
    }

    fn write_str(&self, text: &str) -> std::io::Result<()> {
        std::io::Write::write_all(&mut std::io::stderr().lock(), text.as_bytes())
    }

    fn clear_line(&self) -> std::io::Result<()> {
        self.write_str("\r\x1b[2K")
    }

    fn flush(&self) -> std::io::Result<()> {
        std::io::Write::flush(&mut std::io::stderr().lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(change: impl FnOnce(&mut Progress)) -> Progress {
        let mut progress = Progress::default();
        change(&mut progress);
        progress
    }

    #[test]
    fn the_templates_are_valid() {
        for template in [BAR, SPINNER] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn sums_keep_what_has_ended() {
        let sums = Sums::default();
        let (one, first) = watch::channel(progress(|p| (p.bytes, p.items_total) = (10, 1)));
        let (two, second) = watch::channel(progress(|p| (p.bytes, p.items_total) = (5, 2)));
        sums.lock().active.extend([(first, Extent::Tree), (second, Extent::Object)]);
        let sum = sums.look();
        assert_eq!((sum.total.bytes, sum.total.items_total, sum.is_final), (15, 3, false));
        one.send_modify(|p| (p.bytes, p.finished, p.totals_final) = (20, true, true));
        assert_eq!(sums.look().total.bytes, 25);
        assert_eq!(sums.lock().active.len(), 1);
        assert_eq!(sums.look().total.bytes, 25);
        drop(two);
        assert_eq!(sums.look().total.bytes, 25);
        assert_eq!(sums.lock().active.len(), 0);
        assert!(sums.look().is_final);
    }

    #[test]
    fn lines() {
        let sum = Sum {
            total: progress(|p| {
                (p.bytes, p.bytes_total, p.items_total, p.succeeded) = (1 << 20, 3 << 20, 9, 4);
            }),
            is_final: true,
        };
        let text = sum.message(1 << 20, Duration::from_secs(1)).to_string();
        assert_eq!(text, "progress: 1.0 MiB of 3.0 MiB, 4 of 9 items, 1.0 MiB/s, ETA 2.00 s");
        assert_eq!(sum.items(), "4 of 9 items");
        let sum = Sum { is_final: false, ..sum };
        assert_eq!(sum.message(0, Duration::ZERO).to_string(), "progress: 1.0 MiB, 4 items, 0 B/s");
    }
}
