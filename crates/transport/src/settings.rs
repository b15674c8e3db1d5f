//! What the builder of every client offers of the HTTP client's settings.

// For the macro, which expands in crates that need not depend on these.
pub use bytes::Bytes;
pub use http::Response;
pub use http_body::Body;
pub use longshore_core_types::BoxError;
pub use tower_layer::Layer;
pub use tower_service::Service;

/// Setters of a client's builder that has a `config: TransportConfig` and a `builder: TransportBuilder`.
///
/// The bounds of layers and services cannot be given a name in Rust, so each builder would repeat them.
#[doc(hidden)]
#[macro_export]
macro_rules! client_settings {
    () => {
        /// Sets when requests are sent again.
        pub fn retry(mut self, retry: $crate::RetryConfig) -> Self {
            self.config.retry = retry;
            self
        }

        /// Sets how long each step may take.
        pub fn timeouts(mut self, timeouts: $crate::TimeoutConfig) -> Self {
            self.config.timeouts = timeouts;
            self
        }

        /// Sets trust and identity for `https`.
        pub fn tls(mut self, tls: $crate::TlsConfig) -> Self {
            self.config.tls = tls;
            self
        }

        /// Replaces all settings of the HTTP client.
        pub fn transport_config(mut self, config: $crate::TransportConfig) -> Self {
            self.config = config;
            self
        }

        /// Changes single settings of the HTTP client.
        pub fn configure(
            mut self,
            change: impl FnOnce($crate::TransportConfig) -> $crate::TransportConfig,
        ) -> Self {
            self.config = change(self.config);
            self
        }

        /// Wraps each logical call in a tower layer; see
        /// [`TransportBuilder::layer`](longshore_transport::TransportBuilder::layer).
        pub fn layer<L, B>(mut self, layer: L) -> Self
        where
            L: $crate::settings::Layer<$crate::HttpService> + Send + 'static,
            L::Service: $crate::settings::Service<$crate::HttpRequest, Response = $crate::settings::Response<B>>
                + Clone
                + Send
                + Sync
                + 'static,
            <L::Service as $crate::settings::Service<$crate::HttpRequest>>::Future: Send + 'static,
            <L::Service as $crate::settings::Service<$crate::HttpRequest>>::Error:
                Into<$crate::settings::BoxError>,
            B: $crate::settings::Body<Data = $crate::settings::Bytes> + Send + Sync + 'static,
            B::Error: Into<$crate::settings::BoxError>,
        {
            self.builder = self.builder.layer(layer);
            self
        }

        /// Wraps each attempt and each redirect hop in a tower layer; see
        /// [`TransportBuilder::attempt_layer`](longshore_transport::TransportBuilder::attempt_layer).
        pub fn attempt_layer<L, B>(mut self, layer: L) -> Self
        where
            L: $crate::settings::Layer<$crate::HttpService> + Send + 'static,
            L::Service: $crate::settings::Service<$crate::HttpRequest, Response = $crate::settings::Response<B>>
                + Clone
                + Send
                + Sync
                + 'static,
            <L::Service as $crate::settings::Service<$crate::HttpRequest>>::Future: Send + 'static,
            <L::Service as $crate::settings::Service<$crate::HttpRequest>>::Error:
                Into<$crate::settings::BoxError>,
            B: $crate::settings::Body<Data = $crate::settings::Bytes> + Send + Sync + 'static,
            B::Error: Into<$crate::settings::BoxError>,
        {
            self.builder = self.builder.attempt_layer(layer);
            self
        }

        /// Replaces the HTTP client below all layers; see
        /// [`TransportBuilder::service`](longshore_transport::TransportBuilder::service).
        pub fn service<S, B>(mut self, service: S) -> Self
        where
            S: $crate::settings::Service<$crate::HttpRequest, Response = $crate::settings::Response<B>>
                + Clone
                + Send
                + Sync
                + 'static,
            S::Future: Send + 'static,
            S::Error: Into<$crate::settings::BoxError>,
            B: $crate::settings::Body<Data = $crate::settings::Bytes> + Send + Sync + 'static,
            B::Error: Into<$crate::settings::BoxError>,
        {
            self.builder = self.builder.service(service);
            self
        }
    };
}
