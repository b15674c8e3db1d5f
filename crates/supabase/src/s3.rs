//! Large objects through the S3 endpoint of the service: in parts side by side, which resumable uploads cannot be.

use longshore_core_types::{BucketName, Result};
use longshore_object_store::s3::{AwsCredentials, S3Builder, S3Store};
use longshore_transport::{BaseUrl, TransportConfig};

/// Who asks the S3 endpoint, and how it is asked.
#[derive(Clone, Debug)]
pub(crate) struct S3Access {
    pub(crate) credentials: AwsCredentials,
    /// The service takes `us-east-1` and `auto` whatever its own region is.
    pub(crate) region: Option<String>,
    pub(crate) config: TransportConfig,
}

impl S3Access {
    /// A bucket as its S3 endpoint has it. No I/O.
    pub(crate) fn store(&self, service: &BaseUrl, bucket: &BucketName) -> Result<S3Store> {
        let config = self.config.clone();
        let mut builder = S3Builder::new(bucket.as_str())
            .endpoint(format!("{service}/s3"))
            .virtual_hosted(false)
            // It ignores conditions on writes.
            .conditional_writes(false)
            .credentials(self.credentials.clone())
            .configure(|_| config);
        if let Some(region) = &self.region {
            builder = builder.region(region);
        }
        builder.build()
    }
}

#[cfg(test)]
mod tests {
    use longshore_blob_api::{BlobStore, PartOrder};

    use super::*;
    use crate::Client;

    #[test]
    fn with_s3_keys_parts_go_side_by_side() {
        let builder = || Client::builder("http://h").key("k");
        let order = |client: Client| {
            let store = client.bucket("b").unwrap().store();
            assert!(!format!("{store:?}").contains("sesame"));
            store.capability().multipart.unwrap().part_order
        };
        assert_eq!(order(builder().build().unwrap()), PartOrder::InOrder);
        let keys = AwsCredentials::new("id", "sesame");
        assert_eq!(order(builder().s3(keys).s3_region("local").build().unwrap()), PartOrder::Any);
    }
}
