//! What can go wrong on this side of a transfer, or behind its back, on every store: the result is right or a clear
//! error, and never a torn file or object.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use bytes::Bytes;
use libtest_mimic::{Completion, Failed, Trial};
use longshore_blob_api::{AnyStore, BlobStore, BlobStoreExt};
use longshore_core_types::{Error, ErrorKind, ObjectKey};
use longshore_transfer::{PartSize, Transfer, TransferError, TransferEvent};

use super::{Backend, Context, Fault, Opened};

/// Parts that every store here takes, but S3, which wants larger ones.
const PART: u64 = 16 << 10;

/// What Linux has for a disk without room.
const FULL: &str = "/dev/full";

struct Case {
    name: &'static str,
    needs: Needs,
    run: fn(&Scene<'_>) -> Result<(), Fault>,
}

/// What a store must do besides reading and writing whole objects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Ranges,
    Parts,
}

const CASES: &[Case] = &[
    Case { name: "replaced_mid_download", needs: Needs::Ranges, run: replaced_mid_download },
    Case { name: "replaced_mid_stream", needs: Needs::Nothing, run: replaced_mid_stream },
    Case { name: "source_changed_while_read", needs: Needs::Parts, run: source_changed },
    Case { name: "source_cut_while_read", needs: Needs::Parts, run: source_cut },
    Case { name: "disk_full", needs: Needs::Nothing, run: disk_full },
    Case { name: "destination_unwritable", needs: Needs::Nothing, run: destination_unwritable },
];

/// One trial for each case on each of these stores.
pub(crate) fn trials(context: &Arc<Context>, backends: impl IntoIterator<Item = Backend>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for backend in backends {
        let shared: Arc<OnceLock<Result<Opened, String>>> = Arc::default();
        for case in CASES {
            let (context, shared) = (Arc::clone(context), Arc::clone(&shared));
            let name = format!("{}-transfers::{}", backend.name, case.name);
            trials.push(Trial::ignorable_test(name, move || {
                let open = || (backend.open)(&context).map_err(|error| error.to_string());
                let opened = shared.get_or_init(open).as_ref().map_err(Failed::from)?;
                play(case, &context, opened)
            }));
        }
    }
    trials
}

fn play(case: &Case, context: &Context, opened: &Opened) -> Result<Completion, Failed> {
    let can = opened.store.capability();
    if case.needs == Needs::Parts && can.multipart.is_none() {
        return Ok(Completion::ignored_with("unsupported: the store takes no parts"));
    }
    if case.needs == Needs::Ranges && !can.ranged_get {
        return Ok(Completion::ignored_with("unsupported: the store reads no ranges, so there is one part"));
    }
    if case.name == "disk_full" && !Path::new(FULL).exists() {
        return Ok(Completion::ignored_with(format!("unsupported: there is no {FULL} here")));
    }
    if can.read_only {
        return Ok(Completion::ignored_with("unsupported: the store is read-only"));
    }
    let part = can.multipart.map_or(PART, |limits| limits.min_part.max(PART));
    let scene = Scene {
        context,
        store: &opened.store,
        part,
        key: ObjectKey::new(format!("transfers/{}", case.name))?,
        directory: tempfile::tempdir()?,
    };
    (case.run)(&scene).map_err(|error| format!("{error}\n{}", (opened.trace)("transfers/")))?;
    Ok(Completion::Completed)
}

struct Scene<'a> {
    context: &'a Context,
    store: &'a AnyStore,
    part: u64,
    key: ObjectKey,
    directory: tempfile::TempDir,
}

