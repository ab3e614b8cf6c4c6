//! Distances from cones and their duals: points made inside, pairs that must not be obtuse, points pushed out.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

use ravine::solve::verify::outside;
use ravine_linalg::clarabel_adapter::Cone;

/// Numbers of a fixed sequence in (0, 1).
fn draws() -> impl FnMut() -> f64 {
    let mut s = 0x9e37_79b9_7f4a_7c15u64;
    move || {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        (s >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A point of the cone, on its boundary where `slack` is 0.
fn member(cone: Cone, dual: bool, slack: f64, draw: &mut dyn FnMut() -> f64) -> [f64; 3] {
    let (a, b) = (0.1 + 2.0 * draw(), 4.0 * draw() - 2.0);
    match cone {
        Cone::Exp if dual => [-a, b, a * (-b / a).exp() / std::f64::consts::E + slack],
        Cone::Exp => [b, a, a * (b / a).exp() + slack],
        Cone::Power(p) => {
            let c = 0.1 + draw();
            let (x, y) = if dual { (p * a, (1.0 - p) * c) } else { (a, c) };
            let side = if draw() < 0.5 { -1.0 } else { 1.0 };
            [x, y, side * (a.powf(p) * c.powf(1.0 - p) - slack.min(0.1 * a.min(c)))]
        }
        Cone::SecondOrder(_) => [(a * a + b * b).sqrt() + slack, a, b],
        _ if dual => [0.0, b.abs(), slack],
        _ => [a + slack, 0.0, draw()],
    }
}

#[test]
fn members_lie_inside_and_pairs_are_not_obtuse() {
    let mut draw = draws();
    for cone in [
        Cone::Exp,
        Cone::Power(0.3),
        Cone::Power(0.5),
        Cone::SecondOrder(3),
        Cone::Nonneg(3),
    ] {
        let mut nearest = f64::INFINITY;
        for _ in 0..400 {
            let s = member(cone, false, 0.0, &mut draw);
            let z = member(cone, true, 0.0, &mut draw);
            assert!(outside(&[cone], &s, false) < 1e-12, "{cone:?} {s:?}");
            assert!(outside(&[cone], &z, true) < 1e-12, "{cone:?} {z:?}");
            let dot: f64 = s.iter().zip(&z).map(|(a, b)| a * b).sum();
            assert!(dot > -1e-12, "{cone:?}: {s:?} and {z:?} give {dot}");
            nearest = nearest.min(dot);
            // Pushed out by a known amount along the last coordinate (the first one for second-order cones).
            let out = match cone {
                Cone::SecondOrder(_) => [z[0] - 1e-3, z[1], z[2]],
                Cone::Power(_) => [z[0], z[1], z[2] * (1.0 + 1e-3 / z[2].abs())],
                Cone::Nonneg(_) => [-1e-3, z[1], z[2]],
                _ => [z[0], z[1], z[2] - 1e-3],
            };
            let far = outside(&[cone], &out, true);
            assert!(far > 1e-10 && far < 3e-3, "{cone:?}: {out:?} is {far:e} away");
        }
        // The pairing comes close to 0, so that a cone too large would have been seen.
        assert!(nearest < 0.1, "{cone:?}: {nearest}");
    }
}

#[test]
fn faces_are_no_farther_than_they_are() {
    // Rounding noise beside a face of the dual exponential cone, where the defining inequality overflows.
    assert!(outside(&[Cone::Exp], &[-1e-12, -1e-9, 1.0], true) < 1e-8);
    assert_eq!(outside(&[Cone::Exp], &[0.0, 1.0, 2.0], true), 0.0);
    assert_eq!(outside(&[Cone::Exp], &[-1.0, 0.0, 2.0], false), 0.0);
    assert!(outside(&[Cone::Exp], &[0.5, -0.5, 1.0], true) > 0.1);
    assert_eq!(outside(&[Cone::Zero(2)], &[3.0, -4.0], true), 0.0);
    assert_eq!(outside(&[Cone::Zero(2)], &[3.0, -4.0], false), 4.0);
    assert_eq!(outside(&[Cone::Nonneg(1)], &[f64::NAN], true), f64::INFINITY);
}
