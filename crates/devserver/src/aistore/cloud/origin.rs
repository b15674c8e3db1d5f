//! The S3 service as the cluster sees it: its calls, and the faults that they suffer like anybody else's.
//!
//! A fault of `node=s3` acts on the cluster's own calls too. They do not travel over a connection, so that only what the
//! cluster would notice in the end is done: a refusal, a pause, a connection or a body that breaks off, a full disk, an
//! object that was replaced. Stalls end at once, as if the cluster had lost its patience.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode, S3Result};
use tokio::runtime::Handle;

use crate::fault::{Candidate, FaultKind, Faults, Plan};
use crate::journal::NodeKind;
use crate::s3::{Direct, Found, Metadata, Page, Query};
use crate::storage::BodyReader;

/// The S3 service behind the cluster.
#[derive(Debug)]
pub(crate) struct Origin {
    s3: Direct,
    faults: Arc<Faults>,
}

/// What the cluster says of a service that refuses.
fn refusal(status: u16) -> S3Error {
    let code = match status {
        403 => S3ErrorCode::AccessDenied,
        404 => S3ErrorCode::NoSuchKey,
        429 | 503 => S3ErrorCode::SlowDown,
        500 => S3ErrorCode::InternalError,
        501 => S3ErrorCode::NotImplemented,
        _ => S3ErrorCode::Custom("InjectedFault".into()),
    };
    let mut error = S3Error::with_message(code, "injected fault");
    error.set_status_code(StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE));
    error
}

/// What the cluster says of a connection that gave no answer, or not all of it.
fn broken(how: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom("RequestSendError".into()), how);
    error.set_status_code(StatusCode::INTERNAL_SERVER_ERROR);
    error
}

/// Refuses a body of which a fault lets only a part through.
fn check_body(plan: &Plan, len: u64) -> S3Result<()> {
    match plan.kind() {
        Some(FaultKind::ResetAt(at)) if *at < len => Err(broken("connection reset by peer")),
        Some(FaultKind::TruncateAt(at)) if *at < len => Err(broken("unexpected EOF")),
        Some(FaultKind::ShortBy(by)) if *by > 0 && len > 0 => Err(broken("unexpected EOF")),
        Some(FaultKind::StallAt(at)) if *at < len => Err(broken("i/o timeout")),
        Some(FaultKind::NoSpaceAt(at)) if *at < len => {
            let full = "no space left on the server's device";
            let mut error = S3Error::with_message(S3ErrorCode::ServiceUnavailable, full);
            error.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
            Err(error)
        }
        _ => Ok(()),
    }
}

fn pause(time: Duration) {
    // The server's runtime has threads enough for another to take over.
    tokio::task::block_in_place(|| Handle::current().block_on(tokio::time::sleep(time)));
}

impl Origin {
    pub(crate) fn new(s3: Direct, faults: Arc<Faults>) -> Self {
        Self { s3, faults }
    }

    /// Lets a fault have its way before a call.
    fn ask(&self, operation: &str, method: &str, bucket: &str, key: Option<&str>) -> S3Result<Plan> {
        let (node, bucket) = (NodeKind::S3, Some(bucket));
        let candidate = Candidate { node, redirected: false, operation, method, bucket, key };
        let plan = Plan::new(self.faults.choose(&candidate), false);
        match plan.kind() {
            Some(FaultKind::Status { code, .. }) => return Err(refusal(*code)),
            Some(FaultKind::Close | FaultKind::Restart(_)) => return Err(broken("connection closed")),
            Some(FaultKind::StallHead) => return Err(broken("timeout awaiting response headers")),
            Some(FaultKind::Delay(time)) => pause(*time),
            _ => {}
        }
        Ok(plan)
    }

    pub(super) fn buckets(&self) -> Vec<String> {
        self.s3.buckets()
    }

    pub(super) fn has(&self, bucket: &str) -> bool {
        self.s3.has(bucket)
    }

    pub(super) fn head(&self, bucket: &str, key: &str) -> S3Result<Found> {
        self.ask("head", "HEAD", bucket, Some(key))?;
        self.s3.head(bucket, key)
    }

    pub(super) fn get(&self, bucket: &str, key: &str) -> S3Result<(Found, BodyReader)> {
        let plan = self.ask("get", "GET", bucket, Some(key))?;
        let (found, reader) = self.s3.get(bucket, key)?;
        check_body(&plan, found.size)?;
        Ok((found, reader))
    }

    pub(super) async fn put(
        &self,
        bucket: &str,
        key: &str,
        body: BodyReader,
        metadata: Metadata,
    ) -> S3Result<String> {
        let plan = self.ask("put", "PUT", bucket, Some(key))?;
        check_body(&plan, body.left())?;
        self.s3.put(bucket, key, body, metadata).await
    }

    pub(super) async fn delete(&self, bucket: &str, key: &str) -> S3Result<()> {
        self.ask("delete", "DELETE", bucket, Some(key))?;
        self.s3.delete(bucket, key).await
    }

    pub(super) fn list(&self, bucket: &str, query: Query<'_>) -> S3Result<Page> {
        self.ask("list", "GET", bucket, None)?;
        self.s3.list(bucket, query)
    }

    pub(super) async fn begin(&self, bucket: &str, key: &str) -> S3Result<String> {
        self.ask("mpt-create", "POST", bucket, Some(key))?;
        self.s3.begin(bucket, key).await
    }

    pub(super) async fn put_part(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        number: u32,
        body: BodyReader,
    ) -> S3Result<()> {
        let plan = self.ask("mpt-part", "PUT", bucket, Some(key))?;
        check_body(&plan, body.left())?;
        self.s3.put_part(bucket, key, upload, number, body).await
    }

    pub(super) async fn complete(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        parts: impl IntoIterator<Item = (u32, String)>,
    ) -> S3Result<String> {
        self.ask("mpt-complete", "POST", bucket, Some(key))?;
        self.s3.complete(bucket, key, upload, parts).await
    }

    pub(super) async fn abort(&self, bucket: &str, key: &str, upload: &str) -> S3Result<()> {
        self.ask("mpt-abort", "DELETE", bucket, Some(key))?;
        self.s3.abort(bucket, key, upload).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    fn plan(kind: FaultKind) -> Plan {
        Plan::new(Some(Fault::new(kind)), false)
    }

    #[test]
    fn bodies_that_are_shorter_than_the_fault_pass() {
        for kind in
            [FaultKind::ResetAt(5), FaultKind::TruncateAt(5), FaultKind::StallAt(5), FaultKind::NoSpaceAt(5)]
        {
            let plan = plan(kind);
            assert!(check_body(&plan, 5).is_ok() && check_body(&plan, 6).is_err(), "{plan:?}");
        }
        assert!(check_body(&plan(FaultKind::Extra(1)), 5).is_ok());
    }

    #[test]
    fn refusals() {
        assert_eq!(refusal(503).code().as_str(), "SlowDown");
        assert_eq!(refusal(418).status_code(), Some(StatusCode::IM_A_TEAPOT));
        let full = check_body(&plan(FaultKind::NoSpaceAt(0)), 1).expect_err("full");
        assert_eq!(full.status_code(), Some(StatusCode::INSUFFICIENT_STORAGE));
    }
}
