//! Drawings as SVG.
//!
//! Invariant: the same bytes for the same drawing; every text is escaped; no reference leaves the file.

use std::fmt::Write;

use super::canvas::{Anchor, Ink, Shape, Stroke};
use crate::base::figure::Figure;
use crate::report::render::escape;

/// A figure as an SVG file.
pub fn svg(f: &Figure) -> String {
    let d = super::draw(f);
    let mut out = String::with_capacity(16 * 1024);
    // Writing to a text cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\" \
         font-family=\"Ubuntu, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif\">\n\
         <title>{2}</title>\n<rect width=\"{0}\" height=\"{1}\" fill=\"{3}\"/>\n",
        d.width,
        d.height,
        escape(&d.title),
        colour(d.paper)
    );
    for s in &d.shapes {
        shape(&mut out, s);
        out.push('\n');
    }
    out.push_str("</svg>\n");
    out
}

fn colour(i: Ink) -> String {
    format!("#{:02x}{:02x}{:02x}", i.0, i.1, i.2)
}

/// A coordinate to a hundredth of a pixel.
fn px(v: f64) -> String {
    let text = format!("{v:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        "-0" => "0".into(),
        t => t.into(),
    }
}

fn points(list: &[(f64, f64)]) -> String {
    let mut out = String::with_capacity(list.len() * 14);
    for (k, p) in list.iter().enumerate() {
        let _ = write!(out, "{}{} {}", if k == 0 { "M" } else { " " }, px(p.0), px(p.1));
    }
    out
}

fn stroke(s: &Stroke) -> String {
    let mut out = format!("stroke=\"{}\" stroke-width=\"{}\"", colour(s.ink), px(s.width));
    if !s.dash.is_empty() {
        let parts: Vec<String> = s.dash.iter().map(|v| px(*v)).collect();
        let _ = write!(out, " stroke-dasharray=\"{}\"", parts.join(" "));
    }
    out
}

fn shape(out: &mut String, s: &Shape) {
    let _ = match s {
        Shape::Line { points: p, stroke: s } => write!(
            out,
            "<path d=\"{}\" fill=\"none\" {} stroke-linejoin=\"round\" stroke-linecap=\"round\"/>",
            points(p),
            stroke(s)
        ),
        Shape::Area {
            points: p,
            ink,
            opacity,
        } => {
            let clear = if *opacity < 1.0 {
                format!(" fill-opacity=\"{}\"", px(*opacity))
            } else {
                String::new()
            };
            write!(out, "<path d=\"{}Z\" fill=\"{}\"{clear}/>", points(p), colour(*ink))
        }
        Shape::Circle {
            at,
            radius,
            fill,
            stroke: s,
        } => write!(
            out,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\" {}/>",
            px(at.0),
            px(at.1),
            px(*radius),
            colour(*fill),
            stroke(s)
        ),
        Shape::Words(t) => {
            let anchor = match t.anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let rim = match t.rimmed {
                true => format!(
                    " stroke=\"{}\" stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\"",
                    colour(super::PAPER)
                ),
                false => String::new(),
            };
            let bold = if t.bold { " font-weight=\"600\"" } else { "" };
            let turned = match t.turned {
                true => format!(" transform=\"rotate(-90 {} {})\"", px(t.x), px(t.y)),
                false => String::new(),
            };
            write!(
                out,
                "<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{}\"{rim}{anchor}{bold}{turned}>{}</text>",
                px(t.x),
                px(t.y),
                px(t.size),
                colour(t.ink),
                escape(&t.text)
            )
        }
    };
}
