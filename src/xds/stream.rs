//! One stream: its session, between the requests of a client and the snapshots of its group.
//!
//! It does nothing by itself. HTTP/2 asks it for the next response once the client has room for the one before; then it
//! takes what has happened since: first what the client said, which may make something else not worth saying, then what
//! is new. So there is never a queue of responses, and a slow client gets the newest state. What happens meanwhile rings
//! the stream's one bell, which says what it was, so that nothing else is looked after: ten thousand streams do this for
//! each change.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Instant,
};

use hyper::body::Incoming as Frames;
use tonic::{Code, Status};

use super::{
    alarm::Alarm,
    place::Place,
    reader::Reader,
    request::{Incoming, understood},
    service::Service,
    session::{Oddity, Response, Session, Verdict},
};
use crate::{
    model::Role,
    publish::{Bell, Ring, Rung, lock},
    resources::ResourceType,
};

/// A stream whose client has said who it is.
#[derive(Debug)]
pub(super) struct Stream {
    session: Arc<Mutex<Session>>,
    serving: Serving,
}

/// What a session works with.
#[derive(Debug)]
struct Serving {
    service: Arc<Service>,
    /// The type of a per-type service; absent on ADS, where each request says it.
    only: Option<ResourceType>,
    place: Place,
    requests: Reader<Frames>,
    /// Whether the client may have more to ask.
    asking: bool,
    alarm: Alarm,
    /// Made already.
    first: Option<Response>,
}

/// What goes to the client.
#[derive(Debug)]
pub(super) enum Outgoing {
    Response(Response),
    /// The last word.
    End(Status),
}

/// A stream that names at most so many resources is woken for these alone.
const FEW: usize = 64;

/// How many requests are taken in one go: a client that asks all the time must not keep others waiting.
const AT_ONCE: usize = 64;

impl Stream {
    /// Takes the first request, and makes the first response.
    pub fn begin(
        service: Arc<Service>,
        only: Option<ResourceType>,
        session: Session,
        first: Incoming,
        requests: Reader<Frames>,
        bell: Arc<Bell>,
    ) -> Result<Self, Status> {
        let session = Arc::new(Mutex::new(session));
        let place = Place::find(&service.publish, &service.clients, &first.node, &session, bell)?;
        let proxy = place.proxy();
        if proxy.role == Role::Gateway {
            tracing::warn!(node = &*proxy.id, "role `gateway` is served as a sidecar for now");
        }
        tracing::debug!(node = &*proxy.id, workload = &*proxy.workload, "stream began");
        let alarm = Alarm::default();
        let mut serving = Serving { service, only, place, requests, asking: true, alarm, first: None };
        let mut locked = lock(&session);
        serving.take(&mut locked, first)?;
        serving.first = serving.respond(&mut locked);
        drop(locked);
        Ok(Self { session, serving })
    }

    /// The next thing to be sent. `rung` is what is to be looked after; what was is cleared. Everything that is waited for
    /// wakes `context`.
    pub fn poll(&mut self, rung: &mut Rung, context: &mut Context<'_>) -> Poll<Outgoing> {
        let Self { session, serving } = self;
        serving.poll(session, rung, context).map(|next| match next {
            Ok(response) => Outgoing::Response(response),
            Err(status) => Outgoing::End(status),
        })
    }

    /// Whether there may be more to say at once.
    pub fn has_more(&self) -> bool {
        !lock(&self.session).is_at_rest()
    }
}

impl Serving {
    fn poll(
        &mut self,
        session: &Arc<Mutex<Session>>,
        rung: &mut Rung,
        context: &mut Context<'_>,
    ) -> Poll<Result<Response, Status>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Ok(first));
        }
        let shared = session;
        let session = &mut *lock(shared);
        loop {
            if rung.is_for(Ring::Woken) && !self.hear(session, shared, context)? {
                rung.clear(Ring::Woken);
            }
            if rung.is_for(Ring::Changed) {
                rung.clear(Ring::Changed);
                self.service.metrics.woken.inc();
                self.place.follow_grouping(&self.service.publish);
                self.look(session);
            }
            if let Some(response) = self.respond(session) {
                return Poll::Ready(Ok(response));
            }
            self.report(session);
            // Who has nothing more to ask is told what it asked for, and acknowledges nothing that comes later.
            if !self.asking && session.has_target() {
                return Poll::Ready(Err(Status::new(Code::Ok, "")));
            }
            if rung.is_for(Ring::Woken) {
                // In a while.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.alarm.poll(session.deadline().map(Into::into), context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Takes the requests that have come, but not too many. Returns whether there may be more.
    fn hear(
        &mut self,
        session: &mut Session,
        shared: &Arc<Mutex<Session>>,
        context: &mut Context<'_>,
    ) -> Result<bool, Status> {
        for _ in 0..AT_ONCE {
            if !self.asking {
                return Ok(false);
            }
            match self.requests.poll_next(context) {
                Poll::Ready(Ok(Some(request))) => {
                    if self.place.take_node(&request.node, &self.service.publish, shared)? {
                        self.look(session);
                    }
                    self.take(session, request)?;
                }
                Poll::Ready(Ok(None)) => self.asking = false,
                Poll::Ready(Err(status)) => return Err(understood(status)),
                Poll::Pending => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Says what is to be woken for, then takes the latest: what is new in between wakes, what came before is seen.
    fn look(&mut self, session: &mut Session) {
        self.place.snapshots.listen_to(session.names_wanted(FEW));
        if let Some(snapshot) = self.place.snapshots.latest() {
            session.set_target(snapshot);
        }
        self.testify(session);
    }

    /// Hands on what the client said that may decide what others are sent: almost always nothing.
    fn testify(&self, session: &mut Session) {
        let testimonies = session.take_testimonies();
        if !testimonies.is_empty() {
            self.service.publish.testimonies().give(&self.place.proxy().id, testimonies);
        }
    }

    fn report(&self, session: &mut Session) {
        match session.take_oddity() {
            // A stream of endpoints alone is what a per-type service is for.
            Some(Oddity::EndpointsWithoutClusters) if self.only.is_none() => {
                self.service.metrics.without_clusters.inc();
                tracing::warn!(
                    node = &*self.place.proxy().id,
                    "asks for endpoints and not for clusters: it will not hear of clusters that are new or changed; \
                     Envoy has been seen to do so after it rejected a cluster, until it is restarted"
                );
            }
            Some(Oddity::EndpointsWithoutClusters) | None => {}
        }
    }

    fn take(&mut self, session: &mut Session, request: Incoming) -> Result<(), Status> {
        let metrics = &self.service.metrics;
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
            metrics.unknown_types.inc();
            return Ok(());
        };
        match session.on_request(resource_type, request.into_request()) {
            Verdict::None => {}
            Verdict::Ack => metrics.ack(resource_type),
            Verdict::Nack { message, names } => {
                metrics.nack(resource_type);
                tracing::warn!(
                    node = &*self.place.proxy().id,
                    r#type = resource_type.plural(),
                    ?names,
                    error = message,
                    "NACK: the client rejected what it was sent, and keeps what it had; it is not sent again until it differs"
                );
            }
        }
        self.look(session);
        Ok(())
    }

    /// What may be sent now.
    fn respond(&self, session: &mut Session) -> Option<Response> {
        if session.is_at_rest() {
            return None;
        }
        let response = session.next_response(Instant::now())?;
        self.service.metrics.sent(response.resource_type, response.resources, response.length());
        Some(response)
    }
}
