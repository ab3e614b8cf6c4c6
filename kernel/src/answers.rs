//! Answers that need no session: what the kernel is, what it does not do.
//!
//! Invariant: functions from a request to the content of its answer; every request has one.

use ravine::session::{Completeness, completeness};
use serde_json::{Value as Json, json};

use crate::wire::PROTOCOL;

/// `kernel_info_reply`.
pub fn kernel_info() -> Json {
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "status": "ok",
        "protocol_version": PROTOCOL,
        "implementation": "ravine",
        "implementation_version": version,
        "language_info": {
            "name": "ravine",
            "version": version,
            "mimetype": "text/x-ravine",
            "file_extension": ".opt",
            // Comments, texts, transposes and ranges look the same there, and front ends have it.
            "pygments_lexer": "julia",
            "codemirror_mode": "julia",
        },
        "banner": format!("Ravine {version}: a small typed language for optimization\n`NAME?` tells about a name."),
        "debugger": false,
        "supported_features": [],
        "help_links": [],
    })
}

/// `is_complete_reply`, by the language's own rule for lines.
pub fn is_complete(code: &str) -> Json {
    match completeness(code) {
        Completeness::Complete => json!({ "status": "complete" }),
        Completeness::Incomplete { indent } => json!({ "status": "incomplete", "indent": " ".repeat(indent) }),
        Completeness::Invalid => json!({ "status": "invalid" }),
    }
}

/// An answer to a debugger's request: there is none, said as its protocol (DAP) says it.
pub fn debug(content: &Json) -> Json {
    json!({
        "type": "response",
        "seq": 1,
        "request_seq": content["seq"].as_u64().unwrap_or(0),
        "command": content["command"].as_str().unwrap_or_default(),
        "success": false,
        "message": "Ravine has no debugger",
        "body": {},
    })
}

/// `error` in a reply.
pub fn error(name: &str, value: &str, traceback: &[String]) -> Json {
    json!({ "status": "error", "ename": name, "evalue": value, "traceback": traceback })
}

/// An answer to a request whose content cannot be read.
pub fn malformed() -> Json {
    error(
        "MalformedRequest",
        "the request's content is not a JSON object in UTF-8",
        &[],
    )
}

/// An answer to a request that is not known.
pub fn unknown(kind: &str) -> Json {
    error("UnknownRequest", &format!("Ravine does not know `{kind}`"), &[])
}
