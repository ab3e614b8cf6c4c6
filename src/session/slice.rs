//! `plot … over x in [a, b]`: functions and problems on a line or in a plane, with the paths of solves on top.
//!
//! Invariant: a problem's other variables stand still, where the note says; a value that is not finite is a gap.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ravine_linalg::math;

use crate::base::figure::{Axis, Figure, Mark};
use crate::base::value::{Tensor, Value};
use crate::base::{Code, Diagnostic, Span};
use crate::forms::rows::Columns;
use crate::ir::Sense;
use crate::lang::lower::SolutionData;
use crate::lang::syntax::{Arg, Binder, Binders, Expr, ExprKind, Ident, Plot, PlotRange, Subscript, show as shown};
use crate::report::plot::{levels, long};
use crate::solve::compiled::coordinate;
use crate::solve::model::Model;

use super::plot::{named, owner, path_column, thinned};
use super::solving::{Found, one};
use super::{Def, Event, Session};

/// Places along a line, and along a side of a plane.
const PLACES: usize = 401;
const SIDE: usize = 161;
/// Contours drawn.
const LEVELS: usize = 14;
/// Names of this module alone: no program can write them.
const PLACE: [&str; 2] = ["\u{0}x", "\u{0}y"];
const INDEX: &str = "\u{0}i";

/// One range, evaluated.
struct Side {
    name: String,
    at: Span,
    axis: Axis,
    places: Vec<f64>,
}

/// A path to draw.
struct Way {
    name: String,
    solution: Rc<SolutionData>,
    at: Span,
}

/// What has a value at every place.
enum Target {
    Problem {
        model: Box<Model>,
        point: Vec<f64>,
        coordinates: Vec<usize>,
        maximize: bool,
    },
    Expression(Expr),
}

impl Session {
    pub(super) fn slice(&mut self, p: &Plot, span: Span, sink: &mut dyn FnMut(Event)) -> Found<Figure> {
        let plane = p.ranges.len() == 2;
        let n = if plane { SIDE } else { PLACES };
        let sides = p.ranges.iter().map(|r| self.side(r, n)).collect::<Found<Vec<_>>>()?;
        let ways = p.with.iter().map(|e| self.way(e)).collect::<Found<Vec<_>>>()?;
        if plane && p.items.len() > 1 {
            let d = Diagnostic::new(Code::WrongType, "contours are drawn of one function")
                .at(p.items[1].span, "a second one");
            return Err(vec![d]);
        }
        let mut figure = Figure::default();
        let title: Vec<String> = p.items.iter().map(shown).collect();
        figure.title = title.join(", ");
        figure.x = sides[0].axis.clone();
        let mut seen: Vec<f64> = vec![];
        for (k, e) in p.items.iter().enumerate() {
            let mut target = self.target(e, &sides, &ways, &mut figure.notes, span, sink)?;
            if plane {
                let points: Vec<Vec<f64>> = sides[1]
                    .places
                    .iter()
                    .flat_map(|y| sides[0].places.iter().map(move |x| vec![*x, *y]))
                    .collect();
                let values = self.values(&mut target, &points, p)?;
                self.contours(
                    &mut figure,
                    &sides,
                    values,
                    matches!(target, Target::Problem { maximize: true, .. }),
                    e,
                )?;
                figure.y = sides[1].axis.clone();
                continue;
            }
            let points: Vec<Vec<f64>> = sides[0].places.iter().map(|x| vec![*x]).collect();
            let values = self.values(&mut target, &points, p)?;
            seen.extend(values.iter().filter(|v| v.is_finite()));
            figure.marks.push(Mark::Line {
                points: sides[0].places.iter().copied().zip(values).collect(),
                label: if p.items.len() > 1 { shown(e) } else { String::new() },
                hue: k,
                strong: true,
            });
            for (j, w) in ways.iter().enumerate() {
                let xs = path_column(&w.solution.path, &sides[0].name, &w.name, w.at)?;
                let (xs, _) = thinned(xs.iter().map(|x| (*x, 0.0)).collect());
                let points: Vec<Vec<f64>> = xs.iter().map(|x| vec![x.0]).collect();
                let values = self.values(&mut target, &points, p)?;
                figure.marks.push(Mark::Path {
                    points: xs.iter().map(|x| x.0).zip(values).collect(),
                    label: named(&w.name, &w.solution),
                    hue: p.items.len() + j,
                });
            }
        }
        if plane {
            self.ways(&mut figure, &sides, &ways)?;
            return Ok(figure);
        }
        if seen.is_empty() {
            let d = Diagnostic::new(Code::NothingToDraw, "there is no finite value in the whole range")
                .at(p.items[0].span, "nowhere defined");
            return Err(vec![d]);
        }
        let least = seen.iter().copied().fold(f64::INFINITY, f64::min);
        let most = seen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let steep = long(&Axis {
            lo: least,
            hi: most,
            ..Axis::default()
        });
        let label = if p.items.len() == 1 {
            title[0].clone()
        } else {
            "value".into()
        };
        figure.y = Axis::around(label, seen.into_iter(), steep).padded(0.05);
        if p.items.len() == 1 {
            figure.title = format!("{} over {}", title[0], sides[0].name);
        }
        Ok(figure)
    }

