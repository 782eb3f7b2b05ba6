use super::*;

const ASCII: &str = "correct horse";
const UNICODE: &str = "Pässwörter sind schön 密码 🔑";
/// 82 bytes, past the 72 that bcrypt takes.
const LONG: &str = "01234567890123456789012345678901234567890123456789012345678901234567890123456789é";

/// Written by Django 5.2.19 with bcrypt 5.0.0 and argon2-cffi 25.1.0, at small costs. That bcrypt
/// rejects more than 72 bytes, so the long password was cut for it by hand.
const VECTORS: [(&str, &str); 16] = [
    (ASCII, "bcrypt_sha256$$2b$04$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6"),
    (ASCII, "bcrypt$$2b$04$NPtj0ig8xz5Wg8whtXk4Nu5FSmFGTrs.1vZoIq08QssqBr52adfi."),
    (ASCII, "pbkdf2_sha256$1000$5By61V7XgGTqtQX9JRyJhB$ack4TfrFxCSCQhOluGVlzTMByi533SUweuTPr+ZygN8="),
    (ASCII, "pbkdf2_sha256$1000$sält-with-ünicode$sXzR+43FyKv1Z80drS7W3Ueu/QIG8R9DDrsfnFXYFoA="),
    (
        ASCII,
        "argon2$argon2id$v=19$m=1024,t=2,p=2$OUdPaU51dWNDOWRJd2tGdzloeGVLSw$CaZyluXNsFBHkN191ADIJnIxIaHAGWePQPTUTaJrjCA",
    ),
    (
        ASCII,
        "scrypt$1024$lwJTzn3y5kTP7j0nNIlZmi$8$2$YvuD2QM+StPswTyl4OfdaR3Kwc3+NQE0NRZXBO+Z0+95+JHWF+4CTVQEZ2rao7nAYEdemqzKtIfYphW0IJf86Q==",
    ),
    (UNICODE, "bcrypt_sha256$$2b$04$FArE8ROU0DLxZWDnxVlBVuxt71rfEvBtrm5gG.oibs41Rt5Vu3Vda"),
    (UNICODE, "bcrypt$$2b$04$PLtaRs8DAvF9nFh6NMEBeeFvUhaIa3Ev1eN6ozaqax9dXkQWmUre2"),
    (UNICODE, "pbkdf2_sha256$1000$t2ZxPIwggSVJba8qdZmeu5$HMELhskpkhfIMgEd2PfbIEWte0HSlzLptjyO9uKSd20="),
    (
        UNICODE,
        "argon2$argon2id$v=19$m=1024,t=2,p=2$WE9WazVwV1JUSWV1cVBVNm14cUtQZg$KfMjyWuRcea51vAUoBKkgB9azmuTWyzowkmLn1Wugyk",
    ),
    (
        UNICODE,
        "scrypt$1024$yjo6pKMisieP2dst7XfrUn$8$2$pkP5SZMkePsn3mQJRW/2bhvjUhgE6/L+uVUOGEAxth4sYixzvrlEjj35fMzHDwLza3QWCa7CB6tHxpkINazMPg==",
    ),
    (LONG, "bcrypt_sha256$$2b$04$eN5zEHPAxKMiKwLc5DGWWueacLuZbND2f/5Y9wGkdEFQLZJVewae6"),
    (LONG, "bcrypt$$2b$04$K6MCVC.uiQM4b148jiJMbOFadeFRdSP8.iMo.Y2.ChxYAZTvTb08a"),
    (LONG, "pbkdf2_sha256$1000$iR4VWu5RcsdyFtrCi6JHTI$pCtq6YJLnIXCcsFtUgt4KSe7mbVnA6mJjF+b4GZZraA="),
    (
        LONG,
        "argon2$argon2id$v=19$m=1024,t=2,p=2$dllmTExMQ0tmOFVDNUJVd09HTXpuMg$n3cBzzZ9SBhSLkJ6kdMc38krBfvhhwMNEYla11a7VOA",
    ),
    (
        LONG,
        "scrypt$1024$noUfVFUVSXk0fo9RLZfiBJ$8$2$rpWy/fMhfAOXmeOOdD0cy4ACZ4Lyn0Uxmighu+y9ROzY6fKL9LubxlAVKt+F0MO13XO4LvLZlrDXYpELvhyGnA==",
    ),
];

fn password(text: &str) -> Password {
    Password::parse(text).unwrap()
}

