//! Opaque tokens that only a router with the same key can make or open.
//!
//! A token must carry its own content (any replica serves it, nothing is kept in memory) and must
//! not be readable or forgeable. So: AES-256-GCM-SIV under a sub-key that HKDF derives from one
//! shared secret and the token's purpose, once at start. The first key seals, all open.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hkdf;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const VERSION: u8 = 1;
const HEAD: usize = 2 + NONCE_LEN; // version, key id, nonce

/// What a token is for: a token of one purpose never opens as another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Purpose {
    /// Pagination cursors.
    Cursor,
    /// Session ids.
    Session,
    /// Ids of requests that travel on to another peer.
    RequestId,
    /// What a call needs to go on in a later request (`requestState`).
    State,
    /// Ids of tasks.
    Task,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Cursor => b"mcp-router cursor v1",
            Self::Session => b"mcp-router session v1",
            Self::RequestId => b"mcp-router request id v1",
            Self::State => b"mcp-router state v1",
            Self::Task => b"mcp-router task v1",
        }
    }
}

/// A key is too short, or the machine has no randomness.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Fewer than 32 bytes.
    #[error("a session key needs at least 32 bytes")]
    TooShort,
    /// The cryptography library failed.
    #[error("no key could be made")]
    Failed,
}

/// Seals and opens tokens of one purpose. Cloning shares the keys.
#[derive(Clone)]
pub struct Sealer(Arc<[(u8, LessSafeKey)]>);

impl Sealer {
    /// Derives the keys of `purpose` from shared secrets of at least 32 bytes each. The first one
    /// seals. With no secret a random one is made: tokens then live as long as the process.
    ///
    /// # Errors
    /// If a secret is too short or the library fails.
    pub fn new<S: AsRef<[u8]>>(secrets: &[S], purpose: Purpose) -> Result<Self, KeyError> {
        if secrets.is_empty() {
            let mut random = [0u8; 32];
            rand::fill(&mut random).map_err(|_| KeyError::Failed)?;
            return Self::new(&[random], purpose);
        }
        let keys: Result<Vec<_>, KeyError> = secrets
            .iter()
            .map(|s| derive(s.as_ref(), purpose))
            .collect();
        Ok(Self(keys?.into()))
    }

    /// Seals `content`. `bound` must be given again to open it: whom or what the token is for.
    pub fn seal(&self, content: &[u8], bound: &[u8]) -> String {
        let (id, key) = &self.0[0];
        let mut nonce = [0u8; NONCE_LEN];
        // SIV keeps its promises even if a nonce repeats, so a failing source of randomness
        // costs no more than that equal contents give equal tokens.
        let _ = rand::fill(&mut nonce);
        let mut token = Vec::with_capacity(HEAD + content.len() + 16);
        token.extend_from_slice(&[VERSION, *id]);
        token.extend_from_slice(&nonce);
        let mut sealed = content.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        if key
            .seal_in_place_append_tag(nonce, Aad::from(bound), &mut sealed)
            .is_err()
        {
            return String::new(); // only for contents of gigabytes; opens as nothing
        }
        token.extend_from_slice(&sealed);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Opens a token; `None` for anything that these keys did not seal for `bound`.
    pub fn open(&self, token: &str, bound: &[u8]) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (head, sealed) = bytes.split_at_checked(HEAD)?;
        if head[0] != VERSION {
            return None;
        }
        let nonce: [u8; NONCE_LEN] = head[2..].try_into().ok()?;
        self.0
            .iter()
            .filter(|(id, _)| *id == head[1])
            .find_map(|(_, key)| {
                let mut sealed = sealed.to_vec();
                let nonce = Nonce::assume_unique_for_key(nonce);
                let open = key
                    .open_in_place(nonce, Aad::from(bound), &mut sealed)
                    .ok()?;
                Some(open.to_vec())
            })
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({} keys)", self.0.len())
    }
}

fn derive(secret: &[u8], purpose: Purpose) -> Result<(u8, LessSafeKey), KeyError> {
    if secret.len() < 32 {
        return Err(KeyError::TooShort);
    }
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"mcp-router").extract(secret);
    let mut key = [0u8; 32];
    expand(&prk, &[purpose.label()], &mut key)?;
    let mut id = [0u8; 1];
    expand(&prk, &[b"mcp-router key id v1"], &mut id)?;
    let key = UnboundKey::new(&AES_256_GCM_SIV, &key).map_err(|_| KeyError::Failed)?;
    Ok((id[0], LessSafeKey::new(key)))
}

fn expand(prk: &hkdf::Prk, info: &[&[u8]], out: &mut [u8]) -> Result<(), KeyError> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    prk.expand(info, Length(out.len()))
        .and_then(|okm| okm.fill(out))
        .map_err(|_| KeyError::Failed)
}

/// Random text for ids that must not be guessed: 256 bits, base64url.
///
/// # Errors
/// If the machine has no randomness.
pub fn random_id() -> Result<String, KeyError> {
    let mut bytes = [0u8; 32];
    rand::fill(&mut bytes).map_err(|_| KeyError::Failed)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// SHA-256 of several texts, each of which counts with its length: what a token is bound to, in a
/// fixed size.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0u8; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: [u8; 32] = [1; 32];
    const B: [u8; 32] = [2; 32];

    #[test]
    fn the_first_key_seals_and_all_open() {
        let old = Sealer::new(&[A], Purpose::Cursor).unwrap();
        let new = Sealer::new(&[B, A], Purpose::Cursor).unwrap();
        assert_eq!(new.open(&old.seal(b"x", b"p"), b"p").unwrap(), b"x");
        assert_eq!(old.open(&new.seal(b"x", b"p"), b"p"), None);
        assert!(Sealer::new(&["short"], Purpose::Cursor).is_err());
    }

    #[test]
    fn digests_tell_where_one_part_ends() {
        let parts = |parts: &[&'static str]| digest(parts.iter().map(|p| p.as_bytes()));
        assert_eq!(parts(&["a", "b"]), parts(&["a", "b"]));
        assert_ne!(parts(&["a", "b"]), parts(&["ab"]));
        assert_ne!(parts(&["a", ""]), parts(&["a"]));
    }

    #[test]
    fn purposes_and_bounds_do_not_mix() {
        let cursor = Sealer::new(&[A], Purpose::Cursor).unwrap();
        let session = Sealer::new(&[A], Purpose::Session).unwrap();
        let token = cursor.seal(b"x", b"p");
        assert_eq!(session.open(&token, b"p"), None);
        assert_eq!(cursor.open(&token, b"q"), None);
    }

    proptest! {
        #[test]
        fn content_round_trips_and_no_altered_token_opens(
            content in prop::collection::vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), flip in 1u8..=255,
        ) {
            let sealer = Sealer::new(&[A], Purpose::Cursor).unwrap();
            let token = sealer.seal(&content, b"p");
            prop_assert_eq!(sealer.open(&token, b"p").unwrap(), content);
            let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_eq!(sealer.open(&URL_SAFE_NO_PAD.encode(bytes), b"p"), None);
        }

        #[test]
        fn hostile_tokens_never_open(token in ".{0,80}") {
            let sealer = Sealer::new(&[A], Purpose::Cursor).unwrap();
            prop_assert_eq!(sealer.open(&token, b""), None);
        }
    }
}
