//! What an ETL is made of.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use longshore_core_types::Result;
use serde_json::Value;

use crate::names::invalid;

/// How targets talk to the transformer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EtlCommunication {
    /// Targets send each object to the transformer.
    #[default]
    Push,
    /// Readers are redirected to the transformer, which fetches the object. Cannot be part of a pipeline.
    Pull,
    /// Over one web socket; needs [`EtlSpec::direct_put`].
    WebSocket,
}

impl EtlCommunication {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Push => "hpush://",
            Self::Pull => "hpull://",
            Self::WebSocket => "ws://",
        }
    }
}

/// The Python that runs a transformer class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PythonVersion {
    /// 3.10
    V3_10,
    /// 3.11
    V3_11,
    /// 3.12
    V3_12,
    /// 3.13
    V3_13,
    /// 3.14
    V3_14,
}

impl PythonVersion {
    fn as_str(self) -> &'static str {
        match self {
            Self::V3_10 => "3.10",
            Self::V3_11 => "3.11",
            Self::V3_12 => "3.12",
            Self::V3_13 => "3.13",
            Self::V3_14 => "3.14",
        }
    }
}

/// What an ETL is made of; see [`Etl::init`](super::Etl::init). Needs a cluster in Kubernetes.
///
/// ```
/// use longshore_aistore::EtlSpec;
///
/// let spec = EtlSpec::image("registry.example/resize:1").command(["python", "server.py"]).env("WIDTH", "640");
/// # let _ = spec;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a spec does nothing until an ETL is made of it"]
pub struct EtlSpec {
    pub(crate) runtime: Runtime,
    pub(crate) communication: EtlCommunication,
    pub(crate) init_timeout: Duration,
    pub(crate) object_timeout: Duration,
    pub(crate) direct_put: bool,
    pub(crate) resources: Option<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Runtime {
    Image { image: String, command: Vec<String>, env: BTreeMap<String, String> },
    Pod { yaml: String },
}

impl EtlSpec {
    fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            communication: EtlCommunication::Push,
            init_timeout: Duration::from_secs(300),
            object_timeout: Duration::from_secs(45),
            direct_put: false,
            resources: None,
        }
    }

    /// A transformer in a container image.
    #[doc(alias = "init_spec")]
    pub fn image(image: impl Into<String>) -> Self {
        let (command, env) = (Vec::new(), BTreeMap::new());
        Self::new(Runtime::Image { image: image.into(), command, env })
    }

    /// A transformer as the YAML of a Kubernetes pod, for clusters before 5.1: one container with one port named
    /// `default`, and a readiness probe on it.
    pub fn pod(yaml: impl Into<String>) -> Self {
        Self::new(Runtime::Pod { yaml: yaml.into() })
    }

    /// A class that was serialised by Python's `cloudpickle`, in the runtime image of that Python. Turns
    /// [`direct_put`](Self::direct_put) on.
    #[doc(alias = "init_class")]
    #[doc(alias = "init_code")]
    pub fn python_class(python: PythonVersion, pickled: &[u8]) -> Self {
        let image = format!("aistorage/runtime_python:{}", python.as_str());
        Self::image(image).env("ETL_CLASS_PAYLOAD", STANDARD.encode(pickled)).direct_put(true)
    }

    /// Python packages that the class needs.
    #[doc(alias = "dependencies")]
    pub fn packages<P: AsRef<str>>(self, packages: impl IntoIterator<Item = P>) -> Self {
        self.env("PACKAGES", joined(packages))
    }

    /// Packages of the operating system that the class needs.
    pub fn os_packages<P: AsRef<str>>(self, packages: impl IntoIterator<Item = P>) -> Self {
        self.env("OS_PACKAGES", joined(packages))
    }

    /// Gives the transformer the path of the object's file on the target instead of its content.
    pub fn direct_file_access(self) -> Self {
        self.env("ETL_DIRECT_FQN", "true")
    }

    /// What the container runs; the image's own command by default. Not of a pod.
    pub fn command<C: Into<String>>(mut self, words: impl IntoIterator<Item = C>) -> Self {
        if let Runtime::Image { command, .. } = &mut self.runtime {
            *command = words.into_iter().map(Into::into).collect();
        }
        self
    }

    /// Sets a variable of the container's environment. Not of a pod.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Runtime::Image { env, .. } = &mut self.runtime {
            env.insert(name.into(), value.into());
        }
        self
    }

    /// How targets talk to the transformer.
    pub fn communication(mut self, communication: EtlCommunication) -> Self {
        self.communication = communication;
        self
    }

    /// How long the containers may take to come up; 5 minutes by default. Afterwards the ETL is there, but stopped.
    pub fn init_timeout(mut self, timeout: Duration) -> Self {
        self.init_timeout = timeout;
        self
    }

    /// How long the transformation of one object may take; 45 s by default.
    pub fn object_timeout(mut self, timeout: Duration) -> Self {
        self.object_timeout = timeout;
        self
    }

    /// Whether the transformer itself delivers results to the target that stores them.
    pub fn direct_put(mut self, enabled: bool) -> Self {
        self.direct_put = enabled;
        self
    }

    /// Resources of the container, as Kubernetes has them.
    pub fn resources(mut self, resources: Value) -> Self {
        self.resources = Some(resources);
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        match &self.runtime {
            Runtime::Image { image, .. } if image.trim().is_empty() => {
                return Err(invalid("an ETL needs the name of a container image"));
            }
            Runtime::Image { env, .. } if env.keys().any(|name| name.is_empty() || name.contains('=')) => {
                return Err(invalid("a variable of the container's environment has no proper name"));
            }
            Runtime::Pod { yaml } if yaml.trim().is_empty() => {
                return Err(invalid("the description of the pod is empty"));
            }
            _ => {}
        }
        if self.communication == EtlCommunication::WebSocket && !self.direct_put {
            return Err(invalid("a web socket needs a transformer that delivers its results (`direct_put`)"));
        }
        // The server takes zero for its own default.
        if self.init_timeout.is_zero() || self.object_timeout.is_zero() {
            return Err(invalid("the time-outs of an ETL must be longer than zero"));
        }
        Ok(())
    }
}

