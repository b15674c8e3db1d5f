//! Users.

use clap::Subcommand;
use longshore::authn::User;
use serde_json::{Map, Value, json};

use super::{Authn, failed, password};
use crate::failure::Failure;

/// Calls on users.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// List all users
    Ls,
    /// Show one user
    Show {
        /// Name of the user
        user: String,
    },
    /// Create a user; the password is asked for
    Add {
        /// Name of the user
        user: String,
        /// Give the user this role; may be repeated
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Change the roles or the password of a user
    Set {
        /// Name of the user
        user: String,
        /// Replace all roles by these; may be repeated
        #[arg(long = "role", value_name = "ROLE", conflicts_with = "no_roles")]
        roles: Vec<String>,
        /// Take all roles away
        #[arg(long)]
        no_roles: bool,
        /// Ask for a new password
        #[arg(long)]
        password: bool,
        /// Read a new password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
    /// Delete users
    Rm {
        /// Names of users
        #[arg(required = true)]
        users: Vec<String>,
    },
}

pub(super) async fn run(authn: &Authn<'_>, command: UserCommand) -> Result<(), Failure> {
    let users = authn.client()?.users();
    match command {
        UserCommand::Ls => {
            for user in users.list().await.map_err(failed("cannot list the users"))?.values() {
                print(authn, user)?;
            }
            Ok(())
        }
        UserCommand::Show { user } => {
            let found = users.get(&user).await.map_err(failed(format!("cannot look at user {user}")))?;
            print(authn, &found)
        }
        UserCommand::Add { user, roles, password_stdin } => {
            let password = password::read(&format!("new password of {user}"), password_stdin).await?;
            let created = users.create(&user, &password).roles(roles).await;
            print(authn, &created.map_err(failed(format!("cannot create user {user}")))?)
        }
        UserCommand::Set { user, roles, no_roles, password, password_stdin } => {
            let mut update = users.update(&user);
            if no_roles || !roles.is_empty() {
                update = update.roles(roles);
            }
            if password || password_stdin {
                update = update
                    .password(&password::read(&format!("new password of {user}"), password_stdin).await?);
            }
            print(authn, &update.await.map_err(failed(format!("cannot change user {user}")))?)
        }
        UserCommand::Rm { users: names } => {
            for user in names {
                users.delete(&user).await.map_err(failed(format!("cannot delete user {user}")))?;
                authn.notice(format!("deleted user {user}"));
            }
            Ok(())
        }
    }
}

fn print(authn: &Authn<'_>, user: &User) -> Result<(), Failure> {
    let roles: Vec<&str> = user.roles.iter().map(|role| role.name.as_str()).collect();
    let mut facts = Map::<String, Value>::new();
    facts.insert("roles".to_owned(), json!(roles));
    authn.print("user", &user.id, facts)
}
