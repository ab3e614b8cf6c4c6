//! The letters of pictures: widths for the layout, outlines for PNG.
//!
//! Invariant: a character without a glyph takes the width of a digit and draws nothing; nothing is read from the system.

use std::sync::OnceLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

const RAISED_MINUS: char = '⁻';
/// Size of a raised minus, and how high it stands, as parts of the size.
const SMALL: f64 = 0.6;
const RAISE: f64 = 0.34;

/// A sans-serif face; SVG names families that are as wide.
fn face() -> Option<&'static Face<'static>> {
    static FACE: OnceLock<Option<Face<'static>>> = OnceLock::new();
    FACE.get_or_init(|| Face::parse(epaint_default_fonts::UBUNTU_LIGHT, 0).ok())
        .as_ref()
}

/// The part of the size by which a character moves on.
fn advance(face: &Face<'static>, c: char) -> f64 {
    if c == RAISED_MINUS {
        return SMALL * advance(face, '−');
    }
    let wide = |c: char| face.glyph_index(c).and_then(|g| face.glyph_hor_advance(g));
    let units = wide(c).or_else(|| wide('0')).unwrap_or(500);
    f64::from(units) / f64::from(face.units_per_em())
}

/// Pixels that a text takes. Faces differ: a little more than this one needs.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let Some(face) = face() else {
        return 0.56 * size * text.chars().count() as f64;
    };
    1.06 * size * text.chars().map(|c| advance(face, c)).sum::<f64>()
}

/// Draws the outlines of a text that begins at the origin: calls back with each glyph's place, rightwards and upwards, and
/// the size of its units.
pub(super) fn outlines(text: &str, size: f64, draw: &mut dyn FnMut((f64, f64), f64, &Glyph)) {
    let Some(face) = face() else { return };
    let unit = size / f64::from(face.units_per_em());
    let mut x = 0.0;
    for c in text.chars() {
        // The face has raised digits, but no raised minus.
        let (shown, raised, part) = if c == RAISED_MINUS {
            ('−', RAISE * size, SMALL)
        } else {
            (c, 0.0, 1.0)
        };
        if let Some(id) = face.glyph_index(shown) {
            draw((x, raised), part * unit, &Glyph { face, id });
        }
        x += size * advance(face, c);
    }
}

/// The exact width in this face.
pub(super) fn exact(text: &str, size: f64) -> f64 {
    face().map_or(0.0, |f| size * text.chars().map(|c| advance(f, c)).sum::<f64>())
}

/// One letter.
pub(super) struct Glyph {
    face: &'static Face<'static>,
    id: GlyphId,
}

impl Glyph {
    /// Its outline, in units of the face, upwards.
    pub fn outline(&self, builder: &mut dyn OutlineBuilder) {
        self.face.outline_glyph(self.id, builder);
    }
}
