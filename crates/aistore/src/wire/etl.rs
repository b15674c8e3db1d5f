//! ETLs: init, start, stop, delete, list, details, logs, health, metrics.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use longshore_core_types::{Error, ErrorKind, Idempotency, Resource, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Request, bucket::null_default, from_json};
use crate::{
    etl::{
        EtlDetails, EtlHealth, EtlInfo, EtlLog, EtlMetrics, EtlObjectError, EtlStage,
        spec::{EtlSpec, Runtime, check_name},
    },
    names::invalid,
    object::options::go_duration,
};

use Idempotency::{Idempotent, NotIdempotent};

#[derive(Serialize)]
struct Init<'a> {
    name: &'a str,
    communication: &'static str,
    #[serde(rename = "init_timeout")]
    patience: String,
    obj_timeout: String,
    support_direct_put: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<WireRuntime<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<&'a Value>,
}

#[derive(Serialize)]
struct WireRuntime<'a> {
    image: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    command: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<Variable<'a>>,
}

#[derive(Serialize)]
struct Variable<'a> {
    name: &'a str,
    value: &'a str,
}

pub(crate) fn init(name: &str, spec: &EtlSpec) -> Result<Request> {
    check_name(name)?;
    spec.check()?;
    let (runtime, pod) = match &spec.runtime {
        Runtime::Image { image, command, env } => {
            let env = env.iter().map(|(name, value)| Variable { name, value }).collect();
            (Some(WireRuntime { image, command, env }), None)
        }
        Runtime::Pod { yaml } => (None, Some(STANDARD.encode(yaml))),
    };
    let message = Init {
        name,
        communication: spec.communication.as_str(),
        patience: go_duration(spec.init_timeout),
        obj_timeout: go_duration(spec.object_timeout),
        support_direct_put: spec.direct_put,
        runtime,
        spec: pod,
        resources: spec.resources.as_ref(),
    };
    let request = Request::new(Method::PUT, "/v1/etl", "aistore.etl.init", NotIdempotent);
    request.on(resource(name)).json(&message)
}

fn resource(name: &str) -> Resource {
    Resource::Named { kind: "etl", name: name.to_owned().into() }
}

fn on_etl(
    method: Method,
    name: &str,
    rest: &str,
    operation: &'static str,
    idempotency: Idempotency,
) -> Result<Request> {
    check_name(name)?;
    Ok(Request::new(method, format!("/v1/etl/{name}{rest}"), operation, idempotency).on(resource(name)))
}

pub(crate) fn list() -> Request {
    Request::new(Method::GET, "/v1/etl", "aistore.etl.list", Idempotent)
}

pub(crate) fn start(name: &str) -> Result<Request> {
    on_etl(Method::POST, name, "/start", "aistore.etl.start", NotIdempotent)
}

pub(crate) fn stop(name: &str) -> Result<Request> {
    on_etl(Method::POST, name, "/stop", "aistore.etl.stop", Idempotent)
}

pub(crate) fn delete(name: &str) -> Result<Request> {
    on_etl(Method::DELETE, name, "", "aistore.etl.delete", Idempotent)
}

/// With the errors of one offline job; of reads, if the id is empty.
pub(crate) fn details(name: &str, job: &str) -> Result<Request> {
    let request = on_etl(Method::GET, name, "", "aistore.etl.details", Idempotent)?;
    Ok(request.query_if(!job.is_empty(), "uuid", job))
}

/// Of one target, or of all if the id is empty.
pub(crate) fn logs(name: &str, target: &str) -> Result<Request> {
    if !target.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        return Err(invalid(format!("{target:?} is not the id of a target")));
    }
    let rest = if target.is_empty() { "/logs".to_owned() } else { format!("/logs/{target}") };
    on_etl(Method::GET, name, &rest, "aistore.etl.logs", Idempotent)
}

pub(crate) fn health(name: &str) -> Result<Request> {
    on_etl(Method::GET, name, "/health", "aistore.etl.health", Idempotent)
}

pub(crate) fn metrics(name: &str) -> Result<Request> {
    on_etl(Method::GET, name, "/metrics", "aistore.etl.metrics", Idempotent)
}

#[derive(Deserialize)]
struct WireInfo {
    id: String,
    #[serde(default)]
    stage: String,
    #[serde(default)]
    xaction_id: String,
    #[serde(default)]
    obj_count: u64,
    #[serde(default)]
    in_bytes: u64,
    #[serde(default)]
    out_bytes: u64,
}

pub(crate) fn parse_list(body: &[u8]) -> Result<Vec<EtlInfo>> {
    let all: Option<Vec<WireInfo>> = from_json(body, "a list of ETLs")?;
    let all = all.unwrap_or_default().into_iter().map(|wire| EtlInfo {
        name: wire.id,
        stage: EtlStage::from(wire.stage.as_str()),
        job: (!wire.xaction_id.is_empty()).then_some(wire.xaction_id),
        objects: wire.obj_count,
        bytes_in: wire.in_bytes,
        bytes_out: wire.out_bytes,
    });
    Ok(all.collect())
}

