//! Which operations there are. Those that are not answer 501.

use futures_util::future::BoxFuture;
use s3s::dto;
use s3s::{S3, S3Request, S3Response, S3Result};

use super::Shop;

/// The trait is one of boxed futures; this writes each method as its macro would.
macro_rules! operations {
    (@ $self:ident, $name:ident, $request:ident, waits) => { Box::pin(Self::$name($self, $request)) };
    (@ $self:ident, $name:ident, $request:ident, at_once) => {
        Box::pin(std::future::ready(Self::$name($self, $request)))
    };
    (@ $self:ident, $name:ident, $request:ident, answers) => {
        Box::pin(std::future::ready(Ok(S3Response::new(Self::$name($self, $request)))))
    };
    ($($how:ident $name:ident: $input:ident => $output:ident;)*) => {
        impl S3 for Shop {
            $(fn $name<'life0, 'async_trait>(
                &'life0 self,
                request: S3Request<dto::$input>,
            ) -> BoxFuture<'async_trait, S3Result<S3Response<dto::$output>>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                operations!(@ self, $name, request, $how)
            })*
        }
    };
}

operations! {
    waits abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput;
    waits complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput;
    waits copy_object: CopyObjectInput => CopyObjectOutput;
    waits create_bucket: CreateBucketInput => CreateBucketOutput;
    waits create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput;
    waits delete_bucket: DeleteBucketInput => DeleteBucketOutput;
    waits delete_object: DeleteObjectInput => DeleteObjectOutput;
    waits delete_objects: DeleteObjectsInput => DeleteObjectsOutput;
    at_once get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput;
    at_once get_object: GetObjectInput => GetObjectOutput;
    at_once head_bucket: HeadBucketInput => HeadBucketOutput;
    at_once head_object: HeadObjectInput => HeadObjectOutput;
    answers list_buckets: ListBucketsInput => ListBucketsOutput;
    at_once list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput;
    at_once list_objects: ListObjectsInput => ListObjectsOutput;
    at_once list_objects_v2: ListObjectsV2Input => ListObjectsV2Output;
    at_once list_parts: ListPartsInput => ListPartsOutput;
    waits put_object: PutObjectInput => PutObjectOutput;
    waits upload_part: UploadPartInput => UploadPartOutput;
    waits upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput;
}
