//! Command lines of the peers, each in the way that its own documentation recommends for the job.

use std::ffi::OsString;
use std::path::Path;

use super::{Peer, Peers};
use crate::runner::buckets::Buckets;
use crate::runner::process::{Invocation, Server};

/// Where a peer finds an object.
#[derive(Clone, Copy, Debug)]
pub(in crate::runner) struct Remote<'a> {
    pub(in crate::runner) server: &'a Server,
    pub(in crate::runner) bucket: &'a str,
    pub(in crate::runner) key: &'a str,
}

impl Remote<'_> {
    fn url(&self) -> String {
        self.server.url(&format!("{}/{}", self.bucket, self.key))
    }

    fn s3(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }
}

/// Many small objects, and how often to ask for one.
#[derive(Clone, Copy, Debug)]
pub(in crate::runner) struct SmallWork {
    pub(in crate::runner) objects: u64,
    pub(in crate::runner) requests: u64,
    pub(in crate::runner) concurrency: u32,
}

impl Peers {
    /// Download to a file; 8 connections where the peer can. `None` if the peer is not here or cannot.
    pub(in crate::runner) fn download(&self, peer: Peer, from: Remote<'_>, to: &Path) -> Option<Invocation> {
        let call = Invocation::new(self.program(peer)?);
        let endpoint = from.server.endpoint();
        Some(match peer {
            Peer::Curl => call.words("-sS -f -o").arg(to).arg(from.url()),
            Peer::Aria2c => {
                let call = call.words("-q -x8 -s8 -k8M --file-allocation=falloc --allow-overwrite=true");
                call.arg("-d").arg(to.parent()?).arg("-o").arg(to.file_name()?).arg(from.url())
            }
            Peer::Rclone => {
                let call = call.words("copyto --multi-thread-streams 8 --multi-thread-cutoff 1M");
                rclone_s3(call, endpoint).arg(format!(":s3:{}", from.s3())).arg(to)
            }
            Peer::S5cmd => {
                let call = call.words("--no-sign-request --log error --endpoint-url").arg(endpoint);
                call.words("cp -c 8 -p 8").arg(format!("s3://{}", from.s3())).arg(to)
            }
            Peer::Requests => call.arg("-c").arg(include_str!("requests_get.py")).arg(from.url()).arg(to),
            Peer::Aistore => {
                let call = call.arg("-c").arg(include_str!("aistore_get.py")).arg(endpoint);
                call.arg(from.bucket).arg(from.key).arg(to)
            }
            Peer::Wrk | Peer::Ais | Peer::ApoloSdk => return None,
        })
    }

    /// Upload of a file in one request where the peer leaves the choice.
    pub(in crate::runner) fn upload(&self, peer: Peer, from: &Path, to: Remote<'_>) -> Option<Invocation> {
        let call = Invocation::new(self.program(peer)?);
        let endpoint = to.server.endpoint();
        Some(match peer {
            Peer::Curl => call.words("-sS -f -T").arg(from).arg(to.url()),
            Peer::Rclone => {
                let call = call.words("copyto --ignore-checksum --ignore-times --s3-no-head");
                let call = call.words("--s3-upload-cutoff 5G --s3-disable-checksum");
                rclone_s3(call, endpoint).arg(from).arg(format!(":s3:{}", to.s3()))
            }
            Peer::Requests => call.arg("-c").arg(include_str!("requests_put.py")).arg(from).arg(to.url()),
            Peer::Aistore => {
                let call = call.arg("-c").arg(include_str!("aistore_put.py")).arg(from);
                call.arg(endpoint).arg(to.bucket).arg(to.key)
            }
            Peer::Aria2c | Peer::S5cmd | Peer::Wrk | Peer::Ais | Peer::ApoloSdk => return None,
        })
    }

    /// Download over TLS with this authority.
    pub(in crate::runner) fn tls(
        &self,
        peer: Peer,
        from: Remote<'_>,
        ca: &Path,
        to: &Path,
    ) -> Option<Invocation> {
        let call = self.download(peer, from, to)?;
        match peer {
            Peer::Curl => Some(call.arg("--cacert").arg(ca)),
            _ => None,
        }
    }

    /// Small objects to nowhere.
    pub(in crate::runner) fn small(
        &self,
        peer: Peer,
        from: Remote<'_>,
        work: SmallWork,
        lua: &Path,
    ) -> Option<Invocation> {
        let call = Invocation::new(self.program(peer)?);
        let base = from.server.url(from.bucket);
        let numbers = format!("{} {} {}", work.objects, work.requests, work.concurrency);
        Some(match peer {
            Peer::Wrk => {
                // It runs for a time, not for a number of requests; the server counts them.
                let call = call.words(&format!("-t1 -c{} -d4s -s", work.concurrency)).arg(lua);
                call.arg(from.server.endpoint()).arg("--").arg(format!("/{}", from.bucket)).words(&numbers)
            }
            Peer::Requests => call.arg("-c").arg(include_str!("requests_small.py")).arg(base).words(&numbers),
            Peer::Aistore => {
                let call = call.arg("-c").arg(include_str!("aistore_small.py"));
                call.arg(from.server.endpoint()).arg(from.bucket).words(&numbers)
            }
            _ => return None,
        })
    }

    /// One action of the platform's client: the name of a method that takes a source and a destination.
    pub(in crate::runner) fn apolo(
        &self,
        service: &Buckets,
        action: &str,
        from: impl Into<OsString>,
        to: impl Into<OsString>,
    ) -> Option<Invocation> {
        let call = Invocation::new(self.program(Peer::ApoloSdk)?);
        let call = call.arg("-c").arg(include_str!("apolo_sdk.py")).arg(service.url()).arg(service.token());
        Some(call.arg(action).arg(from).arg(to))
    }

    /// A call about the keys of buckets, up to their names.
    pub(in crate::runner) fn keys(&self, peer: Peer, server: &Server, words: &str) -> Option<Invocation> {
        let call = Invocation::new(self.program(peer)?).words(words);
        (peer == Peer::Rclone).then(|| rclone_s3(call, server.endpoint()))
    }

    /// A whole bucket of small objects to files.
    pub(in crate::runner) fn small_files(
        &self,
        peer: Peer,
        from: Remote<'_>,
        concurrency: u32,
        to: &Path,
    ) -> Option<Invocation> {
        let call = Invocation::new(self.program(peer)?);
        let endpoint = from.server.endpoint();
        Some(match peer {
            Peer::Rclone => {
                let call = call.words(&format!("copy --transfers {concurrency} --checkers {concurrency}"));
                rclone_s3(call, endpoint).arg(format!(":s3:{}", from.bucket)).arg(to)
            }
            Peer::S5cmd => {
                let call = call.words("--no-sign-request --log error --endpoint-url").arg(endpoint);
                let call = call.words(&format!("--numworkers {concurrency}"));
                call.arg("cp").arg(format!("s3://{}/*", from.bucket)).arg(format!("{}/", to.display()))
            }
            _ => return None,
        })
    }
}

fn rclone_s3(call: Invocation, endpoint: &str) -> Invocation {
    call.words("--s3-provider Other --s3-no-check-bucket --s3-endpoint").arg(endpoint)
}

/// The script that makes wrk go through all objects.
pub(in crate::runner) const WRK_SCRIPT: &str = include_str!("rotate.lua");
