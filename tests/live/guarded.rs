//! A real cluster that asks for tokens, used with a login.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::TryStreamExt;
use libtest_mimic::Trial;
use longshore::{
    aistore::{Bucket, Client},
    authn::{AccessFlags, LoginCredentials},
};
use longshore_core_types::{Error, ErrorKind, Result};

use super::{
    authn::{Case, Pair, kind, password, wrong},
    cluster::trial,
    settings::Missing,
};

/// How often to ask, and how many times at most, until a cluster has heard of a revocation.
const PAUSE: Duration = Duration::from_millis(20);
const TRIES: usize = 500;

const CASES: &[(&str, Case)] = &[
    ("a_login_serves_a_guarded_cluster", |pair| pair.wait(a_login_serves_a_guarded_cluster(pair))),
    ("a_revoked_token_is_told_with_endpoint_and_fix", |pair| pair.wait(a_revoked_token(pair))),
    ("each_bit_alone", |pair| pair.wait(each_bit_alone(pair))),
];

pub(crate) fn trials(pair: &std::result::Result<Arc<Pair>, Missing>) -> Vec<Trial> {
    CASES.iter().map(|&(name, case)| trial(format!("authn::{name}"), pair, case)).collect()
}

/// Asks until the cluster refuses, and returns the refusal.
async fn refusal(bucket: &Bucket) -> Result<Error> {
    for _ in 0..TRIES {
        match bucket.head().await {
            Err(error) if error.kind() == ErrorKind::Unauthenticated => return Ok(error),
            other => drop(other?),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(wrong("the cluster still accepts a token that was revoked"))
}

/// From the first login past the end of the token: nobody has to think of it.
async fn a_login_serves_a_guarded_cluster(pair: &Pair) -> Result<()> {
    let bucket = pair.bucket().await?;
    let user = pair.user(|role| role.bucket(pair.cluster(), bucket.name(), AccessFlags::RW)).await?;
    let nobody = Client::builder(&pair.endpoint).build()?.bucket_ref(bucket.reference().clone());
    assert_eq!(kind(nobody.head().await), Some(ErrorKind::Unauthenticated));

    let session = pair.fresh();
    let login = LoginCredentials::new(session.clone(), user, password());
    let client = Client::builder(&pair.endpoint).credentials(login).build()?;
    let object = client.bucket_ref(bucket.reference().clone()).object("object")?;
    let content: Vec<u8> = (0..1_u32 << 20).map(|at| (at % 251).to_le_bytes()[0]).collect();
    object.put(content.clone()).await?;
    assert!(object.get().await?.bytes().await? == content, "the object came back changed");

    let first = session.token().ok_or_else(|| wrong("nobody logged in"))?;
    pair.fresh().tokens().revoke(first.secret()).await?;
    let static_token = Client::builder(&pair.endpoint).token(first.secret().clone()).build()?;
    refusal(&static_token.bucket_ref(bucket.reference().clone())).await?;
    // Two logins within a second give the same token.
    let issued = first.claims()?.issued;
    while SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() <= issued {
        tokio::time::sleep(PAUSE).await;
    }
    assert!(object.get().await?.bytes().await? == content, "the object came back changed");
    assert!(session.token() != Some(first), "the token was not renewed");
    Ok(())
}

async fn a_revoked_token(pair: &Pair) -> Result<()> {
    let bucket = pair.bucket().await?;
    let user = pair.user(|role| role.bucket(pair.cluster(), bucket.name(), AccessFlags::RO)).await?;
    let session = pair.fresh();
    let token = session.login(user, &password()).await?;
    let client = Client::builder(&pair.endpoint).token(token.secret().clone()).build()?;
    let bucket = client.bucket_ref(bucket.reference().clone());
    bucket.head().await?;
    session.logout().await?;

    let text = refusal(&bucket).await?.chain();
    let host = pair.endpoint.trim_start_matches("http://").trim_start_matches("https://");
    for word in ["revoked", "401", host.trim_end_matches('/'), "log in again"] {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
    assert!(!text.contains(token.secret().expose()), "the token is shown");
    Ok(())
}

/// Each bit of a bucket that has a call of its own: that call passes, the others are refused.
async fn each_bit_alone(pair: &Pair) -> Result<()> {
    let bucket = pair.bucket().await?;
    bucket.object("object")?.put("content").await?;
    // What removes the object comes last.
    for allowed in [
        AccessFlags::GET,
        AccessFlags::OBJ_HEAD,
        AccessFlags::PUT,
        AccessFlags::BCK_HEAD,
        AccessFlags::OBJ_LIST,
        AccessFlags::OBJ_DELETE,
    ] {
        let user = pair.user(|role| role.bucket(pair.cluster(), bucket.name(), allowed)).await?;
        let token = pair.fresh().login(user, &password()).await?;
        let client = Client::builder(&pair.endpoint).token(token.secret().clone()).build()?;
        let bucket = client.bucket_ref(bucket.reference().clone());
        let object = bucket.object("object")?;
        let outcomes = [
            (AccessFlags::GET, kind(object.get().await)),
            (AccessFlags::OBJ_HEAD, kind(object.head().await)),
            (AccessFlags::PUT, kind(object.put("content").await)),
            (AccessFlags::BCK_HEAD, kind(bucket.head().await)),
            (AccessFlags::OBJ_LIST, kind(bucket.list().stream().try_collect::<Vec<_>>().await)),
            (AccessFlags::OBJ_DELETE, kind(object.delete().await)),
        ];
        for (needed, outcome) in outcomes {
            let expected = (needed != allowed).then_some(ErrorKind::PermissionDenied);
            assert_eq!(outcome, expected, "{needed:?} with {allowed:?} only");
        }
    }
    Ok(())
}
