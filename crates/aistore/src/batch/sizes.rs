//! What must be known of objects before a batch asks for parts of them.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_core_types::{Error, ErrorKind, ObjectKey, Result};

use crate::{
    client::Client,
    names::BucketRef,
    object::options::ObjectAt,
    wire::{
        batch::Input,
        object::{self as wire, HeadParams},
    },
};

/// How many objects are asked about at a time.
const HEADS: usize = 16;

/// One thing that was asked for.
pub(super) struct Wanted {
    pub(super) input: Input,
    /// Bytes of its entry, if they are known; or why it is not asked for.
    pub(super) length: Result<Option<u64>>,
}

impl Wanted {
    /// Fails if it is not asked for.
    pub(super) fn certain(self) -> Result<Self> {
        let length = Ok(self.length?);
        Ok(Self { length, ..self })
    }
}

/// Learns which of the inputs can be delivered, and how long they are. Asks only where the answer alone would not tell.
pub(super) async fn expect(client: &Client, inputs: Vec<Input>) -> Result<Vec<Wanted>> {
    let unknown = |input: &&Input| input.needs_size() && input.size.is_none();
    let mut asked: Vec<_> =
        inputs.iter().filter(unknown).map(|i| (i.bucket.clone(), i.key.clone())).collect();
    asked.sort_by(|a, b| (&a.1, a.0.uname()).cmp(&(&b.1, b.0.uname())));
    asked.dedup();
    let sizes = asked.into_iter().map(|(bucket, key)| async move {
        let size = size(client, &bucket, &key).await?;
        Ok::<_, Error>(((bucket, key), size))
    });
    let sizes: HashMap<_, _> = stream::iter(sizes).buffer_unordered(HEADS).try_collect().await?;
    let wanted = inputs.into_iter().map(|input| {
        let at = (input.bucket.clone(), input.key.clone());
        let known = input.size.or_else(|| sizes.get(&at).copied().flatten());
        let length = match known {
            None if input.needs_size() => Err(Error::new(ErrorKind::NotFound, "there is no such object")),
            known => input.expected(known.unwrap_or_default()),
        };
        let named = |error: Error| {
            let resource = input.bucket.object_resource(&input.key);
            error.with_operation("aistore.batch.get").with_resource(resource)
        };
        let length = length.map_err(named);
        Wanted { input, length }
    });
    Ok(wanted.collect())
}

/// `None` if there is no such object.
async fn size(client: &Client, bucket: &BucketRef, key: &ObjectKey) -> Result<Option<u64>> {
    let at = ObjectAt::unlisted(bucket.clone(), key.clone())?;
    match client.call(wire::head(&at, &HeadParams::default())?).await {
        Ok(answer) => Ok(Some(wire::parse_head(&answer.done().await?).size)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use longshore_transport::testing::{Reply, ScriptedService};

    use crate::Client;
    use longshore_core_types::ErrorKind;

    /// HEADs answer ten bytes, but for `gone`; batches are empty archives.
    fn server() -> ScriptedService {
        ScriptedService::new(|request| match request.method.as_str() {
            "HEAD" if request.uri.path().ends_with("gone") => Reply::status(404),
            "HEAD" => Reply::ok("").header("content-length", "10"),
            _ => Reply::ok(vec![0_u8; 1024]),
        })
    }

    #[tokio::test]
    async fn ranges_that_an_object_does_not_have_are_not_asked_for() {
        let server = server();
        let client = Client::builder("http://gateway:1").service(server.clone()).build().unwrap();
        let bucket = client.bucket("b").unwrap();
        let (object, gone) = (bucket.object("o").unwrap(), bucket.object("gone").unwrap());
        let batch = client.batch().range(&object, 10, None).range(&object, 3, Some(10)).opaque("second");
        let batch = batch.range(&gone, 1, None).range_of(&object, 5, 5, None);
        let items: Vec<_> = batch.clone().await.unwrap().collect().await;
        let kinds: Vec<_> = items.iter().map(|item| item.result.as_ref().unwrap_err().kind()).collect();
        let outside = ErrorKind::RangeNotSatisfiable;
        assert_eq!(kinds, [outside, outside, ErrorKind::NotFound, outside]);
        assert_eq!(items[1].opaque.as_deref(), Some(&b"second"[..]));
        // One question for each object whose size is not known, and no batch.
        assert_eq!(server.requests().iter().map(|r| r.method.as_str()).collect::<Vec<_>>(), ["HEAD"; 2]);
        assert_eq!(batch.continue_on_error(false).await.err().unwrap().kind(), outside);
        assert!(server.requests().iter().all(|request| request.method == "HEAD"));
    }

    #[tokio::test]
    async fn nothing_is_asked_where_the_answer_tells() {
        let server = server();
        let client = Client::builder("http://gateway:1").service(server.clone()).build().unwrap();
        let object = client.bucket("b").unwrap().object("o").unwrap();
        let batch = client.batch().range(&object, 0, Some(3)).range_of(&object, 10, 2, None);
        let items: Vec<_> = batch.await.unwrap().collect().await;
        assert_eq!(items[0].result.as_ref().unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(server.requests().iter().map(|r| r.method.as_str()).collect::<Vec<_>>(), ["GET"]);
    }
}
