//! Points and the state of a run: plain values under names, saved and restored bit for bit.
//!
//! Invariant: nothing here is private to a method or to another package; a saved state read back is equal in every bit.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bits;

/// One variable's place in the flat point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The variable's name.
    pub name: String,
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Symmetric matrix: stored by the lower triangle, row by row, with √2 off the diagonal.
    pub symmetric: bool,
    /// First coordinate.
    pub offset: usize,
    /// Number of coordinates.
    pub len: usize,
}

/// The offset table shared by solver, trace, checkpoint and report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointLayout {
    blocks: Vec<Block>,
    len: usize,
}

impl PointLayout {
    /// An empty layout.
    pub fn new() -> Self {
        Self::default()
    }
    /// One block `name` of `n` coordinates.
    pub fn single(name: &str, n: usize) -> Self {
        let mut layout = Self::new();
        layout.push(name, vec![n]);
        layout
    }
    /// Appends a row-major block and returns its offset.
    pub fn push(&mut self, name: &str, shape: Vec<usize>) -> usize {
        let len = shape.iter().product();
        self.append(name, shape, false, len)
    }
    /// Appends a symmetric `n × n` block and returns its offset.
    pub fn push_symmetric(&mut self, name: &str, n: usize) -> usize {
        self.append(name, vec![n, n], true, n * (n + 1) / 2)
    }
    fn append(&mut self, name: &str, shape: Vec<usize>, symmetric: bool, len: usize) -> usize {
        let offset = self.len;
        self.blocks.push(Block {
            name: name.to_string(),
            shape,
            symmetric,
            offset,
            len,
        });
        self.len += len;
        offset
    }
    /// Number of coordinates.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Has it no coordinate?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The blocks in declaration order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }
    /// The block of a variable.
    pub fn block(&self, name: &str) -> Option<&Block> {
        self.blocks.iter().find(|b| b.name == name)
    }
    /// A coordinate as the user would write it: `x[3]`, `U[2, 1]`, counted from 1.
    pub fn coordinate(&self, index: usize) -> String {
        let Some(b) = self
            .blocks
            .iter()
            .find(|b| index >= b.offset && index < b.offset + b.len)
        else {
            return format!("coordinate {}", index + 1);
        };
        if b.shape.is_empty() {
            return b.name.clone();
        }
        let mut k = index - b.offset;
        let mut at = vec![0; b.shape.len()];
        if b.symmetric {
            let mut row = 0;
            while k > row {
                k -= row + 1;
                row += 1;
            }
            at = vec![row, k];
        } else {
            for (place, &n) in at.iter_mut().zip(&b.shape).rev() {
                *place = k % n.max(1);
                k /= n.max(1);
            }
        }
        let text: Vec<String> = at.iter().map(|i| (i + 1).to_string()).collect();
        format!("{}[{}]", b.name, text.join(", "))
    }
}

/// All variables of a problem as one vector with its offset table.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Which coordinates belong to which variable.
    pub layout: Arc<PointLayout>,
    /// The coordinates.
    pub values: Vec<f64>,
}

impl Point {
    /// A point of zeros.
    pub fn zeros(layout: Arc<PointLayout>) -> Self {
        let values = vec![0.0; layout.len()];
        Self { layout, values }
    }
    /// A point with one block `x`.
    pub fn plain(values: Vec<f64>) -> Self {
        Self {
            layout: Arc::new(PointLayout::single("x", values.len())),
            values,
        }
    }
    /// The stored coordinates of a variable.
    pub fn block(&self, name: &str) -> Option<&[f64]> {
        let b = self.layout.block(name)?;
        self.values.get(b.offset..b.offset + b.len)
    }
    /// A variable as its row-major array: symmetric blocks full and unscaled.
    pub fn array(&self, name: &str) -> Option<Vec<f64>> {
        let b = self.layout.block(name)?;
        let stored = self.values.get(b.offset..b.offset + b.len)?;
        if !b.symmetric {
            return Some(stored.to_vec());
        }
        let n = b.shape[0];
        let mut full = vec![0.0; n * n];
        let mut k = 0;
        for i in 0..n {
            for j in 0..=i {
                let v = if i == j {
                    stored[k]
                } else {
                    stored[k] / std::f64::consts::SQRT_2
                };
                full[i * n + j] = v;
                full[j * n + i] = v;
                k += 1;
            }
        }
        Some(full)
    }
    /// Sets a variable from its row-major array; `false` if the name or length does not fit. Symmetric blocks are
    /// read from the lower triangle.
    pub fn set_array(&mut self, name: &str, array: &[f64]) -> bool {
        let Some(b) = self.layout.block(name) else { return false };
        let (offset, len, symmetric) = (b.offset, b.len, b.symmetric);
        let n = b.shape.first().copied().unwrap_or(1);
        if array.len() != if symmetric { n * n } else { len } {
            return false;
        }
        if !symmetric {
            self.values[offset..offset + len].copy_from_slice(array);
            return true;
        }
        let mut k = offset;
        for i in 0..n {
            for j in 0..=i {
                let v = array[i * n + j];
                self.values[k] = if i == j { v } else { v * std::f64::consts::SQRT_2 };
                k += 1;
            }
        }
        true
    }
}