    fn side(&mut self, r: &PlotRange, n: usize) -> Found<Side> {
        let (lo, hi) = (self.number(&r.lo).map_err(one)?, self.number(&r.hi).map_err(one)?);
        let name = shown(&r.what).replace('"', "");
        if !(lo.is_finite() && hi.is_finite() && lo < hi) {
            let d = Diagnostic::new(
                Code::BadOption,
                format!(
                    "a range runs from a number to a larger one; that of `{name}` runs from {} to {}",
                    super::show::number(lo),
                    super::show::number(hi)
                ),
            );
            return Err(vec![d.at(r.span, "here")]);
        }
        let mut axis = Axis {
            label: name.clone(),
            lo,
            hi,
            ..Axis::default()
        };
        axis.log = long(&axis);
        let at = |k: usize| {
            let t = k as f64 / (n - 1) as f64;
            match axis.log {
                true => math::exp((1.0 - t) * math::log(lo) + t * math::log(hi)),
                false => (1.0 - t) * lo + t * hi,
            }
        };
        let mut places: Vec<f64> = (0..n).map(at).collect();
        (places[0], places[n - 1]) = (lo, hi);
        Ok(Side {
            name,
            at: r.span,
            axis,
            places,
        })
    }

    fn way(&self, e: &Expr) -> Found<Way> {
        let base = match &e.kind {
            ExprKind::Field { base, name } if name.text == "path" => base,
            _ => e,
        };
        match base.as_name().and_then(|n| self.defs.get(n)) {
            Some(Def::Solution(s)) => Ok(Way {
                name: owner(e),
                solution: s.clone(),
                at: e.span,
            }),
            _ => {
                let d = Diagnostic::new(Code::WrongType, format!("`{}` is not the path of a solve", shown(e)))
                    .at(e.span, "here")
                    .help("`with s.path`, with `s = solve …`");
                Err(vec![d])
            }
        }
    }

