//! The catalog's flows, for the flows that start them.

use std::sync::Arc;

use super::Catalog;
use crate::engine::lookup::Lookup;
use crate::flow::Flow;
use crate::task::TaskError;

impl Lookup for Catalog {
    fn find(&self, namespace: &str, id: &str) -> Result<Arc<Flow>, TaskError> {
        let missing = || TaskError::permanent(format!("there is no flow `{id}` in the namespace `{namespace}`"));
        self.flow(namespace, id).ok_or_else(missing)
    }
}