fn joined<P: AsRef<str>>(packages: impl IntoIterator<Item = P>) -> String {
    packages.into_iter().map(|package| package.as_ref().to_owned()).collect::<Vec<_>>().join(",")
}

/// Refuses names that the server, or Kubernetes later on, does not take.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = [name.bytes().next(), name.bytes().next_back()];
    let fault = if !(6..=32).contains(&name.len()) {
        "it must have 6 to 32 characters"
    } else if !name.bytes().all(|b| plain(b) || b == b'-') {
        "only lower-case letters, digits and `-` are allowed"
    } else if !ends.into_iter().flatten().all(plain) {
        "it must begin and end with a letter or digit"
    } else {
        return Ok(());
    };
    Err(invalid(format!("{name:?} is not the name of an ETL: {fault}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["etl-hello", "abcdef", "0-0-0-0"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "short", "Etl-Hello", "etl_hello", "-etl-hello", "etl-hello-", &"x".repeat(33)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn specs_are_checked() {
        assert!(EtlSpec::image("img:1").check().is_ok());
        assert!(EtlSpec::image(" ").check().is_err());
        assert!(EtlSpec::pod("").check().is_err());
        assert!(EtlSpec::image("i").env("", "x").check().is_err());
        assert!(EtlSpec::image("i").init_timeout(Duration::ZERO).check().is_err());
        let socket = EtlSpec::image("i").communication(EtlCommunication::WebSocket);
        assert!(socket.clone().check().is_err());
        assert!(socket.direct_put(true).check().is_ok());
    }

    #[test]
    fn classes() {
        let spec = EtlSpec::python_class(PythonVersion::V3_12, b"pickle").packages(["numpy", "pillow>=10"]);
        let Runtime::Image { image, env, .. } = &spec.runtime else { panic!("{spec:?}") };
        assert_eq!(image, "aistorage/runtime_python:3.12");
        assert_eq!(
            (env["ETL_CLASS_PAYLOAD"].as_str(), env["PACKAGES"].as_str()),
            ("cGlja2xl", "numpy,pillow>=10")
        );
        assert!(spec.direct_put);
    }
}
