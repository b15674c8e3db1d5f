//! Lists of names that come in pages.

use std::future::Future;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_core_types::{CallInfo, Error, ErrorKind, Result};

/// A page of names, and where the next one begins.
pub(crate) type Page = (Vec<String>, Option<String>);

/// The names on all pages, one page at a time. `fetch` is given the place where its page begins.
pub(crate) fn names<F, P>(call: CallInfo, fetch: F) -> BoxStream<'static, Result<String>>
where
    F: Fn(Option<String>) -> P + Send + 'static,
    P: Future<Output = Result<Page>> + Send + 'static,
{
    // The first page begins nowhere, and behind the last one nothing is asked.
    stream::try_unfold((fetch, Some(None)), move |(fetch, place): (F, Option<Option<String>>)| {
        let call = call.clone();
        async move {
            let Some(place) = place else { return Ok(None) };
            let (names, next) = fetch(place.clone()).await?;
            let next = next.filter(|next| !next.is_empty());
            if next.is_some() && next == place {
                let error = Error::new(ErrorKind::Protocol, "the list repeats itself");
                return Err(error.with_call(&call));
            }
            Ok(Some((stream::iter(names.into_iter().map(Ok)), (fetch, next.map(Some)))))
        }
    })
    .try_flatten()
    .boxed()
}

#[cfg(test)]
mod tests {
    use longshore_core_types::Idempotency;

    use super::*;

    async fn list(pages: &'static [(&[&str], Option<&str>)]) -> Result<Vec<String>> {
        let fetch = move |place: Option<String>| async move {
            let index: usize = place.map_or(0, |place| place.parse().unwrap());
            let (names, next) = pages[index];
            Ok((names.iter().map(ToString::to_string).collect(), next.map(str::to_owned)))
        };
        names(CallInfo::new("s3.bucket.list_all", Idempotency::Idempotent), fetch).try_collect().await
    }

    #[tokio::test]
    async fn pages_follow_each_other_until_the_last() {
        assert_eq!(
            list(&[(&["a", "b"], Some("1")), (&[], Some("2")), (&["c"], Some(""))]).await.unwrap(),
            ["a", "b", "c"]
        );
        assert!(list(&[(&[], None)]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_list_that_repeats_itself_is_a_fault() {
        let error = list(&[(&["a"], Some("1")), (&["b"], Some("1"))]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains("s3.bucket.list_all"), "{error}");
    }
}
