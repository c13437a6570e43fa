//! What opens, and above all what does not.

use std::sync::Arc;

use mcp_router_protocol::{Method, RawParams};
use mcp_router_service::seal::Purpose;
use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn sealer(key: u8) -> Sealer {
    Sealer::new(&[[key; 32]], Purpose::State).unwrap()
}

fn request(who: &str, method: Method, params: &str) -> McpRequest {
    let params = RawParams::parse(Some(params.to_owned().into())).unwrap();
    let mut request = McpRequest::new(method, params);
    if !who.is_empty() {
        request.context.principal = Principal::Named(Arc::from(who));
    }
    request
}

fn bound(who: &str, params: &str) -> Bound {
    Bound::of(&request(who, Method::ToolsCall, params))
}

const CALL: &str = r#"{"name":"t","arguments":{"a":1,"b":[2,{"c":"\u00e9"}]}}"#;

#[test]
fn r34_every_state_opens_for_its_own_call_as_it_was() {
    let pin = Pin {
        backend: "a".parse().unwrap(),
        endpoint: "http://a:1/mcp".into(),
    };
    for state in [
        State::Backend {
            pin: Some(pin),
            state: Some(RawJson::from_static(r#""\u0041\/""#)),
        },
        State::Backend {
            pin: None,
            state: None,
        },
        State::Afresh,
        State::Parked {
            replica: "r".into(),
            id: u64::MAX,
        },
    ] {
        let token = state.clone().seal(&sealer(1), &bound("ann", CALL), HOUR);
        let opened = State::open(&sealer(1), &bound("ann", CALL), &token);
        assert_eq!(opened, Some(state));
    }
}

#[test]
fn r34_a_state_is_worth_nothing_after_its_time() {
    let (sealer, bound) = (sealer(1), bound("", CALL));
    let token = State::Afresh.seal(&sealer, &bound, HOUR);
    let at = |seconds| State::open_at(&sealer, &bound, &token, now() + seconds).is_some();
    assert!(at(3590));
    assert!(!at(3602));
}

#[test]
fn r34_a_call_is_the_same_in_another_order_and_no_other_is() {
    let same = [
        r#"{"arguments":{"b":[2,{"c":"\u00e9"}],"a":1},"name":"t"}"#,
        r#"{ "name" : "t" , "arguments" : { "a" : 1, "b" : [ 2, { "c" : "\u00e9" } ] } }"#,
        r#"{"name":"t","_meta":{"x":1},"requestState":"s","inputResponses":{},"arguments":{"a":1,"b":[2,{"c":"\u00e9"}]}}"#,
    ];
    for params in same {
        assert_eq!(bound("ann", params), bound("ann", CALL), "{params}");
    }
    let others = [
        r#"{"name":"t","arguments":{"a":1,"b":[2,{"c":"\u00e8"}]}}"#,
        r#"{"name":"t","arguments":{"a":1,"b":[{"c":"\u00e9"},2]}}"#,
        r#"{"name":"t","arguments":{"a":"1","b":[2,{"c":"\u00e9"}]}}"#,
        r#"{"name":"u","arguments":{"a":1,"b":[2,{"c":"\u00e9"}]}}"#,
        r#"{"name":"t","arguments":{"a":1,"b":[2,{"c":"\u00e9"}]},"more":1}"#,
        r#"{"name":"t","arguments":{"a":1,"b":[2],"c":"\u00e9"}}"#,
        r#"{"name":"t"}"#,
        "{}",
    ];
    for params in others {
        assert_ne!(bound("ann", params), bound("ann", CALL), "{params}");
    }
    let prompt = Bound::of(&request("ann", Method::PromptsGet, CALL));
    assert_ne!(prompt, bound("ann", CALL));
    assert_ne!(bound("bob", CALL), bound("ann", CALL));
    assert_ne!(bound("", CALL), bound("ann", CALL));
}

/// Every way of being wrong in turn, a million times in all: each token is a good one that was
/// altered, cut, joined from two, made with another key or for another purpose, or given to
/// somebody else.
#[test]
fn r34_of_a_million_forged_altered_and_foreign_states_none_opens() {
    const TOKENS: usize = 1_000_000;
    let own = sealer(1);
    let (ann, bob) = (bound("ann", CALL), bound("bob", CALL));
    let other_call = bound("ann", r#"{"name":"t","arguments":{"a":2}}"#);
    let good = State::Afresh.seal(&own, &ann, HOUR);
    let second = State::Afresh.seal(&own, &ann, HOUR);
    let foreign = [
        State::Afresh.seal(&sealer(2), &ann, HOUR),
        State::Afresh.seal(&own, &bob, HOUR),
        State::Afresh.seal(&own, &other_call, HOUR),
        Sealer::new(&[[1; 32]], Purpose::Session)
            .unwrap()
            .seal(b"{\"until\":9999999999}", &ann.0),
        own.seal(b"{\"until\":1}", &ann.0),
        own.seal(b"no json", &ann.0),
    ];
    assert!(State::open(&own, &ann, &good).is_some());
    for token in &foreign {
        assert!(State::open(&own, &ann, token).is_none());
    }
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=. ";
    let mut random = fastrand::Rng::with_seed(0x005e_a1ed);
    let mut opened = 0;
    for n in 0..TOKENS {
        let mut token = good.clone().into_bytes();
        match n % 4 {
            // One character is another one. (The last one carries bits that decoding ignores or
            // refuses; it is left to the next case.)
            0 => {
                let at = random.usize(..token.len() - 1);
                let new = alphabet[random.usize(..alphabet.len())];
                token[at] = if new == token[at] { b'*' } else { new };
            }
            1 => token.truncate(random.usize(..token.len())),
            2 => {
                let at = random.usize(3..token.len().min(second.len()) - 1);
                token.truncate(at);
                token.extend_from_slice(&second.as_bytes()[at..]);
                if token == good.as_bytes() || token == second.as_bytes() {
                    token[0] = b'*';
                }
            }
            _ => token
                .iter_mut()
                .skip(3)
                .for_each(|c| *c = alphabet[random.usize(..64)]),
        }
        let token = String::from_utf8(token).unwrap();
        opened += usize::from(State::open(&own, &ann, &token).is_some());
    }
    assert_eq!(opened, 0);
}

proptest! {
    #[test]
    fn r34_an_altered_byte_of_a_state_is_found(at in any::<prop::sample::Index>(), flip in 1u8..128) {
        let (sealer, bound) = (sealer(1), bound("ann", CALL));
        let token = State::Afresh.seal(&sealer, &bound, HOUR);
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len() - 1);
        bytes[at] = (bytes[at] ^ flip) & 0x7f;
        prop_assume!(bytes != token.as_bytes());
        let altered = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(State::open(&sealer, &bound, &altered), None);
    }

    #[test]
    fn the_spelling_of_calls_survives_whatever_is_called(name in ".{0,40}", number in any::<f64>()) {
        let params = serde_json::json!({"name": name, "arguments": {"n": number, "deep": [[[name]]]}});
        let text = params.to_string();
        prop_assert_eq!(bound("ann", &text), bound("ann", &text));
        prop_assert_ne!(bound("ann", &text), bound("ann", CALL));
    }
}
