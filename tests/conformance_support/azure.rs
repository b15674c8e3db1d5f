//! Azure Blob Storage, over an emulator that runs already: `cargo xtask test peers azurite` starts one. Alone, and below
//! Apolo buckets that were imported with the account's key or with a shared access signature.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use longshore_apolo::{Client, NewImport, Provider};
use longshore_blob_api::AnyStore;
use longshore_devserver::DevServer;
use longshore_object_store::azure::AzureBuilder;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use super::{Backend, Context, Fault, Opened, aistore::journal};

/// Where the emulator is. Nothing but loopback is asked.
const URL: &str = "LONGSHORE_AZURITE_URL";

/// Account and key of every emulator, which are public.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// One container of the emulator for all cases of each; none without an emulator.
pub(crate) fn backends() -> Vec<Backend> {
    if std::env::var_os(URL).is_none() {
        return Vec::new();
    }
    vec![
        Backend {
            name: "azurite",
            open: |context| Ok(Opened::new(container(context, "conformance")?)),
            except: &[],
        },
        Backend { name: "apolo-azurite-key", open: |context| imported(context, "by-key"), except: &[] },
        Backend { name: "apolo-azurite-sas", open: |context| imported(context, "by-sas"), except: &[] },
    ]
}

fn emulator() -> Result<String, Fault> {
    let url = std::env::var(URL)?;
    if !url.starts_with("http://127.0.0.1:") {
        return Err(format!("{URL} must be an address on loopback, not {url}").into());
    }
    Ok(url)
}

fn container(context: &Context, name: &str) -> Result<AnyStore, Fault> {
    let store = AzureBuilder::new(name).emulator(&emulator()?).build()?;
    context.run(store.create_container())??;
    Ok(AnyStore::new(store))
}

/// A container as an Apolo bucket of the dev server.
fn imported(context: &Context, name: &str) -> Result<Opened, Fault> {
    container(context, name)?;
    let server = Arc::new(DevServer::builder().apolo("127.0.0.1:0").start_blocking()?);
    let endpoint = format!("{}/{ACCOUNT}", emulator()?);
    let import =
        NewImport::new(Provider::Azure, name).with_name(name).with_credential("storage_endpoint", endpoint);
    let import = match name {
        "by-key" => import.with_credential("credential", KEY),
        _ => import.with_credential("sas_token", signature(name)?),
    };
    let url = server.apolo_url().ok_or("the server has no buckets service")?;
    let token = server.apolo_settings().token("alice");
    let builder = Client::builder().api_url(url).token(token).org("acme").project("proj1");
    let store = context.run(async {
        let client = builder.connect().await?;
        let bucket = client.buckets().import_external(import).await?;
        client.store(&bucket).await
    })??;
    Ok(Opened { store: AnyStore::new(store), trace: Box::new(move |prefix| journal(&server, prefix)) })
}

/// What allows everything in a container for a day, as the service that Apolo runs on Azure makes it.
fn signature(container: &str) -> Result<String, Fault> {
    const VERSION: &str = "2020-12-06";
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let end = end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    // Permissions, start, end, resource, policy, addresses, protocol, version, kind, snapshot, encryption, and five
    // headers of answers.
    let fields = ["racwdxl", "", &end, &format!("/blob/{ACCOUNT}/{container}"), "", "", "", VERSION, "c"];
    let text = format!("{}{}", fields.join("\n"), "\n".repeat(7));
    let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64_STANDARD.decode(KEY)?)?;
    mac.update(text.as_bytes());
    let signed = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let (end, signed) =
        (utf8_percent_encode(&end, NON_ALPHANUMERIC), utf8_percent_encode(&signed, NON_ALPHANUMERIC));
    Ok(format!("sp=racwdxl&se={end}&sv={VERSION}&sr=c&sig={signed}"))
}
