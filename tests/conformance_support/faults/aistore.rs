//! Faults of an AIStore cluster.
//!
//! A part is never sent twice on its own (AIStore loses it), so a part that fails fails the upload, which leaves nothing
//! behind.

use longshore_aistore::Client;
use longshore_blob_api::AnyStore;
use longshore_devserver::DevServer;

use super::{
    super::{Context, Fault},
    ErrorKind::{
        ChecksumMismatch, PreconditionFailed, Protocol, QuotaExceeded, RateLimited, Timeout, Transport,
        Unavailable,
    },
    Expect::{Either, Exhausts, Fails, Right},
    Operation::{
        CopyTo, Delete, Download, Get, Head, List, Overwrite, Parts, Pinned, Put, Range, Read, Upload,
    },
    Pace, Platform, Row, Scene, brisk, patient, row,
};

pub(super) const PLATFORM: Platform =
    Platform { name: "aistore-faults", place: "ais://faults", rows: ROWS, known: &[], open };

fn open(context: &Context, pace: Pace) -> Result<Scene, Fault> {
    let server = DevServer::builder().start_blocking()?;
    let calm = Client::builder(server.aistore_url()).build()?.bucket("faults")?.store();
    context.run(async { calm.bucket().create().await })??;
    let client = Client::builder(server.aistore_url()).retry(patient());
    let client = if pace == Pace::Brisk { client.timeouts(brisk()) } else { client };
    let store = client.build()?.bucket("faults")?.store();
    Ok(Scene { server, calm: AnyStore::new(calm), store: AnyStore::new(store) })
}

