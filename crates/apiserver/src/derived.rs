//! Values derived from stored tables, always as fresh as the tables themselves.
//!
//! There is no poll and no watch: a reader compares pointers of the tables with those that the value was made from and
//! makes it anew when one differs. A write is therefore in force for the very next request.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use store::{Range, Store, TableId};

pub struct Derived<T> {
    tables: Vec<TableId>,
    build: Box<dyn Fn(&[Range]) -> T + Send + Sync>,
    current: ArcSwapOption<(Vec<Range>, Arc<T>)>,
}

impl<T> Derived<T> {
    pub fn new(tables: Vec<TableId>, build: impl Fn(&[Range]) -> T + Send + Sync + 'static) -> Self {
        Self { tables, build: Box::new(build), current: ArcSwapOption::empty() }
    }

    pub fn get(&self, store: &Store) -> Arc<T> {
        let view = store.view();
        let now: Vec<Range> = self.tables.iter().map(|t| view.table(*t)).collect();
        if let Some(current) = &*self.current.load()
            && current.0.iter().zip(&now).all(|(old, new)| old.is_same(new))
        {
            return current.1.clone();
        }
        let value = Arc::new((self.build)(&now));
        self.current.store(Some(Arc::new((now, value.clone()))));
        value
    }
}
