//! A running server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::aistore::JobTime;
use crate::apolo::ApoloSettings;
use crate::builder::Starting;
use crate::fault::Faults;
use crate::journal::Journal;
use crate::supabase::SupabaseSettings;

/// Where S3 is, and what opens it.
pub(crate) struct S3Ready {
    pub(crate) address: SocketAddr,
    pub(crate) key: (String, String),
}

impl std::fmt::Debug for S3Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Ready").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What a handle needs of a server that accepts requests.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) address: SocketAddr,
    pub(crate) authn: Option<SocketAddr>,
    pub(crate) s3: Option<S3Ready>,
    pub(crate) supabase: Option<SocketAddr>,
    pub(crate) supabase_settings: SupabaseSettings,
    pub(crate) apolo: Option<SocketAddr>,
    pub(crate) apolo_settings: ApoloSettings,
    pub(crate) data_dir: PathBuf,
    pub(crate) faults: Arc<Faults>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) job_time: Arc<JobTime>,
}

/// A running server. Dropping it stops the server, cutting connections that do not end within two seconds, and waits
/// for that; [`shutdown`](Self::shutdown) does the same without blocking.
#[derive(Debug)]
#[must_use = "the server stops when its handle is dropped"]
pub struct Handle {
    aistore_url: String,
    address: SocketAddr,
    authn: Option<(SocketAddr, String)>,
    s3: Option<(S3Ready, String)>,
    supabase: Option<(SocketAddr, String)>,
    supabase_settings: SupabaseSettings,
    apolo: Option<(SocketAddr, String)>,
    apolo_settings: ApoloSettings,
    data_dir: PathBuf,
    faults: Arc<Faults>,
    journal: Arc<Journal>,
    job_time: Arc<JobTime>,
    server: Option<Starting>,
}

impl Handle {
    pub(crate) fn new(ready: Ready, server: Starting) -> Self {
        Self {
            aistore_url: format!("http://{}", ready.address),
            address: ready.address,
            authn: ready.authn.map(|address| (address, format!("http://{address}"))),
            s3: ready.s3.map(|s3| {
                let url = format!("http://{}", s3.address);
                (s3, url)
            }),
            supabase: ready.supabase.map(|address| (address, format!("http://{address}"))),
            supabase_settings: ready.supabase_settings,
            apolo: ready.apolo.map(|address| (address, format!("http://{address}/api/v1"))),
            apolo_settings: ready.apolo_settings,
            data_dir: ready.data_dir,
            faults: ready.faults,
            journal: ready.journal,
            job_time: ready.job_time,
            server: Some(server),
        }
    }

    /// URL of the AIStore gateway, `http://127.0.0.1:PORT`: what `AIS_ENDPOINT` is to be set to.
    pub fn aistore_url(&self) -> &str {
        &self.aistore_url
    }

    /// Address of the AIStore gateway.
    pub fn aistore_addr(&self) -> SocketAddr {
        self.address
    }

    /// URL of the AuthN service, if there is one: what `AIS_AUTHN_URL` is to be set to.
    pub fn authn_url(&self) -> Option<&str> {
        self.authn.as_ref().map(|(_, url)| url.as_str())
    }

    /// Address of the AuthN service, if there is one.
    pub fn authn_addr(&self) -> Option<SocketAddr> {
        self.authn.as_ref().map(|(address, _)| *address)
    }

    /// URL of the S3 endpoint, if there is one: what `AWS_ENDPOINT_URL` is to be set to. Any region will do.
    pub fn s3_url(&self) -> Option<&str> {
        self.s3.as_ref().map(|(_, url)| url.as_str())
    }

    /// Address of the S3 endpoint, if there is one.
    pub fn s3_addr(&self) -> Option<SocketAddr> {
        self.s3.as_ref().map(|(ready, _)| ready.address)
    }

    /// Access key and secret of the S3 endpoint, if there is one.
    pub fn s3_key(&self) -> Option<(&str, &str)> {
        self.s3.as_ref().map(|(ready, _)| (ready.key.0.as_str(), ready.key.1.as_str()))
    }

    /// URL of the Supabase project, `http://127.0.0.1:PORT`, if there is one: what `SUPABASE_URL` is to be set to. Its
    /// storage service lies below `/storage/v1`; the same tree lies at `/`, where opaque API keys mean nothing, as on a
    /// server without a gateway.
    pub fn supabase_url(&self) -> Option<&str> {
        self.supabase.as_ref().map(|(_, url)| url.as_str())
    }

    /// Address of the Supabase Storage service, if there is one.
    pub fn supabase_addr(&self) -> Option<SocketAddr> {
        self.supabase.as_ref().map(|(address, _)| *address)
    }

    /// Keys and limits of the Supabase Storage service.
    pub fn supabase_settings(&self) -> &SupabaseSettings {
        &self.supabase_settings
    }

    /// URL of the Apolo platform, `http://127.0.0.1:PORT/api/v1`, if there is one: what `APOLO_API_URL` is to be set to. Its
    /// buckets service lies below `/buckets`.
    pub fn apolo_url(&self) -> Option<&str> {
        self.apolo.as_ref().map(|(_, url)| url.as_str())
    }

    /// Address of the Apolo buckets service, if there is one.
    pub fn apolo_addr(&self) -> Option<SocketAddr> {
        self.apolo.as_ref().map(|(address, _)| *address)
    }

    /// Users, rights and limits of the Apolo buckets service.
    pub fn apolo_settings(&self) -> &ApoloSettings {
        &self.apolo_settings
    }

    /// Where buckets and objects are kept; removed with the server unless
    /// [`data_dir`](crate::DevServerBuilder::data_dir) was set.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// What the server does wrong on request.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What the server was asked.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Lets jobs of the AIStore cluster that are started from now on pretend to be at work for this long: they are listed
    /// as running and can be stopped, although their work is done. For tests of what waits for jobs. At first: no time.
    pub fn set_job_time(&self, time: Duration) {
        self.job_time.set(time);
    }

    /// Stops the server: it accepts nothing new, and requests that are being answered get two seconds to end.
    pub async fn shutdown(mut self) {
        if let Some(server) = self.server.take() {
            let _ = server.stop.send(true);
            let _ = server.ended.await;
            let _ = server.thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            let _ = server.stop.send(true);
            let _ = server.thread.join();
        }
    }
}
