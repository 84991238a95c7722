//! Resources that answer a wrong method with 405 and what is allowed.

use actix_web::{
    FromRequest, Handler, HttpResponse, Resource, Responder, Route, guard,
    http::{Method, header},
    web,
};
use wrenn_domain::{
    action::{self, Action},
    error_code::ErrorCode,
};

use crate::{auth::ResourceActions, error::ApiError};

/// Returns the method of an action, as the HTTP library spells it.
fn method_of(action: Action) -> Method {
    match action.spec().method {
        action::Method::Get => Method::GET,
        action::Method::Post => Method::POST,
        action::Method::Put => Method::PUT,
        action::Method::Patch => Method::PATCH,
        action::Method::Delete => Method::DELETE,
    }
}

/// Makes a route of a method and a handler. `GET` takes `HEAD` along.
fn route<F, Args>(method: Method, handler: F) -> Route
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = if method == Method::GET {
        web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
    } else {
        web::method(method)
    };
    route.to(handler)
}

/// Makes the route of an action.
pub(crate) fn bound<F, Args>(action: Action, handler: F) -> Route
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    route(method_of(action), handler)
}

/// Makes a resource of the routes of its actions, which takes their methods and no others.
pub(crate) fn resource(path: &str, routes: Vec<(Action, Route)>) -> Resource {
    let actions: Vec<_> = routes.iter().map(|(action, _)| (method_of(*action), *action)).collect();
    let methods: Vec<_> = actions.iter().map(|(method, _)| method.clone()).collect();
    let routes = routes.into_iter().map(|(_, route)| route);
    with_methods(path, &methods, routes).app_data(ResourceActions(actions))
}

/// Makes a resource that is no action: a page of the server, for everybody.
pub(crate) fn page<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    with_methods(path, &[Method::GET], [route(Method::GET, handler)])
}

fn with_methods(path: &str, methods: &[Method], routes: impl IntoIterator<Item = Route>) -> Resource {
    let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let refuse = move || {
        let message = format!("this address takes {allow} only");
        let mut response = ApiError::new(ErrorCode::MethodNotAllowed, message).into_response();
        if let Ok(allow) = header::HeaderValue::from_str(&allow) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        std::future::ready::<HttpResponse>(response)
    };
    let resource = web::resource(path).default_service(web::to(refuse));
    routes.into_iter().fold(resource, Resource::route)
}
