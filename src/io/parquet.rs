//! Parquet tables, where the feature `parquet` builds them in: flat columns of numbers, truth values and texts.
//!
//! Invariant: a file says exactly what the table of separated values with the same rows says, so that one reader knows
//! what tables mean; without the feature every use of a `.parquet` file is one error that says how to build with it.

use super::Input;
#[cfg(feature = "parquet")]
use super::errors;
use crate::base::value::Table;
use crate::base::{Code, Diagnostic};

/// R0190: this program was built without the feature.
pub fn not_built_in(name: &str) -> Diagnostic {
    Diagnostic::new(
        Code::NotBuiltYet,
        format!("`{name}`: this `ravine` was built without Parquet files"),
    )
    .help(
        "build it with `cargo install --path . --features parquet`, or save the table as `.csv`, its columns as `.npy`",
    )
}

/// The rows of a file as the text of a table, their names above. Errors: R0602 (no Parquet file, damaged, nested
/// columns), R0309.
#[cfg(not(feature = "parquet"))]
pub fn as_csv(input: &Input) -> Result<Vec<u8>, Diagnostic> {
    Err(not_built_in(input.name))
}

/// A table as a file: numbers as `DOUBLE`, texts as `STRING`, compressed by Snappy. Errors: R0607.
#[cfg(not(feature = "parquet"))]
pub fn write(name: &str, _: &Table) -> Result<Vec<u8>, Diagnostic> {
    Err(not_built_in(name))
}

#[cfg(feature = "parquet")]
pub use built_in::{as_csv, write};

#[cfg(feature = "parquet")]
mod built_in {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
    use parquet::errors::ParquetError;
    use parquet::file::properties::WriterProperties;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::file::writer::SerializedFileWriter;
    use parquet::record::Field;
    use parquet::schema::types::Type;

    use super::{Code, Diagnostic, Input, Table, errors};
    use crate::base::value::Column;

    /// The rows of a file as the text of a table, their names above. Errors: R0602 (no Parquet file, damaged, nested
    /// columns), R0309.
    pub fn as_csv(input: &Input) -> Result<Vec<u8>, Diagnostic> {
        // The library asserts some of what a damaged file may claim; here that is an error like any other.
        catch_unwind(AssertUnwindSafe(|| rows(input))).unwrap_or_else(|_| Err(damaged(input.name, "it is damaged")))
    }

    fn damaged(name: &str, why: impl std::fmt::Display) -> Diagnostic {
        errors::table(name, format!("cannot be read as Parquet: {why}"))
    }

    fn rows(input: &Input) -> Result<Vec<u8>, Diagnostic> {
        let wrong = |e: ParquetError| damaged(input.name, e);
        let reader = SerializedFileReader::new(bytes::Bytes::copy_from_slice(input.bytes)).map_err(wrong)?;
        let about = reader.metadata();
        let unpacked: i128 = about.row_groups().iter().map(|g| i128::from(g.total_byte_size())).sum();
        let held = input.bytes.len() as u128 + u128::try_from(unpacked).unwrap_or(0);
        input.afford(held, "the unpacked columns")?;
        let fields = about.file_metadata().schema().get_fields();
        let nested = |f: &Type| !f.is_primitive() || f.get_basic_info().repetition() == Repetition::REPEATED;
        if let Some(f) = fields.iter().find(|f| nested(f)) {
            let what = format!(
                "has a column `{}` of lists or records; tables hold numbers, truth values and texts",
                errors::excerpt(f.name())
            );
            return Err(errors::table(input.name, what).help("leave it out where the file is written"));
        }
        let mut out = csv::Writer::from_writer(vec![]);
        let full = |e: csv::Error| errors::table(input.name, e);
        out.write_record(fields.iter().map(|f| f.name())).map_err(full)?;
        let mut taken = held;
        for (k, row) in reader.get_row_iter(None).map_err(wrong)?.enumerate() {
            let row = row.map_err(wrong)?;
            let texts: Vec<String> = row.get_column_iter().map(|(_, f)| text(f)).collect();
            taken += texts.iter().map(|t| t.len() as u128 + 1).sum::<u128>();
            if k % 1024 == 0 {
                input.afford(taken, &format!("the text of {} rows", k + 1))?;
            }
            out.write_record(texts).map_err(full)?;
        }
        out.into_inner().map_err(|e| errors::table(input.name, e))
    }

    /// A field as a table shows it; nothing for a missing value.
    fn text(f: &Field) -> String {
        match f {
            Field::Null => String::new(),
            Field::Bool(b) => u8::from(*b).to_string(),
            Field::Double(v) => format!("{v:?}"),
            Field::Float(v) => format!("{:?}", f64::from(*v)),
            Field::Float16(v) => format!("{:?}", v.to_f64()),
            Field::Str(t) => t.clone(),
            Field::Bytes(b) => String::from_utf8_lossy(b.data()).into_owned(),
            other => other.to_string(),
        }
    }

    /// A table as a file: numbers as `DOUBLE`, texts as `STRING`, compressed by Snappy. Errors: R0607.
    pub fn write(name: &str, t: &Table) -> Result<Vec<u8>, Diagnostic> {
        put(t).map_err(|e| Diagnostic::new(Code::CannotWrite, format!("`{name}` cannot be written: {e}")))
    }

    fn put(t: &Table) -> Result<Vec<u8>, ParquetError> {
        let mut fields = vec![];
        for (name, c) in &t.columns {
            let (physical, logical) = match c {
                Column::Numbers(_) => (Physical::DOUBLE, None),
                Column::Texts(..) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            };
            let f = Type::primitive_type_builder(name, physical)
                .with_logical_type(logical)
                .with_repetition(Repetition::REQUIRED)
                .build()?;
            fields.push(Arc::new(f));
        }
        let schema = Type::group_type_builder("table").with_fields(fields).build()?;
        let how = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut file = SerializedFileWriter::new(vec![], Arc::new(schema), Arc::new(how))?;
        let mut group = file.next_row_group()?;
        for (_, c) in &t.columns {
            let Some(mut column) = group.next_column()? else { break };
            match c {
                Column::Numbers(v) => column.typed::<DoubleType>().write_batch(v, None, None)?,
                Column::Texts(v, _) => {
                    let v: Vec<ByteArray> = v.iter().map(|t| t.as_str().into()).collect();
                    column.typed::<ByteArrayType>().write_batch(&v, None, None)?
                }
            };
            column.close()?;
        }
        group.close()?;
        file.into_inner()
    }
}
