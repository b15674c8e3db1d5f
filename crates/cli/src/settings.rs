//! Settings: a flag wins over the environment, that over the profile, that over the default.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use longshore::{
    Secret,
    transport::{TransportConfig, read_token_file},
};
use serde::Deserialize;

use crate::{
    accounts::{Accounts, ApoloAccount, S3Account, SupabaseAccount},
    app::Global,
    failure::Failure,
    units::{parse_duration, parse_rate, parse_size},
};

/// Looks an environment variable up.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// What every command needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Address of an AIStore gateway; `None` means the embedded server.
    pub(crate) endpoint: Option<String>,
    /// The profile that one side was told to use: what the environment says belongs to other services.
    pub(crate) own_account: Option<String>,
    /// Other services than a cluster, by the profile.
    pub(crate) accounts: Accounts,
    /// Token of the profile; one in the environment is read by the client itself.
    pub(crate) token: Option<Secret>,
    /// How long making a connection may take, by the profile; the environment is the client's.
    pub(crate) connect_timeout: Option<Duration>,
    /// How long a server may be silent, likewise.
    pub(crate) idle_timeout: Option<Duration>,
    /// How often a request is sent at most.
    pub(crate) attempts: Option<u32>,
    /// Requests in flight at most.
    pub(crate) concurrency: Option<usize>,
    /// Size of the parts of large objects, in bytes; the planner's choice by default.
    pub(crate) part_size: Option<u64>,
    /// Bytes of object data in memory at most.
    pub(crate) memory: Option<u64>,
    /// Bytes per second at most.
    pub(crate) limit_rate: Option<u64>,
    /// Requests that begin in a second at most.
    pub(crate) limit_requests: Option<u64>,
    /// How long to look for a part of unknown fate.
    pub(crate) part_lookup: Option<Duration>,
    /// Keys are written with the characters that the store takes.
    pub(crate) encode_keys: bool,
    /// When content is compared with checksums.
    pub(crate) verify: Verify,
    /// When progress is shown.
    pub(crate) progress: When,
    /// Where files of our own live.
    pub(crate) dirs: Dirs,
}

/// Whether content is compared with the checksums that servers state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Verify {
    /// Wherever the server states one.
    #[default]
    Auto,
    /// Always; fail if the server states none.
    Always,
    /// Never.
    Never,
}

impl From<Verify> for longshore::transfer::Verify {
    fn from(verify: Verify) -> Self {
        match verify {
            Verify::Auto => Self::Auto,
            Verify::Always => Self::Always,
            Verify::Never => Self::Never,
        }
    }
}

/// When something is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum When {
    /// If somebody watches: bars on a terminal, lines otherwise.
    #[default]
    Auto,
    /// Bars in any case.
    Always,
    /// Not at all.
    Never,
}

macro_rules! words {
    ($($type:ident { $($word:literal => $value:ident),* })*) => {$(
        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$value),)*
                    other => Err(format!("{other:?} is none of {}", [$($word),*].join(", "))),
                }
            }
        }
    )*};
}

words! {
    Verify { "auto" => Auto, "always" => Always, "never" => Never }
    When { "auto" => Auto, "always" => Always, "never" => Never }
}

/// Folders of our own, as the XDG base directory specification names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dirs {
    /// `config.toml` is here.
    pub(crate) config: PathBuf,
    /// Data of the embedded server is below this.
    pub(crate) data: PathBuf,
    /// Notes of interrupted transfers are below this.
    pub(crate) state: PathBuf,
}

impl Dirs {
    fn new(env: Env<'_>) -> Self {
        let home =
            ["HOME", "USERPROFILE"].iter().find_map(|name| env(name).filter(|value| !value.is_empty()));
        let folder = |name: &str, usual: &str| {
            // The specification wants relative paths ignored.
            let given = env(name).map(PathBuf::from).filter(|path| path.is_absolute());
            let base = given.unwrap_or_else(|| {
                home.as_ref().map_or_else(|| PathBuf::from("."), PathBuf::from).join(usual)
            });
            base.join("longshore")
        };
        Self {
            config: folder("XDG_CONFIG_HOME", ".config"),
            data: folder("XDG_DATA_HOME", ".local/share"),
            state: folder("XDG_STATE_HOME", ".local/state"),
        }
    }

