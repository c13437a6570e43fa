use mcp_router_service::seal::Purpose;

use super::*;

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 24 * 3600;

fn sealer(key: u8) -> Sealer {
    Sealer::new(&[[key; 32]], Purpose::Session).unwrap()
}

fn alice() -> Principal {
    Principal::Named("alice".into())
}

fn content() -> Content {
    let client = ClientProfile {
        info: Some(RawJson::from_static(r#"{"name":"c","version":"1"}"#)),
        capabilities: Some(RawJson::from_static(r#"{"roots":{}}"#)),
        ..ClientProfile::default()
    };
    Content {
        hello: Hello {
            revision: Revision::V2025_06_18,
            client: Arc::new(client),
        },
        serial: "serial".into(),
        carried: vec![("a#0".into(), "upstream".into()), ("b#1".into(), "".into())],
        issued: NOW,
        expires: NOW + DAY,
    }
}

#[test]
fn r41_an_id_carries_everything_and_r42_shows_nothing() {
    let id = content().seal(&sealer(1), &alice()).unwrap();
    let found = Content::open(&id, &sealer(1), &alice(), NOW).unwrap();
    assert_eq!(found.hello.revision, Revision::V2025_06_18);
    let (old, new) = (content(), found.clone());
    assert_eq!(new.hello.client.info, old.hello.client.info);
    assert_eq!(new.hello.client.capabilities, old.hello.client.capabilities);
    assert_eq!((&new.serial, &new.carried), (&old.serial, &old.carried));
    assert_eq!(found.left(NOW), Duration::from_secs(DAY + LEEWAY));
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &id);
    let bytes = bytes.unwrap();
    for secret in ["upstream", "alice", "serial", "roots", "2025-06-18"] {
        assert!(!id.contains(secret));
        let mut windows = bytes.windows(secret.len());
        assert!(!windows.any(|w| w == secret.as_bytes()), "{secret}");
    }
}

#[test]
fn f43_ids_live_by_the_time_of_day_give_or_take_a_minute() {
    let id = content().seal(&sealer(1), &alice()).unwrap();
    for (now, opens) in [
        (NOW, true),
        (NOW - LEEWAY, true),
        (NOW - LEEWAY - 1, false),
        (NOW + DAY + LEEWAY, true),
        (NOW + DAY + LEEWAY + 1, false),
        (0, false),
        (u64::MAX, false),
    ] {
        let found = Content::open(&id, &sealer(1), &alice(), now);
        assert_eq!(found.is_some(), opens, "{now}");
    }
}

#[test]
fn r40_an_id_has_4_kib_at_most() {
    let sized = |size: usize| {
        let text = format!("\"{}\"", "x".repeat(size));
        let client = ClientProfile {
            info: Some(RawJson::parse(text.into()).unwrap()),
            ..ClientProfile::default()
        };
        let mut content = content();
        content.hello.client = Arc::new(client);
        content.seal(&sealer(1), &alice())
    };
    let most = (2500..4000)
        .take_while(|size| sized(*size).is_some())
        .last();
    let longest = sized(most.unwrap()).unwrap();
    // Base64 goes by four letters for three bytes.
    assert!(
        (MAX_LEN - 3..=MAX_LEN).contains(&longest.len()),
        "{}",
        longest.len()
    );
    assert!(Content::open(&longest, &sealer(1), &alice(), NOW).is_some());
    let beyond = format!("{longest}AAAAA");
    assert!(Content::open(&beyond, &sealer(1), &alice(), NOW).is_none());
}

#[test]
fn what_does_not_fit_into_an_id_gives_none() {
    let mut large = content();
    for size in [2500, 4000, 70_000] {
        let text = format!("\"{}\"", "x".repeat(size));
        let client = ClientProfile {
            info: Some(RawJson::parse(text.into()).unwrap()),
            ..ClientProfile::default()
        };
        large.hello.client = Arc::new(client);
        let id = large.seal(&sealer(1), &alice());
        assert_eq!(id.is_some(), size == 2500, "{size}");
    }
}

/// What a stranger, or a client that wants more, can make of an id.
fn altered(id: &str, random: &mut fastrand::Rng) -> String {
    let mut bytes = id.as_bytes().to_vec();
    let at = random.usize(..bytes.len());
    match random.u8(..6) {
        0 => bytes[at] ^= 1 << random.u8(..7),
        1 => bytes.truncate(at),
        2 => bytes.insert(at, random.alphanumeric() as u8),
        3 => bytes.swap(at, random.usize(..id.len())),
        4 => bytes = (0..at + 20).map(|_| random.alphanumeric() as u8).collect(),
        _ => bytes[at] = random.alphanumeric() as u8,
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn b21_of_a_million_ids_that_are_not_the_callers_none_opens() {
    let mut random = fastrand::Rng::with_seed(21);
    let (own, other) = (sealer(1), sealer(2));
    let good = content().seal(&own, &alice()).unwrap();
    let foreign = content().seal(&other, &alice()).unwrap();
    let mallory = Principal::Named("mallory".into());
    let mut accepted = 0;
    for n in 0..1_000_000_u32 {
        let found = match n % 16 {
            0 => Content::open(&foreign, &own, &alice(), NOW),
            1 => Content::open(&good, &own, &mallory, NOW),
            2 => Content::open(&good, &own, &Principal::Anonymous, NOW),
            3 => Content::open(&good, &own, &alice(), NOW + DAY + LEEWAY + 1),
            _ => {
                let forged = altered(&good, &mut random);
                if forged == good {
                    continue;
                }
                Content::open(&forged, &own, &alice(), NOW)
            }
        };
        accepted += u32::from(found.is_some());
    }
    assert_eq!(accepted, 0, "of 1e6");
    assert!(Content::open(&good, &own, &alice(), NOW).is_some());
}