    fn target(
        &mut self,
        e: &Expr,
        sides: &[Side],
        ways: &[Way],
        notes: &mut Vec<String>,
        span: Span,
        sink: &mut dyn FnMut(Event),
    ) -> Found<Target> {
        let problem = e
            .as_problem_ref()
            .filter(|t| matches!(self.defs.get(&t.name.text), Some(Def::Problem(_))));
        let Some(t) = problem else {
            let call = match e.as_name().and_then(|n| self.defs.get(n)) {
                Some(Def::Fn(_)) => Expr {
                    kind: ExprKind::Call {
                        callee: Box::new(e.clone()),
                        args: sides.iter().map(|s| argument(&s.name, e)).collect(),
                    },
                    ..e.clone()
                },
                _ => e.clone(),
            };
            return Ok(Target::Expression(call));
        };
        let at = self.compiled(Some(&t), span, sink)?;
        let params = self.param_inputs(&self.compiled[at].lowered.params);
        let problem = self.compiled[at].lowered.problem.clone();
        let mut columns = Columns::default();
        for v in &problem.vars {
            columns.push(&problem.ir, v.input);
        }
        let mut model = Model::new(&problem, columns.clone());
        model
            .bind(&params)
            .map_err(|f| vec![Diagnostic::new(Code::NotFinite, f.what).at(e.span, "here")])?;
        let mut point = model.start();
        if let Some(w) = ways.first() {
            for (v, (_, first, len)) in problem.vars.iter().zip(&columns.blocks) {
                let value = w.solution.fields.get(&v.name).map(|t| t.to_dense());
                if let Some(d) = value.filter(|d| d.len() == *len) {
                    point[*first..first + len].copy_from_slice(&d);
                }
            }
        }
        let names: Vec<String> = (0..columns.len()).map(|k| coordinate(&problem, &columns, k)).collect();
        let mut coordinates = vec![];
        for s in sides {
            let Some(k) = names.iter().position(|n| *n == s.name) else {
                let several = names.iter().find(|n| n.starts_with(&format!("{}[", s.name)));
                let d = Diagnostic::new(
                    Code::UnknownName,
                    match several {
                        Some(_) => format!("`{}` has several entries: name one of them", s.name),
                        None => format!("`{}` has no coordinate `{}`", t.name.text, s.name),
                    },
                );
                let d = d.at(s.at, "one number is an axis");
                return Err(vec![match several {
                    Some(n) => d.help(format!("such as `over {n} in …`")),
                    None => d,
                }]);
            };
            coordinates.push(k);
        }
        if names.len() > coordinates.len() {
            notes.push(match ways.first() {
                Some(w) => format!("The other variables are as they are in {}.", w.name),
                None => "The other variables are at their start.".into(),
            });
        }
        Ok(Target::Problem {
            model: Box::new(model),
            point,
            coordinates,
            maximize: self.sense(at) == Sense::Maximize,
        })
    }

    /// Values at points; NaN where there is none.
    fn values(&mut self, t: &mut Target, points: &[Vec<f64>], p: &Plot) -> Found<Vec<f64>> {
        match t {
            Target::Problem {
                model,
                point,
                coordinates,
                ..
            } => {
                let mut out = Vec::with_capacity(points.len());
                for (k, x) in points.iter().enumerate() {
                    if k % 64 == 0 && self.interrupt.load(Ordering::Relaxed) {
                        out.resize(points.len(), f64::NAN);
                        break;
                    }
                    for (c, v) in coordinates.iter().zip(x) {
                        point[*c] = *v;
                    }
                    out.push(match model.eval(point) {
                        Ok(()) => model.objective(),
                        Err(_) => f64::NAN,
                    });
                }
                Ok(out)
            }
            Target::Expression(e) => {
                // One array over all points, so that the evaluator runs once.
                let by: Vec<(String, Expr)> = p
                    .ranges
                    .iter()
                    .zip(PLACE)
                    .map(|(r, place)| {
                        let at = name(INDEX, e);
                        let kind = ExprKind::Index {
                            base: Box::new(name(place, e)),
                            subscripts: vec![Subscript::At(at)],
                        };
                        (shown(&r.what), Expr { kind, ..e.clone() })
                    })
                    .collect();
                let column = |k: usize| Arc::new(Tensor::vector(points.iter().map(|x| x[k]).collect()));
                let places: Vec<(String, Arc<Tensor>)> = PLACE
                    .iter()
                    .take(by.len())
                    .enumerate()
                    .map(|(k, n)| (n.to_string(), column(k)))
                    .collect();
                let n = ExprKind::Number {
                    value: points.len() as f64,
                    integer: true,
                };
                let first = ExprKind::Number {
                    value: 1.0,
                    integer: true,
                };
                let whole = Expr {
                    kind: ExprKind::ArrayComprehension {
                        binders: Binders {
                            items: vec![Binder {
                                names: vec![Ident {
                                    text: INDEX.into(),
                                    span: e.span,
                                }],
                                set: Expr {
                                    kind: ExprKind::Range {
                                        lo: Box::new(Expr {
                                            kind: first,
                                            ..e.clone()
                                        }),
                                        hi: Box::new(Expr { kind: n, ..e.clone() }),
                                    },
                                    ..e.clone()
                                },
                                span: e.span,
                            }],
                            condition: None,
                            span: e.span,
                        },
                        body: Box::new(e.substituted(&by)),
                    },
                    ..e.clone()
                };
                match self.evaluate_holes(&whole, &places).map_err(one)? {
                    Value::Array { tensor, .. } if tensor.len() == points.len() => Ok(tensor.to_dense()),
                    _ => {
                        let d = Diagnostic::new(Code::WrongType, format!("`{}` is not a number at a place", shown(e)));
                        Err(vec![d.at(e.span, "here")])
                    }
                }
            }
        }
    }

