//! One stream: its session, between the frames of a client and the snapshots of its group.
//!
//! One task owns the session. It takes what happens, one thing at a time, and hands on responses as the client reads
//! them: there is never a queue of responses, so a slow client gets the newest state, and one that does not read at
//! all is let go. What a stream says is handed to HTTP/2 as the bytes that were encoded once.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tonic::{Code, Status};

use super::{
    Settings,
    admission::{Admission, Begun},
    alarm::Alarm,
    clients::Registration,
    link::{Farewell, Link, Wish},
    metrics::Metrics,
    node::{self, Fingerprint},
    request::{Incoming, RequestDecoder, understood},
    seldom::Seldom,
    session::{Oddity, Response, Session, Verdict},
    slot::{Giver, Gone, Taker},
};
use crate::{
    model::{Grouping, Proxy, Role},
    publish::{Publish, SnapshotWatch},
    resources::ResourceType,
};

/// What a stream works with.
pub(super) struct Stream {
    pub session: Session,
    pub responses: Giver<Outgoing>,
    /// The type of a per-type service; absent on ADS, where each request says it.
    pub only: Option<ResourceType>,
    pub publish: Arc<Publish>,
    pub clients: Arc<super::Clients>,
    pub metrics: Metrics,
    pub settings: Arc<Settings>,
    /// To the connection it is on, which says when to end.
    pub link: Arc<Link>,
}

/// Everything that can happen to a stream.
enum Event {
    /// The client asks, or has nothing more to ask.
    Request(Result<Option<Incoming>, Status>),
    /// The group's snapshot may be a new one, or the group another.
    Changed,
    /// There is room for a response, or time has passed for one.
    Again,
    /// The client is gone.
    Gone,
    /// The client has not read for too long.
    Stalled,
    /// The connection goes.
    Farewell(Farewell),
}

/// What goes to the client.
#[derive(Debug)]
pub(super) enum Outgoing {
    Response(Response),
    End(Status),
}

/// Why the server ends a stream.
enum End {
    /// With a last word.
    Said(Status),
    /// The client does not read: no word reaches it.
    Stalled,
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Said(status)
    }
}

impl Stream {
    /// Serves until either side ends it.
    pub async fn run(mut self, body: axum::body::Body, admission: Arc<Admission>) {
        let end = match self.begin(body, &admission).await {
            Ok(Some(begun)) => self.serve(begun).await,
            Ok(None) => Ok(()),
            Err(status) => Err(End::Said(status)),
        };
        let stalled = match end {
            Ok(()) => false,
            // What was sent before is read first.
            Err(End::Said(status)) => {
                tracing::debug!(%status, "a stream ends");
                let room = poll_fn(|context| self.responses.poll(true, context));
                match timeout(self.settings.stalled, room).await {
                    Ok(room) => {
                        if room.is_ok() {
                            self.responses.give(Outgoing::End(status));
                        }
                        false
                    }
                    Err(_) => true,
                }
            }
            Err(End::Stalled) => true,
        };
        if stalled {
            self.metrics.stalled.inc();
            self.link.wish(Wish::Cut);
        }
    }

    async fn begin(
        &mut self,
        body: axum::body::Body,
        admission: &Admission,
    ) -> Result<Option<Begun<axum::body::Body>>, Status> {
        let decoder = RequestDecoder { dialect: self.session.dialect(), shared: self.session.shared().clone() };
        tokio::select! {
            farewell = self.link.farewell() => Err(farewell.status()),
            Err(Gone) = poll_fn(|context| self.responses.poll(false, context)) => Ok(None),
            begun = admission.begin(body, decoder, &self.link) => begun,
        }
    }

