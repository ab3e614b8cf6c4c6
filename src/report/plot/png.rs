//! Drawings as PNG, twice as fine as their measure.
//!
//! Invariant: draws the shapes that SVG writes, in their order, with letters of its own; a picture is always returned
//! where there is memory for one.

use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke as Pen, StrokeDash, Transform,
};
use ttf_parser::OutlineBuilder;

use super::canvas::{Anchor, Drawing, Ink, Shape, Stroke, Text};
use super::font;
use crate::base::figure::Figure;

/// Pixels for each unit of the drawing.
const FINE: f32 = 2.0;

/// A figure as a PNG file; nothing where there is no memory for its pixels.
pub fn png(f: &Figure) -> Option<Vec<u8>> {
    let d = super::draw(f);
    raster(&d)?.encode_png().ok()
}

fn raster(d: &Drawing) -> Option<Pixmap> {
    let side = |v: f64| (v as f32 * FINE) as u32;
    let mut map = Pixmap::new(side(d.width), side(d.height))?;
    map.fill(Color::from_rgba8(d.paper.0, d.paper.1, d.paper.2, 255));
    for s in &d.shapes {
        // A shape too thin or too large to have a path is left out.
        let _ = shape(&mut map, s);
    }
    Some(map)
}

fn paint(ink: Ink, opacity: f64) -> Paint<'static> {
    let mut p = Paint::default();
    p.set_color_rgba8(ink.0, ink.1, ink.2, (opacity * 255.0).round() as u8);
    p.anti_alias = true;
    p
}

fn path(points: &[(f64, f64)], closed: bool) -> Option<Path> {
    let mut b = PathBuilder::new();
    for (k, p) in points.iter().enumerate() {
        match k {
            0 => b.move_to(p.0 as f32, p.1 as f32),
            _ => b.line_to(p.0 as f32, p.1 as f32),
        }
    }
    if closed {
        b.close();
    }
    b.finish()
}

fn line(map: &mut Pixmap, path: &Path, s: &Stroke) {
    let pen = Pen {
        width: s.width as f32,
        line_cap: LineCap::Round,
        line_join: LineJoin::Round,
        dash: (!s.dash.is_empty())
            .then(|| StrokeDash::new(s.dash.iter().map(|v| *v as f32).collect(), 0.0))
            .flatten(),
        ..Pen::default()
    };
    map.stroke_path(path, &paint(s.ink, 1.0), &pen, Transform::from_scale(FINE, FINE), None);
}

fn shape(map: &mut Pixmap, s: &Shape) -> Option<()> {
    let scale = Transform::from_scale(FINE, FINE);
    match s {
        Shape::Line { points, stroke } => line(map, &path(points, false)?, stroke),
        Shape::Area { points, ink, opacity } => {
            let area = path(points, true)?;
            map.fill_path(&area, &paint(*ink, *opacity), FillRule::Winding, scale, None);
        }
        Shape::Circle {
            at,
            radius,
            fill,
            stroke,
        } => {
            let circle = PathBuilder::from_circle(at.0 as f32, at.1 as f32, *radius as f32)?;
            map.fill_path(&circle, &paint(*fill, 1.0), FillRule::Winding, scale, None);
            line(map, &circle, stroke);
        }
        Shape::Words(t) => words(map, t),
    }
    Some(())
}

/// The outline of a glyph, upwards, in units of its face.
struct Outline(PathBuilder);

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, -y);
    }
    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, -y);
    }
    fn quad_to(&mut self, a: f32, b: f32, x: f32, y: f32) {
        self.0.quad_to(a, -b, x, -y);
    }
    fn curve_to(&mut self, a: f32, b: f32, c: f32, d: f32, x: f32, y: f32) {
        self.0.cubic_to(a, -b, c, -d, x, -y);
    }
    fn close(&mut self) {
        self.0.close();
    }
}

fn words(map: &mut Pixmap, t: &Text) {
    let wide = font::exact(&t.text, t.size);
    let back = match t.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => wide / 2.0,
        Anchor::End => wide,
    };
    let turn = if t.turned { -90.0 } else { 0.0 };
    let base = Transform::from_scale(FINE, FINE)
        .pre_translate(t.x as f32, t.y as f32)
        .pre_rotate(turn);
    let ink = paint(t.ink, 1.0);
    let pen = |width: f32| Pen {
        width,
        line_join: LineJoin::Round,
        ..Pen::default()
    };
    let mut letters = vec![];
    font::outlines(&t.text, t.size, &mut |(x, up), unit, glyph| {
        let mut o = Outline(PathBuilder::new());
        glyph.outline(&mut o);
        let place = Transform::from_row(unit as f32, 0.0, 0.0, unit as f32, (x - back) as f32, -up as f32);
        letters.extend(o.0.finish().and_then(|p| p.transform(place)));
    });
    for p in letters.iter().filter(|_| t.rimmed) {
        map.stroke_path(p, &paint(super::PAPER, 1.0), &pen(3.0), base, None);
    }
    for p in &letters {
        map.fill_path(p, &ink, FillRule::Winding, base, None);
        // The face is a light one: its outlines are drawn as well.
        map.stroke_path(p, &ink, &pen(if t.bold { 0.9 } else { 0.35 }), base, None);
    }
}
