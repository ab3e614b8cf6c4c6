//! NumPy's `.npy` arrays and `.npz` archives, sparse matrices as SciPy keeps them in archives among them.
//!
//! Invariant: no allocation is larger than the budget or than the bytes at hand can fill, whatever a header says; only
//! numbers are read (no pickled objects), and every one of them is finite.
//! Source: NumPy Enhancement Proposal 1 (the `.npy` format); PKWARE's APPNOTE 6.3 (archives).

use std::io::Read;

use ravine_linalg::Csr;

use super::{Input, errors};
use crate::base::Diagnostic;
use crate::base::value::{IndexSet, Storage, Tensor};

/// An array as its file holds it.
struct Array {
    shape: Vec<usize>,
    /// Row-major, unless `fortran`.
    data: Vec<f64>,
}

/// How one number is stored.
#[derive(Clone, Copy)]
struct Item {
    kind: u8,
    size: usize,
    big: bool,
}

/// Reads a `.npy` file. Errors: R0608 (header, kind of numbers, truncation), R0603 (a number that is not finite), R0309.
pub fn read_npy(input: &Input) -> Result<Tensor, Diagnostic> {
    let a = array(input, input.bytes, "")?;
    Ok(tensor(a))
}

/// Reads an array of a `.npz` archive: the one of that name, or the only one; a SciPy sparse matrix as a sparse matrix.
/// Errors: R0608, R0603, R0604 (no such array), R0309.
pub fn read_npz(input: &Input, wanted: Option<&str>) -> Result<Tensor, Diagnostic> {
    let members = members(input)?;
    let names: Vec<String> = members.iter().map(|m| m.0.clone()).collect();
    let get = |name: &str| -> Result<Array, Diagnostic> {
        let bytes = member(input, &members, name)?;
        array(input, &bytes, name)
    };
    let sparse = ["data", "indices", "indptr", "shape"];
    if wanted.is_none() && sparse.iter().all(|n| names.iter().any(|m| m == n)) {
        let by_column = names.iter().any(|n| n == "format") && {
            let bytes = member(input, &members, "format")?;
            text_of(&bytes).contains("csc")
        };
        return sparse_matrix(input, &get, by_column);
    }
    match (wanted, names.as_slice()) {
        (Some(n), _) if names.iter().any(|m| m == n) => Ok(tensor(get(n)?)),
        (Some(n), _) => Err(errors::no_such_array(input.name, n, &names)),
        (None, [one]) => Ok(tensor(get(one)?)),
        (None, []) => Err(errors::numpy(input.name, "the archive is empty")),
        (None, [first, ..]) => Err(errors::numpy(
            input.name,
            format!("the archive holds {}", errors::name_list(&names)),
        )
        .help(format!("name the one wanted: `array: {first}`"))),
    }
}

fn tensor(a: Array) -> Tensor {
    Tensor {
        dims: a.shape.iter().map(|n| IndexSet::upto(*n)).collect(),
        storage: Storage::Dense(a.data),
    }
}

fn sparse_matrix(
    input: &Input,
    get: &dyn Fn(&str) -> Result<Array, Diagnostic>,
    by_column: bool,
) -> Result<Tensor, Diagnostic> {
    let whole = |name: &str| -> Result<Vec<usize>, Diagnostic> {
        let a = get(name)?;
        let wrong = || errors::numpy(input.name, format!("`{name}` of the sparse matrix holds no indices"));
        a.data
            .iter()
            .map(|v| match *v >= 0.0 && v.fract() == 0.0 && *v < 9e15 {
                true => Ok(*v as usize),
                false => Err(wrong()),
            })
            .collect()
    };
    let (shape, indices, indptr) = (whole("shape")?, whole("indices")?, whole("indptr")?);
    let values = get("data")?.data;
    let broken = |what: &str| errors::numpy(input.name, format!("the sparse matrix is damaged: {what}"));
    let [rows, cols] = shape[..] else {
        return Err(broken("its shape is not that of a matrix"));
    };
    let (major, minor) = if by_column { (cols, rows) } else { (rows, cols) };
    let rises = indptr.windows(2).all(|w| w[0] <= w[1]);
    if indptr.len() != major.saturating_add(1) || !rises || indptr[0] != 0 || indptr[major] != values.len() {
        return Err(broken("`indptr` does not fit"));
    }
    if indices.len() != values.len() || indices.iter().any(|j| *j >= minor) {
        return Err(broken("`indices` does not fit"));
    }
    input.afford(
        (rows as u128 + 1) * 8 + values.len() as u128 * 24,
        &format!("a sparse matrix of {rows} rows"),
    )?;
    let mut entries = Vec::with_capacity(values.len());
    for i in 0..major {
        for k in indptr[i]..indptr[i + 1] {
            let (r, c) = if by_column { (indices[k], i) } else { (i, indices[k]) };
            entries.push((r, c, values[k]));
        }
    }
    Ok(Tensor::sparse(Csr::from_triplets(rows, cols, &entries)))
}

