//! A listing as a stream.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use futures_util::{StreamExt, future::BoxFuture, stream};
use longshore_core_types::Result;

use crate::{BlobStore, Entry, ListOptions, ListPage, PageToken};

/// A listing that fetches page after page as it is read, with one page in memory.
///
/// Made by [`BlobStoreExt::list`](crate::BlobStoreExt::list). An empty page in the middle is no end; after an
/// error the stream ends.
pub struct Lister<'a, S: ?Sized> {
    store: &'a S,
    opts: ListOptions,
    entries: VecDeque<Entry>,
    /// Where the page that is being read began, which is where a later listing can start.
    current: Option<PageToken>,
    incomplete: bool,
    state: State<'a>,
}

enum State<'a> {
    Next(Option<PageToken>),
    Waiting(BoxFuture<'a, Result<ListPage>>),
    Done,
}

impl<'a, S: BlobStore + ?Sized> Lister<'a, S> {
    pub(crate) fn new(store: &'a S, opts: ListOptions) -> Self {
        let state = State::Next(None);
        Self { store, opts, entries: VecDeque::new(), current: None, incomplete: false, state }
    }

    /// Starts at the page that `token` points at, which an earlier listing with the same options gave.
    #[must_use]
    pub fn resume(mut self, token: PageToken) -> Self {
        self.state = State::Next(Some(token));
        self
    }

    /// Where a later listing can start without missing an entry: the page that is being read.
    ///
    /// Entries of that page that were delivered already come again. `None`: from the beginning.
    pub fn resume_token(&self) -> Option<&PageToken> {
        match &self.state {
            State::Next(token) if self.entries.is_empty() => token.as_ref().or(self.current.as_ref()),
            _ => self.current.as_ref(),
        }
    }

    /// Whether a page that was fetched so far may lack objects; see [`ListPage::incomplete`].
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// The same listing, page by page. Entries that were fetched and not delivered yet are the first page.
    pub fn pages(self) -> impl Stream<Item = Result<ListPage>> + Send + 'a {
        let Self { store, opts, entries, current, incomplete, state } = self;
        let next = match state {
            State::Next(token) => Some(token),
            // Nobody waits for the page any more that was asked for.
            State::Waiting(_) => Some(current),
            State::Done => None,
        };
        let fetched = (!entries.is_empty()).then(|| {
            let page = ListPage::new(entries.into(), next.clone().flatten());
            Ok(page.with_incomplete(incomplete))
        });
        let pages = stream::unfold((next, opts), move |(page, opts)| async move {
            let result = store.list_page(&opts, page?).await;
            let next = match &result {
                Ok(page) => page.next.clone().map(Some),
                Err(_) => None,
            };
            Some((result, (next, opts)))
        });
        stream::iter(fetched).chain(pages)
    }
}

impl<S: BlobStore + ?Sized> Stream for Lister<'_, S> {
    type Item = Result<Entry>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(entry) = this.entries.pop_front() {
                return Poll::Ready(Some(Ok(entry)));
            }
            match &mut this.state {
                State::Done => return Poll::Ready(None),
                State::Next(token) => {
                    let token = token.take();
                    this.current.clone_from(&token);
                    let (store, opts) = (this.store, this.opts.clone());
                    this.state = State::Waiting(Box::pin(async move { store.list_page(&opts, token).await }));
                }
                State::Waiting(page) => match ready!(page.as_mut().poll(cx)) {
                    Ok(page) => {
                        this.incomplete |= page.incomplete;
                        this.entries = page.entries.into();
                        this.state = page.next.map_or(State::Done, |token| State::Next(Some(token)));
                    }
                    Err(error) => {
                        this.state = State::Done;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
            }
        }
    }
}

impl<S: ?Sized> fmt::Debug for Lister<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lister")
            .field("opts", &self.opts)
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}