    async fn serve(&mut self, begun: Begun<axum::body::Body>) -> Result<(), End> {
        let Begun { first, mut requests, turn } = begun;
        let node = Fingerprint::of(&first.node);
        let proxy = node::proxy(first.node.clone()).map_err(|error| Status::invalid_argument(error.to_string()))?;
        if proxy.role == Role::Gateway {
            tracing::warn!(node = &*proxy.id, "role `gateway` is served as a sidecar for now");
        }
        let mut place = Place::find(&self.publish, proxy, node, &self.clients, self.session.dialect())?;
        tracing::debug!(node = &*place.proxy.id, workload = &*place.proxy.workload, "stream began");
        self.take(first, &mut place)?;
        let mut blocked = self.respond(&place);
        drop(turn);
        let mut asking = true;
        let link = self.link.clone();
        let farewell = pin!(link.farewell());
        let mut farewell = Seldom::new(farewell);
        let mut alarm = Alarm::default();
        loop {
            self.report(&place);
            self.testify(&place);
            // Who has nothing more to ask is told what it asked for, and acknowledges nothing that comes later.
            if !asking && !blocked && self.session.has_target() {
                return Ok(());
            }
            let alarm_at = if blocked {
                Some(Instant::now() + self.settings.stalled)
            } else {
                self.session.deadline().map(Instant::from_std)
            };
            // By hand, since ten thousand streams do this for each change: what is waited for stays registered from
            // one turn to the next.
            let event = poll_fn(|context| {
                if let Poll::Ready(farewell) = Pin::new(&mut farewell).poll(context) {
                    return Poll::Ready(Event::Farewell(farewell));
                }
                if asking && let Poll::Ready(request) = requests.poll_next(context) {
                    return Poll::Ready(Event::Request(request));
                }
                if place.snapshots.poll_changed(context).is_ready() {
                    return Poll::Ready(Event::Changed);
                }
                match self.responses.poll(blocked, context) {
                    Poll::Ready(Ok(())) => return Poll::Ready(Event::Again),
                    Poll::Ready(Err(Gone)) => return Poll::Ready(Event::Gone),
                    Poll::Pending => {}
                }
                alarm.poll(alarm_at, context).map(|()| if blocked { Event::Stalled } else { Event::Again })
            })
            .await;
            match event {
                Event::Request(Ok(Some(request))) => {
                    if place.says_something_else(&request.node) {
                        self.renode(&request.node, &mut place)?;
                    }
                    self.take(request, &mut place)?;
                }
                Event::Request(Err(status)) => return Err(understood(status).into()),
                Event::Changed => {
                    self.metrics.woken.inc();
                    if place.grouping.has_changed().unwrap_or(false) {
                        place.regroup(&self.publish);
                    }
                    self.look(&mut place);
                }
                Event::Request(Ok(None)) => asking = false,
                Event::Again => {}
                Event::Gone => return Ok(()),
                Event::Farewell(farewell) => return Err(farewell.status().into()),
                Event::Stalled => return Err(End::Stalled),
            }
            blocked = self.respond(&place);
        }
    }

    /// Says what is to be woken for, then takes the latest: what is new in between wakes, what came before is seen.
    fn look(&mut self, place: &mut Place) {
        place.snapshots.listen_to(self.session.names_wanted(FEW));
        if let Some(snapshot) = place.snapshots.latest() {
            self.session.set_target(snapshot);
        }
    }

    /// A node is repeated unchanged or left out, says the protocol; Envoy sends another one when what it says of itself
    /// has changed. What it is served is found anew.
    fn renode(&mut self, node: &Bytes, place: &mut Place) -> Result<(), Status> {
        let proxy = node::proxy(node.clone()).map_err(|error| Status::invalid_argument(error.to_string()))?;
        if proxy.id != place.proxy.id {
            return Err(Status::invalid_argument(format!(
                "this stream is node `{}`; `{}` needs one of its own",
                place.proxy.id, proxy.id
            )));
        }
        place.node = Fingerprint::of(node);
        if proxy != place.proxy {
            place.registration =
                self.clients.register(proxy.clone(), self.session.dialect(), place.registration.group());
            place.proxy = proxy;
            place.regroup(&self.publish);
            self.look(place);
        }
        Ok(())
    }

    /// Hands on what the client said that may decide what others are sent: almost always nothing.
    fn testify(&mut self, place: &Place) {
        let testimonies = self.session.take_testimonies();
        if !testimonies.is_empty() {
            self.publish.testimonies().give(&place.proxy.id, testimonies);
        }
    }

    fn report(&mut self, place: &Place) {
        match self.session.take_oddity() {
            // A stream of endpoints alone is what a per-type service is for.
            Some(Oddity::EndpointsWithoutClusters) if self.only.is_none() => {
                self.metrics.without_clusters.inc();
                tracing::warn!(
                    node = &*place.proxy.id,
                    "asks for endpoints and not for clusters: it will not hear of clusters that are new or changed; \
                     Envoy has been seen to do so after it rejected a cluster, until it is restarted"
                );
            }
            Some(Oddity::EndpointsWithoutClusters) | None => {}
        }
    }

    fn take(&mut self, request: Incoming, place: &mut Place) -> Result<(), Status> {
        let resource_type = match (self.only, request.type_url.as_str()) {
            (Some(only), "") => Some(only),
            (Some(only), url) if url == only.type_url() => Some(only),
            (Some(only), url) => {
                return Err(Status::invalid_argument(format!("this service has {}, not {url}", only.type_url())));
            }
            (None, "") => return Err(Status::invalid_argument("on an aggregated stream each request has a type_url")),
            (None, url) => ResourceType::from_type_url(url),
        };
        let Some(resource_type) = resource_type else {
            // The stream carries everything else: it goes on.
            self.metrics.unknown_types.inc();
            return Ok(());
        };
        let client = &place.registration.client;
        match self.session.on_request(resource_type, request.into_request()) {
            Verdict::None => {}
            Verdict::Ack => {
                self.metrics.ack(resource_type);
                client.acknowledged(resource_type);
            }
            Verdict::Nack { message, names } => {
                self.metrics.nack(resource_type);
                client.rejected(resource_type, &message);
                tracing::warn!(
                    node = &*place.proxy.id,
                    r#type = resource_type.plural(),
                    ?names,
                    error = message,
                    "NACK: the client rejected what it was sent, and keeps what it had; it is not sent again until it differs"
                );
            }
        }
        client.subscribed(resource_type, self.session.subscribed(resource_type));
        self.look(place);
        Ok(())
    }