// ---- arrays ----------------------------------------------------------------------------------------------------------

fn array(input: &Input, bytes: &[u8], name: &str) -> Result<Array, Diagnostic> {
    let place = match name {
        "" => String::new(),
        n => format!("array `{}`: ", errors::excerpt(n)),
    };
    let fault = |what: String| errors::numpy(input.name, format!("{place}{what}"));
    let (head, body) = header(bytes).ok_or_else(|| fault("it does not begin like a NumPy array".into()))?;
    let descr = field(head, "descr").ok_or_else(|| fault("its header tells no kind of number".into()))?;
    let descr = descr.trim_matches(['\'', '"']);
    let fortran = field(head, "fortran_order").is_some_and(|v| v.starts_with("True"));
    let shape = field(head, "shape").ok_or_else(|| fault("its header tells no shape".into()))?;
    let shape: Option<Vec<usize>> = shape
        .trim_matches(['(', ')'])
        .split(',')
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .map(|n| n.trim_end_matches('L').parse().ok())
        .collect();
    let shape = shape.ok_or_else(|| fault("its shape is unreadable".into()))?;
    let item = item(descr).ok_or_else(|| {
        fault(format!("it holds `{}`, not numbers", errors::excerpt(descr)))
            .help("real and integer numbers and truth values are read: save it with `.astype(float)`")
    })?;
    let count = shape.iter().try_fold(1usize, |n, k| n.checked_mul(*k));
    let bytes_needed = count.and_then(|n| n.checked_mul(item.size));
    let (Some(count), Some(needed)) = (count, bytes_needed) else {
        return Err(fault(format!("its shape {shape:?} is larger than any memory")));
    };
    if body.len() < needed {
        return Err(fault(format!(
            "it ends after {} of the {} that its header promises",
            errors::bytes_text(body.len() as u128),
            errors::bytes_text(needed as u128)
        ))
        .help("the file seems to be truncated: fetch it again"));
    }
    input.afford(8 * count as u128, &format!("an array of {count} numbers"))?;
    let stored: Vec<f64> = body[..needed].chunks_exact(item.size).map(|b| value(item, b)).collect();
    let data = match fortran && shape.len() > 1 {
        true => by_rows(&stored, &shape),
        false => stored,
    };
    if let Some(k) = data.iter().position(|v| !v.is_finite()) {
        let mut rest = k;
        let mut at: Vec<String> = shape
            .iter()
            .rev()
            .map(|n| {
                let i = rest % n;
                rest /= n;
                (i + 1).to_string()
            })
            .collect();
        at.reverse();
        return Err(errors::not_finite(
            input.name,
            &format!("{place}entry [{}]", at.join(", ")),
            data[k],
        ));
    }
    Ok(Array { shape, data })
}

/// The header's text and what follows it.
fn header(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (version, rest) = rest.split_first()?;
    let (_, rest) = rest.split_first()?;
    let (len, rest) = match version {
        1 => (
            usize::from(u16::from_le_bytes(rest.get(..2)?.try_into().ok()?)),
            &rest[2..],
        ),
        2 | 3 => (u32::from_le_bytes(rest.get(..4)?.try_into().ok()?) as usize, &rest[4..]),
        _ => return None,
    };
    Some((std::str::from_utf8(rest.get(..len)?).ok()?, &rest[len..]))
}

/// The value of a key of the header, a dictionary as Python prints it.
fn field<'h>(head: &'h str, key: &str) -> Option<&'h str> {
    let at = head.find(&format!("'{key}'"))?;
    let rest = head[at..].split_once(':')?.1.trim_start();
    let end = match rest.starts_with('(') {
        true => rest.find(')')? + 1,
        false => rest.find([',', '}'])?,
    };
    Some(rest[..end].trim())
}

fn item(descr: &str) -> Option<Item> {
    let (order, rest) = match descr.as_bytes().first()? {
        b'<' | b'|' | b'=' => (false, &descr[1..]),
        b'>' => (true, &descr[1..]),
        _ => (false, descr),
    };
    let kind = *rest.as_bytes().first()?;
    let size: usize = rest.get(1..)?.parse().ok()?;
    let known = matches!((kind, size), (b'f', 4 | 8) | (b'i' | b'u', 1 | 2 | 4 | 8) | (b'b', 1));
    known.then_some(Item { kind, size, big: order })
}

fn value(item: Item, bytes: &[u8]) -> f64 {
    let mut b = [0u8; 8];
    for (k, x) in bytes.iter().enumerate().take(8) {
        let at = if item.big { item.size - 1 - k } else { k };
        b[at] = *x;
    }
    let bits = u64::from_le_bytes(b);
    match (item.kind, item.size) {
        (b'f', 4) => f64::from(f32::from_bits(bits as u32)),
        (b'f', _) => f64::from_bits(bits),
        (b'i', 1) => f64::from(bits as u8 as i8),
        (b'i', 2) => f64::from(bits as u16 as i16),
        (b'i', 4) => f64::from(bits as u32 as i32),
        (b'i', _) => bits as i64 as f64,
        _ => bits as f64,
    }
}