/// A bounded history of vectors of one width, oldest first; pushing beyond the capacity drops the oldest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct History {
    width: usize,
    capacity: usize,
    /// Vectors pushed since the last clearing, dropped ones included.
    pushed: u64,
    /// Times it was cleared.
    epoch: u64,
    #[serde(with = "bits::array")]
    data: Vec<f64>,
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        self.width == other.width
            && self.capacity == other.capacity
            && self.pushed == other.pushed
            && self.epoch == other.epoch
            && (0..self.len()).all(|i| bits::same(self.get(i), other.get(i)))
    }
}

impl History {
    /// An empty history for `capacity` vectors of `width` numbers.
    pub fn new(capacity: usize, width: usize) -> Self {
        Self {
            width,
            capacity,
            pushed: 0,
            epoch: 0,
            data: vec![0.0; capacity * width],
        }
    }
    /// How many vectors it holds.
    pub fn len(&self) -> usize {
        (self.pushed as usize).min(self.capacity)
    }
    /// Does it hold none?
    pub fn is_empty(&self) -> bool {
        self.pushed == 0 || self.capacity == 0
    }
    /// Length of its vectors.
    pub fn width(&self) -> usize {
        self.width
    }
    /// How many it can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
    /// The `i`-th vector, oldest first.
    pub fn get(&self, i: usize) -> &[f64] {
        let at = self.place(i) * self.width;
        &self.data[at..at + self.width]
    }
    /// The storage place of the `i`-th vector, below the capacity; it stays while the vector is kept.
    pub fn place(&self, i: usize) -> usize {
        (self.pushed as usize - self.len() + i) % self.capacity.max(1)
    }
    /// Room for a new newest vector, whose old contents are to be overwritten.
    pub fn push(&mut self) -> &mut [f64] {
        let at = if self.capacity == 0 {
            0
        } else {
            self.pushed as usize % self.capacity * self.width
        };
        self.pushed += 1;
        let width = if self.capacity == 0 { 0 } else { self.width };
        &mut self.data[at..at + width]
    }
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.pushed = 0;
        self.epoch += 1;
    }
    /// Becomes equal to `other`. Between the two buffers of one run only the vectors pushed since are copied; pass
    /// `related = false` when this buffer may hold anything else.
    pub fn catch_up(&mut self, other: &History, related: bool) {
        let behind = other.pushed.wrapping_sub(self.pushed);
        let fits = self.width == other.width && self.capacity == other.capacity;
        if !(related && fits && self.epoch == other.epoch && behind <= self.capacity as u64) {
            self.width = other.width;
            self.capacity = other.capacity;
            self.data.clone_from(&other.data);
        } else {
            for k in self.pushed..other.pushed {
                let at = k as usize % self.capacity * self.width;
                self.data[at..at + self.width].copy_from_slice(&other.data[at..at + self.width]);
            }
        }
        self.pushed = other.pushed;
        self.epoch = other.epoch;
    }
}

/// One value of a state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Slot {
    /// A number.
    Number(#[serde(with = "bits::number")] f64),
    /// A counter.
    Count(u64),
    /// An array.
    Array(#[serde(with = "bits::array")] Vec<f64>),
    /// A history of arrays.
    History(History),
    /// Named values, such as the state of an inner method.
    Record(Vec<(String, Slot)>),
}

impl PartialEq for Slot {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Slot::Number(a), Slot::Number(b)) => a.to_bits() == b.to_bits(),
            (Slot::Count(a), Slot::Count(b)) => a == b,
            (Slot::Array(a), Slot::Array(b)) => bits::same(a, b),
            (Slot::History(a), Slot::History(b)) => a == b,
            (Slot::Record(a), Slot::Record(b)) => a == b,
            _ => false,
        }
    }
}

