//! Compressed sparse rows.

/// A sparse matrix by compressed rows: sorted columns, no duplicates.
#[derive(Clone, Debug, PartialEq)]
pub struct Csr {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Row starts, `rows + 1` of them.
    pub indptr: Vec<usize>,
    /// Column of each entry.
    pub indices: Vec<usize>,
    /// Value of each entry.
    pub values: Vec<f64>,
}

/// A dense row-major matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// Entries, row-major.
    pub data: Vec<f64>,
}

impl Csr {
    /// All entries, zeros included.
    pub fn to_dense(&self) -> Dense {
        let mut data = vec![0.0; self.rows * self.cols];
        for i in 0..self.rows {
            for k in self.indptr[i]..self.indptr[i + 1] {
                data[i * self.cols + self.indices[k]] = self.values[k];
            }
        }
        Dense {
            rows: self.rows,
            cols: self.cols,
            data,
        }
    }
}