const ROWS: &[Row] = &[
    row("reset::get", "get:reset-at=1000:count=1", Get, Fails(Transport)),
    row("reset::range", "get:reset-at=100:count=1", Range, Fails(Transport)),
    row("reset::reader_goes_on", "get:reset-at=1000:count=3", Read, Right),
    row("reset::reader_gives_up", "get:reset-at=1000", Read, Fails(Transport)),
    row("reset::put", "put:reset-at=1000:count=1", Put(50_000), Right),
    row("reset::large_put", "put:reset-at=300000:count=1", Put(1 << 20), Right),
    row("reset::overwrite", "put:reset-at=1000", Overwrite(50_000), Fails(Transport)),
    row("reset::part", "mpt-part:reset-at=1000:count=1", Parts, Fails(Transport)),
    row("reset::list", "list:reset-at=10:count=1", List, Fails(Transport)),
    row("reset::download", "get:reset-at=1000:count=4", Download, Right),
    row("reset::upload", "mpt-part:reset-at=1000:count=2", Upload, Right),
    row("stall::get", "get:stall:count=1", Get, Right),
    row("stall::get_without_end", "get:stall", Get, Exhausts(Timeout)),
    row("stall::body", "get:stall-at=1000:count=1", Get, Fails(Timeout)),
    row("stall::reader_goes_on", "get:stall-at=1000:count=1", Read, Right),
    row("stall::put", "put:stall:count=1", Put(50_000), Right),
    row("stall::body_of_put", "put:stall-at=1000:count=1", Put(50_000), Right),
    row("stall::part", "mpt-part:stall:count=1", Parts, Fails(Timeout)),
    row("stall::list", "list:stall:count=1", List, Right),
    row("stall::download", "get:stall-at=1000:count=1", Download, Right),
    // The fate of a part whose answer never came is looked up; if it is not there, another upload is begun.
    row("stall::upload", "mpt-part:stall:count=1", Upload, Right),
    row("delay::download", "get:delay=20ms", Download, Right),
    row("delay::upload", "mpt-part:delay=20ms", Upload, Right),
    row("rate::download", "get:rate=1MiB", Download, Right),
    row("rate::upload", "mpt-part:rate=1MiB", Upload, Right),
    row("extra::download", "get:extra=10", Download, Right),
    row("ignored_range::download", "get:ignore-range", Download, Either(Protocol)),
    row("status_500::upload", "mpt-part:status=500:count=1", Upload, Right),
    row("status_500::download", "get:status=500:count=2", Download, Right),
    row("status_429::upload", "mpt-part:status=429/0:count=2", Upload, Right),
    row("status_429::download", "get:status=429/0:count=2", Download, Right),
    row("wrong_checksum::download", "get:wrong-checksum:count=1", Download, Right),
    row("redirect_dead::download", "get:redirect-dead:count=2", Download, Right),
    row("redirect_dead::upload", "mpt-part:redirect-dead:count=1", Upload, Right),
    row("redirect_loop::download", "get:redirect-loop", Download, Fails(Protocol)),
    row("close::download", "get:close:count=1", Download, Right),
    row("byte_writes::download", "get:byte-writes:count=1", Download, Right),
    row("close_idle::upload", "any:close-idle", Upload, Either(Transport)),
    row("restart::download", "get:restart=30ms:count=1", Download, Right),
    row("restart::upload", "mpt-part:restart=30ms:count=1", Upload, Right),
    row("status_503::complete_of_upload", "mpt-complete:status=503:count=1", Upload, Either(Unavailable)),
    row("delay::get", "get:delay=20ms", Get, Right),
    row("delay::put", "put:delay=20ms", Put(50_000), Right),
    row("rate::get", "get:rate=1MiB", Get, Right),
    row("rate::put", "put:rate=4MiB", Put(300_000), Right),
    row("truncate::get", "get:truncate-at=1000:count=1", Get, Fails(Transport)),
    row("truncate::reader_goes_on", "get:truncate-at=1000:count=1", Read, Right),
    row("truncate::list", "list:truncate-at=10:count=1", List, Fails(Transport)),
    row("truncate::download", "get:truncate-at=1000:count=2", Download, Right),
    row("short::get", "get:short-by=10", Get, Fails(ChecksumMismatch)),
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
    row("wrong_range_body::download", "get:wrong-range-body=10:skip=1", Download, Fails(ChecksumMismatch)),
    row("ignored_range::range", "get:ignore-range", Range, Either(Protocol)),
    row("ignored_range::reader", "get:ignore-range", Read, Either(Protocol)),
    row("status_500::get", "get:status=500:count=1", Get, Right),
    row("status_500::put", "put:status=500:count=1", Put(50_000), Right),
    row("status_502::get", "get:status=502:count=2", Get, Right),
    row("status_503::get", "get:status=503:count=2", Get, Right),
    row("status_503::get_without_end", "get:status=503", Get, Exhausts(Unavailable)),
    row("status_503::head", "head:status=503:count=2", Head, Right),
    row("status_503::put", "put:status=503:count=2", Put(50_000), Right),
    row("status_503::large_put", "put:status=503:count=1", Put(1 << 20), Right),
    row("status_503::delete", "delete:status=503:count=2", Delete, Right),
    row("status_503::list", "list:status=503:count=2", List, Right),
    row("status_503::copy", "copy:status=503:count=2", CopyTo, Right),
    row("status_503::part", "mpt-part:status=503:count=1", Parts, Fails(Unavailable)),
    row("status_503::upload", "mpt-part:status=503:count=2", Upload, Right),
    row("status_503::download", "get:status=503:count=4", Download, Right),
    row("status_503::complete", "mpt-complete:status=503:count=1", Parts, Either(Unavailable)),
    row("status_503::with_retry_after", "get:status=503/0:count=2", Get, Right),
    row("status_504::get", "get:status=504:count=1", Get, Right),
    row("status_429::get", "get:status=429:count=2", Get, Right),
    row("status_429::put", "put:status=429/0:count=2", Put(50_000), Right),
    row("status_429::get_without_end", "get:status=429", Get, Exhausts(RateLimited)),
    row("wrong_checksum::get", "get:wrong-checksum", Get, Fails(ChecksumMismatch)),
    row("wrong_checksum::reader", "get:wrong-checksum", Read, Right),
    row("wrong_checksum::put", "put:wrong-checksum", Put(50_000), Fails(ChecksumMismatch)),
    row("redirect_dead::get", "get:redirect-dead:count=1", Get, Right),
    row("redirect_dead::get_without_end", "get:redirect-dead", Get, Exhausts(Transport)),
    row("redirect_dead::put", "put:redirect-dead:count=1", Put(50_000), Right),
    row("redirect_loop::get", "get:redirect-loop", Get, Fails(Protocol)),
    row("redirect_loop::put", "put:redirect-loop", Put(50_000), Fails(Protocol)),
    row("replace::pinned", "get:replace:count=1", Pinned, Fails(PreconditionFailed)),
    row("replace::reader", "get:replace:count=1:skip=1", Read, Fails(PreconditionFailed)),
    row("replace::download", "get:replace:count=1:skip=2", Download, Right),
    row("close::get", "get:close:count=1", Get, Right),
    row("close::get_without_end", "get:close", Get, Fails(Transport)),
    row("close::put", "put:close:count=1", Put(50_000), Right),
    row("close::part", "mpt-part:close:count=1", Parts, Fails(Transport)),
    row("close::upload", "mpt-part:close:count=1", Upload, Right),
    row("close::list", "list:close:count=1", List, Right),
    row("byte_writes::get", "get:byte-writes", Range, Right),
    row("byte_writes::head", "head:byte-writes", Head, Right),
    row("byte_writes::list", "list:byte-writes", List, Right),
    row("close_idle::reader", "get:close-idle", Read, Right),
    row("close_idle::put", "any:close-idle", Put(50_000), Right),
    // Completion is not repeated on a connection that turns out to be dead: it may have happened.
    row("close_idle::parts", "any:close-idle", Parts, Either(Transport)),
    row("close_idle::download", "any:close-idle", Download, Right),
    row("restart::get", "get:restart=30ms:count=1", Get, Right),
    row("restart::put", "put:restart=30ms:count=1", Put(50_000), Right),
    row("no_space::put", "put:no-space", Put(50_000), Fails(QuotaExceeded)),
    row("no_space::put_half_way", "put:no-space-at=1000", Put(50_000), Fails(QuotaExceeded)),
    row("no_space::overwrite", "put:no-space-at=1000", Overwrite(50_000), Fails(QuotaExceeded)),
    row("no_space::part", "mpt-part:no-space", Parts, Fails(QuotaExceeded)),
    row("no_space::upload", "mpt-part:no-space", Upload, Fails(QuotaExceeded)),
];
