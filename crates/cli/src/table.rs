//! Aligned tables and figures with units.

/// Rows of cells in columns as wide as their widest cell. Columns named in `right` are aligned to the right.
pub fn table(head: &[&str], right: &[usize], rows: &[Vec<String>]) -> String {
    let mut width = head.iter().map(|h| h.chars().count()).collect::<Vec<_>>();
    for row in rows {
        for (w, cell) in width.iter_mut().zip(row) {
            *w = (*w).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let mut out = String::new();
        for (i, (cell, w)) in cells.iter().zip(&width).enumerate() {
            let pad = " ".repeat(w - cell.chars().count().min(*w));
            if i > 0 {
                out.push_str("  ");
            }
            if right.contains(&i) {
                out.push_str(&pad);
                out.push_str(cell);
            } else {
                out.push_str(cell);
                out.push_str(&pad);
            }
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    };
    let mut out = line(&head.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>());
    rows.iter().for_each(|r| out.push_str(&line(r)));
    out
}

/// Lines of `key  value`.
pub fn fields(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(k, _)| k.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(k, v)| format!("{k}{}  {v}\n", " ".repeat(width - k.chars().count()))).collect()
}

/// Bytes with a binary unit.
pub fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut x = n as f64;
    let mut unit = 0;
    while x >= 1024.0 && unit + 1 < units.len() {
        x /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{x:.1} {}", units[unit]) }
}

/// A whole number with thousands marked.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Milliseconds with three significant figures or more.
pub fn ms(x: f64) -> String {
    match x {
        x if x >= 100.0 => format!("{x:.0} ms"),
        x if x >= 10.0 => format!("{x:.1} ms"),
        x if x >= 1.0 => format!("{x:.2} ms"),
        x if x >= 0.1 => format!("{:.0} us", x * 1e3),
        x => format!("{:.1} us", x * 1e3),
    }
}

/// A small number, in scientific form where it helps.
pub fn number(x: f64) -> String {
    match x {
        0.0 => "0".into(),
        x if !x.is_finite() => "-".into(),
        x if x.abs() >= 0.01 && x.abs() < 1e5 => format!("{x:.4}"),
        x => format!("{x:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_carry_units() {
        assert_eq!((bytes(17).as_str(), bytes(1536).as_str()), ("17 B", "1.5 KiB"));
        assert_eq!((count(1_234_567).as_str(), count(12).as_str()), ("1,234,567", "12"));
        assert_eq!((ms(123.4).as_str(), ms(0.0123).as_str()), ("123 ms", "12.3 us"));
    }

    #[test]
    fn columns_line_up() {
        let t = table(&["name", "n"], &[1], &[vec!["a".into(), "10".into()], vec!["long".into(), "5".into()]]);
        assert_eq!(t, "name   n\na     10\nlong   5\n");
    }
}
