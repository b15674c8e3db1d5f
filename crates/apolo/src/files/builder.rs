//! What a copy of one file and one of a directory have in common.

use longshore_core_types::{Error, ErrorKind};
use longshore_transfer::TransferError;

use super::decide::Wish;

/// Settings of a copy, which has the fields `wish`, `events` and `cancel`, and is carried out by `run`.
macro_rules! copy_settings {
    ($copy:ty) => {
        impl $copy {
            /// Leaves a file alone that is newer at the destination by two seconds or more, as far as the clocks of both sides
            /// allow to say. Default off.
            pub fn update(mut self, on: bool) -> Self {
                self.wish.update = on;
                self
            }

            /// Of a file that is newer at the destination by two seconds or more: leaves it alone if it is as long as the
            /// source, and takes it for the beginning if it is shorter, so that only the rest is fetched. Downloads alone
            /// can do that: [`ErrorKind::InvalidInput`](longshore_core_types::ErrorKind::InvalidInput) for uploads. Default
            /// off. [`update`](Self::update) wins.
            #[doc(alias = "continue")]
            pub fn resume(mut self, on: bool) -> Self {
                self.wish.resume = on;
                self
            }

            /// Tells what happens. Calls come one at a time, from the tasks that move bytes, so they must be quick.
            pub fn on_event(mut self, listener: impl FnMut(&FileEvent) + Send + 'static) -> Self {
                self.events = Events::new(listener);
                self
            }

            /// Obeys this token.
            pub fn cancel(mut self, token: CancelToken) -> Self {
                self.cancel = token;
                self
            }
        }

        impl std::future::IntoFuture for $copy {
            type Output = Result<Copied, TransferError>;
            type IntoFuture = futures_core::future::BoxFuture<'static, Self::Output>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.run())
            }
        }

        impl std::fmt::Debug for $copy {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($copy))
                    .field("path", &self.path)
                    .field("name", &self.name)
                    .field("is_upload", &self.is_upload)
                    .field("wish", &self.wish)
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(super) use copy_settings;

/// An object cannot be written behind what it holds.
pub(super) fn check_upload(wish: Wish) -> Result<(), TransferError> {
    if !wish.resume {
        return Ok(());
    }
    let text = "an upload cannot go on in an object: only downloads can resume";
    Err(Error::new(ErrorKind::InvalidInput, text).into())
}
