//! One request's bytes to one response's bytes.

use std::sync::Arc;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};
use tokio::sync::watch;

use crate::answer::{Answer, answer, start_of_authority};
use crate::forward::Forwarder;
use crate::zone::Zone;

/// What a datagram may hold at least, and what this server offers.
const DATAGRAM_MIN: usize = 512;
const DATAGRAM_MAX: u16 = 1232;

pub(crate) struct Responder {
    pub zone: watch::Receiver<Arc<Zone>>,
    pub forwarder: Forwarder,
}

impl Responder {
    /// None: not even a response is due (the request is itself a response, or no DNS message).
    pub async fn respond(&self, bytes: &[u8], by_stream: bool) -> Option<Vec<u8>> {
        let request = match Message::from_vec(bytes) {
            Ok(request) if request.metadata.message_type == MessageType::Query => request,
            Ok(_) => return None,
            Err(_) => {
                let id = u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]);
                // Bit 15 of the flags: never answer what may be an answer.
                return if bytes.get(2)? & 0x80 == 0 { Message::error_msg(id, OpCode::Query, ResponseCode::FormErr).to_vec().ok() } else { None };
            }
        };
        let response = self.decide(&request, by_stream).await;
        fit(response, &request, by_stream)
    }

    async fn decide(&self, request: &Message, by_stream: bool) -> Message {
        let [query] = request.queries.as_slice() else { return blank(request, ResponseCode::FormErr) };
        if request.metadata.op_code != OpCode::Query {
            return blank(request, ResponseCode::NotImp);
        }
        if request.edns.as_ref().is_some_and(|edns| edns.version() != 0) {
            return blank(request, ResponseCode::BADVERS);
        }
        if query.query_class != DNSClass::IN {
            return blank(request, ResponseCode::Refused);
        }
        if matches!(query.query_type, RecordType::AXFR | RecordType::IXFR) {
            return blank(request, ResponseCode::Refused);
        }
        let zone = self.zone.borrow().clone();
        match answer(&zone, &query.name, query.query_type) {
            Answer::Elsewhere => self.forward(request, by_stream).await,
            Answer::NoSuchName => authoritative(request, &zone, ResponseCode::NXDomain),
            Answer::Found { mut answers, additionals } => {
                if answers.is_empty() {
                    return authoritative(request, &zone, ResponseCode::NoError);
                }
                // Clients take the first address: let it be another one each time.
                let turn = usize::from(request.metadata.id) % answers.len();
                answers.rotate_left(turn);
                let mut response = blank(request, ResponseCode::NoError);
                response.metadata.authoritative = true;
                response.answers = answers;
                response.additionals = additionals;
                response
            }
            Answer::Alias { cname, target } => {
                let mut response = blank(request, ResponseCode::NoError);
                response.metadata.authoritative = true;
                response.answers.push(cname);
                if query.query_type != RecordType::CNAME {
                    response.answers.extend(self.follow(&zone, Query::query(target, query.query_type), by_stream).await);
                }
                response
            }
        }
    }

    /// The addresses an external name stands for; one step, so that names cannot lead in a circle.
    async fn follow(&self, zone: &Zone, query: Query, by_stream: bool) -> Vec<hickory_proto::rr::Record> {
        if let Answer::Found { answers, .. } = answer(zone, &query.name, query.query_type) {
            return answers;
        }
        let mut question = Message::query();
        question.metadata.recursion_desired = true;
        question.add_query(query);
        self.forwarder.ask(&question, by_stream).await.map(|m| m.answers).unwrap_or_default()
    }

    async fn forward(&self, request: &Message, by_stream: bool) -> Message {
        match self.forwarder.ask(request, by_stream).await {
            Some(mut response) => {
                response.edns = None;
                response.metadata.recursion_available = true;
                response
            }
            None => blank(request, ResponseCode::ServFail),
        }
    }
}

fn blank(request: &Message, code: ResponseCode) -> Message {
    let mut response = Message::response(request.metadata.id, request.metadata.op_code);
    response.metadata.response_code = code;
    response.metadata.recursion_desired = request.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    response.queries.clone_from(&request.queries);
    response
}

fn authoritative(request: &Message, zone: &Zone, code: ResponseCode) -> Message {
    let mut response = blank(request, code);
    response.metadata.authoritative = true;
    response.authorities.extend(start_of_authority(zone));
    response
}

