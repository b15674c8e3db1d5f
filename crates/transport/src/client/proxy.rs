//! Which requests go through a proxy, and the tunnel for `https`.

use std::{ffi::OsString, net::IpAddr};

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{ProxyConfig, TransportError, TransportErrorKind, endpoint::Endpoint};

/// Most bytes that a proxy may answer to `CONNECT`.
const MOST: usize = 16 * 1024;

pub(super) struct Proxies {
    matcher: Option<Matcher>,
    /// What the environment says does not hold for this machine itself.
    spares_loopback: bool,
    malformed: Malformed,
}

/// Variables of the environment that should name a proxy and do not. To pass the proxy by would be wrong
/// and hard to notice, so requests that it is for fail.
#[derive(Default)]
struct Malformed {
    http: Option<&'static str>,
    https: Option<&'static str>,
}

/// A proxy for one server.
#[derive(Clone)]
pub(super) struct Via {
    pub(super) endpoint: Endpoint,
    pub(super) auth: Option<HeaderValue>,
}

impl Proxies {
    pub(super) fn new(config: &ProxyConfig) -> Self {
        match config {
            ProxyConfig::Environment => Self::environment(|name| std::env::var_os(name)),
            ProxyConfig::Direct => {
                Self { matcher: None, spares_loopback: false, malformed: Malformed::default() }
            }
            ProxyConfig::Explicit { http, https, except } => {
                let mut builder = Matcher::builder().no(except.clone());
                if let Some(http) = http {
                    builder = builder.http(http.expose().to_owned());
                }
                if let Some(https) = https {
                    builder = builder.https(https.expose().to_owned());
                }
                let matcher = Some(builder.build());
                Self { matcher, spares_loopback: false, malformed: Malformed::default() }
            }
        }
    }

    fn environment(read: impl Fn(&str) -> Option<OsString>) -> Self {
        // Stands in for what cannot be read, so that it is noticed where it would be used.
        const PLACEHOLDER: &str = "http://proxy.invalid";

        let read = |names: [&'static str; 2]| {
            let (name, value) = names.into_iter().find_map(|name| Some((name, read(name)?)))?;
            (!value.is_empty()).then_some((name, value))
        };
        let proxy = |names| match read(names) {
            None => (None, None),
            Some((name, value)) => match value.into_string().ok().filter(|url| names_a_proxy(url)) {
                Some(url) => (Some(url), None),
                None => (Some(PLACEHOLDER.to_owned()), Some(name)),
            },
        };
        // A server passes a request's `Proxy` header to a CGI program as HTTP_PROXY; nobody must believe it.
        if read(["REQUEST_METHOD", "REQUEST_METHOD"]).is_some() {
            return Self { matcher: None, spares_loopback: true, malformed: Malformed::default() };
        }
        let (all, all_malformed) = proxy(["ALL_PROXY", "all_proxy"]);
        let or_all = |(url, malformed): (Option<String>, _)| match url {
            Some(url) => (url, malformed),
            None => (all.clone().unwrap_or_default(), all_malformed),
        };
        let (plain, plain_malformed) = or_all(proxy(["HTTP_PROXY", "http_proxy"]));
        let (tls, tls_malformed) = or_all(proxy(["HTTPS_PROXY", "https_proxy"]));
        let except = read(["NO_PROXY", "no_proxy"]).map(|(_, value)| value.to_string_lossy().into_owned());
        let matcher = Matcher::builder().http(plain).https(tls).no(except.unwrap_or_default()).build();
        let malformed = Malformed { http: plain_malformed, https: tls_malformed };
        Self { matcher: Some(matcher), spares_loopback: true, malformed }
    }

    /// The proxy for a server, `None` to reach it directly.
    pub(super) fn find(&self, server: &Endpoint) -> Result<Option<Via>, TransportError> {
        let Some(matcher) = &self.matcher else { return Ok(None) };
        if self.spares_loopback && is_loopback(server.host()) {
            return Ok(None);
        }
        let Ok(uri) = server.to_string().parse::<Uri>() else { return Ok(None) };
        let Some(found) = matcher.intercept(&uri) else { return Ok(None) };
        let unusable = |why: &str| {
            TransportError::new(
                TransportErrorKind::InvalidRequest,
                format!("the proxy cannot be used: {why}"),
            )
            .with_endpoint(server.to_string())
        };
        if let Some(name) = if server.https { self.malformed.https } else { self.malformed.http } {
            return Err(unusable(&format!("the environment variable {name} holds no URL of one")));
        }
        match found.uri().scheme_str() {
            Some("http") => {}
            Some(other) => return Err(unusable(&format!("its scheme is {other}, only http is spoken"))),
            None => return Err(unusable("its URL has no scheme")),
        }
        let endpoint = Endpoint::of(found.uri()).ok_or_else(|| unusable("its URL has no host"))?;
        let auth = found.basic_auth().map(|value| {
            let mut value = value.clone();
            value.set_sensitive(true);
            value
        });
        Ok(Some(Via { endpoint, auth }))
    }
}

