//! Roles.

use clap::{Args, Subcommand};
use longshore::authn::{AccessFlags, BucketAcl, ClusterAcl, Role};
use serde_json::{Map, Value, json};

use super::{Authn, failed};
use crate::failure::Failure;

/// Calls on roles.
#[derive(Debug, Subcommand)]
pub(super) enum RoleCommand {
    /// List all roles
    Ls,
    /// Show one role
    Show {
        /// Name of the role
        role: String,
    },
    /// Create a role
    Add(ChangeArgs),
    /// Change a role: entries of the same cluster or bucket are replaced, others stay
    Set(ChangeArgs),
    /// Delete roles and take them from all users
    Rm {
        /// Names of roles
        #[arg(required = true)]
        roles: Vec<String>,
    },
}

/// What a role allows.
#[derive(Debug, Args)]
#[command(after_long_help = "\
ACCESS is a comma-separated list of ro, rw, cluster_ro, cluster_rw, bucket_admin, su, all, none and single
operations such as GET or OBJ_LIST.

Examples:
  1. Read every bucket of a cluster, and see its state
     longshore authn role add readers --cluster prod ro,cluster_ro
  2. Write one bucket only
     longshore authn role add writers --bucket prod photos rw")]
pub(super) struct ChangeArgs {
    /// Name of the role
    role: String,

    /// What the role is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Access to a cluster, by its id or alias, and to all its buckets; may be repeated
    #[arg(long, num_args = 2, value_names = ["CLUSTER", "ACCESS"])]
    cluster: Vec<String>,

    /// Access to one ais bucket of a cluster; may be repeated
    #[arg(long, num_args = 3, value_names = ["CLUSTER", "BUCKET", "ACCESS"])]
    bucket: Vec<String>,
}

/// Both builders have the same setters, of which this calls those that were asked for.
macro_rules! apply {
    ($builder:expr, $args:expr) => {{
        let mut builder = $builder;
        if let Some(text) = &$args.description {
            builder = builder.description(text);
        }
        for (cluster, access) in $args.clusters()? {
            builder = builder.cluster(cluster, access);
        }
        for (cluster, bucket, access) in $args.buckets()? {
            builder = builder.bucket(cluster, bucket, access);
        }
        builder
    }};
}

impl ChangeArgs {
    fn clusters(&self) -> Result<Vec<(&str, AccessFlags)>, Failure> {
        let pairs = self.cluster.chunks_exact(2);
        pairs.map(|pair| Ok((pair[0].as_str(), access(&pair[1])?))).collect()
    }

    fn buckets(&self) -> Result<Vec<(&str, &str, AccessFlags)>, Failure> {
        let triples = self.bucket.chunks_exact(3);
        triples.map(|triple| Ok((triple[0].as_str(), triple[1].as_str(), access(&triple[2])?))).collect()
    }
}

fn access(text: &str) -> Result<AccessFlags, Failure> {
    AccessFlags::parse(text).map_err(|error| Failure::of("", error))
}

pub(super) async fn run(authn: &Authn<'_>, command: RoleCommand) -> Result<(), Failure> {
    let roles = authn.client()?.roles();
    match command {
        RoleCommand::Ls => {
            for role in roles.list().await.map_err(failed("cannot list the roles"))? {
                print(authn, &role)?;
            }
            Ok(())
        }
        RoleCommand::Show { role } => {
            print(authn, &roles.get(&role).await.map_err(failed(format!("cannot look at role {role}")))?)
        }
        RoleCommand::Add(args) => {
            let role = apply!(roles.create(&args.role), args).await;
            print(authn, &role.map_err(failed(format!("cannot create role {}", args.role)))?)
        }
        RoleCommand::Set(args) => {
            let role = apply!(roles.update(&args.role), args).await;
            print(authn, &role.map_err(failed(format!("cannot change role {}", args.role)))?)
        }
        RoleCommand::Rm { roles: names } => {
            for role in names {
                roles.delete(&role).await.map_err(failed(format!("cannot delete role {role}")))?;
                authn.notice(format!("deleted role {role}"));
            }
            Ok(())
        }
    }
}

fn print(authn: &Authn<'_>, role: &Role) -> Result<(), Failure> {
    let mut facts = Map::new();
    if !role.description.is_empty() {
        facts.insert("description".to_owned(), json!(role.description));
    }
    if role.is_admin {
        facts.insert("administrator".to_owned(), json!(true));
    }
    facts.extend(access_facts(&role.clusters, &role.buckets));
    authn.print("role", &role.name, facts)
}

/// Access rights, each under the name of what they are about.
pub(super) fn access_facts(clusters: &[ClusterAcl], buckets: &[BucketAcl]) -> Map<String, Value> {
    let clusters = clusters.iter().map(|acl| {
        let name = if acl.alias.is_empty() { &acl.id } else { &acl.alias };
        (name.clone(), json!(acl.access.to_string()))
    });
    let buckets = buckets.iter().map(|acl| {
        let bucket = &acl.bucket;
        let name = format!("{}://{} of {}", bucket.provider, bucket.name, bucket.namespace.uuid);
        (name, json!(acl.access.to_string()))
    });
    let groups = [("clusters", clusters.collect::<Map<_, _>>()), ("buckets", buckets.collect::<Map<_, _>>())];
    let groups = groups.into_iter().filter(|(_, group)| !group.is_empty());
    groups.map(|(name, group)| (name.to_owned(), group.into())).collect()
}
