//! Transformations that run in the cluster.

use clap::Subcommand;
use longshore::aistore::{EtlCommunication, EtlSpec};
use serde_json::Value;

use super::{Ais, facts, failed};
use crate::failure::Failure;

/// Calls on ETLs.
#[derive(Debug, Subcommand)]
pub(super) enum EtlCommand {
    /// List all ETLs
    Ls,
    /// Make one of a container image, and start it
    Init {
        /// Name: 6 to 32 lower-case letters, digits and `-`
        name: String,
        /// Container image
        #[arg(long, value_name = "IMAGE")]
        image: String,
        /// Variable of the container's environment; may be repeated
        #[arg(long, value_name = "NAME=VALUE")]
        env: Vec<String>,
        /// Redirect readers to the transformer instead of sending it the objects
        #[arg(long)]
        pull: bool,
        /// The transformer itself delivers results
        #[arg(long)]
        direct_put: bool,
        /// What the container runs
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Show what an ETL was made of, and the objects that it failed on
    Show {
        /// Name of the ETL
        name: String,
    },
    /// Start ETLs again
    Start {
        /// Names of ETLs
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Stop ETLs
    Stop {
        /// Names of ETLs
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Remove ETLs
    Rm {
        /// Names of ETLs
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Write what the containers of an ETL wrote to standard output
    Log {
        /// Name of the ETL
        name: String,
    },
}

pub(super) async fn run(ais: &Ais<'_>, command: EtlCommand) -> Result<(), Failure> {
    let client = ais.client().await?;
    let named = |name: &str| client.etl(name).map_err(|error| Failure::of("", error));
    let context = |what: &str, name: &str| failed(format!("cannot {what} ETL {name}"));
    match command {
        EtlCommand::Ls => {
            for etl in client.cluster().etls().await.map_err(failed("cannot list the ETLs"))? {
                let known = [
                    ("stage", Some(etl.stage.to_string().into())),
                    ("job", etl.job.map(Value::from)),
                    ("objects", Some(etl.objects.into())),
                    ("bytes in", Some(etl.bytes_in.into())),
                    ("bytes out", Some(etl.bytes_out.into())),
                ];
                ais.print("etl", &etl.name, facts(known))?;
            }
        }
        EtlCommand::Init { name, image, env, pull, direct_put, command } => {
            let mut spec = EtlSpec::image(image).command(command).direct_put(direct_put);
            for pair in &env {
                let Some((name, value)) = pair.split_once('=') else {
                    return Err(Failure::usage(format!("{pair:?} is not NAME=VALUE")));
                };
                spec = spec.env(name, value);
            }
            if pull {
                spec = spec.communication(EtlCommunication::Pull);
            }
            let job = named(&name)?.init(spec).await.map_err(context("make", &name))?;
            ais.notice(format!("ETL {name} runs as job {}", job.id()));
        }
        EtlCommand::Show { name } => {
            let details = named(&name)?.details().await.map_err(context("look at", &name))?;
            let errors: Vec<Value> = details
                .errors
                .iter()
                .map(|error| format!("{}: {} ({})", error.object, error.message, error.status).into())
                .collect();
            let known = [
                ("communication", super::text(&details.communication)),
                ("image", details.image.map(Value::from)),
                ("errors", (!errors.is_empty()).then(|| errors.into())),
            ];
            ais.print("etl", &name, facts(known))?;
        }
        EtlCommand::Start { names } => {
            for name in names {
                let job = named(&name)?.start().await.map_err(context("start", &name))?;
                ais.notice(format!("ETL {name} runs as job {}", job.id()));
            }
        }
        EtlCommand::Stop { names } => {
            for name in names {
                named(&name)?.stop().await.map_err(context("stop", &name))?;
                ais.notice(format!("stopped ETL {name}"));
            }
        }
        EtlCommand::Rm { names } => {
            for name in names {
                named(&name)?.delete().await.map_err(context("remove", &name))?;
                ais.notice(format!("removed ETL {name}"));
            }
        }
        EtlCommand::Log { name } => {
            for log in named(&name)?.logs().await.map_err(context("read the log of", &name))? {
                ais.app.out.write(&log.text)?;
            }
        }
    }
    Ok(())
}
