//! Peers that mean harm, or are broken: none may stop the kernel, or cost it memory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value as Json, json};
use zeromq::SocketSend;

use super::frontend::{Client, Kernel, message, signed};

fn raw(connection: &Json, port: &str) -> TcpStream {
    let port = connection[port].as_u64().unwrap() as u16;
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Greeting and READY of a DEALER, as bytes.
fn greeted(connection: &Json, port: &str, kind: &[u8]) -> TcpStream {
    let mut s = raw(connection, port);
    let mut hello = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
    hello.extend(b"NULL");
    hello.resize(64, 0);
    let mut ready = b"\x05READY\x0bSocket-Type".to_vec();
    ready.extend((kind.len() as u32).to_be_bytes());
    ready.extend(kind);
    hello.extend([4, ready.len() as u8]);
    hello.extend(ready);
    s.write_all(&hello).unwrap();
    let mut answer = [0; 64];
    s.read_exact(&mut answer).unwrap();
    s
}

/// Does the kernel hang up?
fn hung_up(mut s: TcpStream) -> bool {
    let mut rest = vec![];
    // A reset is a way to hang up.
    s.read_to_end(&mut rest).is_ok() || s.take_error().is_ok()
}

#[tokio::test]
async fn garbage_is_dropped() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    c.run("let a = 1").await.ok();
    let good = c
        .request("execute_request", json!({}), json!({ "code": "let a = 2" }))
        .0;
    let changed = |k: usize, to: &[u8]| {
        let mut frames = good.clone();
        frames[k] = Bytes::copy_from_slice(to);
        frames
    };
    let resigned = |k: usize, to: &[u8]| {
        let mut texts = good[2..].to_vec();
        texts[k] = Bytes::copy_from_slice(to);
        signed(super::frontend::KEY, &texts)
    };
    let bad = [
        vec![Bytes::new()],
        vec![Bytes::from_static(b"no delimiter"); 9],
        good[..3].to_vec(),
        good[..5].to_vec(),
        vec![Bytes::from_static(b"<IDS|MSG>")],
        changed(1, b""),
        changed(1, b"00"),
        changed(1, &[0xff; 64]),
        changed(5, b"{\"code\": \"let a = 3\"}"),
        resigned(0, b"{}"),
        resigned(0, b"[1]"),
        resigned(0, b"{\"msg_type\": 1, \"msg_id\": \"x\"}"),
    ];
    for frames in bad {
        c.shell.send(message(frames.clone())).await.unwrap();
        c.control.send(message(frames)).await.unwrap();
    }
    // Well signed, so that somebody waits for an answer, but not to be read: that is the answer.
    let deep = "[".repeat(100_000);
    for (k, text) in [
        (3, &b"\xff\xfe{}"[..]),
        (3, b"null"),
        (3, b"{\"code\": \"\\ud83d\"}"),
        (3, deep.as_bytes()),
        (2, b"\xc0\x80"),
    ] {
        c.shell.send(message(resigned(k, text))).await.unwrap();
        let reply = c.answer().await;
        assert_eq!(
            (reply.kind.as_str(), &reply.content["ename"]),
            ("execute_reply", &json!("MalformedRequest"))
        );
    }
    // Well signed, but not what was expected.
    for content in [
        json!({}),
        json!({ "code": 7, "silent": "yes", "user_expressions": [], "stop_on_error": 0 }),
    ] {
        assert_eq!(c.execute(content).await.status(), "ok");
    }
    assert_eq!(c.run("print a").await.ok().stream("stdout"), "a = 1\n");
}

#[tokio::test]
async fn no_announced_length_is_believed() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let before = kernel.memory();
    for port in ["shell_port", "control_port", "stdin_port", "hb_port", "iopub_port"] {
        let kind: &[u8] = match port {
            "iopub_port" => b"SUB",
            "hb_port" => b"REQ",
            _ => b"DEALER",
        };
        for length in [u64::MAX, 1 << 62, 1 << 40, (64 << 20) + 1] {
            let mut s = greeted(&c.connection().clone(), port, kind);
            s.write_all(&[2]).unwrap();
            s.write_all(&length.to_be_bytes()).unwrap();
            assert!(hung_up(s), "{port} {length}");
        }
        // Many parts, none of them large.
        let mut s = greeted(&c.connection().clone(), port, kind);
        let _ = s.write_all(&[1, 0].repeat(5000));
        assert!(hung_up(s), "{port}");
        // Announced, allowed, and never sent.
        let mut held = vec![];
        for _ in 0..20 {
            let mut s = greeted(&c.connection().clone(), port, kind);
            s.write_all(&[2]).unwrap();
            s.write_all(&(60u64 << 20).to_be_bytes()).unwrap();
            held.push(s);
        }
        c.run("print 1").await.ok();
        assert!(kernel.memory().saturating_sub(before) < 100 << 20);
    }
}

#[tokio::test]
async fn who_does_not_speak_the_protocol_is_hung_up_on() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    let connection = c.connection().clone();
    let mut http = raw(&connection, "shell_port");
    http.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(hung_up(http));
    // A subscriber has nothing to ask, and an old version is not spoken.
    assert!(hung_up(greeted(&connection, "shell_port", b"SUB")));
    let mut old = raw(&connection, "shell_port");
    old.write_all(&[0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1]).unwrap();
    assert!(hung_up(old));
    let mut noise = raw(&connection, "iopub_port");
    let _ = noise.write_all(
        &(0..100_000u32)
            .map(|k| (k.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect::<Vec<_>>(),
    );
    drop(noise);
    c.run("print 1").await.ok();
}

#[tokio::test]
async fn a_stuck_subscriber_holds_nobody_up() {
    let kernel = Kernel::start();
    let mut c = Client::connect(&kernel).await;
    // Subscribes to everything and never reads again.
    let mut stuck = greeted(c.connection(), "iopub_port", b"SUB");
    stuck.write_all(&[0, 1, 1]).unwrap();
    let wide = format!("let a = 1\n{}", "print a, a, a, a, a, a, a, a\n".repeat(20_000));
    for _ in 0..8 {
        c.run(&wide).await.ok();
    }
    assert!(kernel.memory() < 600 << 20, "{} bytes", kernel.memory());
    c.run("print 1").await.ok();
    drop(stuck);
}
