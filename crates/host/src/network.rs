//! The cluster's own link and the routes that lead to it.
//!
//! The link is a bridge without ports: it carries the node-local address (where DNS listens) and the route of the service range, so that
//! services can be reached from the host even where no default route exists. Never touches a link without the cluster's tag.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use nlink::netlink::addr::Ipv4Address;
use nlink::netlink::link::BridgeLink;
use nlink::netlink::route::Ipv4Route;
use nlink::netlink::{Connection, Route};

use crate::{Error, Layout};

/// What the link carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// First address of the pod range: gateway of every pod, and where DNS listens.
    pub gateway: Ipv4Addr,
    pub service_base: Ipv4Addr,
    pub service_prefix: u8,
}

impl Network {
    /// From `10.42.0.0/24` and `10.43.0.0/16`.
    pub fn new(pod_cidr: &str, service_cidr: &str) -> Result<Self, Error> {
        let (pods, _) = parse_cidr(pod_cidr)?;
        let (service_base, service_prefix) = parse_cidr(service_cidr)?;
        Ok(Self { gateway: Ipv4Addr::from_bits(pods.to_bits() + 1), service_base, service_prefix })
    }

    /// Makes the link, its address and its route; what is there already stays. Switches IPv4 forwarding on.
    pub async fn lay(&self, layout: &Layout) -> Result<(), Error> {
        let name = layout.link();
        let connection = connect()?;
        if connection.get_link_by_name(name.as_str()).await.map_err(Error::network("reading the links"))?.is_none() {
            connection.add_link(BridgeLink::new(&name)).await.map_err(Error::network(format!("making the link {name}")))?;
        }
        let address = Ipv4Address::new(&name, self.gateway, 32);
        connection.replace_address(address).await.map_err(Error::network(format!("giving {name} the address {}", self.gateway)))?;
        connection.set_link_up(name.as_str()).await.map_err(Error::network(format!("switching {name} on")))?;
        let route = Ipv4Route::from_addr(self.service_base, self.service_prefix).dev(&name).prefsrc(self.gateway);
        connection.replace_route(route).await.map_err(Error::network("routing the service range"))?;
        let forwarding = "/proc/sys/net/ipv4/ip_forward";
        if std::fs::read_to_string(forwarding).map_err(Error::file(forwarding))?.trim() != "1" {
            std::fs::write(forwarding, "1").map_err(Error::file(forwarding))?;
        }
        Ok(())
    }

    /// Removes the link and, with it, its address and route. True when it was there.
    pub async fn clear(layout: &Layout) -> Result<bool, Error> {
        let name = layout.link();
        connect()?.del_link_if_exists(name.as_str()).await.map_err(Error::network(format!("removing the link {name}")))
    }
}

/// The ranges other links of this machine route already, as (network, prefix, link).
pub(crate) async fn routed_ranges() -> Result<Vec<(Ipv4Addr, u8, String)>, Error> {
    let connection = connect()?;
    let names = connection.get_interface_names().await.map_err(Error::network("reading the links"))?;
    let routes = connection.get_routes().await.map_err(Error::network("reading the routes"))?;
    Ok(routes
        .iter()
        .filter(|route| route.dst_len() > 0 && route.table_id() == 254)
        .filter_map(|route| match route.destination() {
            Some(IpAddr::V4(to)) => {
                let name = route.oif().and_then(|index| names.get(&index)).cloned().unwrap_or_default();
                Some((*to, route.dst_len(), name))
            }
            _ => None,
        })
        .collect())
}

/// The address by which the machine is known: that of its default route, else the first one that is not loopback.
pub async fn node_address() -> Result<IpAddr, Error> {
    // Connecting a datagram socket sends nothing; it only asks the routing table for the source address.
    let by_route = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    if let Ok(address) = by_route
        && !address.ip().is_unspecified()
        && !address.ip().is_loopback()
    {
        return Ok(address.ip());
    }
    let addresses = connect()?.get_addresses().await.map_err(Error::network("reading the addresses"))?;
    addresses
        .iter()
        .filter_map(|a| a.address().copied())
        .find(|a| a.is_ipv4() && !a.is_loopback())
        .ok_or_else(|| Error::Network { what: "looking for this node's address".into(), why: "no interface has one but loopback".into() })
}

pub(crate) fn parse_cidr(text: &str) -> Result<(Ipv4Addr, u8), Error> {
    let wrong = |why: &str| Error::Network { what: format!("the range {text:?}"), why: why.into() };
    let (base, prefix) = text.split_once('/').ok_or_else(|| wrong("is not written like 10.42.0.0/24"))?;
    let base: Ipv4Addr = base.parse().map_err(|_| wrong("is not an IPv4 range"))?;
    let prefix: u8 = prefix.parse().map_err(|_| wrong("has no prefix length"))?;
    if !(8..=28).contains(&prefix) {
        return Err(wrong("must have a prefix length from 8 to 28"));
    }
    if base.to_bits() & (u32::MAX >> prefix) != 0 {
        return Err(wrong("has bits set beyond its prefix"));
    }
    Ok((base, prefix))
}

fn connect() -> Result<Connection<Route>, Error> {
    Connection::<Route>::new().map_err(Error::network("opening a netlink socket"))
}