/// Encodes, with EDNS where the client spoke it, cut to what the client can take.
fn fit(mut response: Message, request: &Message, by_stream: bool) -> Option<Vec<u8>> {
    if request.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(DATAGRAM_MAX);
        response.set_edns(edns);
    }
    let limit = match (by_stream, &request.edns) {
        (true, _) => usize::from(u16::MAX),
        (false, None) => DATAGRAM_MIN,
        (false, Some(edns)) => usize::from(edns.max_payload().min(DATAGRAM_MAX)).max(DATAGRAM_MIN),
    };
    let bytes = response.to_vec().ok()?;
    if bytes.len() <= limit {
        return Some(bytes);
    }
    response.additionals.clear();
    if let Some(bytes) = response.to_vec().ok().filter(|bytes| bytes.len() <= limit) {
        return Some(bytes);
    }
    response.answers.clear();
    response.authorities.clear();
    response.metadata.truncation = true;
    response.to_vec().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::str::FromStr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{Name, RData, Record};
    use tokio::net::UdpSocket;

    use crate::zone::{Endpoint, Entry};

    /// A resolver that knows one name, and counts.
    async fn resolver() -> (SocketAddr, Arc<AtomicUsize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (socket.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::SeqCst);
                let request = Message::from_vec(&buffer[..length]).unwrap();
                let mut response = blank(&request, ResponseCode::NoError);
                response.answers.push(Record::from_rdata(request.queries[0].name.clone(), 60, RData::A(A([192, 0, 2, 7].into()))));
                let _ = socket.send_to(&response.to_vec().unwrap(), from).await;
            }
        });
        (address, asked)
    }

    fn zone() -> Zone {
        let mut zone = Zone { domain: "cluster.local".into(), ..Zone::default() };
        let external = Entry { external_name: Some("example.com".into()), ..Entry::default() };
        zone.services.insert(("a".into(), "away".into()), external);
        let endpoints = (0..200).map(|n| Endpoint { address: [10, 42, 1, n].into(), name: format!("e{n}"), ports: vec![] });
        zone.services.insert(("a".into(), "wide".into()), Entry { endpoints: endpoints.collect(), ..Entry::default() });
        zone
    }

    async fn ask(responder: &Responder, name: &str, by_stream: bool) -> Message {
        let mut question = Message::query();
        question.metadata.id = 77;
        question.add_query(Query::query(Name::from_str(name).unwrap(), RecordType::A));
        let answer = Message::from_vec(&responder.respond(&question.to_vec().unwrap(), by_stream).await.unwrap()).unwrap();
        assert_eq!((answer.metadata.id, &answer.queries), (77, &question.queries));
        answer
    }

    #[tokio::test]
    async fn own_names_are_answered_others_are_asked_once_and_what_does_not_fit_is_cut() {
        let (address, asked) = resolver().await;
        let (_keep, zone) = watch::channel(Arc::new(zone()));
        let responder = Responder { zone, forwarder: Forwarder::new(vec![address]) };
        let missing = ask(&responder, "gone.a.svc.cluster.local.", false).await;
        assert_eq!((missing.metadata.response_code, missing.metadata.authoritative, missing.authorities.len()), (ResponseCode::NXDomain, true, 1));
        assert_eq!(asked.load(Ordering::SeqCst), 0, "own names never leave");
        for _ in 0..3 {
            assert_eq!(ask(&responder, "example.com.", false).await.answers.len(), 1);
        }
        assert_eq!(ask(&responder, "away.a.svc.cluster.local.", false).await.answers.len(), 2, "the alias and its address");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "remembered");
        let cut = ask(&responder, "wide.a.svc.cluster.local.", false).await;
        assert!(cut.metadata.truncation && cut.answers.is_empty());
        assert_eq!(ask(&responder, "wide.a.svc.cluster.local.", true).await.answers.len(), 200);
    }

    #[tokio::test]
    async fn noise_is_refused_and_never_answered_twice() {
        let (_keep, zone) = watch::channel(Arc::new(zone()));
        let responder = Responder { zone, forwarder: Forwarder::new(vec![]) };
        assert_eq!(responder.respond(&[], false).await, None);
        assert_eq!(responder.respond(&[1, 2, 0x80, 0, 9, 9], false).await, None, "a response is never answered");
        let refused = responder.respond(&[1, 2, 0, 0, 9, 9], false).await.unwrap();
        assert_eq!(Message::from_vec(&refused).unwrap().metadata.response_code, ResponseCode::FormErr);
        assert_eq!(ask(&responder, "example.com.", false).await.metadata.response_code, ResponseCode::ServFail, "nobody to ask");
    }
}