    /// Where the embedded server keeps its data.
    pub(crate) fn dev(&self) -> PathBuf {
        self.data.join("dev")
    }
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    profile: BTreeMap<String, Profile>,
}

/// One `[profile.NAME]` of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Profile {
    endpoint: Option<String>,
    #[serde(deserialize_with = "secret")]
    token: Option<Secret>,
    token_file: Option<PathBuf>,
    connect_timeout: Option<String>,
    idle_timeout: Option<String>,
    attempts: Option<Word>,
    concurrency: Option<Word>,
    part_size: Option<Word>,
    memory: Option<Word>,
    limit_rate: Option<Word>,
    limit_requests: Option<Word>,
    part_lookup: Option<String>,
    supabase_url: Option<String>,
    #[serde(deserialize_with = "secret")]
    supabase_key: Option<Secret>,
    s3_endpoint: Option<String>,
    s3_region: Option<String>,
    s3_access_key: Option<String>,
    #[serde(deserialize_with = "secret")]
    s3_secret_key: Option<Secret>,
    apolo_url: Option<String>,
    #[serde(deserialize_with = "secret")]
    apolo_token: Option<Secret>,
    apolo_cluster: Option<String>,
    apolo_org: Option<String>,
    apolo_project: Option<String>,
    verify: Option<String>,
    progress: Option<String>,
}

fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Option::<String>::deserialize(from).map(|text| text.map(Secret::from))
}

/// A number or a text, such as `8` or `"8MiB"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Word {
    Number(u64),
    Text(String),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl Settings {
    /// Settles every setting.
    pub(crate) fn resolve(flags: &Global, env: Env<'_>) -> Result<Self, Failure> {
        let dirs = Dirs::new(env);
        let (profile, origin) = profile(flags.profile.as_deref(), env, &dirs)?;
        let lookup = Lookup { env, origin: &origin };
        let p = &profile;
        Ok(Self {
            endpoint: lookup.find(flags.endpoint.clone(), "AIS_ENDPOINT", p.endpoint.as_ref(), |text| {
                Ok(text.to_owned())
            })?,
            own_account: None,
            accounts: profile.accounts(&origin, env)?,
            token: token(p, env)?,
            connect_timeout: lookup.unless(
                "AIS_CONNECT_TIMEOUT",
                p.connect_timeout.as_ref(),
                parse_duration,
            )?,
            idle_timeout: lookup.unless("AIS_READ_TIMEOUT", p.idle_timeout.as_ref(), parse_duration)?,
            attempts: lookup.find(None, "LONGSHORE_ATTEMPTS", p.attempts.as_ref(), parse_count)?,
            concurrency: lookup.find(
                flags.concurrency,
                "LONGSHORE_CONCURRENCY",
                p.concurrency.as_ref(),
                parse_count,
            )?,
            part_size: lookup.find(
                flags.part_size,
                "LONGSHORE_PART_SIZE",
                p.part_size.as_ref(),
                parse_size,
            )?,
            memory: lookup.find(flags.memory, "LONGSHORE_MEMORY", p.memory.as_ref(), parse_size)?,
            limit_rate: lookup.find(
                flags.limit_rate,
                "LONGSHORE_LIMIT_RATE",
                p.limit_rate.as_ref(),
                parse_rate,
            )?,
            limit_requests: lookup.find(
                flags.limit_requests,
                "LONGSHORE_LIMIT_REQUESTS",
                p.limit_requests.as_ref(),
                parse_count,
            )?,
            part_lookup: lookup.find(
                None,
                "LONGSHORE_PART_LOOKUP",
                p.part_lookup.as_ref(),
                parse_duration,
            )?,
            encode_keys: flags.encode_keys,
            verify: lookup
                .find(flags.verify, "LONGSHORE_VERIFY", p.verify.as_ref(), Verify::from_str)?
                .unwrap_or_default(),
            progress: lookup
                .find(flags.progress, "LONGSHORE_PROGRESS", p.progress.as_ref(), When::from_str)?
                .unwrap_or_default(),
            dirs,
        })
    }
}

