//! Whether a cluster can add to a TAR in place.

use longshore_core_types::{ByteRange, Error, ErrorKind, Result};

use super::{BLOCK, read::TarReader};
use crate::{
    client::Client,
    object::{get::get, options::ObjectAt},
    wire::object::GetParams,
};

/// Blocks of zeros that end an archive. More of them are padding.
const END: usize = 2;

/// Fails (`Unsupported`) if the object is a TAR with padding behind its end: adding to it in place would make it
/// unreadable. An object that does not exist yet is fine.
pub(crate) async fn check_appendable(client: &Client, at: &ObjectAt) -> Result<()> {
    let tail = ((END + 1) * BLOCK) as u64;
    let params = GetParams { range: Some(ByteRange::Suffix(tail)), ..GetParams::default() };
    let reader = match get(client, at, &params, true, 0).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        reader => reader?,
    };
    let size = reader.props().size;
    let bytes = reader.bytes().await?;
    if size < tail || bytes.iter().take(BLOCK).any(|byte| *byte != 0) {
        return Ok(());
    }
    // The last file may end in zeros as well: only the archive itself tells.
    let whole = get(client, at, &GetParams::default(), true, 0).await?;
    let mut archive = TarReader::new(whole.into_stream());
    while archive.next().await?.is_some() {}
    if size <= archive.content() + (END * BLOCK) as u64 {
        return Ok(());
    }
    let message = "the archive is padded behind its end, as many writers of TAR do: the cluster would make it unreadable \
                   by adding to it; write it anew through the cluster first";
    Err(Error::new(ErrorKind::Unsupported, message)
        .with_operation("aistore.group.archive")
        .with_resource(at.bucket().object_resource(at.key())))
}

#[cfg(test)]
mod tests {
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::*;
    use crate::{ArchiveFormat, Collection, tar::write};

    /// An archive of one file, with so many blocks of zeros behind it.
    fn archive(content: &[u8], zeros: usize) -> Vec<u8> {
        let mut tar = write::header("a", content.len() as u64).unwrap().to_vec();
        tar.extend(content);
        tar.resize(tar.len().next_multiple_of(BLOCK) + zeros * BLOCK, 0);
        tar
    }

    /// Adds to the archive, and says by which methods the server was asked.
    async fn append(tar: Option<Vec<u8>>) -> (Result<()>, Vec<String>) {
        let server = ScriptedService::new(move |request| match (request.method.as_str(), &tar) {
            ("GET", None) => Reply::status(404),
            ("GET", Some(tar)) if request.headers.contains_key("range") => {
                let start = tar.len().saturating_sub(3 * BLOCK);
                let range = format!("bytes {start}-{}/{}", tar.len() - 1, tar.len());
                Reply::status(206).header("content-range", &range).body(tar[start..].to_vec())
            }
            ("GET", Some(tar)) => Reply::ok(tar.clone()),
            _ => Reply::ok("job-id-01"),
        });
        let client = Client::builder("http://gateway:1").service(server.clone()).build().unwrap();
        let group = client.bucket("b").unwrap().objects(Collection::names_of(["o"]).unwrap());
        let done = group.archive("a.tar").format(ArchiveFormat::Tar).append(true).await;
        (done.map(drop), server.requests().iter().map(|r| r.method.to_string()).collect())
    }

    #[tokio::test]
    async fn a_padded_archive_is_not_added_to() {
        let (refused, asked) = append(Some(archive(b"content", 10))).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(asked, ["GET", "GET"], "nothing was changed");
        let (refused, _) = append(Some(archive(&[0; 4 * BLOCK], 3))).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[tokio::test]
    async fn others_are() {
        let (done, asked) = append(Some(archive(b"content", 2))).await;
        done.unwrap();
        assert_eq!(asked, ["GET", "PUT"]);
        // A file of zeros looks like padding from behind.
        let (done, asked) = append(Some(archive(&[0; 4 * BLOCK], 2))).await;
        done.unwrap();
        assert_eq!(asked, ["GET", "GET", "PUT"]);
        append(None).await.0.unwrap();
    }
}
