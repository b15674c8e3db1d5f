//! `longshore supabase`: what only Supabase Storage has.
#![expect(clippy::doc_markdown, reason = "the comments on flags are their help texts")]

use clap::{ArgAction, Args, Subcommand};
use longshore::{
    StoreUrl,
    supabase::{BucketInfo, BucketSettings, SizeLimit},
};
use serde_json::{Map, Value, json};

use super::{bucket_url, mb};
use crate::{
    app::App,
    failure::Failure,
    output::{Message, Stat},
    units::show_time,
};

/// Manage the buckets of a Supabase project
///
/// The project comes from SUPABASE_URL, and the key from SUPABASE_SERVICE_ROLE_KEY or SUPABASE_KEY. A storage server
/// without gateway is named by SUPABASE_STORAGE_URL.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  1. A public bucket for small images
     longshore supabase bucket create --public --size-limit 5MB --mime 'image/*' supabase://photos
  2. Who may read it, and what it takes
     longshore supabase bucket get supabase://photos
  3. Make it private, and take anything
     longshore supabase bucket update --private --any-mime supabase://photos
  4. Everything else works as on every store
     longshore cp -r ~/Pictures/ supabase://photos/2024/")]
pub(crate) struct SupabaseArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Buckets
    #[command(subcommand)]
    Bucket(BucketCommand),
}

#[derive(Debug, Subcommand)]
enum BucketCommand {
    /// List all buckets with their rules
    List,
    /// Show the rules of buckets
    Get {
        /// Store URLs of buckets
        #[arg(required = true, value_name = "BUCKET")]
        buckets: Vec<String>,
    },
    /// Make a bucket
    Create {
        /// Store URL of the bucket
        #[arg(value_name = "BUCKET")]
        bucket: String,
        #[command(flatten)]
        rules: Rules,
        /// Do not mind a bucket that is there already; its rules stay as they are
        #[arg(long)]
        exist_ok: bool,
    },
    /// Change the rules of a bucket; what is not named stays as it is
    Update {
        /// Store URL of the bucket
        #[arg(value_name = "BUCKET")]
        bucket: String,
        #[command(flatten)]
        rules: Rules,
    },
    /// Delete all objects of buckets, which the server may do after it has answered
    Empty {
        /// Store URLs of buckets
        #[arg(required = true, value_name = "BUCKET")]
        buckets: Vec<String>,
    },
    /// Delete buckets that are empty
    Delete {
        /// Store URLs of buckets
        #[arg(required = true, value_name = "BUCKET")]
        buckets: Vec<String>,
    },
}

/// Rules of a bucket.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
struct Rules {
    /// Let everybody read its objects
    #[arg(long, conflicts_with = "private")]
    public: bool,
    /// Let nobody read its objects without credentials
    #[arg(long)]
    private: bool,
    /// Refuse objects over this size: bytes, or a number with B, KB, MB or GB
    #[arg(long, value_name = "SIZE", conflicts_with = "no_size_limit")]
    size_limit: Option<SizeLimit>,
    /// Take objects of any size
    #[arg(long)]
    no_size_limit: bool,
    /// Take this content type, such as image/png or 'image/*'; may be repeated
    #[arg(long, value_name = "TYPE", action = ArgAction::Append, conflicts_with = "any_mime")]
    mime: Vec<String>,
    /// Take any content type
    #[arg(long)]
    any_mime: bool,
}

impl Rules {
    fn settings(self) -> BucketSettings {
        let mut settings = BucketSettings::default();
        settings.public = match (self.public, self.private) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        settings.file_size_limit = self.size_limit.map(Some).or_else(|| self.no_size_limit.then_some(None));
        settings.allowed_mime_types = match self.mime {
            types if !types.is_empty() => Some(Some(types)),
            _ => self.any_mime.then_some(None),
        };
        settings
    }
}