impl Settings {
    /// The same with the service of a profile that was asked for by name: it wins over the environment, which cannot
    /// mean two services at once.
    pub(crate) fn with_profile(&self, name: &str) -> Result<Self, Failure> {
        let (profile, origin) = profile(Some(name), &|_| None, &self.dirs)?;
        let lookup = Lookup { env: &|_| None, origin: &origin };
        let token = token(&profile, &|_| None)?;
        let times = |value: Option<&String>| lookup.of_profile(value, parse_duration);
        Ok(Self {
            endpoint: profile.endpoint.clone(),
            accounts: profile.accounts(&origin, &|_| None)?,
            connect_timeout: times(profile.connect_timeout.as_ref())?.or(self.connect_timeout),
            idle_timeout: times(profile.idle_timeout.as_ref())?.or(self.idle_timeout),
            own_account: Some(origin),
            token,
            ..self.clone()
        })
    }
}

impl Settings {
    /// The limits of requests that are set, over those that are usual.
    pub(crate) fn limits(&self, mut config: TransportConfig) -> TransportConfig {
        config.timeouts.connect = self.connect_timeout.or(config.timeouts.connect);
        config.timeouts.head = self.idle_timeout.or(config.timeouts.head);
        config.timeouts.idle = self.idle_timeout.or(config.timeouts.idle);
        config.retry.max_attempts = self.attempts.unwrap_or(config.retry.max_attempts);
        config
    }

    /// That a side was told to use a profile that does not say where such a service is.
    pub(crate) fn lacks(&self, setting: &str) -> Result<(), Failure> {
        match &self.own_account {
            Some(origin) => Err(Failure::usage(format!("{origin} says no `{setting}`"))),
            None => Ok(()),
        }
    }
}

impl Profile {
    /// The services beside a cluster. The variables of a service win over all that the profile says of it.
    fn accounts(&self, origin: &str, env: Env<'_>) -> Result<Accounts, Failure> {
        let lacks = |setting: &str| Failure::usage(format!("{origin} says no `{setting}`"));
        let any = |names: &[&str]| names.iter().any(|name| is_set(env, name));
        let supabase = match (&self.supabase_url, &self.supabase_key) {
            (None, None) => None,
            (Some(url), Some(key)) => Some(SupabaseAccount { url: url.clone(), key: key.clone() }),
            (None, Some(_)) => return Err(lacks("supabase-url")),
            (Some(_), None) => return Err(lacks("supabase-key")),
        };
        let key = match (&self.s3_access_key, &self.s3_secret_key) {
            (None, None) => None,
            (Some(access), Some(secret)) => Some((access.clone(), secret.clone())),
            (None, Some(_)) => return Err(lacks("s3-access-key")),
            (Some(_), None) => return Err(lacks("s3-secret-key")),
        };
        let (endpoint, region) = (self.s3_endpoint.clone(), self.s3_region.clone());
        let s3 = (endpoint.is_some() || region.is_some() || key.is_some()).then_some(S3Account {
            endpoint,
            region,
            key,
        });
        let (url, cluster) = (self.apolo_url.clone(), self.apolo_cluster.clone());
        let (org, project) = (self.apolo_org.clone(), self.apolo_project.clone());
        let apolo = match &self.apolo_token {
            Some(token) => Some(ApoloAccount { url, token: token.clone(), cluster, org, project }),
            None if [url, cluster, org, project].iter().any(Option::is_some) => {
                return Err(lacks("apolo-token"));
            }
            None => None,
        };
        Ok(Accounts {
            apolo: apolo.filter(|_| {
                !any(&["APOLO_API_URL", "APOLO_TOKEN", "APOLO_PASSED_CONFIG", "NEURO_PASSED_CONFIG"])
            }),
            supabase: supabase
                .filter(|_| !any(&["SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_KEY"])),
            s3: s3.filter(|_| {
                !any(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ACCESS_KEY_ID"])
            }),
        })
    }
}

/// Where a setting is looked for, and how a wrong one is reported.
struct Lookup<'a> {
    env: Env<'a>,
    origin: &'a str,
}

impl Lookup<'_> {
    /// The flag, else the variable, else what the profile says. A flag was parsed already.
    fn find<T>(
        &self,
        flag: Option<T>,
        variable: &str,
        profile: Option<&impl ToString>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        if flag.is_some() {
            return Ok(flag);
        }
        if let Some(text) = text(self.env, variable)? {
            return parse(&text).map(Some).map_err(|why| Failure::usage(format!("{variable}: {why}")));
        }
        self.of_profile(profile, parse)
    }

    /// What the profile says, unless there is a variable that the client reads by itself.
    fn unless<T>(
        &self,
        variable: &str,
        profile: Option<&impl ToString>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        if is_set(self.env, variable) { Ok(None) } else { self.of_profile(profile, parse) }
    }

    fn of_profile<T>(
        &self,
        value: Option<&impl ToString>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let Some(value) = value else { return Ok(None) };
        parse(&value.to_string()).map(Some).map_err(|why| Failure::usage(format!("{}: {why}", self.origin)))
    }
}

