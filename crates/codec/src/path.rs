//! Where in a document a decoder stands, printed the two ways upstream prints it.

/// One step: a field, a map key, or a list index.
#[derive(Debug, Clone)]
enum Step {
    Name(String),
    Index(usize),
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Path(Vec<Step>);

impl Path {
    pub fn push_name(&mut self, name: &str) {
        self.0.push(Step::Name(name.to_owned()));
    }

    pub fn push_index(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }

    pub fn pop(&mut self) {
        self.0.pop();
    }

    /// `spec.containers[0].image`, as strict decoding reports it.
    pub fn strict(&self, last: &str) -> String {
        let mut out = String::new();
        for step in &self.0 {
            match step {
                Step::Name(name) => {
                    if !out.is_empty() {
                        out.push('.');
                    }
                    out.push_str(name);
                }
                Step::Index(index) => out.push_str(&format!("[{index}]")),
            }
        }
        if !out.is_empty() && !last.is_empty() {
            out.push('.');
        }
        out + last
    }

    /// `spec.containers.image`, as Go's unmarshal errors print it.
    pub fn go(&self) -> String {
        let names = self.0.iter().filter_map(|s| match s {
            Step::Name(name) => Some(name.as_str()),
            Step::Index(_) => None,
        });
        names.collect::<Vec<_>>().join(".")
    }
}
