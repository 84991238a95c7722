//! Errors of previews: a page for people, the API's JSON for programs.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, Accept, Header as _},
};

use crate::error::ApiError;

/// Returns the error in the format that the client accepts.
pub(super) fn respond(request: &HttpRequest, title: &str, answer: ApiError) -> HttpResponse {
    let mut response = HttpResponse::build(answer.status());
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if wants_page(request) {
        response
            .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"))
            .content_type("text/html; charset=utf-8")
            .body(page(answer.status().as_u16(), title, &answer.message))
    } else {
        response.content_type("application/json").body(answer.body())
    }
}

fn wants_page(request: &HttpRequest) -> bool {
    let accepted = Accept::parse(request).map(|accept| accept.ranked()).unwrap_or_default();
    accepted.iter().any(|media| media.essence_str() == "text/html")
}

fn page(status: u16, title: &str, message: &str) -> String {
    let (title, message) = (escape(title), escape(message));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>body{{background:#0b0d10;color:#c9d1d9;font:16px/1.5 system-ui,sans-serif;margin:0;\
         display:grid;place-items:center;min-height:100vh}}main{{max-width:36rem;padding:2rem}}\
         h1{{font-size:1.25rem;color:#f0f3f6;margin:0 0 .5rem}}p{{margin:0}}small{{color:#7d8590}}</style></head>\
         <body><main><h1>{title}</h1><p>{message}</p><p><small>{status} · Wrenn preview</small></p></main></body></html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn people_get_a_page_and_programs_do_not() {
        let wants = |accept: &'static str| {
            wants_page(&TestRequest::get().insert_header(("accept", accept)).to_http_request())
        };
        assert!(wants("text/html,application/xhtml+xml,*/*;q=0.8"));
        assert!(!wants("*/*") && !wants("application/json"));
        assert!(!wants_page(&TestRequest::get().to_http_request()));
    }

    #[test]
    fn what_a_guest_says_is_text_on_the_page() {
        let page = page(502, "t", "<script>alert(\"1\")</script>");
        assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)"), "{page}");
    }
}
