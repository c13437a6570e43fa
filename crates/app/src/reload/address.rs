//! Where backends that clients named may be: on the internet, and nowhere near this machine.
//!
//! A client that may name a URL would otherwise have the router ask the metadata service of its cloud,
//! the database next door, or itself. A name says nothing about where it leads, and may lead elsewhere
//! a second later. So each connection is made to an address that was looked at, not to a name.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use mcp_router_transport::client::{ByteStream, Dial};
use tokio::net::{TcpStream, lookup_host};

/// Connects to public addresses alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicOnly;

/// What is said of others.
const REFUSED: &str = "not a public address: `registration.allow_private` is not set";

impl Dial for PublicOnly {
    fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>> {
        let host = host.to_owned();
        async move {
            let mut last = io::Error::from(io::ErrorKind::HostUnreachable);
            for address in public(&host, port).await? {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        stream.set_nodelay(true)?;
                        return Ok(Box::new(stream) as Box<dyn ByteStream>);
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
        .boxed()
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        async move { public(&host, port).await }.boxed()
    }
}

impl PublicOnly {
    /// As what an edge takes.
    pub(crate) fn dial() -> Arc<dyn Dial> {
        Arc::new(Self)
    }
}

/// Where `host` is, if every one of its addresses is public.
///
/// # Errors
/// If one is not, or there is none.
pub(crate) async fn public(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let refused = || io::Error::new(io::ErrorKind::PermissionDenied, REFUSED);
    // `0177.0.0.1`, `127.1` and `2130706433` are addresses to some resolvers and names to others.
    if looks_like_a_number(host) && host.parse::<Ipv4Addr>().is_err() {
        return Err(refused());
    }
    let found: Vec<_> = match host.parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => lookup_host((host, port)).await?.collect(),
    };
    match found.iter().all(|address| is_public(address.ip())) {
        true => Ok(found),
        false => Err(refused()),
    }
}

/// Whether the last part of a host is a number, as in every spelling of an IPv4 address.
fn looks_like_a_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next();
    last.is_some_and(|part| {
        let hex = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        hex.map_or_else(
            || digits(part),
            |hex| hex.bytes().all(|b| b.is_ascii_hexdigit()),
        )
    })
}

/// Whether an address is one of the internet's, that anybody may be asked at.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0 // this network
        || a >= 240 // reserved
        || (a, b & 0xc0) == (100, 64) // shared by customers of a carrier
        || (a, b, c) == (192, 0, 0) // protocol assignments
        || (a, b, c) == (192, 88, 99) // relays of 6to4
        || (a, b & 0xfe) == (198, 18); // benchmarks
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    // Only 2000::/3 is given out at all: loopback, link-local, site-local, unique local, multicast,
    // the mapped and compatible ones and both NAT64 prefixes are elsewhere.
    let global = s[0] & 0xe000 == 0x2000;
    let special = s[0] == 0x2002 // 6to4: an IPv4 address in disguise
        || (s[0] == 0x2001 && s[1] < 0x0200) // Teredo, benchmarks, ORCHID and others
        || (s[0] == 0x2001 && s[1] == 0x0db8) // documentation
        || (s[0] == 0x3fff && s[1] < 0x1000); // documentation
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b32_only_addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "2001:200::1",
            "2a00::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for not in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(not.parse().unwrap()), "{not}");
        }
    }

    #[tokio::test]
    async fn b32_other_spellings_of_an_address_are_refused_without_a_look() {
        for host in [
            "0177.0.0.1",
            "0x7f.0.0.1",
            "0x7f000001",
            "2130706433",
            "127.1",
            "127.0.0.1.",
            "017700000001",
            "8.8.8.0x8",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "10.0.0.1",
        ] {
            let error = public(host, 80).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{host}");
        }
        assert_eq!(public("1.1.1.1", 8).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn b32_a_connection_goes_to_an_address_that_was_looked_at() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost"] {
            let refused = PublicOnly.connect(host, port).await;
            let error = refused.err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{host}");
            assert!(PublicOnly.resolve(host, port).await.is_err());
        }
    }
}
