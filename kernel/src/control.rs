//! The control channel: interrupt, shutdown, and what the debugger of others would be asked.
//!
//! Invariant: never waits for a cell.

use std::sync::Arc;

use serde_json::json;

use crate::answers;
use crate::iopub::Iopub;
use crate::state::State;
use crate::wire::{Request, Signer, Writer, decode};
use crate::zmtp::{Incoming, Socket};

/// The channel.
pub struct Control {
    /// Checks signatures.
    pub signer: Signer,
    /// Makes replies.
    pub writer: Writer,
    /// Publishes.
    pub iopub: Iopub,
    /// What all channels share.
    pub state: Arc<State>,
}

impl Control {
    /// Serves until the kernel ends.
    pub async fn run(self, mut socket: Socket) {
        while let Some(event) = socket.next().await {
            let Incoming::Message(peer, frames) = event else {
                continue;
            };
            match decode(&self.signer, peer, &frames) {
                Ok(request) => self.take(&request).await,
                Err(dropped) => self.state.dropped("control", dropped),
            }
        }
    }

    async fn take(&self, request: &Request) {
        let kind = request.parent.kind();
        let Some(stem) = kind.strip_suffix("_request") else {
            return;
        };
        // First what is urgent, then the words about it.
        if kind == "interrupt_request" {
            self.state.stop();
        }
        let content = match kind {
            // Also one that cannot be read means what its kind says, where that is all there is to it.
            _ if request.malformed && kind != "interrupt_request" => answers::malformed(),
            "interrupt_request" => json!({ "status": "ok" }),
            "shutdown_request" => json!({ "status": "ok", "restart": request.content["restart"] }),
            "kernel_info_request" => answers::kernel_info(),
            "debug_request" => answers::debug(&request.content),
            other => answers::unknown(other),
        };
        let parent = Some(&request.parent);
        self.iopub.status(parent, "busy").await;
        request
            .peer
            .send(self.writer.reply(&request.parent, &format!("{stem}_reply"), &content));
        let ends = kind == "shutdown_request" && !request.malformed;
        if ends {
            self.iopub.publish(parent, "shutdown_reply", content).await;
        }
        self.iopub.status(parent, "idle").await;
        if let Some(running) = self.state.running() {
            self.iopub.status(Some(&running), "busy").await;
        }
        if ends {
            self.state.end();
        }
    }
}