pub(crate) async fn run(app: &App, args: SupabaseArgs) -> Result<(), Failure> {
    let Command::Bucket(command) = args.command;
    let buckets = app.services.supabase()?.buckets();
    match command {
        BucketCommand::List => {
            let found = buckets.list().await;
            let mut found = found.map_err(|error| Failure::of("cannot list the buckets", error))?;
            found.sort_by(|a, b| a.id.cmp(&b.id));
            for bucket in &found {
                tell(app, &format!("supabase://{}", bucket.id), bucket)?;
            }
            app.out.conclude(&Message::Buckets { buckets: found.len() as u64 })
        }
        BucketCommand::Get { buckets: names } => {
            for (url, id) in ids(&names)? {
                let bucket = buckets.get(&id).await;
                tell(
                    app,
                    &url,
                    &bucket.map_err(|error| Failure::of(format!("cannot look at {url}"), error))?,
                )?;
            }
            Ok(())
        }
        BucketCommand::Create { bucket, rules, exist_ok } => {
            let (url, id) = id(&bucket)?;
            mb::tell(app, &url, buckets.create(&id).settings(rules.settings()).await, exist_ok)
        }
        BucketCommand::Update { bucket, rules } => {
            let (url, id) = id(&bucket)?;
            let settings = rules.settings();
            if settings == BucketSettings::default() {
                return Err(Failure::usage("no rule is named that is to change").hint("see --help"));
            }
            let failed = |error| Failure::of(format!("cannot change {url}"), error);
            buckets.update(&id).settings(settings).await.map_err(failed)?;
            tell(app, &url, &buckets.get(&id).await.map_err(failed)?)
        }
        BucketCommand::Empty { buckets: names } => {
            for (url, id) in ids(&names)? {
                let done = buckets.empty(&id).await;
                done.map_err(|error| Failure::of(format!("cannot empty {url}"), error))?;
                app.out.notice_text(format!("{url} is being emptied"));
            }
            Ok(())
        }
        BucketCommand::Delete { buckets: names } => {
            for (url, id) in ids(&names)? {
                let done = buckets.delete(&id).await;
                done.map_err(|error| Failure::of(format!("cannot remove {url}"), error))?;
                app.out.print_now(&Message::BucketRemoved { url })?;
            }
            Ok(())
        }
    }
}

/// URL and id of a bucket, which may be named by either.
fn id(text: &str) -> Result<(String, String), Failure> {
    let text = if text.contains("://") { text.to_owned() } else { format!("supabase://{text}") };
    let url: StoreUrl = bucket_url(&text)?;
    if url.scheme() != longshore::Scheme::Supabase {
        return Err(Failure::usage(format!("{url} is not a bucket of Supabase")));
    }
    let id = url.bucket().map(ToString::to_string).unwrap_or_default();
    Ok((url.to_string(), id))
}

fn ids(texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    texts.iter().map(|text| id(text)).collect()
}

fn tell(app: &App, url: &str, bucket: &BucketInfo) -> Result<(), Failure> {
    app.out.print_now(&Message::Stat(&Stat { url: url.to_owned(), facts: facts(bucket) }))
}

/// What is known about a bucket.
pub(crate) fn facts(bucket: &BucketInfo) -> Map<String, Value> {
    let types = bucket.allowed_mime_types.as_ref().map(|types| json!(types.join(", ")));
    let facts = [
        ("name", (bucket.name != bucket.id).then(|| json!(bucket.name))),
        ("public", Some(json!(bucket.public))),
        ("size_limit", bucket.file_size_limit.map(|bytes| json!(bytes))),
        ("content_types", types),
        ("owner", (!bucket.owner.is_empty()).then(|| json!(bucket.owner))),
        ("created", bucket.created_at.and_then(show_time).map(Value::from)),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        rules: Rules,
    }

    fn settings(line: &str) -> BucketSettings {
        Line::try_parse_from(format!("x {line}").split_whitespace()).unwrap().rules.settings()
    }

    #[test]
    fn rules() {
        assert_eq!(settings(""), BucketSettings::default());
        let all = settings("--public --size-limit 5MB --mime image/png --mime text/*");
        assert_eq!(all.public, Some(true));
        assert_eq!(all.file_size_limit, Some(Some(SizeLimit::Text("5MB".into()))));
        assert_eq!(all.allowed_mime_types, Some(Some(vec!["image/png".into(), "text/*".into()])));
        let none = settings("--private --no-size-limit --any-mime");
        assert_eq!(
            (none.public, none.file_size_limit, none.allowed_mime_types),
            (Some(false), Some(None), Some(None))
        );
        assert!(Line::try_parse_from(["x", "--size-limit", "10 TB"]).is_err());
        assert!(Line::try_parse_from(["x", "--public", "--private"]).is_err());
    }

    #[test]
    fn buckets_by_url_or_id() {
        assert_eq!(id("photos").unwrap(), ("supabase://photos".into(), "photos".into()));
        assert_eq!(id("supabase://photos").unwrap().1, "photos");
        for bad in ["ais://photos", "supabase://", "supabase://b/k"] {
            assert_eq!(id(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }
}
