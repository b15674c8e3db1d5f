//! Passwords and secrets.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha512;

/// Longest password, in bytes.
pub(super) const MAX_PASSWORD: usize = 72;

/// A password as it is kept: a salt and the HMAC-SHA-512 of the password with it. A server for tests needs no slow hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hashed {
    salt: [u8; 16],
    hash: Vec<u8>,
}

fn mac(salt: [u8; 16], password: &str) -> Option<Hmac<Sha512>> {
    let mut mac = Hmac::<Sha512>::new_from_slice(&salt).ok()?;
    mac.update(password.as_bytes());
    Some(mac)
}

impl Hashed {
    pub(super) fn new(password: &str) -> Self {
        let mut salt = [0; 16];
        salt.copy_from_slice(&random()[..16]);
        let hash = mac(salt, password).map(|m| m.finalize().into_bytes().to_vec()).unwrap_or_default();
        Self { salt, hash }
    }

    /// True if the password is the one; compared in constant time.
    pub(super) fn matches(&self, password: &str) -> bool {
        mac(self.salt, password).is_some_and(|m| m.verify_slice(&self.hash).is_ok())
    }
}

/// Bytes that the system's randomness seeds.
fn random() -> [u8; 32] {
    let seed = std::hash::RandomState::new();
    let mut bytes = [0; 32];
    for (index, chunk) in bytes.chunks_mut(8).enumerate() {
        let mut hasher = seed.build_hasher();
        hasher.write_usize(index);
        chunk.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    bytes
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A secret to sign tokens with.
pub(super) fn random_secret() -> String {
    hex(&random())
}

/// The identity of one token.
pub(super) fn token_id() -> String {
    hex(&random()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_match_themselves_only() {
        let hashed = Hashed::new("pw");
        assert!(hashed.matches("pw") && !hashed.matches("PW") && !hashed.matches(""));
        assert!(Hashed::new("pw") != hashed, "salted");
    }

    #[test]
    fn ids_differ() {
        assert_ne!(token_id(), token_id());
        assert_eq!(random_secret().len(), 64);
    }
}
