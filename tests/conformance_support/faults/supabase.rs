//! Faults of a Supabase Storage service, whose uploads in parts are resumable uploads or go through its S3 endpoint.
//!
//! What arrived of a part before its connection broke stays there, and the rest goes on behind it, so parts survive what
//! loses them elsewhere.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use libtest_mimic::Trial;
use longshore_blob_api::{AnyStore, BlobStore, BlobStoreExt, MultipartRef, PartNumber, PutOptions};
use longshore_core_types::{Error, ErrorKind};
use longshore_devserver::{DevServer, Handle, RowSecurity, SupabaseSettings};
use longshore_supabase::{AwsCredentials, Client, ClientBuilder};
use longshore_transport::{BearerToken, CredentialProvider};

use super::{
    super::{Context, Fault, supabase::PART},
    ErrorKind::{PreconditionFailed, Protocol, RateLimited, Timeout, Transport, Unavailable},
    Expect::{Either, Exhausts, Fails, Right},
    Operation::{
        CopyTo, Delete, Download, Get, Head, List, Overwrite, Parts, Pinned, Put, Range, Read, Upload,
    },
    Pace, Platform, Row, Scene, brisk, content, expect, key, patient, row, transfer,
};

const BUCKET: &str = "faults";

pub(super) const PLATFORM: Platform =
    Platform { name: "supabase-faults", place: "supabase://faults", rows: ROWS, known: &[], open };

/// Uploads in parts go through the S3 endpoint; nothing else does.
pub(super) const OVER_S3: Platform = Platform {
    name: "supabase-s3-faults",
    place: "supabase://faults",
    rows: S3_ROWS,
    known: &[],
    open: open_s3,
};

