//! The plain HTTP port that sends browsers to the encrypted one.

use std::{net::TcpListener, time::Duration};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::Server,
    http::{StatusCode, header},
    web::{self, Data},
};
use wrenn_control::public_url::PublicUrl;

/// Port of the encrypted server, as browsers reach it; `None` for the standard one.
struct SecurePort(Option<u16>);

/// Redirects every request to the same address with `https`. A client has `head_timeout` to send its head.
pub(crate) fn serve(
    listener: TcpListener,
    public_url: &PublicUrl,
    https_port: u16,
    head_timeout: Duration,
) -> std::io::Result<Server> {
    let port = if public_url.is_https() { public_url.port() } else { Some(https_port) };
    let port = Data::new(SecurePort(port.filter(|port| *port != 443)));
    let server =
        HttpServer::new(move || App::new().app_data(port.clone()).default_service(web::to(redirect)));
    let server = server.workers(1).client_request_timeout(head_timeout).disable_signals();
    Ok(server.listen(listener)?.run())
}

async fn redirect(request: HttpRequest, port: Data<SecurePort>) -> HttpResponse {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(host) = host.and_then(host_name) else {
        return HttpResponse::BadRequest()
            .body("this port only redirects to https, and the request names no host\n");
    };
    // Only what stands behind the host: a request line may have a whole address.
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path } else { "/" };
    let location = match port.0 {
        Some(port) => format!("https://{host}:{port}{path}"),
        None => format!("https://{host}{path}"),
    };
    HttpResponse::build(StatusCode::PERMANENT_REDIRECT)
        .insert_header((header::LOCATION, location))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .finish()
}

/// Returns the host without its port; `None` if it is not a name or an address.
fn host_name(authority: &str) -> Option<&str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    let is_address =
        |host: &str| host.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    let is_name = |host: &str| {
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = inner.map_or_else(|| is_name(host), is_address);
    (!host.is_empty() && is_host && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_addresses_are_hosts() {
        for (authority, host) in [
            ("wrenn.example.com", Some("wrenn.example.com")),
            ("8000-cl-a.preview.example.com:80", Some("8000-cl-a.preview.example.com")),
            ("127.0.0.1:8000", Some("127.0.0.1")),
            ("[::1]:80", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("", None),
            (":80", None),
            ("a b", None),
            ("user@evil.test", None),
            ("evil.test/x", None),
            ("a:b", None),
            ("[x]", None),
        ] {
            assert_eq!(host_name(authority), host, "{authority}");
        }
    }
}