/// Column-major entries in row-major order.
fn by_rows(stored: &[f64], shape: &[usize]) -> Vec<f64> {
    let mut out = vec![0.0; stored.len()];
    for (k, o) in out.iter_mut().enumerate() {
        let (mut rest, mut at, mut stride) = (k, 0, stored.len());
        // Strides of the stored order fall from the last dimension to the first.
        for n in shape.iter().rev() {
            stride /= (*n).max(1);
            at += rest % n * stride;
            rest /= n;
        }
        *o = stored[at];
    }
    out
}

/// An array as a `.npy` file: `<f8`, row-major.
pub fn write_npy(shape: &[usize], data: &[f64]) -> Vec<u8> {
    let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
    let shape = match dims.as_slice() {
        [one] => format!("({one},)"),
        many => format!("({})", many.join(", ")),
    };
    let mut head = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
    // Magic, version, length and header end at a multiple of 64.
    while (10 + head.len() + 1) % 64 != 0 {
        head.push(' ');
    }
    head.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((head.len() as u16).to_le_bytes());
    out.extend(head.as_bytes());
    data.iter().for_each(|v| out.extend(v.to_le_bytes()));
    out
}

// ---- archives --------------------------------------------------------------------------------------------------------

/// A member of an archive: its name without `.npy`, and where its record stands in the directory.
type Member = (String, usize);

fn u16_at(b: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(b.get(at..at + 2)?.try_into().ok()?)))
}

fn u32_at(b: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(b.get(at..at + 4)?.try_into().ok()?) as usize)
}

fn members(input: &Input) -> Result<Vec<Member>, Diagnostic> {
    let b = input.bytes;
    let damaged = || errors::numpy(input.name, "the archive is damaged or truncated").help("fetch the file again");
    // The end record stands last, behind at most 64 KiB of comment.
    let end = (b.len().saturating_sub(66_000)..b.len().saturating_sub(21))
        .rev()
        .find(|at| b[*at..].starts_with(b"PK\x05\x06"))
        .ok_or_else(damaged)?;
    let count = u16_at(b, end + 10).ok_or_else(damaged)?;
    let mut at = u32_at(b, end + 16).ok_or_else(damaged)?;
    let mut out = vec![];
    for _ in 0..count {
        if !b.get(at..).is_some_and(|r| r.starts_with(b"PK\x01\x02")) {
            return Err(damaged());
        }
        let len = |k: usize| u16_at(b, at + k).ok_or_else(damaged);
        let (name, extra, comment) = (len(28)?, len(30)?, len(32)?);
        let text = b.get(at + 46..at + 46 + name).ok_or_else(damaged)?;
        let text = String::from_utf8_lossy(text);
        out.push((text.strip_suffix(".npy").unwrap_or(&text).to_string(), at));
        at += 46 + name + extra + comment;
    }
    Ok(out)
}

/// The bytes of a member, unpacked.
fn member(input: &Input, members: &[Member], name: &str) -> Result<Vec<u8>, Diagnostic> {
    let b = input.bytes;
    let damaged = || errors::numpy(input.name, format!("array `{}` is damaged", errors::excerpt(name)));
    let at = members.iter().find(|m| m.0 == name).ok_or_else(damaged)?.1;
    let word = |k: usize| u32_at(b, at + k).ok_or_else(damaged);
    let (method, packed, size, local) = (u16_at(b, at + 10).ok_or_else(damaged)?, word(20)?, word(24)?, word(42)?);
    if packed == u32::MAX as usize || size == u32::MAX as usize || local == u32::MAX as usize {
        return Err(
            errors::numpy(input.name, "archives of more than 4 GB are not read").help("save the array as `.npy`")
        );
    }
    let skip = |k: usize| u16_at(b, local + k).ok_or_else(damaged);
    let start = local + 30 + skip(26)? + skip(28)?;
    let stored = b.get(start..start + packed).ok_or_else(damaged)?;
    match method {
        0 => Ok(stored.to_vec()),
        8 => {
            input.afford(size as u128, &format!("array `{}`", errors::excerpt(name)))?;
            let mut out = vec![];
            flate2::read::DeflateDecoder::new(stored)
                .take(size as u64 + 1)
                .read_to_end(&mut out)
                .map_err(|_| damaged())?;
            match out.len() == size {
                true => Ok(out),
                false => Err(damaged()),
            }
        }
        _ => Err(errors::numpy(
            input.name,
            format!("array `{}` is packed in a way that is not read", errors::excerpt(name)),
        )),
    }
}

/// The characters of a text array.
fn text_of(bytes: &[u8]) -> String {
    let body = header(bytes).map_or(bytes, |h| h.1);
    body.iter()
        .filter(|b| b.is_ascii_graphic())
        .map(|b| *b as char)
        .collect()
}
