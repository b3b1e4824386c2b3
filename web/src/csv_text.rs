//! Rows for spreadsheets.

/// What a cell begins with that a spreadsheet takes for a formula.
const FORMULA_STARTS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// A text of somebody else's: never a formula. Numbers and dates are ours and stay as they are.
pub(crate) fn text(text: String) -> String {
    if text.starts_with(FORMULA_STARTS) { format!("'{text}") } else { text }
}

/// Rows as CSV.
pub(crate) fn write<'c>(
    rows: impl Iterator<Item = impl IntoIterator<Item = impl AsRef<[u8]> + 'c>>,
) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("writing to memory");
    }
    writer.into_inner().expect("writing to memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_taken_for_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(text(formula.to_owned()), format!("'{formula}"));
        }
        for harmless in ["ORD-1", "", "a=b", "'=1"] {
            assert_eq!(text(harmless.to_owned()), harmless);
        }
    }
}