pub(crate) fn parse_details(body: &[u8]) -> Result<EtlDetails> {
    #[derive(Deserialize)]
    struct Wire {
        init_msg: Value,
        #[serde(default, deserialize_with = "null_default")]
        obj_errors: Vec<WireError>,
    }
    #[derive(Deserialize)]
    struct WireError {
        #[serde(default)]
        obj_name: String,
        #[serde(default)]
        msg: String,
        #[serde(default)]
        ecode: u16,
    }
    let wire: Wire = from_json(body, "the details of an ETL")?;
    let text = |name: &str| wire.init_msg[name].as_str().unwrap_or_default().to_owned();
    let errors = wire.obj_errors.into_iter();
    Ok(EtlDetails {
        name: text("name"),
        communication: text("communication"),
        image: wire.init_msg["runtime"]["image"].as_str().map(str::to_owned),
        init: wire.init_msg.clone(),
        errors: errors
            .map(|e| EtlObjectError { object: e.obj_name, message: e.msg, status: e.ecode })
            .collect(),
    })
}

pub(crate) fn parse_logs(body: &[u8]) -> Result<Vec<EtlLog>> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        target_id: String,
        #[serde(default)]
        logs: String,
    }
    // One target answers alone in some versions.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        Many(Option<Vec<Wire>>),
        One(Wire),
    }
    let all = match from_json(body, "logs of an ETL")? {
        OneOrMany::Many(all) => all.unwrap_or_default(),
        OneOrMany::One(one) => vec![one],
    };
    let log = |wire: Wire| {
        let text = STANDARD.decode(&wire.logs).map_err(|error| {
            Error::new(ErrorKind::Protocol, "the log of an ETL is not base64").with_source(error)
        })?;
        Ok(EtlLog { target: wire.target_id, text: text.into() })
    };
    all.into_iter().map(log).collect()
}

pub(crate) fn parse_health(body: &[u8]) -> Result<Vec<EtlHealth>> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        target_id: String,
        #[serde(default)]
        health_status: String,
    }
    let all: Option<Vec<Wire>> = from_json(body, "the health of an ETL")?;
    let all = all.unwrap_or_default().into_iter();
    Ok(all.map(|wire| EtlHealth { target: wire.target_id, status: wire.health_status }).collect())
}

pub(crate) fn parse_metrics(body: &[u8]) -> Result<Vec<EtlMetrics>> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        target_id: String,
        #[serde(default)]
        cpu: f64,
        #[serde(default)]
        mem: u64,
    }
    let all: Option<Vec<Wire>> = from_json(body, "the use of resources of an ETL")?;
    let all = all.unwrap_or_default().into_iter();
    Ok(all.map(|wire| EtlMetrics { target: wire.target_id, cpu: wire.cpu, memory: wire.mem }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let spec = EtlSpec::image("img:1").command(["run"]).env("K", "V");
        let request = init("etl-hello", &spec).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/v1/etl"));
        assert!(init("x", &spec).is_err());
        assert!(start("a/../b-etl").is_err() && delete("").is_err());
        assert!(logs("etl-hello", "t/1").is_err());
        assert_eq!(logs("etl-hello", "t1").unwrap().path, "/v1/etl/etl-hello/logs/t1");
    }

    #[test]
    fn answers() {
        let body = br#"[{"id":"etl-hello","stage":"Running","xaction_id":"etl-x7","obj_count":12}]"#;
        let all = parse_list(body).unwrap();
        assert_eq!((all[0].stage.clone(), all[0].objects), (EtlStage::Running, 12));
        assert!(parse_list(b"[]").unwrap().is_empty());
        let body = br#"{"init_msg":{"name":"etl-hello","communication":"hpush://","runtime":{"image":"i"}},
            "obj_errors":[{"obj_name":"a","msg":"no","ecode":500}]}"#;
        let details = parse_details(body).unwrap();
        assert_eq!((details.image.as_deref(), details.errors[0].status), (Some("i"), 500));
        let body = br#"[{"target_id":"t1","logs":"aGk="}]"#;
        assert_eq!(&parse_logs(body).unwrap()[0].text[..], b"hi");
        assert_eq!(parse_logs(br#"{"target_id":"t1","logs":""}"#).unwrap().len(), 1);
        assert!(parse_logs(br#"[{"target_id":"t1","logs":"%"}]"#).is_err());
        assert_eq!(parse_health(br#"[{"target_id":"t","health_status":"Running"}]"#).unwrap().len(), 1);
        assert_eq!(parse_metrics(br#"[{"target_id":"t","cpu":0.5,"mem":7}]"#).unwrap()[0].memory, 7);
    }
}