impl Scene<'_> {
    /// Six parts and a bit, without a period that could hide a shift.
    fn content(&self, seed: u64) -> Bytes {
        let length = usize::try_from(6 * self.part + 100).unwrap_or(usize::MAX);
        let mut content = Vec::with_capacity(length + 8);
        let mut state = seed;
        while content.len() < length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            content.extend_from_slice(&state.to_be_bytes());
        }
        content.truncate(length);
        content.into()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, content: &Bytes) -> Result<(), Fault> {
        self.context.run(self.store.write(&self.key, content.clone()))??;
        Ok(())
    }

    /// The object, if there is one.
    fn read(&self) -> Result<Option<Bytes>, Fault> {
        match self.context.run(self.store.read(&self.key))? {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything in small parts, one after the other.
    fn transfer(&self) -> Result<Transfer, Error> {
        Transfer::builder()
            .part_size(PartSize::Fixed(self.part))
            .serial_download(1)
            .multipart_threshold(1)
            .concurrency(1)
            .hedge(false)
            .build()
    }

    /// Uploads a file while `change` happens behind the first part.
    fn upload_while(&self, change: fn(&Path) -> io::Result<()>) -> Result<TransferError, Fault> {
        let path = self.path("source");
        fs::write(&path, self.content(1))?;
        let (changed, behind) = (Arc::new(AtomicBool::new(false)), path.clone());
        let seen = Arc::clone(&changed);
        let sink = move |event: &TransferEvent| {
            let part_done = matches!(event, TransferEvent::PartDone { .. });
            if part_done && !seen.load(Ordering::Relaxed) && change(&behind).is_ok() {
                seen.store(true, Ordering::Relaxed);
            }
        };
        let upload = self.transfer()?.upload(self.store, self.key.clone(), path.as_path()).progress(sink);
        let sent = self.context.run(async { upload.await })?;
        if !changed.load(Ordering::Relaxed) {
            return Err("no part was sent, or the source could not be changed".into());
        }
        if self.read()?.is_some() {
            return Err("an upload of a source that changed left an object".into());
        }
        sent.map(drop).err().ok_or_else(|| "a source that changed was uploaded".into())
    }

    /// A download that cannot be written, which leaves nothing beside it.
    fn download_to(&self, target: &Path) -> Result<(), Fault> {
        let before = names(self.directory.path())?;
        self.write(&self.content(1))?;
        let download = self.transfer()?.download(self.store, self.key.clone(), target);
        let Err(error) = self.context.run(async { download.await })? else {
            return Err(format!("{} was written", target.display()).into());
        };
        let text = error.to_string();
        if error.kind() != ErrorKind::LocalIo || !text.contains(&*self.key.to_string()) {
            return Err(format!("[{:?}] {text}", error.kind()).into());
        }
        let after = names(self.directory.path())?;
        if after == before { Ok(()) } else { Err(format!("{after:?} is left, not {before:?}").into()) }
    }
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

fn replaced_mid_download(scene: &Scene<'_>) -> Result<(), Fault> {
    let (old, new) = (scene.content(1), scene.content(2));
    scene.write(&old)?;
    let target = scene.path("target");
    // The first part that is done waits until the object is another one.
    let (done, first_done) = mpsc::channel();
    let (replaced, wait) = mpsc::channel::<()>();
    let gate = Mutex::new(Some((done, wait)));
    let sink = move |event: &TransferEvent| {
        if matches!(event, TransferEvent::PartDone { .. })
            && let Some((done, wait)) = gate.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            let _ = done.send(());
            // The thread may be the one that looks after sockets and timers, which the others need meanwhile.
            let _ = tokio::task::block_in_place(|| wait.recv());
        }
    };
    let download =
        scene.transfer()?.download(scene.store, scene.key.clone(), target.as_path()).progress(sink);
    let handle = scene.context.run(async { download.start() })?;
    first_done.recv().map_err(|_| "no part was fetched")?;
    scene.write(&new)?;
    drop(replaced);
    match scene.context.run(handle.join())? {
        Ok(_) if fs::read(&target)? == new || fs::read(&target)? == old => Ok(()),
        Ok(_) => Err("the file is a mixture".into()),
        Err(error) if error.kind() == ErrorKind::PreconditionFailed && !target.exists() => Ok(()),
        Err(error) => Err(format!("[{:?}] {error}", error.kind()).into()),
    }
}

fn replaced_mid_stream(scene: &Scene<'_>) -> Result<(), Fault> {
    let (old, new) = (scene.content(1), scene.content(2));
    scene.write(&old)?;
    let transfer = scene.transfer()?;
    let mut body = scene.context.run(transfer.read(scene.store, scene.key.clone()))??;
    let mut found = Vec::new();
    let mut replaced = false;
    loop {
        match scene.context.run(body.chunk())? {
            Ok(Some(chunk)) => found.extend_from_slice(&chunk),
            Ok(None) if found == old => return Ok(()),
            Ok(None) => return Err("the stream is a mixture".into()),
            Err(error) if error.kind() == ErrorKind::PreconditionFailed && old.starts_with(&found) => {
                return Ok(());
            }
            Err(error) => return Err(format!("[{:?}] {error}", error.kind()).into()),
        }
        if !replaced {
            replaced = true;
            scene.write(&new)?;
        }
    }
}

fn source_changed(scene: &Scene<'_>) -> Result<(), Fault> {
    let error = scene.upload_while(|path| {
        let mut content = fs::read(path)?;
        let last = content.len() - 1;
        content[last] ^= 1;
        content.push(0);
        fs::write(path, content)
    })?;
    expect_source(&error)
}

fn source_cut(scene: &Scene<'_>) -> Result<(), Fault> {
    let error = scene.upload_while(|path| fs::File::options().write(true).open(path)?.set_len(10))?;
    expect_source(&error)
}

fn expect_source(error: &TransferError) -> Result<(), Fault> {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::LocalIo | ErrorKind::PreconditionFailed if text.contains("source") => Ok(()),
        kind => Err(format!("[{kind:?}] {text}").into()),
    }
}

/// A device that is full; that a file beside it is none the better off is shown in `longshore-transfer`.
fn disk_full(scene: &Scene<'_>) -> Result<(), Fault> {
    scene.download_to(Path::new(FULL))
}

fn destination_unwritable(scene: &Scene<'_>) -> Result<(), Fault> {
    let file = scene.path("file");
    fs::write(&file, "kept")?;
    scene.download_to(&file.join("below-a-file"))?;
    scene.download_to(&scene.path("missing/target"))?;
    let directory = scene.path("directory");
    fs::create_dir(&directory)?;
    scene.download_to(&directory)?;
    if fs::read(&file)? == b"kept" { Ok(()) } else { Err("another file was changed".into()) }
}