/// Whether requests can be matched to it; whether it can be spoken to is seen when one is.
fn names_a_proxy(url: &str) -> bool {
    let matcher = Matcher::builder().all(url.to_owned()).build();
    matcher.intercept(&Uri::from_static("http://server.invalid/")).is_some()
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Asks the proxy for a connection to the server.
pub(super) async fn tunnel(tcp: &mut TcpStream, via: &Via, server: &Endpoint) -> Result<(), TransportError> {
    let failed = |why: String| TransportError::new(TransportErrorKind::Connect, why);
    let broke = |error: std::io::Error| {
        failed(format!("the proxy {} broke the connection", via.endpoint)).with_source(error)
    };
    let target = format!("{}:{}", server.host(), server.port());
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(auth) = &via.auth {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(auth.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    tcp.write_all(&request).await.map_err(broke)?;
    let mut answer = Vec::with_capacity(512);
    loop {
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            return judge(&answer, end + 4)
                .map_err(|why| failed(format!("the proxy {} {why}", via.endpoint)));
        }
        if answer.len() > MOST {
            return Err(failed(format!("the proxy {} answers without end", via.endpoint)));
        }
        if tcp.read_buf(&mut answer).await.map_err(broke)? == 0 {
            return Err(failed(format!("the proxy {} closed the connection", via.endpoint)));
        }
    }
}

fn judge(answer: &[u8], end: usize) -> Result<(), String> {
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|word| word.parse::<u16>().ok());
    match status {
        _ if !version.starts_with("HTTP/1.") => Err("does not speak HTTP".to_owned()),
        Some(200..=299) if answer.len() == end => Ok(()),
        Some(200..=299) => Err("sent data before it was asked".to_owned()),
        Some(407) => Err("asks for credentials (407)".to_owned()),
        Some(status) => Err(format!("refused the tunnel ({status})")),
        None => Err("does not speak HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(config: &ProxyConfig, uri: &'static str) -> Option<String> {
        let server = Endpoint::of(&Uri::from_static(uri)).unwrap();
        Proxies::new(config).find(&server).unwrap().map(|via| via.endpoint.to_string())
    }

    #[test]
    fn explicit_proxies_and_their_exceptions() {
        let config = ProxyConfig::Explicit {
            http: Some("http://user:secret@p1:3128".into()),
            https: Some("http://p2:3128".into()),
            except: "internal.example,10.0.0.0/8".to_owned(),
        };
        assert_eq!(find(&config, "http://far.example/").as_deref(), Some("http://p1:3128"));
        assert_eq!(find(&config, "https://far.example/").as_deref(), Some("http://p2:3128"));
        assert_eq!(find(&config, "http://a.internal.example/"), None);
        assert_eq!(find(&config, "http://10.1.2.3:8080/"), None);
        assert_eq!(find(&ProxyConfig::Direct, "http://far.example/"), None);
        assert!(!format!("{config:?}").contains("secret"));
        let server = Endpoint::of(&Uri::from_static("http://far.example/")).unwrap();
        let via = Proxies::new(&config).find(&server).unwrap().unwrap();
        assert_eq!(via.auth.unwrap().to_str().unwrap(), "Basic dXNlcjpzZWNyZXQ=");
    }

    #[test]
    fn a_proxy_that_speaks_something_else_is_an_error() {
        let server = Endpoint::of(&Uri::from_static("http://far.example/")).unwrap();
        let proxies = Proxies::new(&ProxyConfig::all("socks5://p:1080"));
        let error = proxies.find(&server).err().unwrap();
        assert!(error.to_string().contains("only http is spoken"), "{error}");
    }

    #[test]
    fn the_environment() {
        let proxies = |variables: &'static [(&'static str, &'static str)]| {
            Proxies::environment(|name| {
                variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into())
            })
        };
        let ask = |proxies: &Proxies, uri: &'static str| {
            let found = proxies.find(&Endpoint::of(&Uri::from_static(uri)).unwrap());
            found.map(|via| via.map(|via| via.endpoint.to_string())).map_err(|error| error.to_string())
        };
        let good =
            proxies(&[("http_proxy", "p1:1"), ("ALL_PROXY", "http://p2:2"), ("NO_PROXY", "b.example")]);
        assert_eq!(ask(&good, "http://a.example/").unwrap().unwrap(), "http://p1:1");
        assert_eq!(ask(&good, "https://a.example/").unwrap().unwrap(), "http://p2:2");
        assert_eq!(ask(&good, "https://b.example/"), Ok(None));
        assert_eq!(ask(&good, "http://127.0.0.1/"), Ok(None));
        assert_eq!(ask(&proxies(&[("HTTP_PROXY", "")]), "http://a.example/"), Ok(None));
        let cgi = proxies(&[("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(ask(&cgi, "http://a.example/"), Ok(None));

        let bad = proxies(&[("HTTPS_PROXY", "http://u:secret@p 2"), ("no_proxy", "b.example")]);
        let error = ask(&bad, "https://a.example/").unwrap_err();
        assert!(error.contains("HTTPS_PROXY holds no URL") && !error.contains("secret"), "{error}");
        for (reached, uri) in [("by NO_PROXY", "https://b.example/"), ("without", "http://a.example/")] {
            assert_eq!(ask(&bad, uri), Ok(None), "{reached}");
        }
        let bad = proxies(&[("all_proxy", "ftp://p:1"), ("HTTP_PROXY", "p:1")]);
        assert!(ask(&bad, "https://a.example/").unwrap_err().contains("all_proxy"));
        assert!(ask(&bad, "http://a.example/").unwrap().is_some());
    }

    #[test]
    fn answers_to_connect() {
        let judge = |answer: &str| super::judge(answer.as_bytes(), answer.find("\r\n\r\n").unwrap() + 4);
        assert_eq!(judge("HTTP/1.1 200 Connection established\r\n\r\n"), Ok(()));
        assert_eq!(judge("HTTP/1.0 200\r\nx: y\r\n\r\n"), Ok(()));
        assert!(judge("HTTP/1.1 407 Proxy\r\n\r\n").unwrap_err().contains("credentials"));
        assert!(judge("HTTP/1.1 502 Bad\r\n\r\n").unwrap_err().contains("502"));
        assert!(judge("SSH-2.0\r\n\r\n").is_err());
        assert!(judge("HTTP/1.1 200 OK\r\n\r\nhello").is_err());
    }

    #[test]
    fn loopback() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        assert!(!is_loopback("127.example") && !is_loopback("10.0.0.1"));
    }
}
