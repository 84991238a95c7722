//! Resources that answer a wrong method with 405 and what is allowed.

use actix_web::{
    FromRequest, Handler, HttpResponse, Resource, Responder, Route, guard,
    http::{Method, header},
    web,
};
use wrenn_domain::error_code::ErrorCode;

use crate::error::ApiError;

/// One method of a resource and its handler. `GET` takes `HEAD` along.
pub(crate) fn on<F, Args>(method: Method, handler: F) -> (Method, Route)
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = if method == Method::GET {
        web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
    } else {
        web::method(method.clone())
    };
    (method, route.to(handler))
}

/// A resource with these methods and no others.
pub(crate) fn resource<const N: usize>(path: &str, methods: [(Method, Route); N]) -> Resource {
    let allow = methods.iter().map(|(method, _)| method.as_str()).collect::<Vec<_>>().join(", ");
    let refuse = move || {
        let message = format!("this address takes {allow} only");
        let mut response = ApiError::new(ErrorCode::MethodNotAllowed, message).into_response();
        if let Ok(allow) = header::HeaderValue::from_str(&allow) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        std::future::ready::<HttpResponse>(response)
    };
    methods
        .into_iter()
        .fold(web::resource(path), |resource, (_, route)| resource.route(route))
        .default_service(web::to(refuse))
}