impl Slot {
    /// The number; 0 for another kind.
    pub fn number(&self) -> f64 {
        match self {
            Slot::Number(v) => *v,
            Slot::Count(k) => *k as f64,
            _ => 0.0,
        }
    }
    /// The counter; 0 for another kind.
    pub fn count(&self) -> u64 {
        match self {
            Slot::Count(k) => *k,
            _ => 0,
        }
    }
    /// The array; empty for another kind.
    pub fn array(&self) -> &[f64] {
        match self {
            Slot::Array(a) => a,
            _ => &[],
        }
    }
    /// The array for writing; empty for another kind.
    pub fn array_mut(&mut self) -> &mut [f64] {
        match self {
            Slot::Array(a) => a,
            _ => &mut [],
        }
    }
    /// The history, if it is one.
    pub fn history(&self) -> Option<&History> {
        match self {
            Slot::History(h) => Some(h),
            _ => None,
        }
    }
    /// The history for writing, if it is one.
    pub fn history_mut(&mut self) -> Option<&mut History> {
        match self {
            Slot::History(h) => Some(h),
            _ => None,
        }
    }
    /// Its kind, as reports name it.
    pub fn kind(&self) -> SlotKind {
        match self {
            Slot::Number(_) => SlotKind::Number,
            Slot::Count(_) => SlotKind::Count,
            Slot::Array(_) => SlotKind::Array,
            Slot::History(_) => SlotKind::History,
            Slot::Record(_) => SlotKind::Record,
        }
    }
    /// Are its parts of the sizes that it says?
    pub(super) fn is_sound(&self) -> bool {
        match self {
            Slot::History(h) => h.capacity.checked_mul(h.width) == Some(h.data.len()),
            Slot::Record(all) => all.iter().all(|(_, s)| s.is_sound()),
            _ => true,
        }
    }
    fn assign(&mut self, other: &Slot, related: bool) {
        match (self, other) {
            (Slot::Array(a), Slot::Array(b)) => a.clone_from(b),
            (Slot::History(a), Slot::History(b)) => a.catch_up(b, related),
            (Slot::Record(a), Slot::Record(b)) if a.len() == b.len() => {
                for ((name, a), (other, b)) in a.iter_mut().zip(b) {
                    if name != other {
                        name.clone_from(other);
                    }
                    a.assign(b, related);
                }
            }
            (a, b) => *a = b.clone(),
        }
    }
}

/// What a slot holds; the schema of a state in a method's card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// A number.
    Number,
    /// A counter.
    Count,
    /// An array.
    Array,
    /// A history of arrays.
    History,
    /// A nested record.
    Record,
}

/// What every method measures at its point; NaN where it has no meaning.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Measures {
    /// Objective, minimized.
    #[serde(with = "bits::number")]
    pub objective: f64,
    /// `‖P(x − ∇f) − x‖∞`, or the dual residual of a conic method.
    #[serde(with = "bits::number")]
    pub stationarity: f64,
    /// What `stationarity` is judged against: `1 + ‖∇f‖∞`.
    #[serde(with = "bits::number")]
    pub gradient_scale: f64,
    /// Largest relative violation of a constraint; 0 without constraints.
    #[serde(with = "bits::number")]
    pub feasibility: f64,
    /// Relative duality gap, where there is a dual.
    #[serde(with = "bits::number")]
    pub gap: f64,
    /// `‖x⁺ − x‖₂` of the last step.
    #[serde(with = "bits::number")]
    pub change: f64,
}

impl PartialEq for Measures {
    /// Equality of every bit.
    fn eq(&self, other: &Self) -> bool {
        bits::same(&self.as_array(), &other.as_array())
    }
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            objective: f64::NAN,
            stationarity: f64::NAN,
            gradient_scale: 1.0,
            feasibility: 0.0,
            gap: f64::NAN,
            change: f64::NAN,
        }
    }
}

impl Measures {
    /// A measure by the name a stopping rule uses.
    pub fn get(&self, name: &str) -> Option<f64> {
        Some(match name {
            "objective" => self.objective,
            "stationarity" => self.stationarity,
            "feasibility" => self.feasibility,
            "gap" => self.gap,
            "change" => self.change,
            _ => return None,
        })
    }
    fn as_array(&self) -> [f64; 6] {
        [
            self.objective,
            self.stationarity,
            self.gradient_scale,
            self.feasibility,
            self.gap,
            self.change,
        ]
    }
}

