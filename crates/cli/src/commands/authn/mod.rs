//! `longshore authn`: users, roles, clusters and tokens of an AuthN service.

mod clusters;
mod password;
mod roles;
mod session;
mod users;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use longshore::{
    Error,
    authn::{AuthnClient, EnvToken, Token, TokenFile},
};
use serde_json::{Map, Value};

use crate::{
    app::App,
    failure::Failure,
    output::{Entity, Message},
};

/// Log in to a guarded cluster, and manage who may do what
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. Log in; commands on ais:// use the token from then on
     longshore authn login admin
  2. The same in a script
     longshore authn login admin --password-stdin < password.txt
  3. A role that reads one bucket, and a user who has it
     longshore authn role add readers --bucket prod photos ro
     longshore authn user add bob --role readers
  4. Who am I, and until when
     longshore authn whoami")]
pub(crate) struct AuthnArgs {
    /// Address of the AuthN service
    #[arg(
        long,
        value_name = "URL",
        env = "AIS_AUTHN_URL",
        global = true,
        default_value = "http://localhost:52001"
    )]
    authn_url: String,

    /// File of the token [default: ~/.config/ais/cli/auth.token]
    #[arg(long, value_name = "FILE", env = "AIS_AUTHN_TOKEN_FILE", global = true)]
    token_file: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Login(session::LoginArgs),
    /// Revoke the kept token and forget it
    Logout,
    /// Say who is logged in, until when, and what the token allows
    Whoami,
    /// Users
    #[command(subcommand)]
    User(users::UserCommand),
    /// Roles
    #[command(subcommand)]
    Role(roles::RoleCommand),
    /// Clusters that accept the service's tokens
    #[command(subcommand)]
    Cluster(clusters::ClusterCommand),
    /// Tokens
    #[command(subcommand)]
    Token(session::TokenCommand),
}

/// What the commands below work with.
struct Authn<'a> {
    app: &'a App,
    url: String,
    token_file: Option<PathBuf>,
}

pub(crate) async fn run(app: &App, args: AuthnArgs) -> Result<(), Failure> {
    let authn = Authn { app, url: args.authn_url, token_file: args.token_file };
    match args.command {
        Command::Login(login) => session::login(&authn, login).await,
        Command::Logout => session::logout(&authn).await,
        Command::Whoami => session::whoami(&authn),
        Command::User(command) => users::run(&authn, command).await,
        Command::Role(command) => roles::run(&authn, command).await,
        Command::Cluster(command) => clusters::run(&authn, command).await,
        Command::Token(command) => session::token(&authn, command).await,
    }
}

impl Authn<'_> {
    /// The service, with the token of the last login if there is one.
    fn client(&self) -> Result<AuthnClient, Failure> {
        let mut builder = AuthnClient::builder(&self.url);
        if let Some(token) = self.token()? {
            builder = builder.token(token.secret().clone());
        }
        builder.build().map_err(|error| Failure::of("", error))
    }

    /// The token that stands in the environment or in the token file.
    fn token(&self) -> Result<Option<Token>, Failure> {
        let path = match (&self.token_file, EnvToken::find()) {
            (_, Some(EnvToken::Value(token))) => return Ok(Some(token)),
            (Some(path), _) => path.clone(),
            (None, Some(EnvToken::File(_))) => self.path()?,
            (None, _) => return Ok(None),
        };
        if !path.exists() {
            return Ok(None);
        }
        TokenFile::read(&path).map(Some).map_err(|error| Failure::of("", error))
    }

    /// Where the token is kept.
    fn path(&self) -> Result<PathBuf, Failure> {
        let path = self.token_file.clone().or_else(TokenFile::default_path);
        path.ok_or_else(|| {
            Failure::usage("there is no home directory to keep the token in").hint("give --token-file")
        })
    }

    fn print(&self, kind: &'static str, name: &str, facts: Map<String, Value>) -> Result<(), Failure> {
        self.app.out.print_now(&Message::Authn(&Entity { kind, name: name.to_owned(), facts }))
    }

    fn notice(&self, text: impl Into<String>) {
        self.app.out.notice_text(text);
    }
}

/// A failed call, with what to do about it.
fn failed(context: impl Into<String>) -> impl FnOnce(Error) -> Failure {
    move |error| {
        let refused = error.status().is_some_and(|status| status == 401);
        let failure = Failure::of(context, error);
        if refused {
            failure.or_hint("`longshore authn login USER` as a user who may do this")
        } else {
            failure
        }
    }
}
