//! Linear algebra for Ravine.
