//! Brings the kernel's table to the rules: the difference, in one transaction.

use nlink::netlink::{Connection, Nftables};
use nlink::netlink::reconcile::ReconcileOptions;
use nlink::netlink::nftables::{Family, NftablesGroup};
use service_rules::RuleSet;

use crate::Error;
use crate::render::render;

/// The one table of the cluster in this network namespace.
pub struct Kernel {
    connection: Connection<Nftables>,
    table: String,
}

impl Kernel {
    pub fn open(table: impl Into<String>) -> Result<Self, Error> {
        Ok(Self { connection: Connection::<Nftables>::new()?, table: table.into() })
    }

    /// Gives the number of changes made. What is there already is left alone.
    pub async fn apply(&self, rules: &RuleSet) -> Result<usize, Error> {
        let declared = render(&self.table, rules);
        Ok(declared.apply_reconcile(&self.connection, ReconcileOptions::default()).await?.changes_made)
    }

    /// Removes the table. True when it was there.
    pub async fn clear(&self) -> Result<bool, Error> {
        Ok(self.connection.del_table_if_exists(self.table.as_str(), Family::Ip).await?)
    }

    /// A second connection that hears when somebody else removes the table (a firewall's reload does).
    pub(crate) fn listen() -> Result<Connection<Nftables>, Error> {
        let connection = Connection::<Nftables>::new()?;
        connection.subscribe(&[NftablesGroup::All])?;
        Ok(connection)
    }
}