    fn contours(&self, f: &mut Figure, sides: &[Side], values: Vec<f64>, maximize: bool, e: &Expr) -> Found<()> {
        let sign = if maximize { -1.0 } else { 1.0 };
        let signed: Vec<f64> = values.iter().map(|v| sign * v).collect();
        let mut found: Vec<f64> = levels(&signed, LEVELS).into_iter().map(|v| sign * v).collect();
        found.sort_by(f64::total_cmp);
        if found.is_empty() {
            let finite = values.iter().any(|v| v.is_finite());
            let what = match finite {
                true => "it has the same value everywhere",
                false => "there is no finite value in the whole range",
            };
            let d = Diagnostic::new(Code::NothingToDraw, format!("`{}` has no contours: {what}", shown(e)));
            return Err(vec![d.at(e.span, "here")]);
        }
        let gaps = values.iter().filter(|v| !v.is_finite()).count();
        if gaps > 0 {
            let part = 100.0 * gaps as f64 / values.len() as f64;
            f.notes.push(format!("No value in {part:.0} % of the plane."));
        }
        f.title = format!("Contours of {}", shown(e));
        f.marks.push(Mark::Contours {
            xs: sides[0].places.clone(),
            ys: sides[1].places.clone(),
            values,
            levels: found,
        });
        Ok(())
    }

    /// The paths on contours.
    fn ways(&self, f: &mut Figure, sides: &[Side], ways: &[Way]) -> Found<()> {
        for (k, w) in ways.iter().enumerate() {
            let column = |s: &Side| path_column(&w.solution.path, &s.name, &w.name, w.at);
            let all: Vec<(f64, f64)> = column(&sides[0])?
                .iter()
                .copied()
                .zip(column(&sides[1])?.iter().copied())
                .collect();
            let outside = |p: &(f64, f64)| {
                let inside = |v: f64, a: &Axis| v >= a.lo && v <= a.hi;
                !(inside(p.0, &sides[0].axis) && inside(p.1, &sides[1].axis))
            };
            if all.iter().any(outside) {
                f.notes.push(format!("The path of {} leaves the picture.", w.name));
            }
            let steps = path_column(&w.solution.path, "step", &w.name, w.at)?;
            let every = match steps {
                [a, b, ..] => b - a,
                _ => 1.0,
            };
            let (points, drawn) = thinned(all);
            if every * drawn as f64 > 1.0 {
                f.notes.push(format!(
                    "The path of {} shows one of {} steps.",
                    w.name,
                    every * drawn as f64
                ));
            }
            // Blue is the colour of the contours.
            f.marks.push(Mark::Path {
                points,
                label: named(&w.name, &w.solution),
                hue: k + 1,
            });
        }
        Ok(())
    }
}

fn name(text: &str, like: &Expr) -> Expr {
    Expr {
        kind: ExprKind::Name(text.into()),
        ..like.clone()
    }
}

fn argument(text: &str, like: &Expr) -> Arg {
    Arg {
        name: None,
        value: name(text, like),
    }
}
