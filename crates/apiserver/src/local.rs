//! The transport within the process: a `kube::Client` whose requests go straight to the handler.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::BodyExt;
use tower::service_fn;

use crate::auth::authenticate::Peer;
use crate::handler;
use crate::respond::Body;
use crate::server::Server;
use crate::user::User;

pub fn client(server: Arc<Server>, user: User) -> kube::Client {
    let service = service_fn(move |request: Request<kube::client::Body>| {
        let (server, peer) = (server.clone(), Peer::Local(user.clone()));
        async move { Ok::<Response<Body>, Infallible>(serve(server, peer, request).await) }
    });
    kube::Client::new(service, "default")
}

async fn serve(server: Arc<Server>, peer: Peer, request: Request<kube::client::Body>) -> Response<Body> {
    handler::handle(server, peer, request.map(|body| body.map_err(handler::BodyError::from).boxed_unsync())).await
}