fn is_set(env: Env<'_>, variable: &str) -> bool {
    env(variable).is_some_and(|value| !value.is_empty())
}

/// A variable as text; an empty one counts as unset.
fn text(env: Env<'_>, variable: &str) -> Result<Option<String>, Failure> {
    match env(variable).filter(|value| !value.is_empty()).map(OsString::into_string).transpose() {
        Ok(text) => Ok(text),
        Err(_) => Err(Failure::usage(format!("{variable} is not UTF-8"))),
    }
}

/// The profile that was asked for, and how to name it in messages. `default` is taken if there is one.
fn profile(flag: Option<&str>, env: Env<'_>, dirs: &Dirs) -> Result<(Profile, String), Failure> {
    let wanted = match flag {
        Some(name) => Some(name.to_owned()),
        None => text(env, "LONGSHORE_PROFILE")?,
    };
    let path = dirs.config.join("config.toml");
    let config = read_config(&path)?;
    let name = wanted.as_deref().unwrap_or("default");
    match config.profile.get(name) {
        Some(profile) => Ok((profile.clone(), format!("profile `{name}` in {}", path.display()))),
        None if wanted.is_none() => Ok((Profile::default(), String::new())),
        None => {
            let known: Vec<&str> = config.profile.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(Failure::usage(format!(
                "there is no profile `{name}` in {} (there: {known})",
                path.display()
            ))
            .hint(format!(
                "add a section `[profile.{name}]` with `endpoint = \"http://gateway:51080\"` to that file"
            )))
        }
    }
}

fn read_config(path: &Path) -> Result<Config, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Config::default()),
        Err(error) => {
            return Err(Failure::io(format!("cannot read the settings in {}", path.display()), error));
        }
    };
    // The parser's own message quotes the line, which may hold a token; its text and place do not.
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Failure::usage(format!("{}, line {line}: {}", path.display(), error.message()))
    })
}

/// The token of the profile, unless the environment has one, which the client reads by itself.
fn token(profile: &Profile, env: Env<'_>) -> Result<Option<Secret>, Failure> {
    if is_set(env, "AIS_AUTHN_TOKEN") || is_set(env, "AIS_AUTHN_TOKEN_FILE") {
        return Ok(None);
    }
    match (&profile.token, &profile.token_file) {
        (Some(token), _) => Ok(Some(token.clone())),
        (None, Some(path)) => read_token_file(path).map(Some).map_err(|error| Failure::of("", error)),
        (None, None) => Ok(None),
    }
}

