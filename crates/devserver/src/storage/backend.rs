//! The file under the database.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use redb::StorageBackend;

/// A database file that is synced to the device only when asked to be durable.
///
/// The database writes in the order its commit protocol needs and calls `sync_data` as a barrier. Every completed
/// `write(2)` survives the death of the process (the kernel owns the pages), so without a real sync the file after
/// `kill -9` holds a prefix of the writes, which is one of the states the protocol recovers from. Only a crash of the
/// machine needs the sync.
#[derive(Debug)]
pub(super) struct FileBackend {
    file: File,
    durable: bool,
}

impl FileBackend {
    /// Opens or creates the file and locks it against other processes.
    pub(super) fn open(path: &Path, durable: bool) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(io::Error::new(
                    io::ErrorKind::WouldBlock,
                    format!("{} is in use by another server", path.display()),
                ));
            }
            Err(std::fs::TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(std::fs::TryLockError::Error(e)) => return Err(e),
        }
        Ok(Self { file, durable })
    }
}

impl StorageBackend for FileBackend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(unix)]
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, out, offset)
    }

    #[cfg(windows)]
    fn read(&self, mut offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        use std::os::windows::fs::FileExt as _;
        while !out.is_empty() {
            let n = self.file.seek_read(out, offset)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            offset += n as u64;
            out = &mut out[n..];
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.durable { self.file.sync_data() } else { Ok(()) }
    }

    #[cfg(unix)]
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, data, offset)
    }

    #[cfg(windows)]
    fn write(&self, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
        use std::os::windows::fs::FileExt as _;
        while !data.is_empty() {
            let n = self.file.seek_write(data, offset)?;
            offset += n as u64;
            data = &data[n..];
        }
        Ok(())
    }
}
