//! Reading the members of a shard.

use bytes::{Bytes, BytesMut};
use longshore_core_types::{Error, ErrorKind, Result};

use crate::{
    object::{ArchiveFormat, ArchiveMode, Object},
    tar::read::TarReader,
};

/// A member of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Its path inside the shard.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Object {
    /// Reads the members of the archive that it is, one after the other, with nothing but a chunk in memory.
    ///
    /// A TAR is read as it is, and its body is taken up again when it breaks. Of `.tgz`, `.tar.gz` and `.tar.lz4` the
    /// cluster sends the members as a TAR. ZIP is `Unsupported`: read single members, or list them.
    pub async fn open_shard(&self) -> Result<ShardReader> {
        let get = match ArchiveFormat::from_name(self.key().as_str()) {
            Some(ArchiveFormat::Zip) => {
                let message = "a ZIP archive cannot be read member after member; read single ones";
                let resource = self.bucket().object_resource(self.key());
                return Err(Error::new(ErrorKind::Unsupported, message).with_resource(resource));
            }
            Some(ArchiveFormat::Tar) | None => self.get(),
            // Every name has a character.
            Some(_) => self.get().matching(ArchiveMode::Regexp, "."),
        };
        let body = get.await?.into_stream();
        Ok(ShardReader { object: self.clone(), tar: TarReader::new(body) })
    }
}

/// The members of a shard, one after the other; see [`Object::open_shard`]. Dropping it ends the transfer.
pub struct ShardReader {
    object: Object,
    tar: TarReader,
}

impl ShardReader {
    fn name(&self, error: Error) -> Error {
        let resource = self.object.bucket().object_resource(self.object.key());
        error.with_operation("aistore.shard.read").with_resource(resource)
    }

    /// The next member; what was not read of the one before is skipped. `None` at the end.
    pub async fn next_member(&mut self) -> Result<Option<Member>> {
        let entry = self.tar.next().await.map_err(|error| self.name(error))?;
        Ok(entry.map(|entry| Member { name: entry.name, size: entry.size }))
    }

    /// The next bytes of the member; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.tar.chunk().await.map_err(|error| self.name(error))
    }

    /// What is left of the member, in memory. `Protocol` if that is more than `limit` bytes.
    pub async fn read(&mut self, limit: u64) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if (all.len() + chunk.len()) as u64 > limit {
                let message = format!("a member has more than {limit} bytes");
                return Err(self.name(Error::new(ErrorKind::Protocol, message)));
            }
            if all.is_empty() && self.tar.is_read() {
                return Ok(chunk);
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

impl std::fmt::Debug for ShardReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardReader").field("object", &self.object).finish_non_exhaustive()
    }
}
