//! Putting the stack together.

use std::{fmt, mem, sync::Arc};

use bytes::Bytes;
use http_body::Body;
use longshore_core_types::{BoxError, Error, ErrorKind, Pressure, Result};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    CredentialProvider, HttpRequest, HttpService, RedirectPolicy, RetryClassifier, Transport,
    TransportConfig,
    client::HttpClient,
    layers::{
        Layers, Standard,
        auth::{AuthLayer, Credentials},
        deadline::DeadlineLayer,
        erase,
        inflight::InFlightLayer,
        redirect::{ClusterRedirects, RedirectLayer},
        retry::{RetryLayer, StandardClassifier},
        timeout::{Exchange, TimeoutLayer},
        trace::TraceLayer,
    },
};

type Wrap = Box<dyn FnOnce(HttpService) -> HttpService + Send>;

/// Assembles a [`Transport`]: the default stack, with your layers at two places in it.
///
/// Building does no I/O and needs no runtime. The type has no parameters: every layer is erased when it
/// is added.
#[must_use]
pub struct TransportBuilder {
    config: TransportConfig,
    credentials: Option<Credentials>,
    classifier: Arc<dyn RetryClassifier>,
    redirects: Arc<dyn RedirectPolicy>,
    call_layers: Vec<Wrap>,
    attempt_layers: Vec<Wrap>,
    service: Option<HttpService>,
    pressure: Pressure,
}

impl TransportBuilder {
    pub(crate) fn new() -> Self {
        Self {
            config: TransportConfig::default(),
            credentials: None,
            classifier: Arc::new(StandardClassifier),
            redirects: Arc::new(ClusterRedirects::default()),
            call_layers: Vec::new(),
            attempt_layers: Vec::new(),
            service: None,
            pressure: Pressure::new(),
        }
    }

    /// A builder with the HTTP client of this one and nothing else of it: for requests that go beside the client's own,
    /// such as those for tokens.
    pub fn sibling(&self) -> Self {
        Self { service: self.service.clone(), ..Self::new() }
    }

    /// Replaces all settings.
    pub fn config(mut self, config: TransportConfig) -> Self {
        self.config = config;
        self
    }

    /// Puts credentials on every attempt; see [`CredentialProvider`]. None by default.
    pub fn credentials(mut self, provider: impl CredentialProvider) -> Self {
        self.credentials = Some(Credentials::new(provider));
        self
    }

    /// Decides which outcomes are worth another try. [`StandardClassifier`] by default.
    pub fn classifier(mut self, classifier: impl RetryClassifier) -> Self {
        self.classifier = Arc::new(classifier);
        self
    }

    /// Decides about redirects. [`ClusterRedirects`] by default.
    pub fn redirects(mut self, policy: impl RedirectPolicy) -> Self {
        self.redirects = Arc::new(policy);
        self
    }

