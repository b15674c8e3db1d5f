//! A million keys are listed and compared without being kept.
#![expect(clippy::unwrap_used, reason = "a test")]
#![cfg(target_os = "linux")]

use longshore_blob_api::{
    AnyStore, BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, Entry, GetManyOptions,
    GetManyStream, GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MultipartId, MultipartRef,
    PageToken, PartInfo, PartNumber, PartReceipt, PutOptions, PutResult, SignRequest, SignedRequest,
    UploadPage,
};
use longshore_core_types::{Error, ErrorKind, ObjectKey, ObjectMeta, Payload, Result, StoreUrl};
use longshore_transfer::{Compare, Place, Transfer};

const KEYS: u64 = 1_000_000;
const PAGE: u64 = 1000;

/// A store whose names are made when they are listed. Every `step`th is left out.
#[derive(Debug)]
struct Numbers {
    bucket: &'static str,
    step: u64,
    can: Capability,
}

impl Numbers {
    fn place(bucket: &'static str, step: u64) -> Place {
        let mut can = Capability::default();
        can.list_ordered = true;
        Place::store(AnyStore::new(Self { bucket, step, can }), "")
    }
}

fn no<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "only listings work"))
}

impl BlobStore for Numbers {
    fn capability(&self) -> &Capability {
        &self.can
    }

    fn url(&self) -> StoreUrl {
        format!("memory://{}", self.bucket).parse().unwrap()
    }

    async fn list_page(&self, _: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        let from: u64 = page.map_or(0, |token| token.as_str().parse().unwrap());
        let names = (from..KEYS.min(from + PAGE)).filter(|n| self.step == 0 || n % self.step != 0);
        let entry = |n| Entry::Object(ObjectMeta::new(ObjectKey::new(format!("folder/{n:09}")).unwrap(), n));
        let next = (from + PAGE < KEYS).then(|| PageToken::new((from + PAGE).to_string()));
        Ok(ListPage::new(names.map(entry).collect(), next))
    }

    async fn head(&self, _: &ObjectKey, _: HeadOptions) -> Result<ObjectMeta> {
        no()
    }

    async fn get(&self, _: &ObjectKey, _: GetOptions) -> Result<GetResult> {
        no()
    }

    async fn get_many(&self, _: Vec<ObjectKey>, _: GetManyOptions) -> Result<GetManyStream> {
        no()
    }

    async fn put(&self, _: &ObjectKey, _: Payload, _: PutOptions) -> Result<PutResult> {
        no()
    }

    async fn delete(&self, _: &ObjectKey, _: DeleteOptions) -> Result<()> {
        no()
    }

    async fn delete_many(&self, _: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        no()
    }

    async fn copy(&self, _: &ObjectKey, _: &ObjectKey, _: CopyOptions) -> Result<PutResult> {
        no()
    }

    fn can_copy_from(&self, _: &StoreUrl) -> bool {
        false
    }

    async fn copy_from(&self, _: &StoreUrl, _: &ObjectKey, _: CopyOptions) -> Result<PutResult> {
        no()
    }

    async fn create_multipart(&self, _: &ObjectKey, _: PutOptions) -> Result<MultipartId> {
        no()
    }

    async fn upload_part(&self, _: &MultipartRef, _: PartNumber, _: Payload) -> Result<PartReceipt> {
        no()
    }

    async fn list_parts(&self, _: &MultipartRef) -> Result<Vec<PartInfo>> {
        no()
    }

    async fn list_uploads(&self, _: &str, _: Option<PageToken>) -> Result<UploadPage> {
        no()
    }

    async fn complete_multipart(&self, _: &MultipartRef, _: Vec<PartReceipt>) -> Result<PutResult> {
        no()
    }

    async fn abort_multipart(&self, _: &MultipartRef) -> Result<()> {
        no()
    }

    async fn sign(&self, _: SignRequest) -> Result<SignedRequest> {
        no()
    }
}

/// The most memory that this process has used, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A dry run between two stores of a million names each, of which a seventh differs and is to be removed.
#[tokio::test]
async fn a_million_keys_grow_memory_by_less_than_16_mib() {
    let transfer = Transfer::builder().build().unwrap();
    let before = peak();
    let sync = transfer.sync(Numbers::place("a", 7), Numbers::place("b", 0));
    let report = sync.compare(Compare::Size).remove(true).dry_run(true).await.unwrap();
    let extra = KEYS.div_ceil(7);
    assert_eq!((report.unchanged, report.copied, report.removed), (KEYS - extra, 0, extra), "{report:?}");
    let grown = peak() - before;
    assert!(grown <= 16 << 20, "memory grew by {} KiB", grown >> 10);
}
