//! Logs of nodes.

use std::future::IntoFuture;

use futures_core::future::BoxFuture;
use futures_util::StreamExt;
use longshore_blob_api::ByteStream;
use longshore_core_types::Result;
use longshore_transport::body;

use super::Cluster;
use crate::wire::cluster as wire;

/// Which log of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogSeverity {
    /// Everything.
    #[default]
    Info,
    /// Warnings and errors, which share a file.
    Warning,
    /// The same as warnings.
    Error,
}

impl LogSeverity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The log of a node; see [`Cluster::node_log`]. Awaiting it answers the current log as text.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct NodeLog {
    cluster: Cluster,
    node: String,
    severity: LogSeverity,
    offset: u64,
}

impl Cluster {
    /// The log of a node, gateway or target.
    #[doc(alias = "get_node_log")]
    pub fn node_log(&self, id: impl Into<String>) -> NodeLog {
        NodeLog { cluster: self.clone(), node: id.into(), severity: LogSeverity::Info, offset: 0 }
    }
}

impl NodeLog {
    /// Which log; everything by default.
    pub fn severity(mut self, severity: LogSeverity) -> Self {
        self.severity = severity;
        self
    }

    /// Only from this byte on, to follow a log. `InvalidInput` if it is over the end, after a rotation for instance.
    pub fn offset(mut self, bytes: u64) -> Self {
        self.offset = bytes;
        self
    }

    /// All logs of the node, rotated ones too, as a gzip-compressed TAR archive.
    #[doc(alias = "get_node_log_archive")]
    pub async fn archive(self) -> Result<ByteStream> {
        self.send(true).await
    }

    async fn send(self, archive: bool) -> Result<ByteStream> {
        let request = wire::log(&self.node, self.severity, self.offset, archive)?;
        let answer = self.cluster.client.call(request).await?;
        Ok(body::stream(answer.body, answer.call).boxed())
    }
}

impl IntoFuture for NodeLog {
    type Output = Result<ByteStream>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send(false))
    }
}