const ROWS: &[Row] = &[
    row("reset::get", "get:reset-at=1000:count=1", Get, Fails(Transport)),
    row("reset::range", "get:reset-at=100:count=1", Range, Fails(Transport)),
    row("reset::reader_goes_on", "get:reset-at=1000:count=3", Read, Right),
    row("reset::reader_gives_up", "get:reset-at=1000", Read, Fails(Transport)),
    row("reset::put", "put:reset-at=1000:count=1", Put(50_000), Right),
    row("reset::large_put", "put:reset-at=300000:count=1", Put(1 << 20), Right),
    row("reset::overwrite", "put:reset-at=1000", Overwrite(50_000), Fails(Transport)),
    row("reset::part", "mpt-part:reset-at=5000:count=1", Parts, Right),
    row("reset::part_at_its_start", "mpt-part:reset-at=0:count=1", Parts, Right),
    row("reset::list", "list:reset-at=10:count=1", List, Fails(Transport)),
    row("reset::download", "get:reset-at=1000:count=4", Download, Right),
    row("reset::upload", "mpt-part:reset-at=5000:count=2", Upload, Right),
    row("stall::get", "get:stall:count=1", Get, Right),
    row("stall::get_without_end", "get:stall", Get, Exhausts(Timeout)),
    row("stall::body", "get:stall-at=1000:count=1", Get, Fails(Timeout)),
    row("stall::reader_goes_on", "get:stall-at=1000:count=1", Read, Right),
    row("stall::put", "put:stall:count=1", Put(50_000), Right),
    row("stall::body_of_put", "put:stall-at=1000:count=1", Put(50_000), Right),
    row("stall::part", "mpt-part:stall:count=1", Parts, Right),
    row("stall::body_of_part", "mpt-part:stall-at=5000:count=1", Parts, Right),
    row("stall::upload", "mpt-part:stall-at=5000:count=1", Upload, Right),
    row("stall::list", "list:stall:count=1", List, Right),
    row("stall::download", "get:stall-at=1000:count=1", Download, Right),
    row("delay::get", "get:delay=20ms", Get, Right),
    row("delay::put", "put:delay=20ms", Put(50_000), Right),
    row("rate::get", "get:rate=1MiB", Get, Right),
    row("rate::put", "put:rate=4MiB", Put(300_000), Right),
    row("rate::upload", "mpt-part:rate=4MiB", Upload, Right),
    row("truncate::get", "get:truncate-at=1000:count=1", Get, Fails(Transport)),
    row("truncate::reader_goes_on", "get:truncate-at=1000:count=1", Read, Right),
    row("truncate::list", "list:truncate-at=10:count=1", List, Fails(Transport)),
    row("truncate::download", "get:truncate-at=1000:count=2", Download, Right),
    row("short::range", "get:short-by=10", Range, Fails(Transport)),
    row("short::reader", "get:short-by=10", Read, Fails(Transport)),
    row("short::list", "list:short-by=5", List, Fails(Protocol)),
    row("short::download", "get:short-by=10:count=1", Download, Right),
    row("extra::get", "get:extra=10", Get, Right),
    row("extra::range", "get:extra=10", Range, Right),
    row("extra::list", "list:extra=10", List, Right),
    row("wrong_range::range", "get:wrong-range=10", Range, Fails(Protocol)),
    row("wrong_range::reader", "get:wrong-range=10", Read, Fails(Protocol)),
    row("wrong_range::download", "get:wrong-range=10:skip=1", Download, Fails(Protocol)),
    row("ignored_range::range", "get:ignore-range", Range, Either(Protocol)),
    row("ignored_range::reader", "get:ignore-range", Read, Either(Protocol)),
    row("status_500::get", "get:status=500:count=1", Get, Right),
    row("status_500::put", "put:status=500:count=1", Put(50_000), Right),
    row("status_500::description", "head:status=500:count=2", Head, Right),
    row("status_502::get", "get:status=502:count=2", Get, Right),
    row("status_503::get", "get:status=503:count=2", Get, Right),
    row("status_503::get_without_end", "get:status=503", Get, Exhausts(Unavailable)),
    row("status_503::put", "put:status=503:count=2", Put(50_000), Right),
    row("status_503::large_put", "put:status=503:count=1", Put(1 << 20), Right),
    row("status_503::delete", "delete:status=503:count=2", Delete, Right),
    row("status_503::list", "list:status=503:count=2", List, Right),
    row("status_503::copy", "copy:status=503:count=2", CopyTo, Right),
    row("status_503::part", "mpt-part:status=503:count=1", Parts, Right),
    row("status_503::part_without_end", "mpt-part:status=503", Parts, Exhausts(Unavailable)),
    row("status_503::upload", "mpt-part:status=503:count=2", Upload, Right),
    row("status_503::upload_without_end", "mpt-part:status=503", Upload, Fails(Unavailable)),
    row("status_503::offset", "mpt-part:reset-at=5000:count=1 mpt-head:status=503:count=2", Upload, Right),
    row("status_503::completion", "mpt-part:status=503:count=1:skip=10", Upload, Right),
    row("status_503::download", "get:status=503:count=4", Download, Right),
    row("status_503::with_retry_after", "get:status=503/0:count=2", Get, Right),
    row("status_504::get", "get:status=504:count=1", Get, Right),
    row("status_429::get", "get:status=429:count=2", Get, Right),
    row("status_429::put", "put:status=429/0:count=2", Put(50_000), Right),
    row("status_429::creation", "mpt-create:status=429/0:count=2", Upload, Right),
    row("status_429::get_without_end", "get:status=429", Get, Exhausts(RateLimited)),
    row("status_544::get", "get:status=544:count=2", Get, Right),
    row("replace::pinned", "get:replace:count=1", Pinned, Fails(PreconditionFailed)),
    row("replace::reader", "get:replace:count=1:skip=1", Read, Fails(PreconditionFailed)),
    row("replace::download", "get:replace:count=1:skip=2", Download, Right),
    row("close::get", "get:close:count=1", Get, Right),
    row("close::get_without_end", "get:close", Get, Fails(Transport)),
    row("close::put", "put:close:count=1", Put(50_000), Right),
    row("close::part", "mpt-part:close:count=1", Parts, Right),
    row("close::creation", "mpt-create:close:count=1", Upload, Right),
    row("close::upload", "mpt-part:close:count=1", Upload, Right),
    row("close::list", "list:close:count=1", List, Right),
    row("byte_writes::get", "get:byte-writes", Range, Right),
    row("byte_writes::head", "head:byte-writes", Head, Right),
    row("byte_writes::list", "list:byte-writes", List, Right),
    row("close_idle::reader", "get:close-idle", Read, Right),
    row("close_idle::put", "any:close-idle", Put(50_000), Right),
    row("close_idle::parts", "any:close-idle", Parts, Right),
    row("close_idle::download", "any:close-idle", Download, Right),
    row("restart::get", "get:restart=30ms:count=1", Get, Right),
    row("restart::put", "put:restart=30ms:count=1", Put(50_000), Right),
    row("restart::upload", "mpt-part:restart=30ms:count=1:skip=2", Upload, Right),
    // The service says no more than that it failed.
    row("no_space::put", "put:no-space", Put(50_000), Exhausts(Unavailable)),
    row("no_space::put_half_way", "put:no-space-at=1000", Put(50_000), Exhausts(Unavailable)),
    row("no_space::overwrite", "put:no-space-at=1000", Overwrite(50_000), Exhausts(Unavailable)),
    row("no_space::part", "mpt-part:no-space", Parts, Exhausts(Unavailable)),
    row("no_space::upload", "mpt-part:no-space", Upload, Fails(Unavailable)),
];

