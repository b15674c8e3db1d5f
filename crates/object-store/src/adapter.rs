//! Any longshore store as an `ObjectStore`: one text for all versions of that crate, which differ in a few fields.

/// Writes the adapter for one version of the `object_store` crate, named `object_store` where this is used.
macro_rules! adapter {
    ($($extensions:ident)?) => {
        use std::{fmt, pin::Pin, sync::{Arc, Mutex, PoisonError}, time::SystemTime};

        use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, future::BoxFuture, stream, stream::BoxStream};
        use longshore_blob_api::{
            AnyStore, BlobStore, DeleteOptions, Entry, HeadOptions, ListOptions, ListPage, MultipartRef,
            PartNumber, PartOrder, PartReceipt,
        };
        use longshore_core_types::{ByteRange, Error as Fault, ErrorKind, ObjectKey, Payload};
        use object_store::{
            Attribute, AttributeValue, Attributes, CopyMode, CopyOptions, Error, GetOptions, GetRange, GetResult,
            GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
            PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart, path::Path,
        };

        /// Name of the implementation in errors.
        const STORE: &str = "longshore";

        /// Names in one request to delete, where the store takes more.
        const BATCH: usize = 1000;

        /// Requests to delete at a time.
        const BATCHES: usize = 4;

        /// Any longshore store as an `ObjectStore`. Cheap to clone.
        ///
        /// - What the store cannot do is `Error::NotImplemented`; nothing is emulated. `PutMode::Create` in
        ///   particular is the store's own condition, or an error.
        /// - Names that a `Path` would alter (`a//b`, `/lead`, with a segment `..`) are errors of their own in a listing,
        ///   which goes on behind them. Empty objects whose names end in `/` are left out: consoles make them where somebody
        ///   makes a folder.
        /// - Versions of objects are not shown, because no longshore store reads an old one.
        /// - Uploads in parts need a store that takes parts of any size in any order.
        #[derive(Clone, Debug)]
        pub struct ObjectStoreAdapter {
            store: AnyStore,
        }

        impl ObjectStoreAdapter {
            /// Wraps a store.
            pub fn new(store: impl BlobStore) -> Self {
                Self { store: AnyStore::new(store) }
            }

            /// The store within.
            pub fn store(&self) -> &AnyStore {
                &self.store
            }
        }

        impl fmt::Display for ObjectStoreAdapter {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "longshore({})", self.store.url())
            }
        }

        fn wrong(path: &str) -> impl FnOnce(Fault) -> Error {
            let path = path.to_owned();
            move |fault| {
                let kind = fault.kind();
                let source = fault.into();
                match kind {
                    ErrorKind::NotFound => Error::NotFound { path, source },
                    ErrorKind::AlreadyExists => Error::AlreadyExists { path, source },
                    ErrorKind::PreconditionFailed => Error::Precondition { path, source },
                    ErrorKind::NotModified => Error::NotModified { path, source },
                    ErrorKind::PermissionDenied => Error::PermissionDenied { path, source },
                    ErrorKind::Unauthenticated => Error::Unauthenticated { path, source },
                    ErrorKind::Unsupported => Error::NotImplemented {
                        operation: source.to_string(),
                        implementer: STORE.to_owned(),
                    },
                    _ => Error::Generic { store: STORE, source },
                }
            }
        }

        fn missing(operation: &str) -> Error {
            Error::NotImplemented { operation: operation.to_owned(), implementer: STORE.to_owned() }
        }

        fn key(path: &Path) -> Result<ObjectKey> {
            ObjectKey::new(path.as_ref()).map_err(wrong(path.as_ref()))
        }

        fn payload(bytes: PutPayload) -> Payload {
            let length = bytes.content_length() as u64;
            let open = move || stream::iter(bytes.clone()).map(Ok).boxed();
            if length == 0 { Payload::empty() } else { Payload::replayable(Some(length), open) }
        }

        /// The path that stands for a name, if it stands for no other.
        fn path(name: &str) -> Result<Path> {
            match Path::parse(name) {
                Ok(path) if path.as_ref() == name => Ok(path),
                Ok(_) => {
                    let message = format!("the name {name:?} is none that a Path can hold");
                    Err(Error::Generic { store: STORE, source: message.into() })
                }
                Err(source) => Err(Error::InvalidPath { source }),
            }
        }

        /// What consoles make to show a folder that holds nothing.
        fn is_folder(meta: &longshore_core_types::ObjectMeta) -> bool {
            meta.size == 0 && meta.key.as_str().ends_with('/')
        }

        fn describe(meta: &longshore_core_types::ObjectMeta) -> Result<ObjectMeta> {
            Ok(ObjectMeta {
                location: path(meta.key.as_str())?,
                last_modified: meta.last_modified.unwrap_or(SystemTime::UNIX_EPOCH).into(),
                size: meta.size,
                e_tag: meta.etag.clone(),
                version: None,
            })
        }

        fn attributes_in(attributes: &Attributes) -> Result<longshore_core_types::Attributes> {
            let mut all = longshore_core_types::Attributes::default();
            for (name, value) in attributes {
                let value = value.to_string();
                match name {
                    Attribute::ContentType => all.content_type = Some(value),
                    Attribute::CacheControl => all.cache_control = Some(value),
                    Attribute::ContentEncoding => all.content_encoding = Some(value),
                    Attribute::ContentDisposition => all.content_disposition = Some(value),
                    Attribute::ContentLanguage => all.content_language = Some(value),
                    Attribute::Metadata(name) => drop(all.metadata.insert(name.to_string(), value)),
                    other => return Err(missing(&format!("the attribute {other:?}"))),
                }
            }
            Ok(all)
        }

        fn attributes_out(attributes: &longshore_core_types::Attributes) -> Attributes {
            let headers = [
                (Attribute::ContentType, &attributes.content_type),
                (Attribute::CacheControl, &attributes.cache_control),
                (Attribute::ContentEncoding, &attributes.content_encoding),
                (Attribute::ContentDisposition, &attributes.content_disposition),
                (Attribute::ContentLanguage, &attributes.content_language),
            ];
            let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
            let metadata = attributes.metadata.iter().map(|(name, value)| {
                (Attribute::Metadata(name.clone().into()), value.clone())
            });
            headers.chain(metadata).map(|(name, value)| (name, AttributeValue::from(value))).collect()
        }

        fn stored(result: longshore_blob_api::PutResult) -> PutResult {
            PutResult { e_tag: result.etag, version: None, $($extensions: Default::default())? }
        }

        fn put_options(attributes: &Attributes, tagged: bool) -> Result<longshore_blob_api::PutOptions> {
            if tagged {
                return Err(missing("tags"));
            }
            let mut options = longshore_blob_api::PutOptions::default();
            options.attributes = attributes_in(attributes)?;
            Ok(options)
        }

        /// A condition that is one entity tag, which stores understand.
        fn single(condition: Option<&String>) -> Option<String> {
            condition.filter(|tags| !tags.contains(',') && tags.as_str() != "*").cloned()
        }

        fn pages(
            store: AnyStore,
            options: ListOptions,
        ) -> impl Stream<Item = Result<ListPage>> + Send + 'static {
            let start = Some((store, options, None));
            stream::unfold(start, |state| async move {
                let (store, options, token) = state?;
                match store.list_page(&options, token).await {
                    Ok(page) => {
                        let next = page.next.clone().map(|next| (store, options, Some(next)));
                        Some((Ok(page), next))
                    }
                    Err(fault) => Some((Err(wrong(&options.prefix)(fault)), None)),
                }
            })
        }

        fn folder(prefix: Option<&Path>) -> String {
            match prefix.map(Path::as_ref) {
                None | Some("") => String::new(),
                Some(prefix) => format!("{prefix}/"),
            }
        }

        /// What happens to names that are deleted together, in their order.
        async fn delete_batch(store: AnyStore, paths: Vec<Result<Path>>) -> Vec<Result<Path>> {
            let mut keys = Vec::new();
            for path in paths.iter().flatten() {
                keys.extend(key(path));
            }
            let outcomes = if store.capability().delete_batch.is_some() {
                store.delete_many(keys).await
            } else {
                let delete = |key: ObjectKey| {
                    let store = store.clone();
                    async move {
                        let result = store.delete(&key, DeleteOptions::default()).await;
                        longshore_blob_api::DeleteOutcome::new(key, result)
                    }
                };
                Ok(stream::iter(keys).map(delete).buffer_unordered(8).collect().await)
            };
            let outcomes = match outcomes {
                Ok(outcomes) => outcomes,
                Err(fault) => {
                    let text = fault.chain();
                    let same = |path: Path| {
                        Err(wrong(path.as_ref())(Fault::new(fault.kind(), text.clone())))
                    };
                    return paths.into_iter().map(|path| path.and_then(same)).collect();
                }
            };
            let mut results: std::collections::HashMap<_, _> =
                outcomes.into_iter().map(|outcome| (outcome.key, outcome.result)).collect();
            let mut result = |path: Path| match results.remove(&key(&path)?) {
                Some(Err(fault)) => Err(wrong(path.as_ref())(fault)),
                Some(Ok(())) | None => Ok(path),
            };
            paths.into_iter().map(|path| path.and_then(&mut result)).collect()
        }

        impl ObjectStoreAdapter {
            async fn put(&self, location: &Path, bytes: PutPayload, opts: PutOptions) -> Result<PutResult> {
                let mut options = put_options(&opts.attributes, !opts.tags.encoded().is_empty())?;
                let update = matches!(opts.mode, PutMode::Update(_));
                match opts.mode {
                    PutMode::Overwrite => {}
                    PutMode::Create => options.create_only = true,
                    PutMode::Update(version) => {
                        let etag = version.e_tag.ok_or_else(|| missing("an update without an entity tag"))?;
                        options.if_match = Some(etag);
                    }
                }
                match self.store.put(&key(location)?, payload(bytes), options).await {
                    Ok(result) => Ok(stored(result)),
                    // What is to be updated has to be there.
                    Err(fault) if update && fault.kind() == ErrorKind::NotFound => {
                        Err(Error::Precondition { path: location.to_string(), source: fault.into() })
                    }
                    Err(fault) => Err(wrong(location.as_ref())(fault)),
                }
            }

            async fn begin(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
                let options = put_options(&opts.attributes, !opts.tags.encoded().is_empty())?;
                let limits = self.store.capability().multipart;
                let fits = limits.is_some_and(|l| !l.equal_parts && l.part_order == PartOrder::Any);
                if !fits {
                    return Err(missing("an upload in parts of any size in any order"));
                }
                let key = key(location)?;
                let id = self.store.create_multipart(&key, options.clone()).await.map_err(wrong(location.as_ref()))?;
                Ok(Box::new(Upload {
                    store: self.store.clone(),
                    begun_as: MultipartRef { key, id },
                    options,
                    begun: 0,
                    receipts: Arc::default(),
                }))
            }

            async fn read(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
                if options.version.is_some() {
                    return Err(missing("reading a version"));
                }
                let fail = || wrong(location.as_ref());
                let timed = options.if_modified_since.is_some() || options.if_unmodified_since.is_some();
                // Without a time nothing can be said about it.
                let check = |meta: &longshore_core_types::ObjectMeta, described: &ObjectMeta| {
                    if timed && meta.last_modified.is_none() {
                        return Err(missing("conditions on the time of change"));
                    }
                    options.check_preconditions(described)
                };
                let key = key(location)?;
                let can = self.store.capability();
                if options.head {
                    let meta = self.store.head(&key, HeadOptions::default()).await.map_err(fail())?;
                    let described = describe(&meta)?;
                    check(&meta, &described)?;
                    return Ok(GetResult {
                        payload: GetResultPayload::Stream(stream::empty().boxed()),
                        range: 0..described.size,
                        attributes: attributes_out(&meta.attributes),
                        meta: described,
                        $($extensions: Default::default())?
                    });
                }
                let mut get = longshore_blob_api::GetOptions::default();
                get.if_match = single(options.if_match.as_ref()).filter(|_| can.if_match);
                get.if_none_match = single(options.if_none_match.as_ref()).filter(|_| can.if_none_match);
                get.range = match &options.range {
                    None => None,
                    Some(GetRange::Bounded(range)) => Some(ByteRange::from(range.clone())),
                    Some(GetRange::Offset(start)) => Some(ByteRange::From(*start)),
                    Some(GetRange::Suffix(length)) if can.suffix_range => Some(ByteRange::Suffix(*length)),
                    Some(GetRange::Suffix(length)) => {
                        let size = self.store.head(&key, HeadOptions::default()).await.map_err(fail())?.size;
                        Some(ByteRange::From(size.saturating_sub(*length)))
                    }
                };
                let result = self.store.get(&key, get).await.map_err(fail())?;
                let meta = describe(&result.meta)?;
                // Of the answer itself, so nothing changes in between.
                check(&result.meta, &meta)?;
                let (range, attributes) = (result.range.clone(), attributes_out(&result.meta.attributes));
                let name = location.to_string();
                let body = result.into_stream().map_err(move |fault| wrong(&name)(fault));
                Ok(GetResult {
                    payload: GetResultPayload::Stream(body.boxed()),
                    meta,
                    range,
                    attributes,
                    $($extensions: Default::default())?
                })
            }

            fn walk(&self, prefix: Option<&Path>, after: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
                let mut options = ListOptions::prefix(folder(prefix));
                let after = after.map(ToString::to_string);
                if self.store.capability().list_start_after {
                    options.start_after = after.clone();
                }
                let entries = pages(self.store.clone(), options).flat_map(|page| match page {
                    Ok(page) => stream::iter(page.entries).map(Ok).left_stream(),
                    Err(error) => stream::iter([Err(error)]).right_stream(),
                });
                let wanted = move |entry: Result<Entry>| {
                    let found = match entry {
                        Ok(Entry::Object(meta)) if is_folder(&meta) => None,
                        Ok(Entry::Object(meta)) if after.as_deref().is_none_or(|a| meta.key.as_str() > a) => {
                            Some(describe(&meta))
                        }
                        Ok(_) => None,
                        Err(error) => Some(Err(error)),
                    };
                    futures_util::future::ready(found)
                };
                entries.filter_map(wanted).boxed()
            }

            async fn level(&self, prefix: Option<&Path>) -> Result<ListResult> {
                let prefix = folder(prefix);
                let mut options = ListOptions::prefix(&prefix);
                options.delimited = self.store.capability().list_delimiter;
                let (mut objects, mut prefixes) = (Vec::new(), std::collections::BTreeSet::new());
                let mut pages = std::pin::pin!(pages(self.store.clone(), options));
                while let Some(page) = pages.try_next().await? {
                    for entry in page.entries {
                        match entry {
                            Entry::Prefix(folder) => drop(prefixes.insert(folder)),
                            Entry::Object(meta) => match meta.key.as_str()[prefix.len()..].split_once('/') {
                                Some((first, _)) => drop(prefixes.insert(format!("{prefix}{first}/"))),
                                None if is_folder(&meta) => {}
                                None => objects.push(describe(&meta)?),
                            },
                            _ => {}
                        }
                    }
                }
                let folder = |name: String| path(name.strip_suffix('/').unwrap_or(&name));
                let common_prefixes = prefixes.into_iter().map(folder).collect::<Result<_>>()?;
                Ok(ListResult { common_prefixes, objects, $($extensions: Default::default())? })
            }

            async fn copy(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
                let mut copy = longshore_blob_api::CopyOptions::default();
                copy.create_only = matches!(options.mode, CopyMode::Create);
                let source = key(from)?;
                self.store.copy(&source, &key(to)?, copy).await.map(drop).map_err(|fault| {
                    let about = if fault.kind() == ErrorKind::NotFound { from } else { to };
                    wrong(about.as_ref())(fault)
                })
            }
        }

        type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

        // The trait is one of boxed futures; this is what its macro would write.
        impl ObjectStore for ObjectStoreAdapter {
            fn put_opts<'life0, 'life1, 'async_trait>(
                &'life0 self,
                location: &'life1 Path,
                payload: PutPayload,
                opts: PutOptions,
            ) -> Doing<'async_trait, PutResult>
            where
                'life0: 'async_trait,
                'life1: 'async_trait,
                Self: 'async_trait,
            {
                self.put(location, payload, opts).boxed()
            }

            fn put_multipart_opts<'life0, 'life1, 'async_trait>(
                &'life0 self,
                location: &'life1 Path,
                opts: PutMultipartOptions,
            ) -> Doing<'async_trait, Box<dyn MultipartUpload>>
            where
                'life0: 'async_trait,
                'life1: 'async_trait,
                Self: 'async_trait,
            {
                self.begin(location, opts).boxed()
            }

            fn get_opts<'life0, 'life1, 'async_trait>(
                &'life0 self,
                location: &'life1 Path,
                options: GetOptions,
            ) -> Doing<'async_trait, GetResult>
            where
                'life0: 'async_trait,
                'life1: 'async_trait,
                Self: 'async_trait,
            {
                self.read(location, options).boxed()
            }

            fn delete_stream(
                &self,
                locations: BoxStream<'static, Result<Path>>,
            ) -> BoxStream<'static, Result<Path>> {
                let store = self.store.clone();
                let most = store.capability().delete_batch.map_or(BATCH, |n| BATCH.min(n as usize)).max(1);
                locations
                    .chunks(most)
                    .map(move |batch| delete_batch(store.clone(), batch))
                    .buffered(BATCHES)
                    .flat_map(stream::iter)
                    .boxed()
            }

            fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
                self.walk(prefix, None)
            }

            fn list_with_offset(
                &self,
                prefix: Option<&Path>,
                offset: &Path,
            ) -> BoxStream<'static, Result<ObjectMeta>> {
                self.walk(prefix, Some(offset))
            }

            fn list_with_delimiter<'life0, 'life1, 'async_trait>(
                &'life0 self,
                prefix: Option<&'life1 Path>,
            ) -> Doing<'async_trait, ListResult>
            where
                'life0: 'async_trait,
                'life1: 'async_trait,
                Self: 'async_trait,
            {
                self.level(prefix).boxed()
            }

            fn copy_opts<'life0, 'life1, 'life2, 'async_trait>(
                &'life0 self,
                from: &'life1 Path,
                to: &'life2 Path,
                options: CopyOptions,
            ) -> Doing<'async_trait, ()>
            where
                'life0: 'async_trait,
                'life1: 'async_trait,
                'life2: 'async_trait,
                Self: 'async_trait,
            {
                self.copy(from, to, options).boxed()
            }
        }

        /// An upload in parts. Dropped, it leaves its parts at the store until they are aborted.
        struct Upload {
            store: AnyStore,
            begun_as: MultipartRef,
            options: longshore_blob_api::PutOptions,
            begun: u32,
            receipts: Arc<Mutex<Vec<PartReceipt>>>,
        }

        impl fmt::Debug for Upload {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("Upload").field("upload", &self.begun_as).finish_non_exhaustive()
            }
        }

        impl Upload {
            fn take_receipts(&self) -> Vec<PartReceipt> {
                let mut receipts =
                    std::mem::take(&mut *self.receipts.lock().unwrap_or_else(PoisonError::into_inner));
                receipts.sort_by_key(|receipt| receipt.number);
                receipts
            }

            async fn finish(&mut self) -> Result<PutResult> {
                let name = self.begun_as.key.to_string();
                let receipts = self.take_receipts();
                if receipts.len() != self.begun as usize {
                    let message = format!("{} of {} parts were stored", receipts.len(), self.begun);
                    return Err(Error::Generic { store: STORE, source: message.into() });
                }
                if receipts.is_empty() {
                    // No store completes an upload without parts.
                    self.store.abort_multipart(&self.begun_as).await.map_err(wrong(&name))?;
                    let put = self.store.put(&self.begun_as.key, Payload::empty(), self.options.clone()).await;
                    return put.map(stored).map_err(wrong(&name));
                }
                let done = self.store.complete_multipart(&self.begun_as, receipts).await;
                done.map(stored).map_err(wrong(&name))
            }
        }

        impl MultipartUpload for Upload {
            fn put_part(&mut self, data: PutPayload) -> UploadPart {
                let number = PartNumber::from_index(self.begun);
                self.begun += 1;
                let (store, upload) = (self.store.clone(), self.begun_as.clone());
                let receipts = Arc::clone(&self.receipts);
                let send = async move {
                    let stored = store.upload_part(&upload, number, payload(data)).await;
                    let receipt = stored.map_err(wrong(upload.key.as_str()))?;
                    receipts.lock().unwrap_or_else(PoisonError::into_inner).push(receipt);
                    Ok(())
                };
                send.boxed()
            }

            fn complete<'life0, 'async_trait>(&'life0 mut self) -> BoxFuture<'async_trait, Result<PutResult>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                self.finish().boxed()
            }

            fn abort<'life0, 'async_trait>(&'life0 mut self) -> BoxFuture<'async_trait, Result<()>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                async move {
                    let aborted = self.store.abort_multipart(&self.begun_as).await;
                    aborted.map_err(wrong(self.begun_as.key.as_str()))
                }
                .boxed()
            }
        }

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn names_stand_for_themselves_or_are_refused() {
                assert_eq!(path("a/b c/%20").map(|p| p.to_string()).ok().as_deref(), Some("a/b c/%20"));
                for name in ["a//b", "/a", "a/", "a/../b", "."] {
                    assert!(path(name).is_err(), "{name}");
                }
            }

            #[tokio::test]
            async fn folders_that_consoles_made_do_not_spoil_a_listing() {
                use longshore_blob_api::{BlobStoreExt, MemoryStore};

                let store = AnyStore::new(MemoryStore::new("b").unwrap());
                for (name, content) in [("dir/", ""), ("dir/sub/", ""), ("dir/a", "x")] {
                    store.write(&ObjectKey::new(name).unwrap(), content).await.unwrap();
                }
                let adapter = ObjectStoreAdapter::new(store);
                let all: Vec<_> = adapter.list(None).try_collect().await.unwrap();
                assert_eq!(all.iter().map(|meta| meta.location.as_ref()).collect::<Vec<_>>(), ["dir/a"]);
                let level = adapter.list_with_delimiter(Some(&Path::from("dir"))).await.unwrap();
                assert_eq!((level.objects.len(), level.common_prefixes), (1, vec![Path::from("dir/sub")]));
                // What holds something is an object, whatever its name.
                adapter.store().write(&ObjectKey::new("dir/b/").unwrap(), "x").await.unwrap();
                assert!(adapter.list(None).try_collect::<Vec<_>>().await.is_err());
            }

            #[test]
            fn faults_keep_their_meaning() {
                let error = |kind| wrong("k")(Fault::new(kind, "why"));
                assert!(matches!(error(ErrorKind::NotFound), Error::NotFound { path, .. } if path == "k"));
                assert!(matches!(error(ErrorKind::Unsupported), Error::NotImplemented { .. }));
                assert!(matches!(error(ErrorKind::Timeout), Error::Generic { .. }));
            }
        }
    };
}
pub(crate) use adapter;
