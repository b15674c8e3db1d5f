//! Which outcomes are worth another try.

use http::{StatusCode, response::Parts};
use longshore_core_types::{CallInfo, Idempotency};
use longshore_transport::{Decision, RetryClassifier, StandardClassifier, TransportError, retry_after};

/// As everywhere, and that S3 answers 503 instead of doing something, when there are too many requests: so also what
/// must not be done twice is sent again, such as the beginning of an upload in parts. Other failures of such calls are
/// final, because it is not known what became of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusals;

impl RetryClassifier for Refusals {
    fn classify(&self, call: &CallInfo, outcome: Result<&Parts, &TransportError>) -> Decision {
        match outcome {
            Ok(parts)
                if parts.status == StatusCode::SERVICE_UNAVAILABLE
                    && call.idempotency != Idempotency::Never =>
            {
                Decision::Retry { after: retry_after(&parts.headers) }
            }
            outcome => StandardClassifier::default().classify(call, outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use longshore_blob_api::{BlobStore, PutOptions};
    use longshore_core_types::ObjectKey;
    use longshore_transport::{
        RetryConfig,
        testing::{Reply, ScriptedService},
    };

    use super::super::{AwsCredentials, S3Builder};

    /// Begins an upload whose first request has this outcome; how it ended, and how many requests there were.
    async fn begin(first: fn() -> Reply) -> (bool, usize) {
        let count = AtomicUsize::new(0);
        let server = ScriptedService::new(move |_| match count.fetch_add(1, SeqCst) {
            0 => first(),
            _ => Reply::ok(
                "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
            ),
        });
        let none = std::time::Duration::ZERO;
        let retry = RetryConfig::default().waits(none, none);
        let builder = S3Builder::new("b").endpoint("http://h").credentials(AwsCredentials::new("AK", "SK"));
        let store = builder.retry(retry).service(server.clone()).build().unwrap();
        let begun = store.create_multipart(&ObjectKey::new("k").unwrap(), PutOptions::default()).await;
        (begun.is_ok(), server.requests().len())
    }

    #[tokio::test]
    async fn an_upload_is_begun_again_only_if_it_was_refused() {
        assert_eq!(
            begin(|| Reply::status(503).body("<Error><Code>SlowDown</Code></Error>")).await,
            (true, 2)
        );
        assert_eq!(begin(|| Reply::status(500)).await, (false, 1));
        assert_eq!(begin(Reply::close).await, (false, 1));
    }
}