const S3_ROWS: &[Row] = &[
    row("reset::part", "mpt-part:reset-at=5000:count=1", Parts, Right),
    row("reset::upload", "mpt-part:reset-at=5000:count=2", Upload, Right),
    row("close::upload", "mpt-part:close:count=2", Upload, Right),
    row("status_503::creation", "mpt-create:status=503:count=1", Upload, Right),
    row("status_503::upload", "mpt-part:status=503:count=2", Upload, Right),
    row("status_503::upload_without_end", "mpt-part:status=503", Upload, Fails(Unavailable)),
    row("status_503::completion", "mpt-complete:status=503:count=1", Upload, Either(Unavailable)),
    row("no_space::upload", "mpt-part:no-space", Upload, Fails(Unavailable)),
];

fn open(context: &Context, pace: Pace) -> Result<Scene, Fault> {
    scene(context, pace, |_, client| client)
}

fn open_s3(context: &Context, pace: Pace) -> Result<Scene, Fault> {
    scene(context, pace, |settings, client| {
        client.s3(AwsCredentials::new(settings.s3_access_key(), settings.s3_secret_key()))
    })
}

fn scene(
    context: &Context,
    pace: Pace,
    set: fn(&SupabaseSettings, ClientBuilder) -> ClientBuilder,
) -> Result<Scene, Fault> {
    let server = DevServer::builder().supabase("127.0.0.1:0").start_blocking()?;
    let calm = client(&server).build()?;
    context.run(async { calm.buckets().create(BUCKET).await })??;
    let busy = client(&server).retry(patient());
    let busy = if pace == Pace::Brisk { busy.timeouts(brisk()) } else { busy };
    let store = AnyStore::new(set(server.supabase_settings(), busy).build()?.bucket(BUCKET)?.store());
    Ok(Scene { calm: AnyStore::new(calm.bucket(BUCKET)?.store()), server, store })
}

fn client(server: &Handle) -> ClientBuilder {
    let key = server.supabase_settings().service_key();
    Client::builder(server.supabase_url().unwrap_or_default()).key(key).part_size(PART)
}

/// A key of the project.
type KeyOf = fn(&SupabaseSettings) -> String;

