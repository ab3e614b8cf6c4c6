//! Jupyter's messages: parts on the wire, signed and checked, and back.
//!
//! Invariant: a message that does not verify is never looked into; what is sent is always valid UTF-8 and signed.
//! Source: "Messaging in Jupyter", protocol 5.5 (Jupyter project).
#![allow(clippy::disallowed_methods, reason = "a message carries the time it was sent")]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use sha2::Sha256;

use crate::zmtp::{Frames, Peer};

/// Version of the protocol that is spoken.
pub const PROTOCOL: &str = "5.5";
/// What stands between the addresses of a message and its content.
const DELIMITER: &[u8] = b"<IDS|MSG>";

/// Signs and checks.
#[derive(Clone)]
pub struct Signer {
    key: Option<Hmac<Sha256>>,
}

impl Signer {
    /// For a key; an empty one means that nothing is signed.
    pub fn new(key: &[u8]) -> Signer {
        Signer {
            key: match key.is_empty() {
                true => None,
                // HMAC takes keys of any length.
                false => Hmac::new_from_slice(key).ok(),
            },
        }
    }
    fn mac(&self, parts: &[Bytes]) -> Option<Hmac<Sha256>> {
        let mut mac = self.key.clone()?;
        parts.iter().for_each(|p| mac.update(p));
        Some(mac)
    }
    fn sign(&self, parts: &[Bytes]) -> Bytes {
        match self.mac(parts) {
            Some(mac) => hex(&mac.finalize().into_bytes()).into(),
            None => Bytes::new(),
        }
    }
    fn verify(&self, parts: &[Bytes], signature: &[u8]) -> bool {
        match (self.mac(parts), unhex(signature)) {
            (None, _) => true,
            (Some(mac), Some(claimed)) => mac.verify_slice(&claimed).is_ok(),
            (Some(_), None) => false,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16);
    let pairs = text.chunks(2).map(|p| match p {
        [a, b] => Some((digit(*a)? * 16 + digit(*b)?) as u8),
        _ => None,
    });
    pairs.collect()
}

/// The header of a request, as answers repeat it.
#[derive(Clone, Debug)]
pub struct Parent {
    /// The header, unchanged.
    header: Json,
    /// Where the request came from.
    envelope: Arc<[Bytes]>,
}

impl Parent {
    /// Kind of the message.
    pub fn kind(&self) -> &str {
        self.header["msg_type"].as_str().unwrap_or_default()
    }
    /// The client's own name of its session.
    pub fn session(&self) -> &str {
        self.header["session"].as_str().unwrap_or_default()
    }
}

/// A request that verified.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its header.
    pub parent: Arc<Parent>,
    /// What was said about it; always an object.
    pub metadata: Json,
    /// Its content; always an object.
    pub content: Json,
    /// Could its content not be read? (A half of a surrogate pair is enough.)
    pub malformed: bool,
    /// Who asked.
    pub peer: Peer,
    /// Bytes it takes while it waits.
    pub size: usize,
}

/// Why a message is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Its parts are not those of a message.
    Shape,
    /// The signature is another's.
    Signature,
    /// Its header is no JSON object in UTF-8 with a kind and an id.
    Header,
}

impl Dropped {
    /// In words.
    pub fn why(self) -> &'static str {
        match self {
            Dropped::Shape => "it does not have a message's parts",
            Dropped::Signature => "its signature does not verify",
            Dropped::Header => "it has no header",
        }
    }
}

