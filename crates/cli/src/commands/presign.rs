//! `longshore presign`: URLs that need no credentials.

use std::time::Duration;

use clap::{Args, ValueEnum};
use longshore::{BlobStore, Scheme, SignMethod, SignRequest, SignedRequest, StoreUrl};

use super::store_url;
use crate::{
    app::App,
    failure::Failure,
    listing::{object_of, require_bucket},
    output::Message,
    units::parse_duration,
};

/// Make URLs by which anybody can read or write one object for a time
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. A link that is good for an hour
     longshore presign supabase://photos/2024/cat.jpg
  2. One for ten minutes
     longshore presign --expires 10m supabase://photos/2024/cat.jpg
  3. Let somebody store an object without credentials
     curl --upload-file cat.jpg \"$(longshore presign --method put supabase://photos/new.jpg)\"")]
pub(crate) struct PresignArgs {
    /// Store URLs of objects; keys are taken literally
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,

    /// For how long, such as 10m or 24h [default: 1h]
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    expires: Option<Duration>,

    /// What the URLs allow
    #[arg(short, long, value_name = "METHOD", value_enum, default_value_t = Method::Get)]
    method: Method,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    /// Reading the object
    Get,
    /// Storing it; on Supabase only where there is none, and for as long as the server allows
    Put,
}

const AN_HOUR: Duration = Duration::from_hours(1);

pub(crate) async fn run(app: &App, args: PresignArgs) -> Result<(), Failure> {
    let urls = args.urls.iter().map(|text| store_url(text)).collect::<Result<Vec<_>, _>>()?;
    for url in &urls {
        require_bucket(url)?;
    }
    let by_server = |url: &StoreUrl| args.method == Method::Put && url.scheme() == Scheme::Supabase;
    if let (Some(url), Some(_)) = (urls.iter().find(|url| by_server(url)), args.expires) {
        let message = format!("{url}: the server decides how long it can be written to");
        return Err(Failure::usage(message).hint("leave --expires out"));
    }
    for url in &urls {
        let signed = if by_server(url) { upload(app, url).await } else { sign(app, url, &args).await };
        app.out.print_now(&message(
            url,
            &signed?,
            (!by_server(url)).then(|| args.expires.unwrap_or(AN_HOUR)),
        ))?;
    }
    Ok(())
}

async fn sign(app: &App, url: &StoreUrl, args: &PresignArgs) -> Result<SignedRequest, Failure> {
    let method = match args.method {
        Method::Get => SignMethod::Get,
        Method::Put => SignMethod::Put,
    };
    let request = SignRequest::new(method, object_of(url)?, args.expires.unwrap_or(AN_HOUR));
    let signed = app.services.store(url).await?.sign(request).await;
    signed.map_err(|error| Failure::of(format!("cannot sign {url}"), error))
}

/// Supabase signs uploads in a way of its own: for a time that its server is set up with.
async fn upload(app: &App, url: &StoreUrl) -> Result<SignedRequest, Failure> {
    let failed = |error| Failure::of(format!("cannot sign {url}"), error);
    let bucket = app.services.supabase_bucket(url)?;
    let signed = bucket.create_signed_upload_url(object_of(url)?, false).await.map_err(failed)?;
    Ok(SignedRequest::new(SignMethod::Put, signed.url))
}

fn message(url: &StoreUrl, signed: &SignedRequest, lifetime: Option<Duration>) -> Message<'static> {
    Message::Signed {
        url: url.to_string(),
        // To print it is what the command is for.
        signed_url: signed.url.expose().to_owned(),
        method: if signed.method == SignMethod::Put { "PUT" } else { "GET" },
        headers: signed.headers.clone(),
        expires_in_seconds: lifetime.map(|time| time.as_secs()),
    }
}