    /// Hands on what may be sent now. Returns whether there may be more that the client has no room for.
    fn respond(&mut self, place: &Place) -> bool {
        while !self.session.is_at_rest() {
            if !self.responses.has_room() {
                return true;
            }
            let Some(response) = self.session.next_response(std::time::Instant::now()) else { return false };
            let bytes = response.body.len() + response.nonce_field.len();
            self.metrics.sent(response.resource_type, response.resources, bytes);
            place.registration.client.sent(response.resource_type, response.nonce_field.clone());
            self.responses.give(Outgoing::Response(response));
        }
        false
    }
}

/// A stream that names at most so many resources is woken for these alone.
const FEW: usize = 64;

/// Where a stream belongs.
struct Place {
    proxy: Proxy,
    /// Of the node that the client last said it is.
    node: Fingerprint,
    registration: Registration,
    grouping: watch::Receiver<Option<Arc<Grouping>>>,
    snapshots: SnapshotWatch,
}

impl Place {
    /// Listens for changes before it looks at what there is, so that none is lost.
    fn find(
        publish: &Publish,
        proxy: Proxy,
        node: Fingerprint,
        clients: &Arc<super::Clients>,
        dialect: super::session::Dialect,
    ) -> Result<Self, Status> {
        let mut grouping = publish.grouping();
        let Some(present) = grouping.borrow_and_update().clone() else { return Err(not_ready()) };
        let group = present.group_of(&proxy);
        let snapshots = publish.subscribe(&group);
        let registration = clients.register(proxy.clone(), dialect, group);
        Ok(Self { proxy, node, registration, grouping, snapshots })
    }

    fn says_something_else(&self, node: &Bytes) -> bool {
        !node.is_empty() && Fingerprint::of(node) != self.node
    }

    fn regroup(&mut self, publish: &Publish) {
        if let Some(grouping) = self.grouping.borrow_and_update().clone() {
            let group = grouping.group_of(&self.proxy);
            self.snapshots = publish.subscribe(&group);
            self.registration.client.set_group(group);
        }
    }
}

/// What a stream gets before every source has synced: an empty first answer would mean "delete all".
pub(super) fn not_ready() -> Status {
    Status::unavailable("the control plane does not know every service yet")
}

/// A gRPC response body that hands on encoded bytes uncopied.
#[derive(Debug)]
pub(super) struct ResponseBody {
    responses: Taker<Outgoing>,
    /// A message whose head has gone.
    behind_head: Option<Bytes>,
    ended: bool,
}

/// Below this, one frame with a copy is cheaper than two without.
const SMALL: usize = 16 * 1024;

impl ResponseBody {
    pub fn new(responses: Taker<Outgoing>) -> Self {
        Self { responses, behind_head: None, ended: false }
    }

    /// A gRPC message: no compression, the length, then the message itself. Its nonce comes first, so that a large
    /// message leaves with its last frame and not with one behind it: fields of Protobuf come in any order.
    fn frame(&mut self, response: &Response) -> Bytes {
        let Response { body, nonce_field, .. } = response;
        let length = body.len() + nonce_field.len();
        let mut head = BytesMut::with_capacity(5 + if length < SMALL { length } else { nonce_field.len() });
        head.put_u8(0);
        head.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        head.put_slice(nonce_field);
        if length < SMALL {
            head.put_slice(body);
        } else {
            self.behind_head = Some(body.clone());
        }
        head.freeze()
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(body) = self.behind_head.take() {
            return Poll::Ready(Some(Ok(Frame::data(body))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        match self.responses.poll_take(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Outgoing::Response(response))) => {
                let head = self.frame(&response);
                Poll::Ready(Some(Ok(Frame::data(head))))
            }
            Poll::Ready(Some(Outgoing::End(status))) => self.end(&status),
            Poll::Ready(None) => self.end(&Status::new(Code::Ok, "")),
        }
    }
}

impl ResponseBody {
    fn end(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.ended = true;
        let mut trailers = http::HeaderMap::new();
        // A message that cannot stand in a header is left out; the code says enough.
        if status.add_header(&mut trailers).is_err() {
            trailers.insert("grpc-status", http::HeaderValue::from(status.code() as i32));
        }
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}
