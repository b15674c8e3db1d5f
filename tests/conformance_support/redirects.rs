//! Redirects to a server that is not of the cluster.

use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::Trial;
use longshore_aistore::Client;
use longshore_blob_api::{BlobStore, BlobStoreExt, GetOptions};
use longshore_core_types::ObjectKey;
use longshore_devserver::DevServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Context, Fault};

const TOKEN: &str = "a-token-that-nobody-else-may-see";

/// Cases in which a foreign server listens.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let trial = |name: &str, put: bool| {
        let context = Arc::clone(context);
        Trial::test(format!("aistore-faults::redirect_to::{name}"), move || {
            let result = context.run(keeps_the_token(put)).and_then(|result| result);
            Ok(result.map_err(|error| error.to_string())?)
        })
    };
    vec![trial("get_keeps_the_token", false), trial("put_keeps_the_token", true)]
}

/// A redirect leads to a stranger, who answers: the token must not reach him, and the client must end.
async fn keeps_the_token(put: bool) -> Result<(), Fault> {
    let stranger = Stranger::listen().await?;
    let server = DevServer::builder().start().await?;
    let store = Client::builder(server.aistore_url()).token(TOKEN).build()?.bucket("faults")?.store();
    store.bucket().create().await?;
    let key = ObjectKey::new("object")?;
    store.write(&key, "mine").await?;
    server.faults().add_str(&format!("any:redirect-to=http://{}", stranger.address))?;
    // What a stranger answers cannot be told from what a target answers; what matters is what he was told.
    let ended = if put {
        store.write(&key, "new").await.map(drop)
    } else {
        async { store.get(&key, GetOptions::default()).await?.bytes().await }.await.map(drop)
    };
    let heard = stranger.heard();
    if heard.is_empty() {
        return Err(format!("the redirect was not tried: {ended:?}").into());
    }
    if heard.contains(TOKEN) || heard.to_ascii_lowercase().contains("authorization") {
        return Err("the stranger was told the token".into());
    }
    let asked = server.journal().filter(|entry| entry.key.as_deref() == Some("object"));
    if !asked.iter().any(|entry| entry.authorized) {
        return Err("the gateway was not told the token, so the case proves nothing".into());
    }
    server.shutdown().await;
    Ok(())
}

/// A server that keeps what it is told and answers everything with a few bytes.
struct Stranger {
    address: std::net::SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
    _tasks: JoinSet<()>,
}

impl Stranger {
    async fn listen() -> Result<Self, Fault> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let record = Arc::clone(&heard);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                // One after the other is enough here; a broken connection ends only itself.
                drop(answer(connection, &record).await);
            }
        });
        Ok(Self { address, heard, _tasks: tasks })
    }

    fn heard(&self) -> String {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&heard).into_owned()
    }
}

async fn answer(mut connection: TcpStream, heard: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = connection.read(&mut buffer).await?;
        request.extend_from_slice(&buffer[..length]);
        heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..length]);
        if length == 0 {
            return Ok(());
        }
    }
    connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nhis.").await
}