/// Everything that moves in a run: the point, its measures, the slots of the method's schema and its records.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// The point.
    #[serde(with = "bits::array")]
    pub x: Vec<f64>,
    /// Measures at the point.
    pub measures: Measures,
    /// Values by position in the card's `state` schema.
    pub slots: Vec<Slot>,
    /// Values by position in the card's `records`: trace columns of the method.
    #[serde(with = "bits::array")]
    pub records: Vec<f64>,
    /// Multipliers by the form's rows or the bounds, where the method has them.
    #[serde(with = "bits::array")]
    pub multipliers: Vec<f64>,
    /// Holds arbitrary contents after a refused step: the next copy must be complete.
    #[serde(skip)]
    pub(crate) stale: bool,
}

impl PartialEq for State {
    /// Equality of every bit, NaN included.
    fn eq(&self, other: &Self) -> bool {
        bits::same(&self.x, &other.x)
            && self.measures == other.measures
            && self.slots == other.slots
            && bits::same(&self.records, &other.records)
            && bits::same(&self.multipliers, &other.multipliers)
    }
}

impl State {
    /// A state at `x` with the given slots and `records` columns, not measured yet.
    pub fn new(x: Vec<f64>, slots: Vec<Slot>, records: usize) -> Self {
        Self {
            x,
            measures: Measures::default(),
            slots,
            records: vec![0.0; records],
            multipliers: vec![],
            stale: false,
        }
    }
    /// Becomes equal to `other`, reusing storage; only what changed of a history is copied.
    pub fn copy_from(&mut self, other: &State) {
        let related = !self.stale && self.slots.len() == other.slots.len();
        self.x.clone_from(&other.x);
        self.measures = other.measures;
        self.records.clone_from(&other.records);
        self.multipliers.clone_from(&other.multipliers);
        if self.slots.len() == other.slots.len() {
            for (a, b) in self.slots.iter_mut().zip(&other.slots) {
                a.assign(b, related);
            }
        } else {
            self.slots.clone_from(&other.slots);
        }
        self.stale = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_keeps_the_newest_and_catches_up_exactly() {
        let mut a = History::new(3, 2);
        let mut b = a.clone();
        for k in 0..7 {
            a.push().copy_from_slice(&[k as f64, -(k as f64)]);
            if k % 2 == 1 {
                b.catch_up(&a, true);
                assert_eq!(a, b);
            }
        }
        b.catch_up(&a, true);
        assert_eq!(a.len(), 3);
        assert_eq!((a.get(0)[0], a.get(2)[0]), (4.0, 6.0));
        a.clear();
        a.push().copy_from_slice(&[9.0, 9.0]);
        b.catch_up(&a, true);
        assert_eq!(a, b);
        assert_eq!(b.get(0), &[9.0, 9.0]);
    }

    #[test]
    fn saved_states_come_back_in_every_bit() {
        let odd = f64::from_bits(0x7ff8_0000_0000_1234);
        let mut h = History::new(2, 1);
        h.push()[0] = 0.1 + 0.2;
        let mut s = State::new(
            vec![odd, -0.0, f64::NEG_INFINITY, 1e-310],
            vec![
                Slot::Number(odd),
                Slot::Count(u64::MAX),
                Slot::History(h),
                Slot::Record(vec![("inner".into(), Slot::Array(vec![1.0 / 3.0]))]),
            ],
            1,
        );
        s.measures.objective = 1.0 / 3.0;
        let text = serde_json::to_string(&s).expect("serializes");
        let back: State = serde_json::from_str(&text).expect("reads back");
        assert_eq!(s, back);
        assert_eq!(back.x[0].to_bits(), odd.to_bits());
        assert_eq!(back.x[1].to_bits(), (-0.0f64).to_bits());
    }

    #[test]
    fn coordinates_and_symmetric_blocks() {
        let mut l = PointLayout::new();
        l.push("t", vec![]);
        l.push("U", vec![2, 3]);
        l.push_symmetric("X", 3);
        assert_eq!(l.len(), 13);
        assert_eq!(l.coordinate(0), "t");
        assert_eq!(l.coordinate(4), "U[2, 1]");
        assert_eq!(l.coordinate(7), "X[1, 1]");
        assert_eq!(l.coordinate(9), "X[2, 2]");
        assert_eq!(l.coordinate(11), "X[3, 2]");
        let mut p = Point::zeros(Arc::new(l));
        let full = [1.0, 2.0, 4.0, 2.0, 3.0, 5.0, 4.0, 5.0, 6.0];
        assert!(p.set_array("X", &full));
        for (a, b) in p.array("X").expect("block").iter().zip(&full) {
            assert!((a - b).abs() < 1e-15);
        }
        // Inner products agree with the full matrix.
        let stored: f64 = p.block("X").expect("block").iter().map(|v| v * v).sum();
        assert!((stored - full.iter().map(|v| v * v).sum::<f64>()).abs() < 1e-12);
    }
}