/// Checks the parts of a message and reads it.
pub fn decode(signer: &Signer, peer: Peer, frames: &[Bytes]) -> Result<Request, Dropped> {
    let at = frames.iter().position(|f| f == DELIMITER).ok_or(Dropped::Shape)?;
    let [signature, rest @ ..] = &frames[at + 1..] else {
        return Err(Dropped::Shape);
    };
    let parts = rest.get(..4).ok_or(Dropped::Shape)?;
    if !signer.verify(parts, signature) {
        return Err(Dropped::Signature);
    }
    let object = |part: &Bytes| match serde_json::from_slice(part) {
        Ok(json @ Json::Object(_)) => Ok(json),
        _ => Err(Dropped::Header),
    };
    let header = object(&parts[0])?;
    if !header["msg_type"].is_string() || !header["msg_id"].is_string() {
        return Err(Dropped::Header);
    }
    // Whoever signed this waits for an answer.
    let (metadata, content) = (object(&parts[2]), object(&parts[3]));
    Ok(Request {
        malformed: metadata.is_err() || content.is_err(),
        parent: Arc::new(Parent {
            header,
            envelope: frames[..at].into(),
        }),
        metadata: metadata.unwrap_or_else(|_| json!({})),
        content: content.unwrap_or_else(|_| json!({})),
        peer,
        size: frames.iter().map(Bytes::len).sum(),
    })
}

/// Makes messages of one kernel.
#[derive(Clone)]
pub struct Writer {
    signer: Signer,
    /// Name of this kernel's session.
    session: Arc<str>,
}

impl Writer {
    /// A writer with a new session.
    pub fn new(signer: Signer) -> Writer {
        Writer {
            signer,
            session: uuid::Uuid::new_v4().to_string().into(),
        }
    }

    /// The parts of a message after the addresses.
    fn parts(&self, kind: &str, parent: Option<&Parent>, metadata: &Json, content: &Json) -> Frames {
        let header = json!({
            "msg_id": uuid::Uuid::new_v4().to_string(),
            "session": &*self.session,
            "username": "kernel",
            "date": date(SystemTime::now()),
            "msg_type": kind,
            "version": PROTOCOL,
        });
        let text = |json: &Json| Bytes::from(json.to_string());
        let parent = parent.map_or_else(|| Bytes::from_static(b"{}"), |p| text(&p.header));
        let four = [text(&header), parent, text(metadata), text(content)];
        let mut frames = vec![Bytes::from_static(DELIMITER), self.signer.sign(&four)];
        frames.extend(four);
        frames
    }

    /// An answer to a request, for the one who asked.
    pub fn reply(&self, parent: &Parent, kind: &str, content: &Json) -> Frames {
        let mut frames = parent.envelope.to_vec();
        frames.extend(self.parts(kind, Some(parent), &json!({}), content));
        frames
    }

    /// Something for everyone who subscribed to `topic`.
    pub fn publish(
        &self,
        topic: Bytes,
        kind: &str,
        parent: Option<&Parent>,
        metadata: &Json,
        content: &Json,
    ) -> Frames {
        let mut frames = vec![topic];
        frames.extend(self.parts(kind, parent, metadata, content));
        frames
    }
}

/// `2026-11-26T03:48:29.123456Z`, by the days of the proleptic Gregorian calendar.
fn date(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Years are counted from a first of March, so that a leap day is the last of its year.
    let z = days + 719_468;
    let (era, day) = (z / 146_097, z % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let m = (5 * day + 2) / 153;
    let (month, day) = (if m < 10 { m + 3 } else { m - 9 }, day - (153 * m + 2) / 5 + 1);
    let year = era * 400 + year + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_micros()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (1_795_665_600, "2026-11-26T04:00:00.000000Z"),
        ] {
            assert_eq!(date(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn signatures() {
        // RFC 4231, test case 2.
        let signer = Signer::new(b"Jefe");
        let parts = [
            Bytes::from_static(b"what do ya want "),
            Bytes::from_static(b"for nothing?"),
        ];
        let known = b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(&signer.sign(&parts)[..], known);
        assert!(signer.verify(&parts, known));
        let mut other = *known;
        other[0] = b'6';
        for wrong in [&other[..], b"", b"5", b"\xff\xff", &known[..62]] {
            assert!(!signer.verify(&parts, wrong));
        }
        let open = Signer::new(b"");
        assert!(open.sign(&parts).is_empty() && open.verify(&parts, b"anything"));
    }
}
