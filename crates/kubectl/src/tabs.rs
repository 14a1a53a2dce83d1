//! Columns aligned as Go's text/tabwriter aligns them: a column is a run of lines that have a cell in it.
//!
//! Cells end with tabs, the last of a line does not count for widths.
// Upstream: Go text/tabwriter (format, writeLines); liggitt/tabwriter for widths kept over flushes.

pub struct Tabs {
    min: usize,
    padding: usize,
    text: String,
    remembered: Option<Vec<usize>>,
}

impl Tabs {
    /// The settings of tables.
    pub fn table() -> Self {
        Self { min: 6, padding: 3, text: String::new(), remembered: Some(Vec::new()) }
    }

    /// The settings of descriptions.
    pub fn describe() -> Self {
        Self { min: 0, padding: 2, text: String::new(), remembered: None }
    }

    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
        self.text.push_str(&cells.join("\t"));
        self.text.push('\n');
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The aligned text of what came since the last flush.
    pub fn flush(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
        let mut out = String::with_capacity(text.len() * 2);
        let mut remembered = self.remembered.take();
        let mut layout = Layout { lines: &lines, widths: Vec::new(), min: self.min, padding: self.padding, remembered: remembered.as_mut(), out: &mut out };
        layout.format(0, lines.len());
        self.remembered = remembered;
        out
    }
}

struct Layout<'a> {
    lines: &'a [Vec<&'a str>],
    widths: Vec<usize>,
    min: usize,
    padding: usize,
    remembered: Option<&'a mut Vec<usize>>,
    out: &'a mut String,
}

impl Layout<'_> {
    fn format(&mut self, mut from: usize, to: usize) {
        let column = self.widths.len();
        let mut at = from;
        while at < to {
            if column + 1 >= self.lines[at].len() {
                at += 1;
                continue;
            }
            self.write(from, at);
            from = at;
            let mut width = self.min;
            while at < to && column + 1 < self.lines[at].len() {
                width = width.max(self.lines[at][column].chars().count() + self.padding);
                at += 1;
            }
            if let Some(remembered) = self.remembered.as_deref_mut() {
                if remembered.len() <= column {
                    remembered.resize(column + 1, 0);
                }
                width = width.max(remembered[column]);
                remembered[column] = width;
            }
            self.widths.push(width);
            self.format(from, at);
            self.widths.pop();
            from = at;
        }
        self.write(from, to);
    }

    fn write(&mut self, from: usize, to: usize) {
        for at in from..to {
            for (column, cell) in self.lines[at].iter().enumerate() {
                self.out.push_str(cell);
                if let Some(width) = self.widths.get(column) {
                    for _ in cell.chars().count()..*width {
                        self.out.push(' ');
                    }
                }
            }
            if at + 1 < self.lines.len() {
                self.out.push('\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tabs;

    #[test]
    fn columns_are_runs_of_lines() {
        let mut tabs = Tabs::describe();
        tabs.push("Name:\tx\nLabels:\t<none>\nplain\nA:\tb\tc\nLonger:\td\n");
        assert_eq!(tabs.flush(), "Name:    x\nLabels:  <none>\nplain\nA:       b  c\nLonger:  d\n");
    }

    #[test]
    fn tables_keep_their_widths() {
        let mut tabs = Tabs::table();
        tabs.push("NAME\tAGE\nlong-name\t1s\n");
        assert_eq!(tabs.flush(), "NAME        AGE\nlong-name   1s\n");
        tabs.push("a\t2s\n");
        assert_eq!(tabs.flush(), "a           2s\n");
    }
}
