//! From where a request comes, and whether it may speak to this site at all: hosts, origins, proxies.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};

use crate::error::Problem;

/// A request that came over TLS carries this.
#[derive(Debug, Clone, Copy)]
pub struct OverTls;

/// What the site says of how it is reached.
#[derive(Debug, Clone, Default)]
pub struct Reached {
    /// Names by which browsers may ask, beside addresses, `localhost` and names without a dot.
    pub hosts: Vec<String>,
    /// Reverse proxies whose `X-Forwarded-For` and `-Proto` are believed.
    pub trusted_proxies: Vec<IpAddr>,
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// The browser speaks TLS, to us or to a proxy in front.
    pub(crate) is_secure: bool,
}

impl Client {
    pub(crate) fn of(request: &Request, reached: &Reached) -> Self {
        let noted = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer =
            noted.map_or(IpAddr::from([127, 0, 0, 1]), |ConnectInfo(address)| address.ip().to_canonical());
        let is_secure = request.extensions().get::<OverTls>().is_some();
        if !reached.trusted_proxies.contains(&peer) {
            return Self { address: peer, is_secure };
        }
        let word = |name: &str| {
            let value = request.headers().get_all(name).iter().next_back()?.to_str().ok()?;
            // The last one is what the trusted proxy itself saw; those before it are hearsay.
            value.rsplit(',').next().map(str::trim)
        };
        let address = word("x-forwarded-for").and_then(|text| text.parse().ok()).unwrap_or(peer);
        Self { address, is_secure: is_secure || word("x-forwarded-proto") == Some("https") }
    }
}

/// The host of a `Host` header or of an origin, without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Refuses names that are not the site's: a page elsewhere that lets its own name point here could read everything
/// (DNS rebinding). An address or a name without a dot is nobody's to point.
pub(crate) fn check_host(headers: &HeaderMap, reached: &Reached) -> Result<(), Problem> {
    let Some(value) = headers.get(header::HOST) else { return Ok(()) };
    let authority = value.to_str().unwrap_or("?").to_ascii_lowercase();
    let host = host_of(&authority).trim_end_matches('.');
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_ours = bare.parse::<IpAddr>().is_ok()
        || !host.contains('.')
        || host.ends_with(".localhost")
        || reached.hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
    if is_ours {
        return Ok(());
    }
    let text = "this site does not answer to that name: an administrator can add it to [http] hosts, or as [site] url";
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, text))
}

/// Refuses changes that a page of another site asks for. `SameSite` keeps the cookie from them already; this holds for
/// sites that share our domain, and for browsers that do not know it.
pub(crate) fn check_origin(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let word = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_foreign = match word(header::ORIGIN) {
        Some(origin) => {
            let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
            // A proxy may have changed the port, and a browser leaves out the usual ones: the host counts.
            !word(header::HOST).is_some_and(|host| host_of(host).eq_ignore_ascii_case(host_of(authority)))
        }
        // No browser sends a change without one of the two; programs send neither.
        None => matches!(
            headers.get("sec-fetch-site").and_then(|value| value.to_str().ok()),
            Some("cross-site" | "same-site")
        ),
    };
    if !is_foreign {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "a page of another site asked for this"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (header::HeaderName::from_static(name), header::HeaderValue::from_static(value))
            })
            .collect()
    }

    #[test]
    fn a_site_answers_to_its_own_names_and_to_addresses_only() {
        let reached = Reached { hosts: vec!["sanimon.example".into()], ..Reached::default() };
        for (host, is_ours) in [
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("localhost:8080", true),
            ("sanimon:8080", true),
            ("Sanimon.Example", true),
            ("sanimon.example:443", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("sanimon.example.evil.example", false),
        ] {
            assert_eq!(check_host(&headers(&[("host", host)]), &reached).is_ok(), is_ours, "{host}");
        }
    }

    #[test]
    fn a_page_of_another_site_changes_nothing() {
        for (pairs, may) in [
            (&[("host", "a.example"), ("origin", "https://a.example")][..], true),
            (&[("host", "a.example:8080"), ("origin", "http://a.example:9000")], true),
            (&[("host", "a.example"), ("origin", "https://b.example")], false),
            (&[("host", "a.example"), ("origin", "null")], false),
            (&[("host", "a.example"), ("sec-fetch-site", "cross-site")], false),
            (&[("host", "a.example"), ("sec-fetch-site", "same-origin")], true),
            (&[("host", "a.example")], true),
        ] {
            assert_eq!(check_origin(&Method::POST, &headers(pairs)).is_ok(), may, "{pairs:?}");
            assert!(check_origin(&Method::GET, &headers(pairs)).is_ok());
        }
    }

    #[test]
    fn only_a_trusted_proxy_says_who_is_behind_it() {
        let asked = |proxies: Vec<IpAddr>| {
            let mut request = Request::new(axum::body::Body::empty());
            request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 5))));
            let lines = headers(&[("x-forwarded-for", "6.6.6.6, 1.2.3.4"), ("x-forwarded-proto", "https")]);
            *request.headers_mut() = lines;
            Client::of(&request, &Reached { trusted_proxies: proxies, hosts: Vec::new() })
        };
        let peer = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(asked(Vec::new()), Client { address: peer, is_secure: false });
        assert_eq!(asked(vec![peer]), Client { address: IpAddr::from([1, 2, 3, 4]), is_secure: true });
    }
}
