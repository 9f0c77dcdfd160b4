//! What was measured, as a table for people and as JSON.

use std::fmt;

use serde::Serialize;

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub struct Table {
    pub rows: Vec<Row>,
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub scenario: String,
    pub what: String,
    pub unit: &'static str,
    pub chancery: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
}

/// What must be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Bound {
    /// At most this often the floor's.
    TimesFloor(f64),
    /// At most this.
    AtMost(f64),
}

impl Row {
    /// Whether what must be is; `None` where nothing must.
    pub fn holds(&self) -> Option<bool> {
        match self.bound? {
            Bound::TimesFloor(most) => Some(self.chancery <= most * self.floor?),
            Bound::AtMost(most) => Some(self.chancery <= most),
        }
    }
}

impl Table {
    pub fn add(&mut self, row: Row) {
        println!("{row}");
        self.rows.push(row);
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, what, unit, chancery, floor, bound } = self;
        write!(f, "{scenario:<46} {what:<26} {chancery:>10.2} {unit:<5}")?;
        match floor {
            Some(floor) => write!(f, " {floor:>10.2} {:>6.2}×", chancery / floor)?,
            None => write!(f, " {:>10} {:>7}", "", "")?,
        }
        match bound {
            Some(Bound::TimesFloor(most)) => write!(f, "  ≤ {most}×")?,
            Some(Bound::AtMost(most)) => write!(f, "  ≤ {most} {unit}")?,
            None => {}
        }
        match self.holds() {
            Some(true) => f.write_str("  holds"),
            Some(false) => f.write_str("  BROKEN"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<46} {:<26} {:>10} {:<5} {:>10} {:>7}  bound",
            "scenario", "figure", "chancery", "", "floor", "ratio"
        )?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
