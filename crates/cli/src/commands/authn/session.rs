//! Logging in and out, and what a token says.

use std::{io::Read, time::Duration};

use clap::{Args, Subcommand};
use longshore::{
    ErrorKind, Secret,
    authn::{Claims, Token, TokenFile, TokenLifetime},
};
use serde_json::{Map, Value, json};

use super::{Authn, failed, password};
use crate::{failure::Failure, units::show_time};

/// Log in and keep the token, which commands on ais:// use from then on
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. Log in for as long as the service likes
     longshore authn login admin
  2. For a working day
     longshore authn login admin --expires 8h
  3. In a script, for as long as the service allows
     longshore authn login admin --password-stdin --expires max < password.txt")]
pub(super) struct LoginArgs {
    /// Name of the user
    user: String,

    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,

    /// How long the token shall live: 90m, 8h, 7d, or max [default: the service's own]
    #[arg(long, value_name = "TIME", value_parser = parse_lifetime)]
    expires: Option<TokenLifetime>,
}

/// Calls on tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Say what the kept token allows
    Show,
    /// End the token that stands in a line of standard input, for everybody who has it
    Revoke,
}

pub(super) async fn login(authn: &Authn<'_>, args: LoginArgs) -> Result<(), Failure> {
    let path = authn.path()?;
    let client = authn.client()?.fresh();
    let user = &args.user;
    let password = password::read(&format!("password of {user}"), args.password_stdin).await?;
    let login = client.login(user, &password).lifetime(args.expires.unwrap_or_default());
    let token = login.await.map_err(|error| {
        let refused = error.kind() == ErrorKind::Unauthenticated;
        let failure = Failure::of(format!("cannot log {user} in at {}", client.url()), error);
        if refused { failure.hint("check the name of the user and the password") } else { failure }
    })?;
    TokenFile::write(&path, token.secret()).map_err(|error| Failure::of("", error))?;
    authn.notice(format!("the token is kept in {}", path.display()));
    show(authn, &token)
}

pub(super) async fn logout(authn: &Authn<'_>) -> Result<(), Failure> {
    let Some(token) = authn.token()? else {
        return Err(Failure::usage("nobody is logged in").hint("`longshore authn login USER` logs in"));
    };
    let revoked = authn.client()?.tokens().revoke(token.secret()).await;
    let path = authn.path()?;
    if path.exists() {
        std::fs::remove_file(&path)
            .map_err(|error| Failure::io(format!("cannot remove {}", path.display()), error))?;
    }
    revoked.map_err(failed("the token is forgotten here, but could not be revoked"))?;
    authn.notice("logged out: the token is revoked and forgotten");
    Ok(())
}

pub(super) fn whoami(authn: &Authn<'_>) -> Result<(), Failure> {
    match authn.token()? {
        Some(token) => show(authn, &token),
        None => Err(Failure::new(crate::failure::Exit::Failed, "nobody is logged in")
            .hint("`longshore authn login USER` logs in")),
    }
}

pub(super) async fn token(authn: &Authn<'_>, command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Show => whoami(authn),
        TokenCommand::Revoke => {
            let mut text = String::new();
            std::io::stdin()
                .take(64 << 10)
                .read_to_string(&mut text)
                .map_err(|error| Failure::io("cannot read the token", error))?;
            let token = Secret::from(text.trim());
            authn.client()?.tokens().revoke(&token).await.map_err(failed("cannot revoke the token"))?;
            authn.notice("the token is revoked");
            Ok(())
        }
    }
}

fn show(authn: &Authn<'_>, token: &Token) -> Result<(), Failure> {
    let claims = token.claims().map_err(|error| Failure::of("", error))?;
    authn.print("user", &claims.user, facts(token, &claims))
}

fn facts(token: &Token, claims: &Claims) -> Map<String, Value> {
    let mut facts = Map::new();
    facts.insert("administrator".to_owned(), json!(claims.admin));
    if let Some(expires) = token.expires().and_then(show_time) {
        facts.insert("expires".to_owned(), json!(expires));
    }
    facts.insert("issuer".to_owned(), json!(claims.issuer));
    facts.extend(super::roles::access_facts(&claims.clusters, &claims.buckets));
    facts
}

fn parse_lifetime(text: &str) -> Result<TokenLifetime, String> {
    if text == "max" {
        return Ok(TokenLifetime::Maximum);
    }
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("write a number with s, m, h or d, such as 8h, or max".to_owned()),
    };
    let time = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds));
    match time.map(Duration::from_secs) {
        Some(time) if time >= Duration::from_mins(1) => Ok(TokenLifetime::For(time)),
        Some(_) => Err("a token lives a minute at least".to_owned()),
        None => Err("write a number with s, m, h or d, such as 8h, or max".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        assert_eq!(parse_lifetime("max"), Ok(TokenLifetime::Maximum));
        assert_eq!(parse_lifetime("8h"), Ok(TokenLifetime::For(Duration::from_hours(8))));
        for bad in ["", "8", "h", "59s", "1w", "99999999999999999999d"] {
            assert!(parse_lifetime(bad).is_err(), "{bad}");
        }
    }
}