/// Verifies with the configured cost as the usual one.
fn verify(password: &Password, stored: &str, bcrypt_cost: u32) -> Verified {
    super::verify(password, stored, bcrypt_cost, bcrypt_cost)
}

#[test]
fn what_django_wrote_verifies_and_other_passwords_do_not() {
    for (text, stored) in VECTORS {
        let expected =
            if stored.starts_with("bcrypt_sha256$") { Verified::Yes } else { Verified::YesUpgrade };
        assert_eq!(verify(&password(text), stored, 4), expected, "{stored}");
        assert!(is_readable(stored), "{stored}");
        assert_eq!(
            verify(&password(&text.replacen(['c', 'P', '0'], "x", 1)), stored, 4),
            Verified::No,
            "{stored}"
        );
        // The end counts too, except for plain bcrypt past its 72 bytes.
        let cut = text.len() > 72 && stored.starts_with("bcrypt$");
        let expected = if cut { Verified::YesUpgrade } else { Verified::No };
        assert_eq!(verify(&password(&format!("{text}!")), stored, 4), expected, "{stored}");
    }
}

#[test]
fn what_django_writes_by_default_is_within_the_bounds() {
    for stored in [
        "pbkdf2_sha256$1000000$fcpEXOl2IsQA9r6yN1Pl98$hvNxoepciTn0KdkaXKlmzhMi0PsGr1/aKM0pn+TdZhY=",
        "argon2$argon2id$v=19$m=102400,t=2,p=8$VW8zMnpodVZxUGJQYnVyN0draHZBWg$yEnuWe3uKS42d+YTC7IvbEQ2tBOmxhr+CO1Pk6Agn3U",
        "scrypt$16384$hS82QDs6jq7HaScSPtNh5c$8$5$TbuH5XFyXDy1TDVUBWEi1/SKoyT33f7DMBTFt/NjQQ2sk76LCNDVWstF/42HMxO4kPveQqF9j8cVLKBaD4ZCzA==",
    ] {
        assert_eq!(verify(&password(ASCII), stored, 4), Verified::YesUpgrade, "{stored}");
    }
}

#[test]
fn a_new_hash_has_djangos_form_and_a_salt_of_its_own() {
    for text in [ASCII, UNICODE, LONG] {
        let stored = hash(&password(text), 5).unwrap();
        assert!(stored.starts_with("bcrypt_sha256$$2b$05$") && stored.len() == 74, "{stored}");
        assert_ne!(stored, hash(&password(text), 5).unwrap());
        assert_eq!(verify(&password(text), &stored, 5), Verified::Yes);
        assert_eq!(verify(&password(&format!("{text}x")), &stored, 5), Verified::No);
    }
    assert!(matches!(hash(&password(ASCII), 3), Err(HashError::Failed(_))));
}

#[test]
fn a_cheaper_bcrypt_is_upgraded_and_a_dearer_one_is_left() {
    let cost6 = "bcrypt_sha256$$2b$06$dZytczdLKoi65IvPPL3Hv.gJJN/uMYFdSSFF44uO1rbzd6GNa92Ne";
    let found = [5, 6, 7].map(|cost| verify(&password(ASCII), cost6, cost));
    assert_eq!(found, [Verified::Yes, Verified::Yes, Verified::YesUpgrade]);
}

#[test]
fn unusable_unknown_and_malformed_hashes_match_nothing() {
    let too_long = format!("pbkdf2_sha256$1${}$", "x".repeat(MAX_STORED_BYTES));
    for stored in [
        "!OJqcSe3YeWH73c3NLbHeAJgkfuOg75cJakZlMlHv",
        "",
        "!",
        "$",
        "correct horse",
        "plain$correct horse",
        "md5$a$b",
        "$2b$04$NPtj0ig8xz5Wg8whtXk4Nu5FSmFGTrs.1vZoIq08QssqBr52adfi.",
        "bcrypt_sha256$",
        "bcrypt_sha256$$2b$04$short",
        "bcrypt_sha256$$2b$99$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6",
        "bcrypt_sha256$$2b$31$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6",
        "bcrypt_sha256$$2b$03$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6",
        "bcrypt$$2b$04$ÄÄtj0ig8xz5Wg8whtXk4Nu5FSmFGTrs.1vZoIq08QssqBr52adf",
        &too_long,
    ] {
        assert_eq!(verify(&password(ASCII), stored, 4), Verified::No, "{stored}");
        assert!(!is_readable(stored), "{stored}");
    }
}

