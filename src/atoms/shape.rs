//! Shape rules: argument shapes to the result's shape, or the sentence that says what does not fit.
//!
//! Invariant: a sentence names both shapes; sets were compared by name before, here only lengths are left.

type Rule = Result<Vec<usize>, String>;

/// A shape as people write it: `3×4`, `5`, `a number`.
pub fn say(shape: &[usize]) -> String {
    match shape {
        [] => "a number".into(),
        [n] => format!("a vector of {n}"),
        [r, c] => format!("a {r}×{c} matrix"),
        more => format!(
            "a {} array",
            more.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
        ),
    }
}

fn count(shapes: &[&[usize]], n: usize) -> Result<(), String> {
    if shapes.len() == n {
        Ok(())
    } else {
        Err(format!("takes {n} arguments, found {}", shapes.len()))
    }
}

/// A number, whatever the arguments.
pub fn number(_: &[&[usize]]) -> Rule {
    Ok(vec![])
}

/// Two arrays of one shape.
pub fn same(shapes: &[&[usize]]) -> Rule {
    count(shapes, 2)?;
    if shapes[0] != shapes[1] {
        return Err(format!(
            "the two sides differ in shape: {} and {}",
            say(shapes[0]),
            say(shapes[1])
        ));
    }
    Ok(shapes[0].to_vec())
}

/// A number and an array.
pub fn scaled(shapes: &[&[usize]]) -> Rule {
    count(shapes, 2)?;
    if !shapes[0].is_empty() {
        return Err(format!("the first argument is a number, found {}", say(shapes[0])));
    }
    Ok(shapes[1].to_vec())
}

/// Matrix times matrix or vector.
pub fn product(shapes: &[&[usize]]) -> Rule {
    count(shapes, 2)?;
    match (shapes[0], shapes[1]) {
        ([m, k], [l]) if k == l => Ok(vec![*m]),
        ([m, k], [l, n]) if k == l => Ok(vec![*m, *n]),
        (a, b) => Err(format!("{} cannot multiply {}", say(a), say(b))),
    }
}

/// Transpose of a matrix.
pub fn transpose(shapes: &[&[usize]]) -> Rule {
    count(shapes, 1)?;
    match shapes[0] {
        [m, n] => Ok(vec![*n, *m]),
        s => Err(format!("takes a matrix, found {}", say(s))),
    }
}

/// Square matrix to a number.
pub fn square_to_number(shapes: &[&[usize]]) -> Rule {
    square(shapes).map(|_| vec![])
}

/// Square matrix to a matrix of its shape.
pub fn square(shapes: &[&[usize]]) -> Rule {
    count(shapes, 1)?;
    match shapes[0] {
        [m, n] if m == n => Ok(vec![*m, *n]),
        s => Err(format!("takes a square matrix, found {}", say(s))),
    }
}

/// Any matrix to a number.
pub fn matrix_to_number(shapes: &[&[usize]]) -> Rule {
    count(shapes, 1)?;
    match shapes[0] {
        [_, _] => Ok(vec![]),
        s => Err(format!("takes a matrix, found {}", say(s))),
    }
}

/// Any matrix to a matrix of its shape.
pub fn matrix(shapes: &[&[usize]]) -> Rule {
    matrix_to_number(shapes).map(|_| shapes[0].to_vec())
}

/// Vector to the square matrix with it on the diagonal.
pub fn diagonal(shapes: &[&[usize]]) -> Rule {
    count(shapes, 1)?;
    match shapes[0] {
        [n] => Ok(vec![*n, *n]),
        s => Err(format!("takes a vector, found {}", say(s))),
    }
}

/// Square matrix to its diagonal.
pub fn diagonal_part(shapes: &[&[usize]]) -> Rule {
    square(shapes).map(|s| vec![s[0]])
}

/// Two vectors to their outer product.
pub fn outer(shapes: &[&[usize]]) -> Rule {
    count(shapes, 2)?;
    match (shapes[0], shapes[1]) {
        ([m], [n]) => Ok(vec![*m, *n]),
        (a, b) => Err(format!("takes two vectors, found {} and {}", say(a), say(b))),
    }
}

/// Matrix and right-hand sides of a linear system.
pub fn solve(shapes: &[&[usize]]) -> Rule {
    count(shapes, 2)?;
    match (shapes[0], shapes[1]) {
        ([m, n], [k]) if m == k => Ok(vec![*n]),
        ([m, n], [k, r]) if m == k => Ok(vec![*n, *r]),
        (a, b) => Err(format!(
            "{} cannot be the matrix of a system with right-hand side {}",
            say(a),
            say(b)
        )),
    }
}

/// Vector and square matrix to a number.
pub fn quad(shapes: &[&[usize]]) -> Rule {
    count(shapes, 2)?;
    match (shapes[0], shapes[1]) {
        ([n], [r, c]) if n == r && n == c => Ok(vec![]),
        (x, p) => Err(format!(
            "takes a vector of n and an n×n matrix, found {} and {}",
            say(x),
            say(p)
        )),
    }
}

/// Numbers to the vector of them.
pub fn stack(shapes: &[&[usize]]) -> Rule {
    match shapes.iter().find(|s| !s.is_empty()) {
        Some(s) => Err(format!("takes numbers, found {}", say(s))),
        None => Ok(vec![shapes.len()]),
    }
}

/// Two vectors one after the other, or two matrices one above the other.
pub fn concat(shapes: &[&[usize]]) -> Rule {
    count(shapes, 2)?;
    match (shapes[0], shapes[1]) {
        ([m], [n]) => Ok(vec![m + n]),
        ([m, k], [n, l]) if k == l => Ok(vec![m + n, *k]),
        (a, b) => Err(format!("{} cannot stand above {}", say(a), say(b))),
    }
}

/// Convolution of two vectors that are not empty.
pub fn conv(shapes: &[&[usize]]) -> Rule {
    count(shapes, 2)?;
    match (shapes[0], shapes[1]) {
        ([m], [n]) if *m > 0 && *n > 0 => Ok(vec![m + n - 1]),
        ([_], [_]) => Err("takes two vectors with entries, one has none".into()),
        (a, b) => Err(format!("takes two vectors, found {} and {}", say(a), say(b))),
    }
}

/// Kronecker product of two matrices.
pub fn kron(shapes: &[&[usize]]) -> Rule {
    count(shapes, 2)?;
    match (shapes[0], shapes[1]) {
        ([m, n], [p, q]) => Ok(vec![m * p, n * q]),
        (a, b) => Err(format!("takes two matrices, found {} and {}", say(a), say(b))),
    }
}

/// A vector and a number to a number.
pub fn vector_and_number(shapes: &[&[usize]]) -> Rule {
    vector_kept(shapes).map(|_| vec![])
}

/// A vector and a number to a vector of its length.
pub fn vector_kept(shapes: &[&[usize]]) -> Rule {
    count(shapes, 2)?;
    match (shapes[0], shapes[1]) {
        ([n], []) => Ok(vec![*n]),
        (a, b) => Err(format!("takes a vector and a number, found {} and {}", say(a), say(b))),
    }
}

/// A vector to a vector of its length.
pub fn vector_alone(shapes: &[&[usize]]) -> Rule {
    count(shapes, 1)?;
    match shapes[0] {
        [n] => Ok(vec![*n]),
        s => Err(format!("takes a vector, found {}", say(s))),
    }
}