/// Reads a number that is not zero.
pub(crate) fn parse_count<T: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    let number = text.trim().parse::<T>().ok().filter(|number| *number >= T::from(1));
    number.ok_or_else(|| format!("{text:?} is not a number from 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [profile.default]
        endpoint = "http://default:1"

        [profile.work]
        endpoint = "https://work:2/ais/"
        token = "sentinel"
        concurrency = 3
        part-size = "16MiB"
        memory = 1000
        verify = "never"
    "#;

    struct Home(tempfile::TempDir);

    impl Home {
        fn new(config: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("longshore")).unwrap();
            fs::write(dir.path().join("longshore/config.toml"), config).unwrap();
            Self(dir)
        }

        fn settle(&self, flags: &Global, vars: &[(&str, &str)]) -> Result<Settings, Failure> {
            Settings::resolve(flags, &|name| match name {
                "XDG_CONFIG_HOME" => Some(self.0.path().into()),
                name => vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()),
            })
        }
    }

    fn message(failure: Failure) -> String {
        match failure {
            Failure::Told(told) => {
                assert_eq!(told.exit.code(), 2);
                told.to_string()
            }
            Failure::Closed { .. } => panic!("nothing told"),
        }
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_the_profile() {
        let home = Home::new(CONFIG);
        let flags = Global { profile: Some("work".into()), ..Global::default() };
        let settings = home.settle(&flags, &[]).unwrap();
        assert_eq!(settings.endpoint.as_deref(), Some("https://work:2/ais/"));
        assert_eq!(settings.token, Some("sentinel".into()));
        assert_eq!((settings.concurrency, settings.part_size), (Some(3), Some(16 << 20)));
        assert_eq!((settings.memory, settings.verify), (Some(1000), Verify::Never));

        let vars = [("AIS_ENDPOINT", "env:3"), ("LONGSHORE_CONCURRENCY", "5"), ("AIS_AUTHN_TOKEN", "t")];
        let settings = home.settle(&flags, &vars).unwrap();
        assert_eq!(settings.endpoint.as_deref(), Some("env:3"));
        assert_eq!((settings.concurrency, settings.token), (Some(5), None));

        let flags = Global { endpoint: Some("http://flag:4".into()), concurrency: Some(7), ..flags };
        let settings = home.settle(&flags, &vars).unwrap();
        assert_eq!(settings.endpoint.as_deref(), Some("http://flag:4"));
        assert_eq!(settings.concurrency, Some(7));
    }

    #[test]
    fn the_default_profile_and_no_file_at_all() {
        let home = Home::new(CONFIG);
        assert_eq!(
            home.settle(&Global::default(), &[]).unwrap().endpoint.as_deref(),
            Some("http://default:1")
        );
        let settings = home.settle(&Global::default(), &[("LONGSHORE_PROFILE", "work")]).unwrap();
        assert_eq!(settings.concurrency, Some(3));
        let none = Settings::resolve(&Global::default(), &|_| None).unwrap();
        assert_eq!((none.endpoint, none.verify), (None, Verify::Auto));
    }

    #[test]
    fn wrong_settings_are_named() {
        let home = Home::new(CONFIG);
        let flags = Global { profile: Some("wrok".into()), ..Global::default() };
        assert!(message(home.settle(&flags, &[]).unwrap_err()).contains("there: default, work"));
        let error = home.settle(&Global::default(), &[("LONGSHORE_MEMORY", "lots")]).unwrap_err();
        assert!(message(error).starts_with("LONGSHORE_MEMORY: \"lots\" is not a size"));
        let home = Home::new("[profile.default]\nconcurency = 3\n");
        let error = message(home.settle(&Global::default(), &[]).unwrap_err());
        assert!(error.contains("line 2") && error.contains("concurency"), "{error}");
        let home = Home::new("[profile.default]\nconcurrency = 0\n");
        let error = message(home.settle(&Global::default(), &[]).unwrap_err());
        assert!(error.starts_with("profile `default` in "), "{error}");
    }

    #[test]
    fn no_message_and_no_debug_form_shows_a_token() {
        for config in
            ["[profile.default]\ntoken = \"sentinel\ntoken", "[profile.default]\ntoken = [\"sentinel\"]"]
        {
            let error = message(Home::new(config).settle(&Global::default(), &[]).unwrap_err());
            assert!(!error.contains("sentinel"), "{error}");
        }
        let home = Home::new(CONFIG);
        let flags = Global { profile: Some("work".into()), ..Global::default() };
        assert!(!format!("{:?}", home.settle(&flags, &[]).unwrap()).contains("sentinel"));
    }

    #[test]
    fn token_files() {
        let files =
            [("{\"token\":\"abc\"}\n", Some("abc")), ("abc\n", Some("abc")), ("{}", None), ("", None)];
        for (content, token) in files {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("token");
            fs::write(&path, content).unwrap();
            let home = Home::new(&format!("[profile.default]\ntoken-file = {:?}\n", path.to_str().unwrap()));
            let found = home.settle(&Global::default(), &[]).ok().and_then(|settings| settings.token);
            assert_eq!(found, token.map(Secret::from), "{content}");
        }
    }

    #[test]
    fn folders() {
        let dirs = |vars: &'static [(&str, &str)]| {
            Dirs::new(&|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        assert_eq!(dirs(&[("HOME", "/h")]).dev(), Path::new("/h/.local/share/longshore/dev"));
        assert_eq!(dirs(&[("HOME", "/h"), ("XDG_DATA_HOME", "/d")]).dev(), Path::new("/d/longshore/dev"));
        assert_eq!(
            dirs(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "rel")]).config,
            Path::new("/h/.config/longshore")
        );
    }
}