#[test]
fn a_bcrypt_past_the_highest_cost_is_not_run() {
    let of_cost = |cost| format!("$2b${cost}$NPtj0ig8xz5Wg8whtXk4Nu5FSmFGTrs.1vZoIq08QssqBr52adfi.");
    assert_eq!(check_bcrypt(b"x", &of_cost("04")).bcrypt_cost, Some(4));
    assert_eq!(check_bcrypt(b"x", &of_cost("17")).bcrypt_cost, None);
}

/// Returns the rounds of bcrypt that a rejection of a password takes, including those of the
/// checks.
fn rounds_of_a_no_to(wrong: &str, stored: &str, usual_cost: u32) -> u64 {
    let wrong = password(wrong);
    let mut rounds = bcrypt_cost_of(stored).map_or(0, |cost| 1 << cost) * wrong.forms().count() as u64;
    let found = verify_spending(&wrong, stored, [4, usual_cost], |_, cost| rounds += 1 << cost);
    assert_eq!(found, Verified::No, "{stored}");
    rounds
}

fn rounds_of_a_no(stored: &str, usual_cost: u32) -> u64 {
    rounds_of_a_no_to("wrong horse", stored, usual_cost)
}

#[test]
fn a_password_is_the_same_however_its_keyboard_writes_it() {
    let (composed, decomposed) = ("M\u{fc}nchen-caf\u{e9}", "Mu\u{308}nchen-cafe\u{301}");
    let new = hash(&password(decomposed), 4).unwrap();
    for text in [composed, decomposed, "Mu\u{308}nchen-caf\u{e9}"] {
        assert_eq!(verify(&password(text), &new, 4), Verified::Yes, "NFC is hashed: {text:?}");
    }
    assert_eq!(verify(&password("Munchen-cafe"), &new, 4), Verified::No);
    // What older versions and Django hashed is the text as it was received.
    let as_received = |text: &str| {
        let hashed = bcrypt::non_truncating_hash(sha256_hex(text), 4).unwrap();
        format!("{PREFIX}{hashed}")
    };
    for text in [composed, decomposed] {
        assert_eq!(verify(&password(text), &as_received(decomposed), 4), Verified::YesUpgrade, "{text:?}");
        assert_eq!(verify(&password(text), &as_received(composed), 4), Verified::Yes, "{text:?}");
    }
    let mixed = "Mu\u{308}nchen-caf\u{e9}";
    assert_eq!(verify(&password(mixed), &as_received(mixed), 4), Verified::YesUpgrade);
}

#[test]
fn the_work_of_a_rejection_depends_on_the_text_and_not_on_the_user() {
    let cheap = hash(&password(ASCII), 4).unwrap();
    for (wrong, forms) in [("wrong horse", 1), ("caf\u{e9} au lait", 2), ("q\u{307}\u{323}\u{e9}", 3)] {
        assert_eq!(password(wrong).forms().count(), forms);
        for stored in [cheap.as_str(), "!", "", VECTORS[2].1] {
            assert_eq!(rounds_of_a_no_to(wrong, stored, 6), (1 << 6) * forms as u64, "{wrong:?} {stored}");
        }
    }
}

#[test]
fn a_rejection_takes_as_many_rounds_as_an_unknown_name() {
    let dear = "bcrypt_sha256$$2b$31$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6";
    for stored in VECTORS.map(|(_, stored)| stored).into_iter().chain(["!", "", "md5$a$b", dear]) {
        assert_eq!(rounds_of_a_no(stored, 10), 1 << 10, "{stored}");
    }
}

#[test]
fn a_rejection_against_a_cheap_hash_takes_the_usual_rounds() {
    for cost in 4..=6 {
        let stored = hash(&password(ASCII), cost).unwrap();
        assert_eq!(rounds_of_a_no(&stored, 11), 1 << 11);
        assert_eq!(rounds_of_a_no(&stored, 4), 1 << cost, "a dearer one takes what it takes");
    }
}

#[test]
fn an_unknown_name_costs_a_whole_bcrypt_of_the_password() {
    let spent = unneeded(ASCII, 6).unwrap();
    assert_eq!(spent.get_cost(), 6);
    let stored = format!("{PREFIX}{spent}");
    assert_eq!(verify(&password(ASCII), &stored, 6), Verified::Yes);
}