    /// Wraps one logical call: the layer sees one request, whatever the number of attempts and redirects.
    ///
    /// The layer that is added first is the outermost.
    pub fn layer<L, B>(mut self, layer: L) -> Self
    where
        L: Layer<HttpService> + Send + 'static,
        L::Service: Service<HttpRequest, Response = http::Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<HttpRequest>>::Future: Send + 'static,
        <L::Service as Service<HttpRequest>>::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        self.call_layers.push(Box::new(move |inner| erase(layer.layer(inner))));
        self
    }

    /// Wraps each attempt and each redirect hop: the layer sees every request that goes out, with its
    /// credentials.
    ///
    /// The layer that is added first is the outermost.
    pub fn attempt_layer<L, B>(mut self, layer: L) -> Self
    where
        L: Layer<HttpService> + Send + 'static,
        L::Service: Service<HttpRequest, Response = http::Response<B>> + Clone + Send + Sync + 'static,
        <L::Service as Service<HttpRequest>>::Future: Send + 'static,
        <L::Service as Service<HttpRequest>>::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        self.attempt_layers.push(Box::new(move |inner| erase(layer.layer(inner))));
        self
    }

    /// Notes in this account what servers say about their load; for clients of one service that have several transports.
    /// By default every transport has its own.
    pub fn pressure(mut self, pressure: Pressure) -> Self {
        self.pressure = pressure;
        self
    }

    /// Replaces the HTTP client at the bottom: a fake for tests, an in-process server, another client.
    ///
    /// It must not follow redirects or retry by itself.
    pub fn service<S, B>(mut self, service: S) -> Self
    where
        S: Service<HttpRequest, Response = http::Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        self.service = Some(erase(service));
        self
    }

    /// What [`service`](Self::service) put at the bottom, for other transports whose requests are to go there too.
    pub fn replaced(&self) -> Option<&HttpService> {
        self.service.as_ref()
    }

    /// The default stack. Fails ([`ErrorKind::InvalidConfig`]) naming every setting that is wrong.
    pub fn build(mut self) -> Result<Transport> {
        let bottom = self.bottom()?;
        let pressure = self.pressure;
        let retry = RetryLayer::erased(self.config.retry, self.classifier).noting(pressure.clone());
        let layers = Layers {
            retry,
            // Without a provider there is no auth layer at all.
            auth: self.credentials.map(AuthLayer::erased),
            redirect: RedirectLayer::erased(self.redirects, self.config.max_redirects),
            lean: matches!(bottom, Bottom::Client(_)),
        };
        let outer = (TraceLayer::new(), DeadlineLayer::new(&self.config.timeouts));
        let call = match bottom {
            Bottom::Client(exchange) => erase(outer.layer(Standard::new(layers, exchange))),
            Bottom::Other(service) => erase(outer.layer(Standard::new(layers, service))),
        };
        Ok(Transport::with_pressure(wrap(self.call_layers, call), pressure))
    }

    /// The stack without retry, credentials and redirects, for protocols that sign each request and
    /// repeat it themselves.
    pub fn build_bare(mut self) -> Result<Transport> {
        let attempt = match self.bottom()? {
            Bottom::Client(exchange) => erase(exchange),
            Bottom::Other(service) => service,
        };
        let call = erase((TraceLayer::new(), DeadlineLayer::new(&self.config.timeouts)).layer(attempt));
        Ok(Transport::from_service(wrap(self.call_layers, call)))
    }

    /// One exchange with one server: what the redirect layer calls.
    fn bottom(&mut self) -> Result<Bottom> {
        let faults = self.config.faults();
        if !faults.is_empty() {
            return Err(Error::new(ErrorKind::InvalidConfig, faults.join("; ")));
        }
        let ours = self.service.is_none() && self.attempt_layers.is_empty();
        if ours && self.config.max_in_flight.is_none() {
            let client = HttpClient::new(&self.config)?;
            return Ok(Bottom::Client(Exchange::new(client, &self.config.timeouts)));
        }
        let layers =
            (TimeoutLayer::new(&self.config.timeouts), InFlightLayer::new(self.config.max_in_flight));
        let exchange = match self.service.take() {
            Some(service) => erase(layers.layer(service)),
            None => erase(layers.layer(HttpClient::new(&self.config)?)),
        };
        Ok(Bottom::Other(wrap(mem::take(&mut self.attempt_layers), exchange)))
    }
}

/// What is below retry, credentials and redirect.
enum Bottom {
    /// The HTTP client and nothing of the caller's: its type need not be erased.
    Client(Exchange),
    Other(HttpService),
}

/// Wraps so that the first layer ends up outermost.
fn wrap(layers: Vec<Wrap>, inner: HttpService) -> HttpService {
    layers.into_iter().rev().fold(inner, |inner, wrap| wrap(inner))
}

impl fmt::Debug for TransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportBuilder")
            .field("config", &self.config)
            .field("credentials", &self.credentials)
            .field("classifier", &self.classifier)
            .field("redirects", &self.redirects)
            .field("layers", &self.call_layers.len())
            .field("attempt_layers", &self.attempt_layers.len())
            .finish_non_exhaustive()
    }
}
