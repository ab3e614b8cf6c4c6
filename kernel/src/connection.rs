//! The connection file: where a front end expects the kernel's five sockets, and the key they share.
//!
//! Invariant: a file that says something we do not do is refused with a sentence, before any socket is open.
#![allow(
    clippy::disallowed_methods,
    reason = "the connection file is the kernel's own, not a program's data"
)]

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::zmtp::Address;

/// What a connection file says.
#[derive(Debug)]
pub struct Connection {
    /// Requests.
    pub shell: Address,
    /// Output for everyone.
    pub iopub: Address,
    /// Questions to the user.
    pub stdin: Address,
    /// Interrupt, shutdown.
    pub control: Address,
    /// Is the kernel alive?
    pub heartbeat: Address,
    /// Key of the signatures; empty for none.
    pub key: Vec<u8>,
}

impl Connection {
    /// Reads a connection file; a sentence if it cannot be used.
    pub fn read(path: &Path) -> Result<Connection, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|e| format!("connection file `{shown}`: {e}"))?;
        Connection::parse(&text).map_err(|e| format!("connection file `{shown}`: {e}"))
    }

    fn parse(text: &str) -> Result<Connection, String> {
        let json: Json = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
        let word = |key: &str| json[key].as_str().ok_or_else(|| format!("`{key}` is missing"));
        let scheme = json["signature_scheme"].as_str().unwrap_or("hmac-sha256");
        let key = word("key")?;
        if !key.is_empty() && scheme != "hmac-sha256" {
            return Err(format!("signatures by `{scheme}` are not known, only by `hmac-sha256`"));
        }
        let (ip, transport) = (word("ip")?, word("transport")?);
        let address = |name: &str| {
            let number = json[name].as_u64().and_then(|n| u16::try_from(n).ok());
            let port = number.ok_or_else(|| format!("`{name}` is no port"))?;
            match transport {
                "tcp" => Ok(Address::Tcp(ip.into(), port)),
                "ipc" => Ok(Address::Ipc(PathBuf::from(format!("{ip}-{port}")))),
                other => Err(format!("transport `{other}` is not known, only `tcp` and `ipc`")),
            }
        };
        Ok(Connection {
            shell: address("shell_port")?,
            iopub: address("iopub_port")?,
            stdin: address("stdin_port")?,
            control: address("control_port")?,
            heartbeat: address("hb_port")?,
            key: key.as_bytes().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5,
        "ip": "127.0.0.1", "key": "k", "transport": "tcp", "signature_scheme": "hmac-sha256", "kernel_name": "ravine"}"#;

    #[test]
    fn files() {
        let c = Connection::parse(GOOD).expect("a good file");
        assert_eq!(c.heartbeat, Address::Tcp("127.0.0.1".into(), 5));
        let ipc = Connection::parse(&GOOD.replace("tcp", "ipc")).expect("a good file");
        assert_eq!(ipc.shell, Address::Ipc("127.0.0.1-1".into()));
        for (from, to, word) in [
            ("hmac-sha256", "hmac-md5", "hmac-md5"),
            ("\"tcp\"", "\"udp\"", "udp"),
            ("\"hb_port\": 5", "\"hb_port\": 70000", "hb_port"),
            ("\"key\": \"k\",", "", "key"),
            ("{", "", "JSON"),
        ] {
            let wrong = Connection::parse(&GOOD.replacen(from, to, 1)).expect_err(word);
            assert!(wrong.contains(word), "{wrong}");
        }
    }
}
