//! `GET /metrics`, for Prometheus; not part of the API that clients use.

use actix_web::{HttpResponse, web::Data};

use crate::metrics::{Metrics, Page};

/// Answers with everything that is counted.
pub(crate) async fn metrics(metrics: Data<Metrics>) -> HttpResponse {
    let mut page = Page::default();
    metrics.write(&mut page);
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(page.into_text())
}