/// What does not fit in a row: a user's session ends while an upload is under way, beside keys of both generations.
pub(super) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let keys: [(&str, KeyOf); 2] = [
        ("beside_a_token_as_key", SupabaseSettings::anon_key),
        ("beside_an_opaque_key", |settings| settings.publishable_key().to_owned()),
    ];
    let trial = |(name, key): (&str, KeyOf)| {
        let context = Arc::clone(context);
        Trial::test(format!("supabase-faults::session_ends_in_mid_upload::{name}"), move || {
            let result = context.run(sessions(key)).and_then(|result| result);
            Ok(result.map_err(|error| error.to_string())?)
        })
    };
    let size = {
        let context = Arc::clone(context);
        Trial::test("supabase-s3-faults::an_object_of_another_size_than_its_parts", move || {
            let result = another_size(&context).map_err(|error| error.to_string());
            Ok(result?)
        })
    };
    keys.into_iter().map(trial).chain([size]).collect()
}

/// The object is compared with what was sent: its size is all that the endpoint says of it.
fn another_size(context: &Context) -> Result<(), Fault> {
    let scene = open_s3(context, Pace::Calm)?;
    let completed = async {
        let key = key("object")?;
        let id = scene.store.create_multipart(&key, PutOptions::default()).await?;
        let upload = MultipartRef { key, id };
        let mut part = scene.store.upload_part(&upload, PartNumber::from_index(0), "12345".into()).await?;
        part.size += 1;
        Ok::<_, Fault>(scene.store.complete_multipart(&upload, vec![part]).await)
    };
    match context.run(completed)?? {
        Err(error) if error.kind() == ErrorKind::ChecksumMismatch => super::clear(&error, OVER_S3.place),
        other => Err(format!("a completion with a byte too few ended with {other:?}").into()),
    }
}

/// The sessions of a user: every third request finds that the token has expired, and the next one is given a new token
/// once that was refused.
#[derive(Debug)]
struct Sessions {
    settings: SupabaseSettings,
    asked: AtomicUsize,
    renewed: AtomicBool,
    refused: Arc<AtomicUsize>,
}

impl CredentialProvider for Sessions {
    async fn authorize(&self, parts: &mut http::request::Parts) -> Result<(), Error> {
        let old = self.asked.fetch_add(1, SeqCst) % 3 == 2 && !self.renewed.swap(false, SeqCst);
        let lifetime = if old { Duration::ZERO } else { Duration::from_mins(5) };
        let token = self.settings.user_token("4d56e902-f0a0-4662-8448-a4d9e643c142", lifetime);
        BearerToken::new(&token.into())?.authorize(parts).await
    }

    fn invalidate(&self) {
        self.refused.fetch_add(1, SeqCst);
        self.renewed.store(true, SeqCst);
    }
}

async fn sessions(key_of: KeyOf) -> Result<(), Fault> {
    let settings = SupabaseSettings::default().row_security(RowSecurity::Users);
    let server =
        DevServer::builder().supabase("127.0.0.1:0").supabase_settings(settings.clone()).start().await?;
    let calm = client(&server).build()?;
    calm.buckets().create(BUCKET).await?;
    let refused = Arc::new(AtomicUsize::new(0));
    let user = Sessions {
        settings: settings.clone(),
        asked: AtomicUsize::new(0),
        renewed: AtomicBool::new(false),
        refused: Arc::clone(&refused),
    };
    let users = client(&server).key(key_of(&settings)).user(user).retry(patient()).build()?;
    let (store, key, whole) = (users.bucket(BUCKET)?.store(), key("object")?, content(100_000, 3));
    let done = transfer()?.upload(&store, key.clone(), whole.clone()).await?;
    // Seven parts of 16 KiB, and what begins and completes them.
    let refused = refused.load(SeqCst);
    if done.parts != 7 || refused < 2 {
        return Err(format!("{} parts, {refused} tokens refused", done.parts).into());
    }
    expect(&calm.bucket(BUCKET)?.store().read(&key).await?, &whole, "the object")
}
