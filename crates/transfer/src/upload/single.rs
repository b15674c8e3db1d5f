//! An upload in one request.

use longshore_blob_api::BlobStore;
use longshore_core_types::{ErrorKind, Result};

use super::{Job, UploadOutcome};
use crate::{
    body::{self, Body, Origin},
    context::weight,
};

impl<S: BlobStore + Clone> Job<S> {
    /// Sends everything in one request. The store retries it; a checksum that does not match sends it once more.
    pub(super) async fn single(&self, origin: Origin) -> Result<UploadOutcome> {
        let size = origin.size();
        self.reporter.planned(size, 1, size);
        // What is in memory already is paid for, by a ticket that may be the last one there is: to wait for more while
        // holding it could be to wait for ever.
        let (_admission, _request) = match &origin {
            Origin::File(_) => (Some(self.context.admit(weight(size), body::memory(size)).await?), None),
            Origin::Memory(_) => (None, Some(self.context.admit_request(weight(size)).await?)),
        };
        let body = Body::new(&self.context, origin.clone(), 0..size, self.checksum_kind(), &self.reporter);
        let mut again = true;
        loop {
            match self.put(&origin, &body).await {
                Err(error) if error.kind() == ErrorKind::ChecksumMismatch && again => {
                    again = false;
                    self.reporter.restarted(error);
                }
                result => return result,
            }
        }
    }

    async fn put(&self, origin: &Origin, body: &Body) -> Result<UploadOutcome> {
        let put = self.store.put(&self.key, body.payload(), self.options.clone());
        let result = self.context.within_grace(put).await;
        let result = result.map_err(|error| {
            body.forget();
            Self::blame_source(origin, error)
        })?;
        if let Origin::File(file) = origin {
            // An empty file has no last byte whose reading would have checked it.
            file.check()?;
        }
        body.settle();
        let checksum = body.checksum();
        let verified = self.verify(&result, checksum.as_ref(), false).await?;
        Ok(UploadOutcome { result, bytes: body.len(), parts: 0, checksum, verified, resumed: 0 })
    }
}
